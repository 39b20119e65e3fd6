# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are hard: each is complete and restorable, or reported as failed. After test_z_backup.py, which has others of them.

``make test`` runs the short form, with a small database and the rows that are not marked as long; ``make prove`` all of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest
from plays import play, words

pytestmark = pytest.mark.usefixtures("no_backup_timers")
IS_LONG = bool(os.environ.get("MAINSTAY_PROVE"))
ROWS_BEFORE = 1_000_000 if IS_LONG else 50_000
RATE = 500  # writes a second, of PostgreSQL and of SQLite
SQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 chat --command=%s"
REPOSITORY, PASSWORD, SHARED = "/mnt/backups", "/etc/mainstay/backup/password", "/srv/chat/shared"
RESTIC = f"RESTIC_REPOSITORY={REPOSITORY} RESTIC_PASSWORD_FILE={PASSWORD} restic --no-cache"
# A restic that holds the repository for itself dies of SIGKILL, on this host or on another one.
LOCK = f"""
import os, signal, subprocess, time
env = {{**os.environ, 'RESTIC_REPOSITORY': '{REPOSITORY}', 'RESTIC_PASSWORD_FILE': '{PASSWORD}'}}
process = subprocess.Popen(['/usr/bin/restic', '--no-cache', 'check'], env=env)
while not [name for name in os.listdir('{REPOSITORY}/locks') if len(name) == 64]:  # and not the file that becomes one
    assert process.poll() is None
    time.sleep(0.001)
process.send_signal(signal.SIGKILL)
process.wait()
"""


@dataclass(frozen=True)
class Row:
    """What is broken and mended by a shell, the unit that has to fail, the parts that are named, and words of the reason."""

    breaks: str
    mends: str
    failed: str
    said: str
    unit: str = "mainstay-backup"
    is_long: bool = False


AWAY = f"mv {REPOSITORY} /mnt/away && install --directory --mode=0700 {REPOSITORY}"
BACK = f"rm --recursive {REPOSITORY} && mv /mnt/away {REPOSITORY}"
# The newest pack of some size holds what the newest backup has brought: the large file.
NEWEST = f"pack=$(find {REPOSITORY}/data -type f -size +1M -printf '%T@ %p\\n' | sort --numeric-sort | tail --lines=1 | cut --delimiter=' ' --fields=2)"
CUT = f"{NEWEST}; cp --archive $pack /root/pack; truncate --size=-5000 $pack"
WHOLE = "mv /root/pack $pack"
# A copy of the repository on a disk with room for a megabyte more, and a new file of eight.
FULL = f"""
size=$(du --summarize --block-size=1M {REPOSITORY} | cut --fields=1)
mkdir /mnt/small
mount -t tmpfs -o mode=0700,size=$((size + 2))m tmpfs /mnt/small
cp --archive {REPOSITORY}/. /mnt/small
mount --move /mnt/small {REPOSITORY}
runuser -u chat -- sh -c 'head --bytes=8M /dev/urandom > {SHARED}/more'
"""
# The drills and the upkeep come first, while the newest backup is good.
TABLE = {
    "a pack that is cut short, drill": Row(CUT, WHOLE, "files-chat", "restic ended with", "mainstay-backup-drill", is_long=True),
    "a pack that is cut short, upkeep": Row(CUT, WHOLE, "check", "unexpected file size", "mainstay-backup-upkeep"),
    "no room for a drill": Row(
        "mount -t tmpfs -o mode=1777,size=1m tmpfs /var/tmp",
        "umount /var/tmp",
        "postgresql-chat",
        "twice the size is needed",
        "mainstay-backup-drill",
        is_long=True,
    ),
    "the repository is gone": Row(AWAY, BACK, "repository", "cannot be opened"),
    "another repository in its place": Row(f"{AWAY} && {RESTIC} --quiet init", BACK, "repository", "another one than before", is_long=True),
    "the repository is read-only": Row(  # five minutes: restic tries for its lock again and again, for each part
        f"mount --bind {REPOSITORY} {REPOSITORY} && mount --options remount,bind,ro {REPOSITORY}",
        f"umount {REPOSITORY}",
        "postgresql-chat",
        "read-only file system",
        is_long=True,
    ),
    "the repository is full": Row(FULL, f"umount {REPOSITORY}; rmdir /mnt/small; rm {SHARED}/more", "files-chat", "no space left"),
    "another host died in the repository a moment ago": Row(
        f'unshare --uts sh -c \'hostname elsewhere && python3 -I -c "$0"\' "{LOCK}"',
        f"rm {REPOSITORY}/locks/*",
        "postgresql-chat",
        "already locked",
    ),
    "no password": Row(f"mv {PASSWORD} {PASSWORD}.away", f"mv {PASSWORD}.away {PASSWORD}", "repository", "password", is_long=True),
    "a file that the app may not read": Row(
        f"install --mode=0600 /dev/null {SHARED}/hidden", f"rm {SHARED}/hidden", "files-chat", "may not be read", is_long=True
    ),
    "a SQLite database that is damaged": Row(
        f"runuser -u chat -- python3 -c \"open('{SHARED}/bad.db', 'wb').write(b'SQLite format 3' + bytes(1) + b'x' * 8000)\"",
        f"rm {SHARED}/bad.db",
        "files-chat",
        "database",
        is_long=True,
    ),
}
# What a dump holds besides tables: an extension with an index of its, large objects, a role that owns nothing.
RICH = f"""
CREATE EXTENSION pg_trgm;
CREATE ROLE reader;
CREATE ROLE "re-ad er" LOGIN;
SET ROLE chat;
CREATE TABLE words (word text);
CREATE INDEX ON words USING gin (word gin_trgm_ops);
INSERT INTO words SELECT 'word ' || md5(i::text) FROM generate_series(1, 500) AS i;
GRANT SELECT ON words TO reader, "re-ad er";
SELECT lo_from_bytea(0, convert_to(repeat(md5(i::text), 5000), 'UTF8')) FROM generate_series(1, 5) AS i;
CREATE TABLE ordered (i bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), filler text);
CREATE TABLE paid (i bigint);
INSERT INTO ordered (filler) SELECT md5(i::text) FROM generate_series(1, {ROWS_BEFORE}) AS i;
INSERT INTO paid SELECT i FROM ordered;
"""
POOR = """
DROP EXTENSION IF EXISTS pg_trgm CASCADE;
DROP TABLE IF EXISTS words, ordered, paid;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
DROP ROLE IF EXISTS reader;
DROP ROLE IF EXISTS "re-ad er";
"""
# One transaction is an order and its payment: a moment of the database has as many of the one as of the other.
ORDER = "WITH o AS (INSERT INTO ordered (filler) VALUES ('new') RETURNING i) INSERT INTO paid SELECT i FROM o;"
WRITER = f"""
import sqlite3, time
database = sqlite3.connect('{SHARED}/busy.db', isolation_level=None)
database.execute('PRAGMA journal_mode=WAL')
database.execute('PRAGMA synchronous=OFF')
database.execute('CREATE TABLE IF NOT EXISTS t (at REAL)')
began, done = time.time(), 0
while True:
    database.execute('INSERT INTO t VALUES (?)', (time.time(),))
    done += 1
    time.sleep(max(0, began + done / {RATE} - time.time()))
"""
SQLITE = f"""
import sqlite3
database = sqlite3.connect('{SHARED}/busy.db')
print(database.execute('PRAGMA integrity_check').fetchone()[0], database.execute('SELECT count(*) FROM t').fetchone()[0])
"""
STATE = """
SELECT count(*), md5(string_agg(word, '' ORDER BY word)) FROM words;
SELECT count(*), md5(string_agg(lo_get(oid), '' ORDER BY lo_get(oid))) FROM pg_largeobject_metadata;
SELECT count(*) FROM words WHERE word LIKE '%c4ca4238%';
SELECT has_table_privilege('reader', 'words', 'SELECT'), has_table_privilege('re-ad er', 'words', 'SELECT');
"""


