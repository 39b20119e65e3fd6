# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import proof
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken

ALL = ["proxy", "backend", "database", "cache"]


def _plan(tiers, instances=2):
    return {"hosts": {"web1": {"tiers": tiers, "processes": {"shop": {"web": {"instances": instances}}}}}}


def test_everything_declared_is_probed():
    names = [probe["name"] for probe in proof.proof_probes(SHOP, _plan(ALL), "web1")]
    assert names == [
        "postgresql",
        "redis shop cache",
        "redis shop queue",
        "shop-web@8000 health",
        "shop-web@8000 readiness",
        "shop-web@8001 health",
        "shop-web@8001 readiness",
        "units",
        "https://shop.example.com/",
        "https://shop.example.com/ws",
    ]


@pytest.mark.parametrize(
    ("tier", "kinds"),
    [
        ("database", ["postgresql"]),
        ("cache", ["redis", "redis"]),
        ("proxy", ["http", "websocket"]),
        ("backend", ["http", "http", "command"]),
    ],
)
def test_a_host_proves_its_own_tier_only(tier, kinds):
    assert [probe["kind"] for probe in proof.proof_probes(SHOP, _plan([tier], 1), "web1")] == kinds


@pytest.mark.parametrize(
    ("routes", "asked"),
    [
        # As of Streamlit and Jupyter, whose pages and websockets are both below /
        ({"/": {"process": "web", "websocket": True}}, [("http", "https://shop.example.com/health", [200])]),
        (
            {"/": {"process": "web"}, "/ws": {"process": "web", "websocket": True}},
            [("http", "https://shop.example.com/health", [200]), ("websocket", "wss://shop.example.com/ws", [101, 400, 401, 403])],
        ),
        (
            {"/api": {"process": "web", "websocket": True, "strip_prefix": True}},
            [("http", "https://shop.example.com/api/health", [200])],
        ),
        # Where Socket.IO answers
        (
            {"/": {"process": "web"}, "/socket.io": {"process": "web", "websocket": True}},
            [("http", "https://shop.example.com/health", [200]), ("websocket", "wss://shop.example.com/socket.io/", [101, 400, 401, 403])],
        ),
        # Of two routes alike the one that leads to the health check is asked for it
        (
            {"/": {"process": "web", "websocket": True}, "/health": {"process": "web", "websocket": True}},
            [("websocket", "wss://shop.example.com/", [101, 400, 401, 403]), ("http", "https://shop.example.com/health", [200])],
        ),
    ],
)
def test_a_route_is_asked_for_what_is_known_to_be_there(routes, asked):
    apps = broken(("shop", "sites", "shop.example.com", "routes"), routes)
    probes = proof.proof_probes(apps, _plan(["proxy"]), "web1")
    assert [(probe["kind"], probe["url"], probe["status"]) for probe in probes] == asked


def test_one_app_is_proved_without_what_another_has_in_the_plan():
    plan = {"hosts": {"a": {"tiers": ["cache"], "redis": {"shop": {"queue": {"port": 6380}}, "old": {"queue": {"port": 6381}}}}}}
    assert [probe["name"] for probe in proof.proof_probes(SHOP, plan, "a")] == ["redis shop queue"]


def test_each_database_is_proved_in_its_own_words():
    apps = broken(("shop", "database"), "mariadb")
    assert [probe["kind"] for probe in proof.proof_probes(apps, _plan(["database"]), "web1")] == ["mysql"]


def test_a_pooler_is_proved_beside_its_database():
    postgresql, pgbouncer = proof.proof_probes(broken(("shop", "pooler"), "pgbouncer"), _plan(["database"]), "web1")
    assert (postgresql["port"], pgbouncer["port"], pgbouncer["kind"]) == (5432, 6432, "postgresql")
    assert (pgbouncer["username"], pgbouncer["database"]) == ("shop", "shop"), "PgBouncer knows nobody else"


def _listener(address, port, protocol="tcp"):
    return {"address": address, "port": port, "protocol": protocol, "name": "x", "unit": None, "pid": 1, "user": "x"}


@pytest.mark.parametrize(
    ("listener", "undeclared"),
    [
        (_listener("127.0.0.1", 8000), False),
        (_listener("::1", 8000), False),
        (_listener("0.0.0.0", 443), False),
        (_listener("0.0.0.0", 68, "udp"), False),
        (_listener("::", 123, "udp"), False),
        (_listener("0.0.0.0", 8000), True),
        (_listener("::", 5432), True),
        (_listener("10.0.0.5", 6379), True),
        (_listener("fe80::1%eth0", 5353, "udp"), True),
    ],
)
def test_undeclared_listeners(listener, undeclared):
    assert bool(proof.undeclared_listeners([listener], [22, 80, 443])) is undeclared


