# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.agent import agent_config
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

TIERS = ("proxy", "backend", "database", "cache")
PLAIN = {"shop": {key: value for key, value in SHOP["shop"].items() if key not in ("database", "redis", "pooler")}}


def configured(declared, tiers, version="15"):
    plan = capacity.plan(apps.normalise(declared), 100, {"web1": {"tiers": list(tiers), "memory_mb": 8192, "cpus": 4}})
    return agent_config(declared, plan, "web1", postgresql_version=version)


def with_database(database, **more):
    return {"shop": {**PLAIN["shop"], "database": database, **more}}


@pytest.mark.parametrize(
    ("declared", "servers"),
    [
        (with_database("postgresql"), {"nginx": "nginx.service", "postgresql": "postgresql@15-main.service"}),
        (with_database("mariadb"), {"mariadb": "mariadb.service", "nginx": "nginx.service"}),
        (
            with_database("postgresql", pooler="pgbouncer"),
            {"nginx": "nginx.service", "pgbouncer": "pgbouncer.service", "postgresql": "postgresql@15-main.service"},
        ),
        (
            {"shop": {**PLAIN["shop"], "redis": ["cache", "queue"]}},
            {
                "nginx": "nginx.service",
                "redis/shop-cache": "redis-server@shop-cache.service",
                "redis/shop-queue": "redis-server@shop-queue.service",
            },
        ),
    ],
)
def test_the_servers_of_a_host_and_what_its_apps_need(declared, servers):
    config = configured(declared, TIERS)
    assert {server["name"]: server["unit"] for server in config["servers"]} == servers
    # An app needs no nginx: it lives where nobody reaches it.
    assert all(set(process["needs"]) == set(servers) - {"nginx"} for process in config["processes"])


def test_how_each_is_asked():
    declared = {"shop": {**with_database("postgresql", pooler="pgbouncer")["shop"], "redis": ["cache"]}}
    assert {server["name"]: server["probe"] for server in configured(declared, TIERS)["servers"]} == {
        "postgresql": {"kind": "postgresql", "username": "postgres", "port": 5432},
        "pgbouncer": {"kind": "hangup", "port": 6432},
        "redis/shop-cache": {"kind": "redis", "port": 6379},
        "nginx": {"kind": "hangup", "port": 80},
    }


def test_an_nginx_without_a_site_listens_nowhere():
    declared = {"shop": {key: value for key, value in PLAIN["shop"].items() if key != "sites"}}
    assert [server["probe"] for server in configured(declared, TIERS)["servers"]] == [None]


def test_another_version_and_none():
    declared = with_database("postgresql")
    assert configured(declared, TIERS, 17)["servers"][0]["unit"] == "postgresql@17-main.service"
    assert [server["name"] for server in configured(declared, TIERS, "")["servers"]] == ["nginx"]


def test_a_host_sees_its_own_servers_only():
    hosts = {"web1": {"tiers": ["proxy", "backend"], "memory_mb": 4096, "cpus": 2, "address": "10.0.0.1"}}
    hosts["db1"] = {"tiers": ["database", "cache"], "memory_mb": 4096, "cpus": 2, "address": "10.0.0.2"}
    plan = capacity.plan(apps.normalise(SHOP), 100, hosts)
    web, db = (agent_config(SHOP, plan, name, postgresql_version="15") for name in ("web1", "db1"))
    assert [server["name"] for server in web["servers"]] == ["nginx"]
    assert all(process["needs"] == [] for process in web["processes"])
    assert db["processes"] == [] and {server["name"].partition("/")[0] for server in db["servers"]} >= {"postgresql", "redis"}


def test_without_a_plan_nothing_is_known_of_servers():
    assert agent_config(SHOP, {}, "x", postgresql_version="15")["servers"] == []
