# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of the plan at once: every pool full, with load beside it; and one process that takes more than its own."""

from __future__ import annotations

import json
import re
import time

import pytest
from asking import URL, inject, killed_for_memory, pids, redis_info, servers, show, sql, units

MB = 1 << 20
BENCH = "mainstay-bench.service"
HOLD_SECONDS = 90  # at most: it ends with the test
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'shop'"
REFUSED = "[t]oo many clients|[r]emaining connection slots|[t]erminated by signal|[o]ut of memory"  # not this command itself


@pytest.fixture
def pgbench(host):
    """pgbench with its tables in the app's database; as the app's role it cannot take a reserved connection."""
    program = host.check_output("ls /usr/lib/postgresql/*/bin/pgbench")
    host.check_output(f'{program} --initialize --quiet --scale=2 "{URL}" 2>&1')
    yield program
    for unit in units(host)["web"]:
        inject(host, unit, "clear")
    host.run(f"systemctl stop {BENCH}; systemctl reset-failed {BENCH}")
    sql(host, "DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers")


def test_every_pool_full_and_pgbench_beside_it(host, applied, plan, pgbench):
    """All connections that the plan gives the app are held at once: none is refused, nothing is killed, nothing starts anew."""
    needed = applied["connections"]["postgresql"]["roles"]["shop"] - 1
    web = plan["processes"]["shop"]["web"]
    before = servers(host), pids(host), killed_for_memory(host)
    since = host.check_output("date +%s")
    pool = web["pool_size"] + web["max_overflow"]
    for unit in units(host)["web"]:
        inject(host, unit, f"pool?connections={pool}&seconds={HOLD_SECONDS}")
    held = web["instances"] * pool
    parts = applied["connections"]["postgresql"]["parts"]
    # A worker takes its own connections when a task comes, which may be now.
    others = sum(parts[name] for name in parts if name.startswith("shop.") and name != "shop.web")
    clients = needed - held - others
    assert clients > 0
    load = f"{pgbench} --client={clients} --jobs=2 --time=12 --protocol=prepared"
    host.check_output(f'systemd-run --quiet --unit={BENCH} --property=RemainAfterExit=yes {load} "{URL}"')
    deadline = time.monotonic() + 60
    while int(sql(host, f"{SESSIONS} AND application_name = 'pgbench'")) < clients:
        assert time.monotonic() < deadline, "pgbench has all its sessions"
    assert int(sql(host, f"{SESSIONS} AND application_name = 'shop-web'")) == held, "every pool is full"
    assert int(sql(host, SESSIONS)) >= needed - others
    assert host.check_output(f'psql -XAt "{URL}" -c "SELECT 1"') == "1", "the last one is there, too"
    while (ended := show(host, [BENCH], "SubState", "ExecMainStatus")[BENCH])["SubState"] == "running":
        assert time.monotonic() < deadline, "pgbench ends"
        time.sleep(1)
    said = host.check_output(f"journalctl --no-pager --output=cat --unit {BENCH}")
    assert ended["ExecMainStatus"] == "0" and re.search(r"tps = [1-9]", said), said
    assert "number of failed transactions: 0 " in said, said
    journal = host.run(f"journalctl --quiet --no-pager --since=@{since} | grep -iE '{REFUSED}'").stdout
    log = host.run(f"grep -hiE '{REFUSED}' /var/log/postgresql/*.log").stdout
    assert journal + log == ""
    assert (servers(host), pids(host), killed_for_memory(host)) == before
    assert host.check_output("cat /proc/[0-9]*/status 2>/dev/null | awk '/^VmSwap/ && $2 > 0' | wc -l") == "0"


def test_the_report_names_what_took_the_time_and_no_value(host):
    sql(host, "SELECT pg_stat_statements_reset()")
    host.check_output(f'psql -XAtq "{URL}" -c "SELECT pg_sleep(0.2), \'a secret of 4711\'"')
    said = host.check_output("mainstay queries shop --json")
    slowest = json.loads(said)["statements"][0]
    assert (slowest["app"], slowest["role"], slowest["calls"], slowest["rows"]) == ("shop", "shop", 1, 1)
    assert "pg_sleep($1)" in slowest["query"] and slowest["mean_ms"] >= 200
    assert "4711" not in said
    assert "pg_sleep" in host.check_output("mainstay queries")


def test_a_process_that_leaks_dies_alone_at_its_own_limit_and_comes_back(host, plan):
    victim = units(host)["web"][-1]
    limit = plan["processes"]["shop"]["web"]["memory_max_mb"]
    before = servers(host), {name: pid for name, pid in pids(host).items() if name != victim}
    unit = show(host, [victim], "MainPID", "NRestarts")[victim]
    inject(host, victim, "leak?mb=16&seconds=120")
    deadline, most = time.monotonic() + 60, 0
    while (now := show(host, [victim], "MainPID", "MemoryCurrent")[victim])["MainPID"] == unit["MainPID"]:
        most = max(most, int(now["MemoryCurrent"]))
        assert time.monotonic() < deadline, f"it meets its limit; it has {most // MB} of {limit} MB"
        time.sleep(0.3)
    assert 0.8 * limit <= most / MB <= limit
    said = host.check_output(f"journalctl --no-pager --output=cat --lines=20 _PID=1 UNIT={victim}")
    assert "status=9/KILL" in said or "oom-kill" in said, said
    health = f"http://127.0.0.1:{re.search(r'@([0-9]+)', victim)[1]}/health"
    host.check_output(f"timeout 30 sh -c 'until curl --silent --fail --max-time 2 {health}; do sleep 0.5; done'")
    assert int(show(host, [victim], "NRestarts")[victim]["NRestarts"]) > int(unit["NRestarts"])
    assert (servers(host), {name: pid for name, pid in pids(host).items() if name != victim}) == before
    assert redis_info(host, 6380)["rejected_connections"] == "0"
