# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database in MariaDB is backed up, tried and put back, and root runs nothing that its app has put there."""

from __future__ import annotations

import json

import pytest
from plays import play

SQL = "mariadb --batch --skip-column-names guestbook --execute %s"
# As the app's user, whose password is in no command.
APP = """
import re, threading, time, urllib.parse, pymysql
found = re.search(r"^DATABASE_URL=.*?://guestbook:([^@]*)@", open("/etc/mainstay/guestbook/env").read(), re.MULTILINE)
link = pymysql.connect(host="127.0.0.1", user="guestbook", password=urllib.parse.unquote(found[1]), database="guestbook", autocommit=True)
def do(*statements):
    with link.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
"""
OWN = r"""
do(
    "CREATE TABLE kept (i INT)",
    "INSERT INTO kept VALUES (1), (2)",
    "CREATE FUNCTION twice(i INT) RETURNS INT RETURN 2 * i",
    "CREATE PROCEDURE seven() SELECT 7",
    "CREATE VIEW doubled AS SELECT twice(i) AS i FROM kept",
    "CREATE TRIGGER more BEFORE INSERT ON kept FOR EACH ROW SET NEW.i = NEW.i + 1",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM kept WHERE i > 100",
)
"""
NOT_OWN = 'do("DROP EVENT nightly", "DROP VIEW doubled", "DROP PROCEDURE seven", "DROP FUNCTION twice", "DROP TABLE kept")'
DEFINERS = """
SELECT table_name, definer FROM information_schema.views WHERE table_schema = 'guestbook'
UNION SELECT routine_name, definer FROM information_schema.routines WHERE routine_schema = 'guestbook'
UNION SELECT trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = 'guestbook'
UNION SELECT event_name, definer FROM information_schema.events WHERE event_schema = 'guestbook' ORDER BY 1
"""
ACCOUNTS = """
SELECT user, host, JSON_VALUE(priv, '$.access'), JSON_VALUE(priv, '$.plugin'), JSON_VALUE(priv, '$.authentication_string'),
COALESCE(JSON_LENGTH(priv, '$.auth_or'), 1) FROM mysql.global_priv ORDER BY 1, 2
"""
# Server and client do not agree where a comment begins, so what is one procedure to the server is three statements to the client.
SPLIT = r"""
do("CREATE PROCEDURE cut() SELECT 1 --\x01;; GRANT ALL ON *.* TO guestbook@127.0.0.1 ;; SELECT 1\n + 1")
"""
# A table turns into a view and back, whose function runs as whoever asks.
SWAP = """
do(
    "CREATE TABLE fallen (who TEXT)",
    "CREATE TABLE one AS SELECT 1 AS i",
    "CREATE FUNCTION falls() RETURNS INT SQL SECURITY INVOKER MODIFIES SQL DATA BEGIN"
    " IF CURRENT_USER() LIKE 'root@%%' THEN INSERT INTO fallen VALUES (CURRENT_USER()); END IF; RETURN 1; END",
    "CREATE TABLE swapped (i INT)",
    "CREATE SQL SECURITY INVOKER VIEW trap AS SELECT i FROM one WHERE falls() = 1",
)
until = time.monotonic() + 25
while time.monotonic() < until:
    do("RENAME TABLE swapped TO away, trap TO swapped")
    time.sleep(0.02)
    do("RENAME TABLE swapped TO trap, away TO swapped")
    time.sleep(0.02)
"""
NO_SWAP = 'do("DROP VIEW trap", "DROP FUNCTION falls", "DROP TABLE swapped, one, fallen")'


def _app(host, code):
    return host.check_output("python3 -c %s", APP + code)


def _start(host, unit):
    return host.run(f"systemctl start {unit}.service").rc == 0


def _error(host, record):
    parts = json.loads(host.file(f"/var/lib/mainstay/backup/{record}.json").content_string)["parts"]
    assert all(part["ok"] for name, part in parts.items() if name != "mariadb-guestbook")
    return parts["mariadb-guestbook"].get("error")


@pytest.fixture(scope="module")
def own(host):
    """What an app may have in its database, backed up."""
    _app(host, OWN)
    before = host.check_output(SQL, DEFINERS), host.check_output(SQL, ACCOUNTS)
    assert _start(host, "mainstay-backup"), _error(host, "last")
    yield before
    _app(host, NOT_OWN)
    for unit in ("mainstay-backup", "mainstay-backup-drill"):  # what was broken here is nobody's incident any more
        assert _start(host, unit)


def test_a_drill_finds_all_of_it_and_leaves_no_account(host, own):
    assert _start(host, "mainstay-backup-drill"), _error(host, "drill")
    assert (host.check_output(SQL, DEFINERS), host.check_output(SQL, ACCOUNTS)) == own
    assert "mainstay" not in host.check_output(SQL, "SHOW DATABASES")


def test_a_restore_puts_all_of_it_back_as_the_app_s(host, own):
    _app(host, 'do("DELETE FROM kept", "DROP VIEW doubled")')
    run = play(
        "playbooks/restore.yml", variables={"mainstay_app": "guestbook", "mainstay_restore": "database", "mainstay_confirm": "guestbook"}
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert (host.check_output(SQL, DEFINERS), host.check_output(SQL, ACCOUNTS)) == own
    assert host.check_output(SQL, "SELECT i FROM doubled ORDER BY i; CALL seven()").split() == ["2", "4", "7"]


def test_a_dump_that_ends_a_statement_in_a_comment_makes_nobody_root(host, own):
    _app(host, SPLIT)
    try:
        assert _start(host, "mainstay-backup"), _error(host, "last")
        assert not _start(host, "mainstay-backup-drill") and "Access denied for user 'mainstay_backup'@" in _error(host, "drill")
        assert host.check_output(SQL, ACCOUNTS) == own[1]
    finally:
        _app(host, 'do("DROP PROCEDURE cut")')
        host.check_output(SQL, "REVOKE ALL ON *.* FROM guestbook@127.0.0.1")
        assert _start(host, "mainstay-backup"), _error(host, "last")


def test_a_backup_runs_no_function_of_a_view_in_the_place_of_a_table(host, own):
    host.check_output("systemd-run --quiet --collect --unit=swapping python3 -c %s", APP + SWAP)
    try:
        for _attempt in range(3):
            _start(host, "mainstay-backup")
        assert host.check_output(SQL, "SELECT * FROM fallen") == ""
    finally:
        host.run("timeout 40 sh -c 'while systemctl is-active --quiet swapping; do sleep 1; done'")
        _app(host, NO_SWAP)
