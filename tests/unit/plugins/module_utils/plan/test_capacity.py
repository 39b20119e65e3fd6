# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import os
import re

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity, rules_postgresql
from ansible_collections.mainstay.vps.plugins.module_utils.plan.remedies import apply_change
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit import stacks
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from ansible_collections.mainstay.vps.tests.unit.stacks import ALL_TIERS, app, one_host, process
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

# The same stacks at every run in `make test`; `HYPOTHESIS_PROFILE=prove` looks at many more, new ones each time.
COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("short", max_examples=40, derandomize=True, **COMMON)
settings.register_profile("prove", max_examples=1500, **COMMON)
budget = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

APPS = normalise(SHOP)


# --- invariants ----------------------------------------------------------------------------------------------------


@budget
@given(stacks.apps(), stacks.users, stacks.hosts())
def test_a_plan_fits_or_is_refused_with_what_would_make_it_fit(apps, users, hosts):
    try:
        plan = capacity.plan(apps, users, hosts)
    except capacity.PlanError as error:
        check_refusal(error, apps, users, hosts)
    else:
        stacks.check_plan(plan, apps, hosts)


def check_refusal(error, apps, users, hosts):
    """The sum is written out and adds up, and every change that is offered takes away what it was offered for."""
    for section in str(error).split("\n\n"):
        numbers = [int(number) for number in re.findall(r"^  [ +] +(\d+) ", section, re.MULTILINE)]
        total = int(re.search(r"^  = +(\d+) ", section, re.MULTILINE)[1])
        assert sum(numbers) == total
        assert int(re.search(r"needed, (\d+) ", section)[1]) > 0
    for name, remedies in error.remedies.items():
        assert 2 <= len(remedies) <= 3, str(error)
        for remedy in remedies:
            try:
                capacity.plan(*apply_change(remedy.change, apps, users, hosts))
            except capacity.PlanError as still:
                assert name not in still.remedies
                assert set(still.remedies) <= set(error.remedies) or name in ("postgresql", "mariadb")


@budget
@given(stacks.apps(), stacks.users, stacks.hosts(), st.data())
def test_more_memory_never_gives_less(apps, users, hosts, data):
    try:
        small = capacity.plan(apps, users, hosts)
    except capacity.PlanError as error:
        assume(not {"postgresql", "mariadb"} & set(error.remedies))
        # Exactly enough memory: where the next megabyte matters most.
        for remedies in error.remedies.values():
            apps, users, hosts = apply_change(remedies[0].change, apps, users, hosts)
        small = capacity.plan(apps, users, hosts)
    more = st.sampled_from((0, 1, 7, 64, 500, 4096, 20000, 100000))
    for _step in range(2):
        hosts = {name: {**host, "memory_mb": host["memory_mb"] + data.draw(more)} for name, host in hosts.items()}
        large = capacity.plan(apps, users, hosts)
        stacks.check_grown(small, large)
        small = large


@budget
@given(stacks.apps(), stacks.users, stacks.hosts(), st.data())
def test_the_order_of_keys_changes_nothing(apps, users, hosts, data):
    def outcome(*given):
        try:
            return json.dumps(capacity.plan(*given))
        except capacity.PlanError as error:
            return str(error)

    other = (stacks.reordered(data.draw, apps), users, stacks.reordered(data.draw, hosts))
    assert outcome(apps, users, hosts) == outcome(*other)


@pytest.mark.parametrize("cpus", [1, 2, 4, 16])
def test_every_megabyte_more_keeps_or_improves_the_plan(cpus):
    """Around the sizes of real machines, one megabyte at a time: where rounding would show."""
    for start in (957, 1900, 3900):
        plans = [capacity.plan(APPS, 100, one_host(memory_mb, cpus)) for memory_mb in range(start + 30, start + 60)]
        for small, large in zip(plans, plans[1:]):
            stacks.check_grown(small, large)


# --- golden tables -------------------------------------------------------------------------------------------------


def golden(memory_mb, cpus, users):
    plan = capacity.plan(APPS, users, one_host(memory_mb, cpus))
    stacks.check_plan(plan, APPS, one_host(memory_mb, cpus))
    host = plan["hosts"]["web1"]
    web, worker, postgresql = host["processes"]["shop"]["web"], host["processes"]["shop"]["worker"], host["postgresql"]
    return {
        "deploy": host["deploy"],
        "web": (web["instances"], web["memory_max_mb"], web["pool_size"], web["max_overflow"]),
        "celery": (worker["concurrency"], worker["memory_max_mb"]),
        "connections": (plan["connections"]["postgresql"]["needed"], postgresql["max_connections"]),
        "shared_buffers_mb": postgresql["shared_buffers_mb"],
        "effective_cache_size_mb": postgresql["effective_cache_size_mb"],
        "work_mem_kb": postgresql["work_mem_kb"],
        "maintenance_work_mem_mb": postgresql["maintenance_work_mem_mb"],
        "redis": (host["redis"]["shop"]["cache"]["maxmemory_mb"], host["redis"]["shop"]["queue"]["maxmemory_mb"]),
        "nginx": (
            host["nginx"]["worker_processes"],
            host["nginx"]["worker_connections"],
            host["nginx"]["worker_rlimit_nofile"],
        ),
    }


