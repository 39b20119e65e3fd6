# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.unprepared import unprepared

WEB = {"web": {"command": "run", "port": 8000}}
QUEUE = "redis-server@shop-queue.service"
ONLINE, DOWN = [{"name": "main", "status": "online"}], [{"name": "main", "status": "down"}]
NO_DATABASE, NO_REDIS = "shop: its database in {}", "shop: its Redis shop-queue"


def host(clusters=(), databases=(), enabled=(), running=(), mariadb=()):
    return {
        "postgresql": {"clusters": list(clusters), "databases": dict.fromkeys(databases, "shop")},
        "mariadb": {"databases": dict.fromkeys(mariadb, "utf8mb4")},
        "enabled": list(enabled),
        "running": list(running),
    }


@pytest.mark.parametrize(
    ("database", "found", "missing"),
    [
        ("postgresql", host(), [NO_REDIS, NO_DATABASE.format("PostgreSQL")]),  # a host that site.yml has never seen
        ("postgresql", host(ONLINE, ["other"], [QUEUE]), [NO_DATABASE.format("PostgreSQL")]),
        ("postgresql", host(ONLINE, ["shop"], [QUEUE]), []),
        ("postgresql", host(ONLINE, ["shop"]), [NO_REDIS]),
        ("postgresql", host(DOWN, (), [QUEUE]), []),  # what a server has that is down, nobody knows
        ("mariadb", host(enabled=[QUEUE]), [NO_DATABASE.format("MariaDB")]),
        ("mariadb", host(enabled=[QUEUE, "mariadb.service"]), []),
        ("mariadb", host(enabled=[QUEUE, "mariadb.service"], running=["mariadb.service"], mariadb=["shop"]), []),
    ],
)
def test_what_a_deploy_would_not_find(database, found, missing):
    apps = {"shop": {"source": {"path": "."}, "processes": WEB, "database": database, "redis": ["queue"]}}
    plan = {"hosts": {"web1": {database: {}, "redis": {"shop": {"queue": {}}}}, "web2": {}}}
    assert unprepared(apps, plan, "web1", found) == sorted(missing)
    assert unprepared(apps, plan, "web2", host()) == []
