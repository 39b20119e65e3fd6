# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB: accounts without plain passwords, the plan as a file, and the least that a changed setting costs."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import mariadb
from ansible_collections.mainstay.vps.tests.unit.declarations import broken

APPS = broken(("shop", "database"), "mariadb")
SECRETS = {"shop": {"DATABASE_PASSWORD": "correct horse"}}
HOSTS = ["127.0.0.1", "10.0.0.5"]


def test_the_hash_is_what_the_server_computes():
    # SELECT PASSWORD('mypass'), as MySQL's manual shows it
    assert mariadb.password_hash("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"


def test_databases_hold_no_password():
    (database,) = mariadb.databases(APPS, SECRETS)
    assert (database["name"], database["user"]) == ("shop", "shop")
    assert "correct" not in str(database)
    assert mariadb.databases(APPS, {}) == []
    assert mariadb.databases(broken(("shop", "database"), "postgresql"), SECRETS) == []


def _found(**changes):
    (database,) = mariadb.databases(APPS, SECRETS)
    digest = hashlib.sha256(f"mysql_native_password {database['password_hash']}".encode()).hexdigest()
    accounts = [f"shop@{host}" for host in HOSTS]
    return {
        "databases": {"shop": "utf8mb4", "other": "latin1"},
        "users": dict.fromkeys(accounts, digest),
        "limits": dict.fromkeys(accounts, 30),
        "grants": {account: ["shop"] for account in accounts},
        **changes,
    }


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (_found(), False),
        ({}, True),
        (_found(databases={"other": "utf8mb4"}), True),
        (_found(users={}), True),
        (_found(users={**_found()["users"], "shop@10.0.0.5": "another password's digest"}), True),
        (_found(limits={}), True),
        (_found(limits={**_found()["limits"], "shop@10.0.0.5": 20}), True),
        (_found(grants={}), True),
        (_found(grants={**_found()["grants"], "shop@127.0.0.1": ["other", "shop"]}), True),
        (_found(grants={**_found()["grants"], "shop@127.0.0.1": ["*", "shop"]}), True),
    ],
)
def test_missing_databases(found, missing):
    plan = {"connections": {"mariadb": {"roles": {"shop": 30}}}}
    assert bool(mariadb.missing(mariadb.databases(APPS, SECRETS, plan), HOSTS, found)) is missing


def test_a_further_host_is_missing():
    assert mariadb.missing(mariadb.databases(APPS, SECRETS), [*HOSTS, "10.0.0.6"], _found())


def test_settings_have_units_switches_and_quotes():
    plan = {"innodb_buffer_pool_size_mb": 512, "sort_buffer_size_kb": 1024, "max_connections": 60, "nofile": 9000}
    own = {"slow-query-log": True, "sql_mode": "", "init_connect": "SET a = 1", "tmpdir": "/var/tmp", "max_connections": 70}
    assert mariadb.settings(plan, own) == {
        "init_connect": '"SET a = 1"',
        "innodb_buffer_pool_size": "512M",
        "max_connections": "70",
        "slow_query_log": "ON",
        "sort_buffer_size": "1024K",
        "sql_mode": '""',
        "tmpdir": "/var/tmp",
    }


@pytest.mark.parametrize("own", [{"a b": 1}, {"x": "1\n[client]"}, {"x": 'a"b'}, {"[mariadbd]": 1}])
def test_what_would_break_the_file_is_refused(own):
    with pytest.raises(ValueError, match="mariadb_settings"):
        mariadb.settings({}, own)


def _row(name, value, read_only="NO"):
    return {"name": name, "value": value, "read_only": read_only}


WANTED = {"innodb_buffer_pool_size": "64M", "slow_query_log": "ON", "long_query_time": "0.5", "tmpdir": "/var/tmp"}
SAME = [
    _row("innodb_buffer_pool_size", "67108864"),
    _row("slow_query_log", "ON"),
    _row("long_query_time", "0.500000"),
    _row("tmpdir", "/var/tmp", "YES"),
]
# what is wanted, what runs, what a statement can change, what needs a restart, the statements
DIFFERENCES = [
    (WANTED, SAME, [], [], []),
    (WANTED, [*SAME[:3], _row("tmpdir", "/tmp", "YES")], [], ["tmpdir"], []),
    (WANTED, [_row("innodb_buffer_pool_size", 1 << 27), *SAME[1:]], ["innodb_buffer_pool_size"], [],
     ["SET GLOBAL innodb_buffer_pool_size = 67108864"]),
    ({"slow_query_log": "ON"}, [_row("slow_query_log", "OFF")], ["slow_query_log"], [], ["SET GLOBAL slow_query_log = 'ON'"]),
    ({"long_query_time": "0.5"}, [_row("long_query_time", "1.000000")], ["long_query_time"], [], ["SET GLOBAL long_query_time = 0.5"]),
    ({"sql_mode": "ANSI,STRICT_ALL_TABLES"}, [_row("sql_mode", "strict_all_tables,ansi")], [], [], []),
    ({"init_connect": "\"SET a = 'x'\""}, [_row("init_connect", "")], ["init_connect"], [], ["SET GLOBAL init_connect = 'SET a = ''x'''"]),
    ({"loose_x": "1"}, [], [], ["loose_x"], []),
    ({"max_connections": "60"}, [_row("max_connections", "60"), _row("back_log", "90", "YES")], [], ["back_log"], []),
    ({"skip_name_resolve": "ON"}, [_row("skip_name_resolve", "1", "YES")], [], [], []),
    ({"ssl_ca": '""'}, [_row("ssl_ca", None, "YES")], [], [], []),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "rows", "dynamic", "fixed", "statements"), DIFFERENCES)
def test_only_what_differs_is_told_or_restarted(wanted, rows, dynamic, fixed, statements):
    assert mariadb.differing(wanted, rows) == {"dynamic": dynamic, "fixed": fixed}
    assert mariadb.set_statements(wanted, rows) == statements