# memory, cores, users → deploy; web (instances, MB, pool, overflow); Celery (children, MB); connections (needed,
# limit); shared_buffers, effective_cache_size, maintenance_work_mem MB; work_mem kB; Redis (cache, queue) MB; nginx
# workers, connections and files. The machines of the guides, the small ones people rent, and the largest of the
# range.
GOLDEN = [
    ((957, 1, 100), ("rolling", (1, 144, 2, 1), (1, 128), (14, 21), (32, 48, 8), 512, (16, 16), (1, 2048, 5120))),
    ((1024, 1, 100), ("rolling", (1, 152, 2, 2), (1, 128), (15, 22), (32, 53, 8), 512, (16, 16), (1, 2048, 5120))),
    (
        (2048, 1, 100),
        ("blue_green", (1, 208, 4, 3), (2, 248), (27, 36), (224, 431, 35), 896, (56, 24), (1, 4096, 9216)),
    ),
    (
        (4096, 2, 100),
        ("blue_green", (2, 280, 6, 6), (4, 552), (65, 82), (448, 849, 70), 1088, (112, 56), (2, 4096, 9216)),
    ),
    (
        (8192, 4, 100),
        ("blue_green", (4, 304, 5, 5), (8, 1096), (105, 130), (1064, 2009, 167), 1664, (264, 128), (4, 4096, 9216)),
    ),
    (
        (16384, 8, 500),
        ("blue_green", (8, 304, 5, 5), (16, 2120), (201, 245), (2296, 4319, 359), 1920, (568, 280), (8, 8192, 17408)),
    ),
    (
        (262144, 64, 5000),
        (
            "blue_green",
            (48, 304, 2, 1),
            (96, 12360),
            (489, 500),
            (82712, 155099, 1024),
            31232,
            (20672, 10336),
            (16, 65536, 132096),
        ),
    ),
]


@pytest.mark.parametrize(("machine", "expected"), GOLDEN, ids=lambda value: "-".join(map(str, value[:3])))
def test_golden_machines(machine, expected):
    memory_mb, cpus, users = machine
    hosts = one_host(memory_mb, cpus)
    plan = capacity.plan(APPS, users, hosts)
    stacks.check_plan(plan, APPS, hosts)
    host = plan["hosts"]["web1"]
    web, worker = (host["processes"]["shop"][name] for name in ("web", "worker"))
    postgresql, nginx = host["postgresql"], host["nginx"]
    assert expected == (
        host["deploy"],
        (web["instances"], web["memory_max_mb"], web["pool_size"], web["max_overflow"]),
        (worker["concurrency"], worker["memory_max_mb"]),
        (plan["connections"]["postgresql"]["needed"], postgresql["max_connections"]),
        tuple(postgresql[f"{name}_mb"] for name in ("shared_buffers", "effective_cache_size", "maintenance_work_mem")),
        postgresql["work_mem_kb"],
        tuple(host["redis"]["shop"][name]["maxmemory_mb"] for name in ("cache", "queue")),
        tuple(nginx[name] for name in ("worker_processes", "worker_connections", "worker_rlimit_nofile")),
    )


def test_the_honest_answer_for_one_gigabyte():
    """The example fits into what a machine sold as 1 GB shows, and one megabyte less is refused with the sum."""
    least = 951
    assert capacity.plan(APPS, 100, one_host(least, 1))["hosts"]["web1"]["memory"]["free_mb"] == 0
    with pytest.raises(capacity.PlanError) as refusal:
        capacity.plan(APPS, 100, one_host(least - 1, 1))
    assert str(refusal.value).splitlines() == [
        "web1: the smallest plan does not fit into 950 MB of memory.",
        "      150 MB  reserve           memory 950 MB x 10 % = 95, but at least 150; decided by the lower bound",
        "  +   208 MB  postgresql        base 12 + shared 42 + backends 22 x 5 + queries 21 x 3 x 512 kB + maintenance 8 + "
        + "autovacuum 1 x 4",
        "  +   144 MB  shop.web          instances 1 x memory_max 144",
        "  +   128 MB  shop.worker       instances 1 x memory_max 128",
        "  +    88 MB  shop.beat         instances 1 x memory_max 88",
        "  +    88 MB  shop.mailer       instances 1 x memory_max 88",
        "  +    48 MB  agent             the agent's own MemoryMax",
        "  +    38 MB  redis-shop-queue  maxmemory 16 + reserve 22",
        "  +    33 MB  nginx             master 3 + 2 x workers 1 x (2 + connection slots 1) + clients 1024 x 24 kB",
        "  +    26 MB  redis-shop-cache  maxmemory 16 + reserve 10",
        "  =    951 MB  needed, 1 MB more than there are",
        "Each of these makes it fit:",
        "  1. Give web1 at least 951 MB of memory.",
        "  2. Move the tier database to a host of its own with at least 406 MB of memory.",
        "  3. Move the tier cache to a host of its own with at least 262 MB of memory.",
    ]


