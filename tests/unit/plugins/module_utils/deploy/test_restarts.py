# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.restarts import AT_START, restarts
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.plan.report import table
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from ansible_collections.mainstay.vps.tests.unit.stacks import one_host

OTHER = {"source": {"path": "x"}, "processes": {"web": {"command": "x", "port": 8200}}}
WORKER = {"source": {"path": "x"}, "processes": {"mail": {"command": "x", "memory": "200M"}}}


def _planned(apps, host=(8192, 4)):
    return capacity.plan(normalise(apps), 100, one_host(*host))


APPS = normalise(SHOP)
BEFORE = _planned(SHOP)["hosts"]["web1"]
POOLED, MARIADB = copy.deepcopy(SHOP), copy.deepcopy(SHOP)
POOLED["shop"]["pooler"] = "pgbouncer"
MARIADB["shop"]["database"] = "mariadb"


def _with(path, value):
    changed = copy.deepcopy(BEFORE)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("postgresql", "shared_buffers_mb"), 64, "postgresql restarts, and who is connected connects anew (shared_buffers_mb 1064 -> 64)"),
        (("postgresql", "work_mem_kb"), 64, None),
        (("redis", "shop", "cache", "maxmemory_mb"), 9, "redis shop cache restarts (maxmemory_mb 264 -> 9)"),
        (("processes", "shop", "web", "pool_size"), 1, "shop.web is deployed anew (DB_POOL_SIZE 5 -> 1)"),
        (("processes", "shop", "web", "instances"), 1, "shop.web is deployed anew (instances 4 -> 1)"),
        (
            ("processes", "shop", "worker", "concurrency"),
            1,
            "shop.worker is deployed anew (CELERY_CONCURRENCY 8 -> 1, CELERY_WORKER_CONCURRENCY 8 -> 1)",
        ),
        (("processes", "shop", "web", "concurrency"), 1, None),  # what it has to carry, of which nobody tells it
        (("processes", "shop", "web", "max_websockets"), 1, None),  # its route declares how many
        (("processes", "shop", "web", "memory_max_mb"), 1, None),
        (("processes", "shop", "web", "tasks_max"), 1, None),
        (("nginx", "worker_processes"), 1, None),
    ],
)
def test_what_is_read_at_a_start_alone_is_told(path, value, told):
    assert restarts(APPS, BEFORE, _with(path, value)) == ([told] if told else [])


def test_nothing_is_told_of_what_is_new_is_gone_or_is_set_by_the_inventory():
    assert restarts(APPS, {}, BEFORE) == restarts(APPS, BEFORE, {}) == restarts(APPS, BEFORE, BEFORE) == []
    assert restarts(APPS, BEFORE, _with(("postgresql", "shared_buffers_mb"), 64), ["shared_buffers"]) == []


def test_another_app_is_no_reason_to_deploy_those_that_are_there():
    before, after = (_planned(apps, (4096, 2))["hosts"]["web1"] for apps in (SHOP, {**SHOP, "other": WORKER}))
    assert after["processes"]["shop"]["worker"]["memory_max_mb"] < before["processes"]["shop"]["worker"]["memory_max_mb"]
    assert [sentence.split()[0] for sentence in restarts(APPS, before, after)] == ["postgresql", "redis", "redis"]


def test_the_names_are_those_of_the_plan():
    plans = [_planned(apps)["hosts"]["web1"] for apps in (SHOP, POOLED, MARIADB)]
    for server, names in AT_START.items():
        assert set(names) <= {name for plan in plans for name in plan.get(server, {})}


def test_v8_s_heap_is_told_at_the_start():
    app = {"api": {**OTHER, "runtime": "node"}}
    before, after = (_planned(app)["hosts"]["web1"] for _time in range(2))
    before["processes"]["api"]["web"]["node_heap_mb"] = 99
    heap = after["processes"]["api"]["web"]["node_heap_mb"]
    options = f"NODE_OPTIONS --max-old-space-size=99 -> --max-old-space-size={heap}"
    assert restarts(normalise(app), before, after) == [f"api.web is deployed anew ({options})"]


def test_the_report_tells_it():
    lines = table({**_planned(SHOP), "restarts": {"web1": ["postgresql restarts"]}})
    assert lines[lines.index("Because the plan has changed") + 1] == "  - web1: postgresql restarts"
