# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import fleet

HOSTVARS = {name: {"mainstay_host": {"memory_mb": 2048, "cpus": 2, "packages": {}}} for name in ("web1", "db1")}
GROUPS = {"vps": ["web1", "db1"], "proxy": ["web1"], "backend": ["web1"], "database": ["db1"], "cache": ["db1"]}


def test_hosts_have_their_tiers_and_resources():
    assert fleet.plan_hosts(["web1", "db1"], HOSTVARS, GROUPS) == {
        "web1": {"tiers": ["proxy", "backend"], "memory_mb": 2048, "cpus": 2},
        "db1": {"tiers": ["database", "cache"], "memory_mb": 2048, "cpus": 2},
    }


def test_a_host_without_a_tier_is_refused():
    with pytest.raises(ValueError, match="'web2' is in no tier. Put it into one or more of the groups proxy, backend"):
        fleet.plan_hosts(["web2"], HOSTVARS, GROUPS)


def app(**options):
    return {"runtime": "python", "source": {"git": "https://example.com/x.git", "version": "v1"}, **options}


@pytest.mark.parametrize(("part", "packages"), [
    ("tools", ["nftables", "logrotate", "git", "python3-venv"]),
    ("servers", ["nginx", "postgresql", "python3-psycopg2", "redis-server"]),
])
def test_packages_of_the_stack_come_in_two_parts(part, packages):
    apps = {"shop": app(database="postgresql", redis=["cache"], processes={"web": {"command": "x", "port": 8000}})}
    tiers = ["proxy", "backend", "database", "cache"]
    assert fleet.stack_packages(apps, tiers, part) == packages
    assert set(packages) < set(fleet.stack_packages(apps, tiers))


@pytest.mark.parametrize(("names", "text"), [
    ([], "nothing"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_enumeration(names, text):
    assert fleet.enumeration(names) == text


@pytest.mark.parametrize(("found", "kept"), [
    ({}, True), ({"fs.file-max": 5}, True), ({"fs.file-max": 10}, True), ({"fs.file-max": 11}, False), ({"fs.nr_open": 99}, True)])
def test_a_limit_of_the_kernel_is_never_lowered(found, kept):
    wanted = {"fs.file-max": 10, "vm.swappiness": 10}
    assert fleet.raised_limits(wanted, found) == (wanted if kept else {"vm.swappiness": 10})