@pytest.mark.parametrize(("memory_mb", "cpus"), [(8192, 4), (16384, 8), (65536, 16)])
def test_a_database_host_of_its_own_gets_what_pgtune_would_give_it(memory_mb, cpus):
    """A quarter of the memory left by the reserve, as pgtune, while the worst case fits, which pgtune's does not."""
    hosts = {
        "db": {"tiers": ["database"], "memory_mb": memory_mb, "cpus": cpus},
        "app": {"tiers": ["proxy", "backend", "cache"], "memory_mb": 16384, "cpus": 8},
    }
    host = capacity.plan(APPS, 100, hosts)["hosts"]["db"]
    budget = memory_mb - host["memory"]["reserve_mb"]
    assert 0.97 * budget / 4 <= host["postgresql"]["shared_buffers_mb"] <= memory_mb / 4
    assert stacks.postgresql_worst_case(host["postgresql"]) <= budget


def test_the_guides_own_numbers_overcommit():
    """A guide on its 4 GB server: 200 connections with work_mem 16 MB; the plan's own sum says what that can take."""
    guide = {
        "shared_buffers_mb": 1024, "max_connections": 200, "work_mem_kb": 16384, "maintenance_work_mem_mb": 256,
        "max_parallel_workers": 8, "autovacuum_max_workers": 3, "autovacuum_work_mem_mb": 256,
    }  # fmt: skip
    assert rules_postgresql.postgresql_worst_case(guide) > 3 * 4096


# --- declarations --------------------------------------------------------------------------------------------------


def shop(**processes):
    """The example with some keys of its processes changed."""
    apps = copy.deepcopy(APPS)
    for name, keys in processes.items():
        apps["shop"]["processes"][name] = {**apps["shop"]["processes"][name], **keys}
    return apps


def planned(apps, memory_mb=8192, cpus=4, users=100):
    hosts = one_host(memory_mb, cpus)
    plan = capacity.plan(apps, users, hosts)
    stacks.check_plan(plan, apps, hosts)
    return plan["hosts"]["web1"]


def test_the_guide_s_pools_are_refused_with_the_sum():
    """Pool 40 and overflow 60 in each of 4 web processes and 12 Celery children, against 500 and not 200."""
    guide = {"pool": {"size": 40, "overflow": 60}}
    apps = shop(web={"instances": 4, **guide}, worker={"workers": 12, **guide})
    with pytest.raises(capacity.PlanError) as refusal:
        capacity.plan(apps, 100, one_host(16384, 8))
    text = str(refusal.value)
    assert "postgresql: the connections do not fit into max_connections 500." in text
    assert "1200  shop.worker   web1: 1 x 12 x (40 + 60)" in text
    assert "400  shop.web      web1: 4 x 1 x (40 + 60)" in text
    assert "=   2012  connections needed, 1512 more than max_connections" in text
    assert "1. Set mainstay_apps.shop.pooler to pgbouncer, if transaction pooling suits" in text
    check_refusal(refusal.value, apps, 100, one_host(16384, 8))


def behind_pgbouncer(apps):
    return {name: {**app, "pooler": "pgbouncer"} for name, app in apps.items()}


def test_the_guide_s_pools_fit_behind_a_pooler():
    """The same 2000 connections reach PgBouncer, and PostgreSQL has no more of them than it works on."""
    guide = {"pool": {"size": 40, "overflow": 60}}
    apps = behind_pgbouncer(shop(web={"instances": 4, **guide}, worker={"workers": 12, **guide}))
    hosts = one_host(16384, 8)
    plan = capacity.plan(apps, 100, hosts)
    stacks.check_plan(plan, apps, hosts)
    assert plan["connections"]["pgbouncer"]["parts"] == {
        "deploy_surge": 400, "monitoring": 3, "shop.beat": 2, "shop.mailer": 2, "shop.web": 400, "shop.worker": 1200}  # fmt: skip
    assert plan["connections"]["postgresql"]["parts"] == {
        "deploy_surge": 0, "migrations": 2, "monitoring": 3, "shop.pgbouncer": 34}  # fmt: skip
    assert plan["hosts"]["web1"]["pgbouncer"] == {
        "default_pool_size": 34, "max_client_conn": 2409, "max_db_connections": 34, "nofile": 4096}  # fmt: skip
    assert plan["hosts"]["web1"]["postgresql"]["max_connections"] == 51
    assert plan["hosts"]["web1"]["memory"]["parts"]["pgbouncer"] == 69