@pytest.mark.parametrize(
    ("unit", "name", "paths", "tiers", "lasts"),
    [
        ("avahi-daemon.service", "avahi-daemon", [], ALL, True),
        ("named.service", "named", [], ALL, True),
        (None, "", [], ALL, True),  # the kernel's own, such as WireGuard
        ("systemd-resolved.service", "systemd-resolve", [], ALL, False),
        ("postgresql@15-main.service", "postgres", [], ALL, False),
        ("postgresql@15-main.service", "postgres", [], ["proxy", "cache"], True),
        ("postgresql@15-main.service", "postgres", ["/etc/postgresql/15/main/conf.d/zz-mainstay.conf"], ["proxy"], False),
        ("mariadb.service", "mariadbd", [], ALL, True),  # no app needs it
        ("redis-server.service", "redis-server", [], ALL, False),
        ("nginx.service", "nginx", [], ALL, True),  # a site of somebody's
        ("nginx.service", "nginx", ["/etc/nginx/mainstay"], ALL, False),
        ("shop-web@8000.service", "python3", [], ALL, False),
        ("old-web@8000.service", "python3", ["/etc/mainstay/old/env"], ALL, False),
        ("old-web@8000.service", "python3", [], ALL, True),
        ("prometheus-node-exporter.service", "prometheus-node", [], ALL, False),
    ],
)
def test_what_a_run_leaves_as_it_is_can_be_refused_before_it(unit, name, paths, tiers, lasts):
    listener = {**_listener("0.0.0.0", 9999), "unit": unit, "name": name}
    host = {"paths": {path: {"type": "file"} for path in paths}}
    assert bool(proof.lasting_listeners([listener], SHOP, host, tiers)) is lasts


def test_the_resolver_lasts_where_it_may():
    listener = {**_listener("0.0.0.0", 5355), "unit": "systemd-resolved.service", "name": "systemd-resolve"}
    assert proof.lasting_listeners([listener], SHOP, {}, ALL, True) == [listener]


def test_what_a_host_comes_with_is_named_with_what_ends_it():
    (line,) = proof.undeclared_listeners([{**_listener("0.0.0.0", 111), "name": "rpcbind"}], [22])
    assert line == "tcp 0.0.0.0:111 by rpcbind (the port mapper of NFS; systemctl disable --now rpcbind.socket rpcbind.service ends it)"


def test_who_listens_is_named_with_its_unit():
    (line,) = proof.undeclared_listeners([{**_listener("::", 8000), "name": "webfsd", "unit": "webfs.service"}], [22])
    assert line == "tcp :::8000 by webfsd of webfs.service"


@pytest.mark.parametrize(
    ("rules", "firewall", "undeclared"),
    [
        ([], "nftables", True),
        ([{"port": 8081}], "nftables", False),
        ([{"port": 8081, "from": ["192.0.2.0/24"]}], "nftables", False),
        ([{"port": "8080-8082"}], "ufw", False),
        ([{"port": "8080-8082", "from": ["192.0.2.0/24"]}], "ufw", True),
    ],
)
@pytest.mark.parametrize("name", ["docker-proxy", "dockerd", "conmon"])
def test_what_a_container_publishes_is_declared_where_the_firewall_keeps_it(name, rules, firewall, undeclared):
    found = proof.undeclared_listeners([{**_listener("0.0.0.0", 8081), "name": name, "unit": "docker.service"}], [22], rules, firewall)
    told = f"tcp 0.0.0.0:8081 by {name} (a port that a container publishes; --publish 127.0.0.1:8081:… keeps it on the host)"
    assert found == [told] * undeclared
    assert proof.undeclared_listeners([_listener("0.0.0.0", 8081)], [22, 8081], rules, firewall) == []


def test_a_range_of_ports_may_be_declared():
    found = [_listener("10.0.0.5", port) for port in (7999, 8000, 8003, 8004)]
    assert proof.undeclared_listeners(found, [22, "8000-8003"]) == ["tcp 10.0.0.5:7999, tcp 10.0.0.5:8004 by x"]


@pytest.mark.parametrize(
    ("unit", "address", "paths", "ports"),
    [
        ("old-web@8100.service", "0.0.0.0", ["/etc/mainstay/old/env"], ["8100"]),
        ("old-web@8100.service", "127.0.0.1", ["/etc/mainstay/old/env"], []),
        ("old-web@8100.service", "0.0.0.0", [], []),  # of no app that this host knows
        ("shop-web@8100.service", "0.0.0.0", ["/etc/mainstay/shop/env"], []),  # declared, and not told that it may
        ("webfs.service", "0.0.0.0", ["/etc/mainstay/old/env"], []),
        (None, "0.0.0.0", ["/etc/mainstay/old/env"], []),
    ],
)
def test_what_runs_on_undeclared_is_told_and_not_refused(unit, address, paths, ports):
    """Every run tells of it by itself; a refusal would keep the other apps from a run, and any other one from being removed."""
    listener = {**_listener(address, 8100), "unit": unit}
    host = {"paths": {path: {"type": "file"} for path in paths}, "listeners": [listener]}
    assert proof.ports_of_any_address(SHOP, host=host) == ports


def test_who_listens_many_times_is_told_once():
    found = [_listener(address, 53, protocol) for address in ("10.0.0.5", "10.0.0.5", "::") for protocol in ("tcp", "udp")]
    assert proof.undeclared_listeners(found, [22]) == ["tcp 10.0.0.5:53, udp 10.0.0.5:53, tcp :::53, udp :::53 by x"]


def test_summary_names_what_a_reader_asks_for():
    host = {
        "distribution": {"name": "Debian 12"},
        "memory_mb": 2048,
        "cpus": 2,
        "packages": {"nginx": "1.22", "postgresql-15": "15.1"},
        "active": ["shop-web@8000.service"],
        "listeners": [{**_listener("0.0.0.0", 443), "name": "nginx"}],
    }
    text = "\n".join(proof.summary(SHOP, _plan(ALL, 1), "web1", host, ["the plan"]))
    for words in (
        "https://shop.example.com/",
        "shop-web@8000.service active",
        "shop-beat@1.service NOT ACTIVE",
        "nginx 1.22",
        "postgresql-15 15.1",
        "443/tcp nginx",
        "the plan",
    ):
        assert words in text
