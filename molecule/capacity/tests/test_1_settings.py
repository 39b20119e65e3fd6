# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every number of the plan, read back from the server, the unit or the kernel that has to know it."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.mainstay.vps.tests.unit.declarations import broken
from asking import URL, redis_info, show, sql, units
from plays import changes, play, words

MB = 1 << 20
POSTGRESQL_KB = {"8kB": 8, "kB": 1, "MB": 1024, "B": 1 / 1024}


def test_the_plan_fits_into_the_memory_this_host_has(host, plan):
    memory = plan["memory"]
    own = "$(systemctl show --property=ControlGroup --value -- -.slice)"
    limits = f"/sys/fs/cgroup{own}/memory.max /sys/fs/cgroup/memory{own}/memory.limit_in_bytes"
    assert memory["total_mb"] == int(host.run(f"cat {limits} 2>/dev/null").stdout) // MB
    assert memory["reserve_mb"] + sum(memory["parts"].values()) + memory["free_mb"] == memory["total_mb"]
    assert memory["free_mb"] >= 0


def test_postgresql_runs_with_the_plan_s_settings(host, plan):
    rows = [line.split("|") for line in sql(host, "SELECT name, setting, unit FROM pg_settings").splitlines()]
    settings = {row[0]: row[1:] for row in rows}
    for name, planned in plan["postgresql"].items():
        if name.endswith(("_mb", "_kb")):
            setting, unit = settings[name[:-3]]
            assert int(setting) * POSTGRESQL_KB[unit] == planned * (1024 if name.endswith("_mb") else 1), name
        elif isinstance(planned, bool):
            assert (settings[name][0] != "off") is planned, name
        elif isinstance(planned, str):
            assert settings[name][0] == planned, name
        else:
            assert float(settings[name][0]) == planned, name
    assert sql(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


@pytest.mark.parametrize(("name", "port"), [("cache", 6379), ("queue", 6380)])
def test_redis_runs_with_the_plan_s_settings(host, plan, name, port):
    """INFO says what is in force; CONFIG GET is not for those without the administrator's rights."""
    info, planned = redis_info(host, port), plan["redis"]["shop"][name]
    assert int(info["maxmemory"]) == planned["maxmemory_mb"] * MB
    assert info["maxmemory_policy"] == planned["maxmemory_policy"]
    assert int(info["maxclients"]) == planned["maxclients"], "Redis lowers it where the files do not suffice"
    (unit,) = show(host, [f"redis-server@shop-{name}.service"], "LimitNOFILE", "MainPID").values()
    assert int(unit["LimitNOFILE"]) == planned["nofile"]
    files = host.check_output(f"awk '/^Max open files/ {{print $5}}' /proc/{unit['MainPID']}/limits")
    assert int(files) == planned["nofile"]


def test_units_have_the_plan_s_limits_and_the_kernel_knows(host, plan):
    running = units(host)
    names = [name for each in running.values() for name in each]
    shown = show(host, names, "MemoryMax", "MemoryHigh", "TasksMax", "LimitNOFILE", "ControlGroup")
    for process, planned in plan["processes"]["shop"].items():
        assert len(running[process]) == planned["instances"]
        for name in running[process]:
            is_ = shown[name]
            assert int(is_["MemoryMax"]) == planned["memory_max_mb"] * MB, name
            assert int(is_["MemoryHigh"]) == planned["memory_high_mb"] * MB, name
            assert int(is_["TasksMax"]) == planned["tasks_max"], name
            assert int(is_["LimitNOFILE"]) == planned["nofile"], name
    groups = [shlex.quote(is_["ControlGroup"]) for is_ in shown.values()]
    files = [f"/sys/fs/cgroup{group}/memory.max /sys/fs/cgroup/memory{group}/memory.limit_in_bytes" for group in groups]
    known = host.run(f"cat {' '.join(files)} 2>/dev/null").stdout.split()
    assert known == [is_["MemoryMax"] for is_ in shown.values()]


def test_processes_are_told_the_plan_s_pools(host, plan):
    for process, names in units(host).items():
        planned = plan["processes"]["shop"][process]
        for unit in show(host, names, "MainPID").values():
            lines = host.check_output(f"tr '\\0' '\\n' < /proc/{unit['MainPID']}/environ").splitlines()
            env = dict(line.split("=", 1) for line in lines if "=" in line)
            pool = (int(env["DB_POOL_SIZE"]), int(env["DB_MAX_OVERFLOW"]))
            assert pool == (planned["pool_size"], planned["max_overflow"])
            if process == "worker":
                assert int(env["CELERY_CONCURRENCY"]) == planned["concurrency"]
            if process == "web":
                assert int(env["MAX_WS_CONNECTIONS"]) == planned["max_websockets"]


def test_nginx_runs_with_the_plan_s_settings(host, plan):
    planned = plan["nginx"]
    lines = {line.strip() for line in host.check_output("nginx -T 2>/dev/null").splitlines()}
    for name in ("worker_processes", "worker_connections", "worker_rlimit_nofile"):
        assert f"{name} {planned[name]};" in lines
    workers = host.check_output("pgrep --full '^nginx: worker process$'").split()
    assert len(workers) == planned["worker_processes"]
    files = host.check_output(f"awk '/^Max open files/ {{print $4}}' /proc/{workers[0]}/limits")
    assert int(files) == planned["worker_rlimit_nofile"]


def test_sessions_of_the_app_are_bounded(host):
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
    shown = " ".join(f"-c 'SHOW {name}'" for name in names)
    assert host.check_output(f'psql -XAt "{URL}" {shown}').split() == ["1min", "10s", "1min"]
    lifted = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    assert host.check_output(f'PGOPTIONS="{lifted}" psql -XAt "{URL}" {shown}').split() == ["0", "10s", "0"]


def test_the_host_says_itself_that_it_is_as_planned(host):
    run = host.run("mainstay plan")
    assert "Differs from the plan" not in run.stdout, run.stdout
    assert "postgresql: " in run.stdout and "REDIS" in run.stdout and "nginx: " in run.stdout


def test_what_cannot_fit_is_refused_with_the_sum_and_what_would_fit(plan):
    apps = broken(("shop", "processes", "web", "memory"), f"{plan['memory']['total_mb']}M")
    run = play("playbooks/plan.yml", variables={"mainstay_apps": apps})
    said = words(run)
    assert run.returncode != 0 and changes(run) == 0
    assert f"does not fit into {plan['memory']['total_mb']} MB of memory" in said
    assert "reserve" in said and "MB needed," in said and "Each of these makes it fit: 1." in said


NAME = "orders_email_created_at_idx"
INDEX = {"postgresql_indexes": [{"database": "shop", "table": "orders", "columns": ["email", "created_at DESC"]}]}
VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{NAME}'::regclass"
START = "SELECT pg_postmaster_start_time()"


def test_only_what_needs_it_restarts_postgresql_and_indexes_are_built_where_they_are_not_whole(host, plan):
    """Two things in the same three runs, for each takes seconds."""

    def run(**variables):
        done = play("playbooks/site.yml", "--tags", "postgresql", variables={**INDEX, **variables})
        assert done.returncode == 0, done.stdout + done.stderr
        return f"{NAME} present" in done.stdout

    before = sql(host, START)
    try:
        assert run(postgresql_slow_statement_ms=700) and sql(host, VALID) == "t"
        assert (sql(host, START), sql(host, "SHOW log_min_duration_statement")) == (before, "700ms")
        sql(host, f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{NAME}'::regclass")
        more = f"{plan['postgresql']['shared_buffers_mb'] + 8}MB"
        assert run(postgresql_settings={"shared_buffers": more}) and sql(host, VALID) == "t"
        assert sql(host, START) != before and sql(host, "SHOW shared_buffers") == more
        assert not run(), "it is there and valid"
        assert sql(host, "SHOW shared_buffers") != more
    finally:
        sql(host, f"DROP INDEX IF EXISTS {NAME}")