# memory, cores → pool and overflow of a web process; default_pool_size, max_client_conn; max_connections
POOLED = [
    (1024, 1, (2, 2), (4, 100), 20),
    (4096, 2, (10, 10), (10, 114), 22),
    (8192, 4, (5, 5), (18, 124), 32),
    (16384, 8, (5, 5), (34, 126), 51),
]


@pytest.mark.parametrize(("memory_mb", "cpus", "pool", "pgbouncer", "limit"), POOLED)
def test_golden_pgbouncer(memory_mb, cpus, pool, pgbouncer, limit):
    host = planned(behind_pgbouncer(APPS), memory_mb, cpus)
    web = host["processes"]["shop"]["web"]
    assert (web["pool_size"], web["max_overflow"]) == pool
    assert (host["pgbouncer"]["default_pool_size"], host["pgbouncer"]["max_client_conn"]) == pgbouncer
    assert host["postgresql"]["max_connections"] == limit


def test_apps_behind_a_pooler_and_others_share_a_database():
    """Each pooled app may have as many connections as another; what is pooled no longer narrows the pools of the rest."""
    web = {"pool": {"size": 50, "overflow": 50}, "instances": 4}
    apps = {name: app(name, [process("web", "web", port=port, **keys)], pooler=pooler)
            for name, port, pooler, keys in (("a", 2000, "pgbouncer", web), ("b", 2200, "pgbouncer", {}), ("c", 2400, "none", {}))}  # fmt: skip
    hosts = one_host(16384, 8)
    plan = capacity.plan(apps, 100, hosts)
    stacks.check_plan(plan, apps, hosts)
    parts = plan["connections"]["postgresql"]["parts"]
    assert parts["a.pgbouncer"] == parts["b.pgbouncer"] == 17 and "a.web" not in parts
    assert plan["connections"]["pgbouncer"]["parts"]["a.web"] == 400
    direct = planned({name: {**each, "pooler": "none"} for name, each in apps.items() if name != "a"}, 16384, 8)
    sizes = [host["processes"]["c"]["web"]["pool_size"] for host in (plan["hosts"]["web1"], direct)]
    assert sizes[0] > sizes[1]
    pools = {name: each["web"]["pool_size"] for name, each in planned(apps, 16384, 2)["processes"].items() if name != "a"}
    assert pools == {"b": 10, "c": 6}, "two cores bound what reaches the database directly"


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"instances": 3}, {"instances": 3}),
        ({"workers": 2}, {"workers": 2, "tasks_max": 192}),
        ({"memory_mb": 300}, {"memory_max_mb": 300, "memory_high_mb": 270}),
        ({"pool": {"size": 7, "overflow": "auto"}}, {"pool_size": 7, "max_overflow": 3}),
        ({"pool": {"size": "auto", "overflow": 2}}, {"pool_size": 8, "max_overflow": 2}),
        ({"pool": {"size": 0, "overflow": "auto"}}, {"pool_size": 0, "max_overflow": 0}),
        ({"pool": {"size": 30, "overflow": 9}}, {"pool_size": 30, "max_overflow": 9}),
    ],
)
def test_fixed_numbers_are_kept(keys, kept):
    settings = planned(shop(web=keys))["processes"]["shop"]["web"]
    assert kept.items() <= settings.items()


@pytest.mark.parametrize(
    ("keys", "machine", "expected"),
    [
        # (threads of each worker, instances, pool + overflow, its memory)
        ({"threads": "auto"}, (8192, 4), (13, 4, 13, 340)),
        ({"threads": "auto", "instances": 1}, (8192, 4), (25, 1, 25, 376)),
        ({"threads": "auto", "memory_mb": 180}, (8192, 4), (13, 4, 13, 180)),
        ({"threads": "auto", "memory_mb": 150}, (8192, 4), (3, 4, 3, 150)),
        ({"threads": "auto", "pool": {"size": 5, "overflow": 0}}, (8192, 4), (5, 4, 5, 316)),
        ({"threads": 8}, (8192, 4), (8, 4, 8, 325)),
        ({"threads": 1}, (8192, 4), (1, 4, 3, 304)),
        ({"command": "gunicorn shop:app --threads 8"}, (8192, 4), (8, 4, 8, 325)),
        ({"command": "gunicorn shop:app"}, (8192, 4), (None, 4, 10, 304)),
    ],
    ids=str,
)
def test_threads_have_their_connections_and_their_memory(keys, machine, expected):
    settings = planned(shop(web=keys), *machine)["processes"]["shop"]["web"]
    found = (
        settings.get("threads"),
        settings["instances"],
        settings["pool_size"] + settings["max_overflow"],
        settings["memory_max_mb"],
    )
    assert found == expected
    assert settings["concurrency"] == expected[0] or "threads" not in settings


