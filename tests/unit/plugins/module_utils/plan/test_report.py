# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.plan import (
    capacity,
    rules_connections,
    rules_host,
    rules_mariadb,
    rules_nginx,
    rules_postgresql,
    rules_processes,
    rules_redis,
)
from ansible_collections.mainstay.vps.plugins.module_utils.plan.report import aligned, table
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from ansible_collections.mainstay.vps.tests.unit.stacks import one_host

APPS = normalise(SHOP)
ROOT = Path(__file__).parents[5]
RULES = (rules_connections, rules_host, rules_mariadb, rules_nginx, rules_postgresql, rules_processes, rules_redis)
DOCUMENT = (ROOT / "docs/capacity.md").read_text()
EXAMPLE = yaml.safe_load((ROOT / "inventory.example/group_vars/all.yml").read_text())["mainstay_apps"]


def test_columns_are_aligned():
    assert aligned([("name", "MB"), ("a", "5"), ("longer", "1024")]) == ["name      MB", "a          5", "longer  1024"]


def test_one_host():
    plan = capacity.plan(APPS, 100, one_host(8192, 4))
    lines = table(plan)
    assert "web1: 8192 MB, 4 CPUs, proxy backend database cache; swap 2048 MB; deploys blue_green" in lines
    assert any(re.match(r"  shop.web +4 +13 +273..304 +1216 +5\+5 +65536 +128$", line) for line in lines)
    assert any(re.match(r"  redis shop cache: .*maxmemory_mb 264, maxmemory_policy allkeys-lru", line) for line in lines)
    assert "postgresql: 108 of 130 connections" in lines
    assert "Warnings" not in lines
    assert max(map(len, lines)) <= 120


def test_the_memory_column_adds_up():
    lines = table(capacity.plan(APPS, 100, one_host(2048, 2)))
    start = next(number for number, line in enumerate(lines) if line.startswith("  memory"))
    rows = [line.split() for line in lines[start + 1 :]]
    end = next(number for number, row in enumerate(rows) if row[0] == "total")
    assert sum(int(row[1]) for row in rows[:end]) == int(rows[end][1]) == 2048


def test_every_setting_of_every_host_is_shown():
    hosts = {
        "app": {"tiers": ["backend"], "memory_mb": 4096, "cpus": 2},
        "data": {"tiers": ["database", "cache", "proxy"], "memory_mb": 4096, "cpus": 2},
    }
    plan = capacity.plan(APPS, 100, hosts)
    text = "\n".join(table(plan))
    data = plan["hosts"]["data"]
    for settings in (data["postgresql"], data["nginx"], data["sysctl"], *data["redis"]["shop"].values(), *data["services"].values()):
        for name, value in settings.items():
            assert f"{name} {str(value).lower() if isinstance(value, bool) else value}" in text
    assert "deploys" not in text.split("data:")[1].splitlines()[0]


def test_warnings_come_last():
    plan = capacity.plan(APPS, 100, one_host(1024, 1))
    lines = table(plan)
    assert lines[lines.index("Warnings") + 1 :] == [f"  - {warning}" for warning in plan["advice"]]
    assert table({**plan, "undeclared": ["app old on web1"]}) == [*lines, "", "No longer declared", "  - app old on web1"]


@pytest.mark.parametrize(
    ("row", "servers"),
    [
        ("a web process and its site", {}),
        ("with PostgreSQL", {"database": "postgresql"}),
        ("with MariaDB", {"database": "mariadb"}),
        ("with PostgreSQL, a cache and a queue in Redis", {"database": "postgresql", "redis": ["cache", "queue"]}),
    ],
)
def test_the_documentation_says_what_the_smallest_host_is(row, servers):
    least = []
    for runtime, command in (("python", "uvicorn a:app --host $HOST --port $PORT"), ("node", "node server.js")):
        app = {
            "runtime": runtime,
            "source": {"path": "."},
            "processes": {"web": {"command": command, "port": 8000, "health": {"path": "/"}}},
            "sites": {"shop.example.com": {"routes": {"/": {"process": "web"}}}},
            **servers,
        }
        apps = normalise({"shop": app})
        with pytest.raises(ValueError, match="does not fit") as refused:
            capacity.plan(apps, 100, one_host(256, 1))
        least.append(int(re.search(r"Give web1 at least (\d+) MB of memory", str(refused.value))[1]))
        assert capacity.plan(apps, 100, one_host(least[-1], 1))
        with pytest.raises(ValueError, match="does not fit"):
            capacity.plan(apps, 100, one_host(least[-1] - 1, 1))
    assert f"| {row} | {least[0]} | {least[1]} |\n" in DOCUMENT


@pytest.mark.parametrize(("memory_mb", "cpus", "users"), [(1024, 1, 100), (8192, 4, 100), (16384, 8, 500)])
def test_the_documentation_shows_the_plan_of_the_example(memory_mb, cpus, users):
    block = "\n".join(table(capacity.plan(normalise(EXAMPLE), users, one_host(memory_mb, cpus))))
    assert f"```text\n{block}\n```" in DOCUMENT


def test_the_documentation_shows_the_refusal_of_the_example():
    with pytest.raises(capacity.PlanError) as refusal:
        capacity.plan(normalise(EXAMPLE), 100, one_host(512, 1))
    assert f"```text\n{refusal.value}\n```" in DOCUMENT


@pytest.mark.parametrize(("name", "value"), re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", DOCUMENT, re.MULTILINE))
def test_the_documentation_tells_the_constants(name, value):
    assert {str(getattr(module, name)) for module in RULES if hasattr(module, name)} == {value}
