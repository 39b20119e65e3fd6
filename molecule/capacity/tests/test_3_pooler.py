# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The app moves behind PgBouncer, with more connections than PostgreSQL has. These tests are the last: it stays there."""

from __future__ import annotations

import json
import time

import pytest
from asking import URL, inject, pgbouncer, show, sql, units
from plays import changes, play, words

UNIT = "pgbouncer.service"
LOAD = "BEGIN; SELECT pg_sleep(0.002); SELECT count(*) FROM orders WHERE id > :client_id; END;"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'shop'"
# What PgBouncer and PostgreSQL say to a client they have no place for; none of it is this command itself.
REFUSED = "[n]o more connections|[q]uery_wait_timeout|[t]oo many clients|[r]emaining connection slots"


@pytest.fixture(scope="module")
def carries(host):
    """Debian 12 has PgBouncer 1.18, which does not know a prepared statement in the next transaction; 1.21 does."""
    return int(host.system_info.release.partition(".")[0]) > 12


@pytest.fixture(scope="module")
def declared(carries):
    """The pools of a guide, which no plan gives to PostgreSQL itself on these hosts."""
    shop = {"pooler": "pgbouncer", "processes": {"web": {"pool": {"size": 20, "overflow": 20}}}}
    return {"stack_changes": {"shop": shop if carries else {**shop, "env": {"DB_PREPARED_STATEMENTS": "0"}}}}


def test_an_app_that_may_prepare_statements_is_refused_where_they_would_be_lost(carries):
    if not carries:
        run = play("playbooks/site.yml", variables={"stack_changes": {"shop": {"pooler": "pgbouncer"}}})
        assert run.returncode != 0 and "PLAY [Prepare the hosts]" not in run.stdout
        assert "Make sure that shop prepares none on the server" in words(run) and 'DB_PREPARED_STATEMENTS: "0"' in words(run)


def test_it_moves_there_and_a_second_run_changes_nothing(declared):
    run = play("playbooks/site.yml", "--tags", "postgresql,redis,backend,prove", variables=declared)
    assert run.returncode == 0, run.stdout + run.stderr
    again = play("playbooks/site.yml", "--tags", "postgresql,redis,backend", variables=declared)
    assert again.returncode == 0 and changes(again) == 0, again.stdout + again.stderr


@pytest.fixture(scope="module")
def pooled(host):
    """The plan as the host keeps it now."""
    return json.loads(host.file("/etc/mainstay/plan.json").content_string)


def test_pgbouncer_runs_with_the_plan_s_settings(host, pooled, carries):
    planned = dict(pooled["plan"]["pgbouncer"])
    (unit,) = show(host, [UNIT], "LimitNOFILE", "MainPID").values()
    assert int(unit["LimitNOFILE"]) == planned.pop("nofile")
    settings = {row["key"]: row["value"] for row in pgbouncer(host, "SHOW CONFIG")}
    assert {name: int(settings[name]) for name in planned} == planned
    assert settings["pool_mode"] == "transaction" and int(settings.get("max_prepared_statements", 0)) == (200 if carries else 0)
    (database,) = (row for row in pgbouncer(host, "SHOW DATABASES") if row["name"] == "shop")
    sizes = (int(database["pool_size"]), int(database.get("max_connections") or database["max_server_connections"]))
    assert sizes == (planned["default_pool_size"], planned["max_db_connections"])
    assert int(sql(host, "SHOW max_connections")) == pooled["plan"]["postgresql"]["max_connections"]
    users = host.check_output("stat --format '%a %U %G' /etc/pgbouncer/userlist.txt; cat /etc/pgbouncer/userlist.txt")
    assert users.startswith("640 postgres postgres\n") and '"shop" "SCRAM-SHA-256$' in users, "no password, and not for everybody"


@pytest.fixture
def quiet_again(host):
    yield
    for unit in units(host)["web"]:
        inject(host, unit, "clear")
    host.run("systemctl stop pooler-load; systemctl reset-failed pooler-load")


def _clients(host):
    (pool,) = (row for row in pgbouncer(host, "SHOW POOLS") if row["database"] == "shop")
    return int(pool["cl_active"]) + int(pool["cl_waiting"])


@pytest.mark.usefixtures("quiet_again")
def test_more_connections_than_postgresql_has_and_none_refused(host, pooled, carries):
    needed, limit = (pooled["connections"]["pgbouncer"][key] for key in ("needed", "limit"))
    servers = pooled["plan"]["postgresql"]["max_connections"]
    web, since = pooled["plan"]["processes"]["shop"]["web"], host.check_output("date +%s")
    pool, deadline = web["pool_size"] + web["max_overflow"] - 1, time.monotonic() + 60  # all but one connection, which /ready needs
    for unit in (running := units(host)["web"]):
        inject(host, unit, f"pool?connections={pool}&seconds=60")
    while (others := _clients(host)) < pool * len(running):
        assert time.monotonic() < deadline, "the pools fill"
    clients = needed - others
    assert servers < needed <= limit and clients > int(pooled["plan"]["pgbouncer"]["default_pool_size"])
    program = host.check_output("echo %s > /run/pooler.sql; ls /usr/lib/postgresql/*/bin/pgbench", LOAD)
    protocol = "prepared" if carries else "simple"
    # A thread for each: one that prepares for a client waits for the pooler, and its other clients hold what it waits for.
    load = f"{program} --no-vacuum --client={clients} --jobs={clients} --time=5 --protocol={protocol} --file=/run/pooler.sql"
    host.check_output(f'systemd-run --quiet --unit=pooler-load --property=RemainAfterExit=yes {load} "{URL}"')
    most, port = [0, 0], running[0].partition("@")[2].partition(".")[0]
    while (ended := show(host, ["pooler-load.service"], "SubState", "ExecMainStatus")["pooler-load.service"])["SubState"] == "running":
        now = _clients(host), int(sql(host, SESSIONS))
        most = [max(pair) for pair in zip(most, now)]
        assert time.monotonic() < deadline, "pgbench ends"
        host.check_output(f"curl --silent --show-error --fail --max-time 10 http://127.0.0.1:{port}/ready")
    said = host.check_output("journalctl --no-pager --output=cat --unit pooler-load")
    assert ended["ExecMainStatus"] == "0" and "number of failed transactions: 0 " in said, said
    assert most[0] > servers >= most[1] > 0, "more clients than PostgreSQL's max_connections, and fewer sessions"
    assert host.run(f"journalctl --quiet --no-pager --since=@{since} | grep -E '{REFUSED}'").stdout == ""


def test_the_host_says_itself_that_it_is_as_planned(host):
    run = host.run("mainstay plan")
    assert "Differs from the plan" not in run.stdout and "pgbouncer: " in run.stdout, run.stdout


def test_a_killed_pgbouncer_comes_back_and_the_app_with_it(host):
    before = show(host, [UNIT], "MainPID")[UNIT]["MainPID"]
    host.check_output(f"kill -9 {before}")
    port = units(host)["web"][0].partition("@")[2].partition(".")[0]
    ready = f"curl --silent --fail --max-time 5 http://127.0.0.1:{port}/ready"
    host.check_output(f"sleep 1; timeout 20 sh -c 'until {ready}; do sleep 0.5; done'")
    assert show(host, [UNIT], "MainPID")[UNIT]["MainPID"] not in ("0", before)