def test_many_threads_have_their_tasks():
    assert planned(shop(web={"threads": 200, "instances": 1}))["processes"]["shop"]["web"]["tasks_max"] == 64 + 64 + 200


@pytest.mark.parametrize(
    ("keys", "concurrency"),
    [({"workers": 2, "instances": 2}, 13), ({"instances": 2}, 25), ({"command": "gunicorn shop:app", "workers": 2}, 1)],
    ids=str,
)
def test_the_concurrency_of_a_web_process_is_that_of_one_worker(keys, concurrency):
    assert planned(shop(web=keys))["processes"]["shop"]["web"]["concurrency"] == concurrency


def test_too_many_threads_for_the_database_are_refused_with_a_number_that_fits():
    with pytest.raises(capacity.PlanError) as error:
        capacity.plan(shop(web={"threads": 100, "instances": 4}), 100, one_host(65536, 8))
    assert "processes.web.threads to " in str(error.value)


@pytest.mark.parametrize(
    ("keys", "children"),
    [({"memory_mb": 300}, 2), ({"memory_mb": 80}, 1), ({"workers": 5}, 5), ({"instances": 4}, 2), ({}, 8)],
)
def test_celery_children_follow_cores_memory_and_what_is_fixed(keys, children):
    assert planned(shop(worker=keys))["processes"]["shop"]["worker"]["concurrency"] == children


def test_automatic_instances_stay_within_their_ports():
    apps = {
        "a": app("a", [process("web", "web", port=8000), process("api", "web", port=8004)]),
        "b": app("b", [process("web", "web", port=6376)]),
    }
    host = planned(apps, 65536, 16, 2000)
    advice = " ".join(capacity.plan(apps, 2000, one_host(65536, 16))["advice"])
    assert "a.web: on" in advice and "it gets 2 instances" in advice and "a.api" not in advice
    assert host["processes"]["a"]["web"]["instances"] == 2
    assert host["processes"]["a"]["api"]["instances"] > 2
    assert host["processes"]["b"]["web"]["instances"] == 1, "Redis listens on 6379"


def test_an_app_that_may_keep_its_state_in_files_runs_once_unless_declared():
    for keys, number in (({}, 1), ({"instances": 3}, 3)):
        apps = {"flows": app("flows", [process("web", "web", port=8000, **keys)], database="none")}
        assert planned(apps, 65536, 16, 2000)["processes"]["flows"]["web"]["instances"] == number


def test_fixed_instances_that_meet_the_next_port_are_refused():
    apps = {"a": app("a", [process("web", "web", port=8000, instances=3), process("api", "web", port=8004)])}
    with pytest.raises(ValueError, match="8004 belongs to mainstay_apps.a.processes.web"):
        capacity.plan(apps, 100, one_host(8192, 4))


def test_node_gets_a_heap_within_its_limit():
    apps = {"a": app("a", [process("web", "web", port=8000, memory_mb=1024)], runtime="node", database="none")}
    settings = planned(apps)["processes"]["a"]["web"]
    assert settings["node_heap_mb"] == 716
    assert settings["pool_size"] == settings["max_overflow"] == 0


def test_mariadb_is_sized_where_it_is_declared():
    apps = {"a": app("a", [process("web", "web", port=8000)], database="mariadb")}
    host = planned(apps)
    assert "postgresql" not in host
    assert host["mariadb"]["innodb_buffer_pool_size_mb"] > 1024
    assert host["mariadb"]["tmp_table_size_mb"] == host["mariadb"]["max_heap_table_size_mb"]


MARIADB_MACHINES = [  # memory, cores, users → buffer pool, redo log, temporary table, Aria, open tables, connections, files, MB
    (1024, 1, 50, (152, 48, 1, 9, 400, 24, 8192, 345)),
    (4096, 2, 100, (1552, 388, 5, 97, 2000, 65, 32768, 2311)),
    (8192, 4, 100, (3328, 832, 8, 128, 2000, 104, 32768, 4792)),
    (65536, 16, 500, (29488, 1024, 18, 128, 2000, 392, 32768, 39060)),
]  # fmt: skip


