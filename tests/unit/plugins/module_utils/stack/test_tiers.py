# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import packages as derive_packages
from ansible_collections.mainstay.vps.plugins.module_utils.stack import tiers as stack_tiers

ADDRESSES = {"web1": "10.0.0.1", "db1": "fd00::2"}
HOSTVARS = {
    name: {"mainstay_host": {"memory_mb": 2048, "cpus": 2, "packages": {}}, "mainstay_address": address}
    for name, address in ADDRESSES.items()
}
GROUPS = {"vps": ["web1", "db1"], "proxy": ["web1"], "backend": ["web1"], "database": ["db1"], "cache": ["db1"]}


def test_hosts_have_their_tiers_resources_and_addresses():
    assert stack_tiers.plan_hosts(["web1", "db1"], HOSTVARS, GROUPS) == {
        "web1": {"tiers": ["proxy", "backend"], "memory_mb": 2048, "cpus": 2, "address": "10.0.0.1"},
        "db1": {"tiers": ["database", "cache"], "memory_mb": 2048, "cpus": 2, "address": "fd00::2"},
    }


def test_a_host_alone_needs_no_address():
    assert stack_tiers.plan_hosts(["web1"], {"web1": {"mainstay_host": {"memory_mb": 1, "cpus": 1}}}, GROUPS) == {
        "web1": {"tiers": ["proxy", "backend"], "memory_mb": 1, "cpus": 1}
    }


def test_the_databases_on_a_host_are_told_but_those_that_come_with_a_server():
    """A drill's come and go, and a plan that went with them would restart the server."""
    found = {
        "postgresql": {"databases": {"postgres": "postgres", "shop": "shop", "mainstay_drill_shop": "postgres"}},
        "mariadb": {"databases": {}},
    }
    hostvars = {name: {**HOSTVARS[name], "mainstay_host": {**HOSTVARS[name]["mainstay_host"], **found}} for name in HOSTVARS}
    hosts = stack_tiers.plan_hosts(["web1", "db1"], hostvars, GROUPS)
    assert hosts["db1"]["databases"] == {"postgresql": ["shop"]} and "databases" not in hosts["web1"]


@pytest.mark.parametrize("address", [None, "", "db1.example.com", "127.0.0.1", "::1", "0.0.0.0"])
def test_an_address_that_leads_nowhere_is_refused(address):
    hostvars = {**HOSTVARS, "db1": {**HOSTVARS["db1"], "mainstay_address": address}}
    with pytest.raises(ValueError, match=f"mainstay_address: {address!r} cannot be used for the host db1. .* private network"):
        stack_tiers.plan_hosts(["web1", "db1"], hostvars, GROUPS)


ONE = {"hosts": {"a": {"tiers": ["proxy", "backend", "database", "cache"]}}}
# Two backends, one of them beside the proxy; the data on a host of its own.
FOUR = {
    "hosts": {
        "edge": {"tiers": ["proxy"], "address": "10.0.0.1"},
        "web1": {"tiers": ["backend"], "address": "10.0.0.2"},
        "web2": {"tiers": ["backend", "cache"], "address": "fd00::3"},
        "data": {"tiers": ["database"], "address": "10.0.0.4"},
    }
}


@pytest.mark.parametrize(
    ("plan", "host", "listens", "web", "database", "redis", "proxies"),
    [
        ({}, "a", ["127.0.0.1"], "127.0.0.1", "127.0.0.1", "127.0.0.1", []),
        (ONE, "a", ["127.0.0.1"], "127.0.0.1", "127.0.0.1", "127.0.0.1", []),
        (FOUR, "data", ["127.0.0.1", "10.0.0.4"], "10.0.0.4", "127.0.0.1", "fd00::3", ["10.0.0.1"]),
        (FOUR, "web1", ["127.0.0.1", "10.0.0.2"], "10.0.0.2", "10.0.0.4", "fd00::3", ["10.0.0.1"]),
        (FOUR, "web2", ["127.0.0.1", "fd00::3"], "fd00::3", "10.0.0.4", "127.0.0.1", ["10.0.0.1"]),
        (FOUR, "edge", ["127.0.0.1", "10.0.0.1"], "127.0.0.1", "10.0.0.4", "fd00::3", []),
    ],
)
def test_hosts_find_each_other(plan, host, listens, web, database, redis, proxies):
    assert stack_tiers.listen_addresses(plan, host, "backend") == listens
    assert stack_tiers.web_address(plan, host) == web
    assert (stack_tiers.tier_address(plan, host, "database"), stack_tiers.tier_address(plan, host, "cache")) == (database, redis)
    assert stack_tiers.other_addresses(plan, host, "proxy") == proxies