def _record(host, name="last"):
    return json.loads(host.file(f"/var/lib/mainstay/backup/{name}.json").content_string)


@pytest.fixture(scope="module")
def taken(host):
    """A backup that was made under writes: its record, what the database then held, and how many writes a second there were."""
    host.check_output(SQL, POOR)
    host.check_output(SQL, RICH)
    host.check_output(f"runuser -u chat -- sh -c 'head --bytes=20M /dev/urandom > {SHARED}/large'")
    host.check_output(
        "echo %s | install --mode=0644 /dev/stdin /run/order.sql && systemd-run --quiet --unit=hard-sqlite --uid=chat /usr/bin/python3 -c %s",
        ORDER,
        WRITER,
    )
    host.check_output(
        "systemd-run --quiet --unit=hard-postgresql --uid=postgres"
        f" $(ls /usr/lib/postgresql/*/bin/pgbench) --no-vacuum --file=/run/order.sql --rate={RATE} --client=4 --time=3600 chat"
    )
    try:
        made = host.run("sleep 2; systemctl start mainstay-backup")
        rate = host.check_output(SQL, "SELECT count(*) / 5 FROM ordered WHERE at > clock_timestamp() - interval '5 s'")
    finally:
        host.check_output("systemctl stop hard-sqlite hard-postgresql")
    record = _record(host)
    assert made.rc == 0 and record["ok"], record
    print(f"writes: {json.dumps({'rate': int(rate), 'rows': record['rows'], 'seconds': record['seconds']})}")
    yield {"record": record, "state": host.check_output(SQL, STATE), "rate": int(rate)}
    host.check_output(SQL, POOR)
    host.check_output(f"rm --force {SHARED}/large {SHARED}/busy.db*")