@pytest.mark.parametrize(("memory_mb", "cpus", "users", "expected"), MARIADB_MACHINES)
def test_golden_mariadb(memory_mb, cpus, users, expected):
    apps = {"a": app("a", [process("web", "web", port=8000)], database="mariadb")}
    host = capacity.plan(apps, users, one_host(memory_mb, cpus))["hosts"]["web1"]
    names = ("innodb_buffer_pool_size_mb", "innodb_log_file_size_mb", "tmp_table_size_mb", "aria_pagecache_buffer_size_mb",
             "table_open_cache", "max_connections", "nofile")  # fmt: skip
    assert (*(host["mariadb"][name] for name in names), host["memory"]["parts"]["mariadb"]) == expected


def test_nothing_declared_needs_nothing():
    host = planned({}, 512, 1)
    assert set(host["memory"]["parts"]) == {"agent", "nginx"}
    assert host["deploy"] == "rolling"


# --- many hosts ----------------------------------------------------------------------------------------------------


def fleet(database_mb=8192, **backends):
    return {
        "edge": {"tiers": ["proxy"], "memory_mb": 1024, "cpus": 1},
        "db": {"tiers": ["database"], "memory_mb": database_mb, "cpus": 4},
        "mem": {"tiers": ["cache"], "memory_mb": 2048, "cpus": 1},
        **{name: {"tiers": ["backend"], "memory_mb": memory_mb, "cpus": 4} for name, memory_mb in backends.items()},
    }


def test_a_fleet_runs_one_singleton_and_counts_all_pools():
    hosts = fleet(app1=4096, app2=4096)
    plan = capacity.plan(APPS, 100, hosts)
    stacks.check_plan(plan, APPS, hosts)
    beats = [plan["hosts"][name]["processes"]["shop"]["beat"]["instances"] for name in ("app1", "app2")]
    assert beats == [1, 0]
    web = plan["hosts"]["app1"]["processes"]["shop"]["web"]
    assert plan["connections"]["postgresql"]["parts"]["shop.web"] == 2 * web["instances"] * (web["pool_size"] + web["max_overflow"])
    assert not plan["hosts"]["db"]["processes"]
    assert "nginx" not in plan["hosts"]["app1"]
    assert set(plan["hosts"]["mem"]["redis"]["shop"]) == {"cache", "queue"}


def test_a_cache_host_of_its_own_gives_most_of_it_to_redis():
    redis = capacity.plan(APPS, 100, fleet(app1=4096))["hosts"]["mem"]["redis"]["shop"]
    assert redis["cache"]["maxmemory_mb"] + redis["queue"]["maxmemory_mb"] > 2048 / 2


def test_a_small_database_bounds_the_backends_that_use_it():
    def instances(database_mb):
        plan = capacity.plan(APPS, 1000, fleet(database_mb, app1=16384))
        return plan["hosts"]["app1"]["processes"]["shop"]["web"]["instances"]

    assert instances(600) < instances(4096) == 4


def test_every_database_host_carries_all_connections():
    hosts = {**fleet(app1=4096), "db2": {"tiers": ["database"], "memory_mb": 2048, "cpus": 2}}
    plan = capacity.plan(APPS, 100, hosts)
    stacks.check_plan(plan, APPS, hosts)
    assert any("db, db2 are all of the tier database" in warning for warning in plan["advice"])


def test_databases_that_nobody_declares_are_counted():
    """Ten connections each, and their memory; the app's own is none of them."""
    hosts = one_host(4096, 2, databases={"postgresql": ["blog", "shop", "wiki"], "mariadb": ["old"]})
    alone, beside = (capacity.plan(APPS, 100, given) for given in (one_host(4096, 2), hosts))
    stacks.check_plan(beside, APPS, hosts)
    assert beside["connections"]["postgresql"]["parts"]["others"] == 20 and "others" not in alone["connections"]["postgresql"]["parts"]
    assert beside["connections"]["postgresql"]["limit"] > alone["connections"]["postgresql"]["limit"]


# --- refused and advised -------------------------------------------------------------------------------------------


def test_a_fixed_limit_is_kept_and_checked():
    assert capacity.plan(APPS, 100, one_host(8192, 4, max_connections=200))["connections"]["postgresql"]["limit"] == 200
    apps = shop(web={"pool": {"size": 20, "overflow": 20}, "instances": 4})
    with pytest.raises(capacity.PlanError, match="Raise max_connections of web1 to 3[0-9][0-9]") as refusal:
        capacity.plan(apps, 100, one_host(8192, 4, max_connections=100))
    check_refusal(refusal.value, apps, 100, one_host(8192, 4, max_connections=100))