@pytest.mark.parametrize(
    ("bind", "own", "from_edge"),
    [(None, "10.0.0.2", "10.0.0.2"), ("10.9.9.9", "10.9.9.9", "10.9.9.9"), ("0.0.0.0", "127.0.0.1", "10.0.0.2"), ("::", "::1", "10.0.0.2")],
)
def test_a_chosen_address_is_where_everybody_asks(bind, own, from_edge):
    hosts = {**FOUR["hosts"], "web1": {**FOUR["hosts"]["web1"], "bind_address": bind}}
    assert stack_tiers.web_address({"hosts": hosts}, "web1") == (bind or "10.0.0.2")
    assert stack_tiers.reached_at({"hosts": hosts}, "web1", "web1") == own
    assert stack_tiers.reached_at({"hosts": hosts}, "web1", "edge") == from_edge


@pytest.mark.parametrize(("bind", "remedy"), [("web1.example.com", "Write an IP address"), ("127.0.0.1", "the proxy edge is another host")])
def test_a_chosen_address_that_leads_nowhere_is_refused(bind, remedy):
    found = {"memory_mb": 2048, "cpus": 2}
    hostvars = {
        "edge": {"mainstay_host": found, "mainstay_address": "10.0.0.1"},
        "web1": {"mainstay_host": found, "mainstay_address": "10.0.0.2", "backend_bind_address": bind},
    }
    with pytest.raises(ValueError, match=f"backend_bind_address: {bind!r} cannot be used for the host web1.*{remedy}"):
        stack_tiers.plan_hosts(["edge", "web1"], hostvars, {"proxy": ["edge"], "backend": ["web1"]})


def test_addresses_with_ports():
    assert (stack_tiers.at("10.0.0.1", 80), stack_tiers.at("fd00::1", 80)) == ("10.0.0.1:80", "[fd00::1]:80")


def test_a_host_without_a_tier_is_refused():
    with pytest.raises(ValueError, match="'web2' is in no tier. Put it into one or more of the groups proxy, backend"):
        stack_tiers.plan_hosts(["web2"], HOSTVARS, GROUPS)


def app(**options):
    return {"runtime": "python", "source": {"git": "https://example.com/x.git", "version": "v1"}, **options}


@pytest.mark.parametrize(
    ("part", "packages"),
    [
        ("tools", ["nftables", "logrotate", "git", "python3-venv"]),
        ("servers", ["fail2ban", "python3-systemd", "nginx", "postgresql", "python3-psycopg2", "redis-server"]),
    ],
)
def test_packages_of_the_stack_come_in_two_parts(part, packages):
    apps = {"shop": app(database="postgresql", redis=["cache"], processes={"web": {"command": "x", "port": 8000}})}
    tiers = ["proxy", "backend", "database", "cache"]
    assert derive_packages.stack_packages(apps, tiers, part) == packages
    apps["shop"]["pooler"] = "pgbouncer"
    assert ("pgbouncer" in derive_packages.stack_packages(apps, tiers, part)) is (part == "servers")
    assert set(packages) < set(derive_packages.stack_packages(apps, tiers))
    assert "pgbouncer" not in derive_packages.stack_packages(apps, ["proxy", "backend", "cache"])


@pytest.mark.parametrize(("names", "text"), [([], "nothing"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_enumeration(names, text):
    assert stack_tiers.enumeration(names) == text


@pytest.mark.parametrize(
    ("found", "kept"),
    [({}, True), ({"fs.file-max": 5}, True), ({"fs.file-max": 10}, True), ({"fs.file-max": 11}, False), ({"fs.nr_open": 99}, True)],
)
def test_a_limit_of_the_kernel_is_never_lowered(found, kept):
    wanted = {"fs.file-max": 10, "vm.swappiness": 10}
    assert stack_tiers.raised_limits(wanted, found) == (wanted if kept else {"vm.swappiness": 10})


@pytest.mark.parametrize("groups", [{"vps": ["web1"], "all": ["web1"]}, {"all": ["localhost"]}, {"all": []}, {}])
def test_the_group_of_all_hosts(groups):
    assert stack_tiers.planned_hosts(groups) == "vps"


def test_an_inventory_without_that_group_is_refused():
    with pytest.raises(ValueError, match="no host in the group vps, so there is nothing to do. .*inventory.example/hosts.yml"):
        stack_tiers.planned_hosts({"all": ["web1"], "webservers": ["web1"]})