def test_it_was_made_under_writes(host, taken):
    rows = taken["record"]["parts"]["postgresql-chat"]["rows"]
    written = int(host.check_output(SQL, "SELECT count(*) FROM ordered"))
    assert ROWS_BEFORE < rows["public.ordered"] == rows["public.paid"] < written
    assert rows["large objects"] == 5 and taken["rate"] > (RATE * 0.9 if IS_LONG else RATE * 0.3)


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in TABLE.items() if IS_LONG or not row.is_long])
def test_what_fails_is_told(host, taken, row):
    ended = host.run("bash -c %s", f"set -e\n{row.breaks}\nset +e\nsystemctl start {row.unit}; echo ended with $?\n{row.mends}")
    assert "ended with 1" in ended.stdout, (ended, host.run("mainstay backups").stdout)
    said = host.run("mainstay status; mainstay backups").stdout
    told = [line for line in said.splitlines() if line.startswith(row.failed) and " failed " in line]
    assert any(row.said in line.lower() for line in told), said
    assert f"Backup problem: the last {row.unit.split('-')[-1]} failed" in said


def test_one_that_is_killed_while_a_table_is_dumped_is_told_and_leaves_no_lock(host, taken):
    """Somebody holds the table, so the dump waits for it, and restic for the dump."""
    host.check_output(
        "systemd-run --quiet --unit=hard-lock --uid=postgres /usr/bin/psql -XAtq chat --command=%s",
        "BEGIN; LOCK TABLE words IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)",
    )
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
    try:
        host.check_output("systemctl start --no-block mainstay-backup")
        host.check_output("timeout 60 bash -c %s", f"until [ $({SQL % repr(waits)}) = 1 ]; do sleep 0.2; done")
        host.check_output(f"timeout 60 bash -c 'until [ -n \"$(ls {REPOSITORY}/locks)\" ]; do sleep 0.2; done'")
        host.check_output("systemctl kill --signal=KILL mainstay-backup")
        host.check_output("timeout 60 bash -c 'until systemctl is-failed --quiet mainstay-backup; do sleep 0.2; done'")
    finally:
        host.check_output("systemctl stop hard-lock")
        # Nobody has told the server that its client is gone.
        host.check_output(SQL, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    said = host.run("mainstay status; mainstay backups").stdout
    assert "the last backup failed" in said and "it was killed" in said
    host.check_output("/usr/local/sbin/mainstay-backup open")
    assert host.check_output(f"ls {REPOSITORY}/locks") == ""


def test_a_lock_of_one_that_died_here_is_no_hindrance(host, taken):
    host.check_output("python3 -I -c %s", LOCK)
    assert host.check_output(f"ls {REPOSITORY}/locks") != ""
    assert host.run("systemctl start mainstay-backup").rc == 0, host.run("mainstay backups").stdout
    assert _record(host)["ok"] and host.check_output(f"ls {REPOSITORY}/locks") == ""


@pytest.mark.skipif(not IS_LONG, reason="tests/unit/backup has the short form")
def test_a_drill_that_is_killed_is_told_and_leaves_no_copy_of_the_data(host, taken):
    scratch = "SELECT count(*) FROM pg_database WHERE datname LIKE 'mainstay%'"
    host.check_output("systemctl start --no-block mainstay-backup-drill")
    host.check_output("timeout 120 bash -c %s", f"until [ $({SQL % repr(scratch)}) = 1 ]; do sleep 0.1; done")
    host.check_output("systemctl kill --signal=KILL mainstay-backup-drill")
    host.check_output("timeout 60 bash -c 'until systemctl is-failed --quiet mainstay-backup-drill; do sleep 0.2; done'")
    assert host.check_output(SQL, scratch) == "0"
    assert "the last drill failed" in host.run("mainstay status").stdout


def test_the_backup_that_was_made_under_writes_comes_back_with_all_that_it_held(host, taken):
    """On a server that has lost the role to which something was granted, too."""
    host.check_output(SQL, POOR)
    assert host.run("systemctl start mainstay-backup-drill").rc == 0, host.run("mainstay backups").stdout
    assert host.check_output(SQL, "SELECT count(*) FROM pg_roles WHERE rolname IN ('reader', 're-ad er')") == "0"
    run = play(
        "playbooks/restore.yml",
        variables={
            "mainstay_app": "chat",
            "mainstay_restore": "all",
            "mainstay_confirm": "chat",
            "mainstay_snapshot": taken["record"]["id"],
        },
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert "made the roles re-ad er, reader, who may not log in" in words(run)
    assert host.check_output(SQL, STATE) == taken["state"]
    counted = host.check_output(SQL, "SELECT count(*) FROM ordered UNION ALL SELECT count(*) FROM paid JOIN ordered USING (i)").split()
    assert counted == [str(taken["record"]["parts"]["postgresql-chat"]["rows"]["public.ordered"])] * 2
    found = host.check_output("python3 -c %s", SQLITE).split()
    assert found[0] == "ok" and int(found[1]) > RATE


def test_a_snapshot_that_somebody_has_removed_fails_the_drill(host, taken):
    """The last one: the newest backup has lost a part for good."""
    host.check_output(f"{RESTIC} --quiet forget {_record(host)['parts']['files-chat']['snapshot']}")
    assert host.run("systemctl start mainstay-backup-drill").rc == 1
    parts = _record(host, "drill")["parts"]
    assert [name for name, part in parts.items() if not part["ok"]] == ["files-chat"]
    assert parts["files-chat"]["error"].startswith("restic ended with 1"), "the reason, and not what became of who waited for the data"
    assert host.run("systemctl start mainstay-backup").rc == 0