@pytest.mark.parametrize(
    ("apps", "memory_mb", "words"),
    [
        (shop(web={"memory_mb": 900}), 1500, "processes.web.memory to 693M instead of 900M"),
        (shop(web={"instances": 8}), 1800, "processes.web.instances to [5-7] instead of 8"),
        (shop(web={"workers": 8}), 1600, "processes.web.workers to 1 instead of 8"),
        ({"a": app("a", []), "b": app("b", [process("w", memory_mb=9000)])}, 512, "Leave memory"),
    ],
)
def test_refusals_name_what_the_user_fixed(apps, memory_mb, words):
    hosts = one_host(memory_mb, 1)
    with pytest.raises(capacity.PlanError, match=words) as refusal:
        capacity.plan(apps, 100, hosts)
    check_refusal(refusal.value, apps, 100, hosts)


def test_a_limit_that_takes_too_much_memory_is_lowered():
    hosts = {**fleet(app1=4096), "db": {"tiers": ["database"], "memory_mb": 1024, "cpus": 2, "max_connections": 400}}
    with pytest.raises(capacity.PlanError, match="Set max_connections of db to 116 instead of 400") as refusal:
        capacity.plan(APPS, 100, hosts)
    check_refusal(refusal.value, APPS, 100, hosts)


def test_two_databases_on_one_small_host_may_part():
    apps = {name: app(name, [process("web", "web", port=port)], database=database)
            for name, port, database in (("a", 2000, "postgresql"), ("b", 2200, "mariadb"))}  # fmt: skip
    hosts = {**fleet(app1=4096), "db": {"tiers": ["database"], "memory_mb": 512, "cpus": 1}}
    with pytest.raises(capacity.PlanError, match="Run a on hosts of another inventory") as refusal:
        capacity.plan(apps, 1, hosts)
    check_refusal(refusal.value, apps, 1, hosts)


def test_numbers_in_text_are_taken():
    hosts = {"web1": {"tiers": ALL_TIERS, "memory_mb": "8192", "cpus": "4"}}
    assert capacity.plan(APPS, "100", hosts) == capacity.plan(APPS, 100, one_host(8192, 4))


@pytest.mark.parametrize(
    ("users", "host", "words"),
    [
        (0, {}, "mainstay_users: 0"),
        ("many", {}, "mainstay_users: 'many'"),
        (100, {"memory_mb": 0}, "hosts.web1.memory_mb: 0"),
        (100, {"cpus": True}, "hosts.web1.cpus: True"),
        (100, {"cpus": 1.5}, "hosts.web1.cpus: 1.5"),
        (100, {"tiers": []}, "hosts.web1.tiers: [] cannot be used. Name one or more of proxy, backend"),
        (100, {"tiers": ["web"]}, "hosts.web1.tiers: ['web']"),
        (100, {"disk": 1}, "hosts.web1.disk: there is no such key"),
        (
            100,
            {"tiers": ["backend", "proxy", "cache"]},
            "no host is of the tier 'database', but a database is declared",
        ),
        (100, {"tiers": ["backend", "proxy", "database"]}, "no host is of the tier 'cache', but Redis is declared"),
        (100, {"tiers": ["proxy", "database", "cache"]}, "no host is of the tier 'backend', but processes"),
    ],
)
def test_input_that_cannot_be_planned_is_refused(users, host, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        capacity.plan(APPS, users, {"web1": {**one_host(8192, 4)["web1"], **host}})


@pytest.mark.parametrize(
    ("apps", "users", "machine", "words"),
    [
        (APPS, 100, (4096, 2), "users: for 100 people online 4 cores and 8192 MB are recommended"),
        (APPS, 300, (8192, 4), "users: for 300 people online 6 cores and 12288 MB are recommended"),
        (APPS, 10, (1024, 1), "web1: no room for a second set of web processes"),
        (APPS, 10, (1024, 1), "web1: only 512 kB of work_mem"),
        (
            shop(web={"command": "mlflow server --backend $DATABASE_URL"}),
            100,
            (8192, 4),
            "shop.web: its command has the value of DATABASE_URL among",
        ),
        (
            shop(web={"command": "mlflow server --backend $STORE", "env": {"STORE": "$DATABASE_URL"}}),
            100,
            (8192, 4),
            "shop.web: its command has the value of STORE among its arguments",
        ),
        (shop(web={"memory_mb": 100}), 100, (8192, 4), "shop.web: memory is declared as 100 MB; a process"),
        (
            shop(web={"command": "gunicorn shop:app --bind $HOST:$PORT", "workers": 2}),
            100,
            (8192, 4),
            "shop.web: gunicorn serves one request at a time in each worker, 4 of the 50 that 100 people send at once",
        ),
        (
            shop(web={"threads": 5}),
            100,
            (8192, 4),
            "shop.web: 4 x 5 threads serve 20 of the 50 requests that 100 people send at once; the others wait. More threads,",
        ),
        (
            shop(web={"threads": 5, "command": "gunicorn shop:app"}),
            100,
            (8192, 4),
            "shop.web: 4 x 5 threads serve 20 of the 50 requests that 100 people send at once; the others wait. More threads,",
        ),
        (shop(web={"threads": "auto"}), 100, (2048, 2), "others wait. More connections (pool), memory, instances or workers serve more."),
        (APPS, 500, (16384, 8), "postgresql: max_connections is 245; above 200"),
        (
            shop(web={"pool": {"size": 20, "overflow": 10}, "instances": 4}),
            100,
            (16384, 4),
            "postgresql: all pools together hold 140 connections, but the database works on about 9 queries",
        ),
        (shop(web={"port": 40000}), 100, (8192, 4), "shop.web: its ports from 40000 on lie in 32768 to 60999"),
    ],
)
def test_warnings(apps, users, machine, words):
    assert any(words in warning for warning in capacity.plan(apps, users, one_host(*machine))["advice"])


@pytest.mark.parametrize(
    ("path", "web", "words"),
    [
        ("/socket.io", {}, ["shop.example.com/socket.io leads to 4 processes", "Write instances: 1, or"]),
        ("/io/socket.io", {"instances": 2, "workers": 3}, ["/io/socket.io leads to 6 processes", "Write instances: 1 and workers: 1, or"]),
        ("/socket.io", {"instances": 1, "workers": 2}, ["leads to 2 processes", "Write workers: 1, or"]),
        ("/socket.io", {"instances": 1}, []),
        ("/live", {}, []),
    ],
)
def test_socket_io_of_several_processes_is_told(path, web, words):
    apps = shop(web=web)
    routes = apps["shop"]["sites"]["shop.example.com"]["routes"]
    routes[path] = routes["/ws"]
    told = [warning for warning in capacity.plan(apps, 100, one_host(8192, 4))["advice"] if "Socket.IO" in warning]
    assert len(told) == bool(words) and all(word in told[0] for word in words), told


@pytest.mark.parametrize(
    "words", ["--threads 8", "--threads=8", "-k gevent", "-kgevent", "--worker-class uvicorn.workers.UvicornWorker", "-c gunicorn.py"]
)
def test_gunicorn_that_was_told_how_to_serve_several_at_once_raises_no_warning(words):
    apps = shop(web={"command": f"gunicorn shop:app {words}"})
    assert not [warning for warning in capacity.plan(apps, 100, one_host(8192, 4))["advice"] if "gunicorn" in warning]


BESIDE = {
    "mariadb.service": 112,
    "docker": 300,
    "ssh.service": 90,
    "shop-web@8000.service": 180,
    "postgresql@15-main.service": 90,
    "atd.service": 9,
}


@pytest.mark.parametrize(
    ("running", "reserved", "told"),
    [
        (BESIDE, 0, "web1: beside the stack runs docker with 300 MB, mariadb with 112 MB, and 0 MB of memory are kept"),
        (BESIDE, 411, "and 411 MB of memory are kept"),
        (BESIDE, 412, None),
        ({"postgresql@15-other.service": 60}, 0, "beside the stack runs postgresql@15-other with 60 MB, and"),
        ({"atd.service": 9, "nginx.service": 200, "mainstay-agent.service": 99, "snapd.service": 70}, 0, None),
    ],
)
def test_what_runs_beside_the_stack_has_a_part_of_the_memory_or_is_told(running, reserved, told):
    def planned(**more):
        return capacity.plan(APPS, 50, {"web1": {**one_host(8192, 4)["web1"], **more}})

    plan = planned(service_memory_mb=running, reserved_memory_mb=reserved)
    found = [warning for warning in plan["advice"] if "beside the stack" in warning]
    assert len(found) == (told is not None) and (told or "") in "".join(found)
    memory, former = plan["hosts"]["web1"]["memory"], planned()["hosts"]["web1"]["memory"]
    assert memory["parts"].get("others", 0) == reserved
    assert memory["total_mb"] - memory["free_mb"] - memory["reserve_mb"] == sum(memory["parts"].values())
    assert bool(reserved) == (memory["share_mb"] < former["share_mb"])


def test_the_guides_machines_raise_no_warning_that_is_not_due():
    assert capacity.plan(APPS, 100, one_host(8192, 4))["advice"] == []
    assert capacity.plan(APPS, 10, one_host(4096, 2))["advice"] == []


def test_the_plan_can_be_what_a_task_returns():
    """Ansible takes some keys of a result for itself; a plan with \"warnings\" lost them on its way into a variable."""
    reserved = {
        "ansible_facts",
        "changed",
        "deprecations",
        "diff",
        "exception",
        "failed",
        "invocation",
        "msg",
        "results",
        "skipped",
        "warnings",
    }
    assert not reserved & set(capacity.plan(APPS, 100, one_host(8192, 4)))
