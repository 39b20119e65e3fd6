# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is broken of a backup on the host itself, and mended."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from backup_tools import TOOLS, hard, sql

LIMIT = 300  # seconds after which nobody waits any longer
PATH = "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('broken')"
PAIRS = "SELECT count(*) > 0 AND count(*) = (SELECT count(*) FROM paid JOIN ordered USING (i)) FROM ordered"


@dataclass(frozen=True)
class Case:
    """Shell that breaks and mends, the same for all tools but for their repository and password; what runs; and what the host lacks
    when the backup is restored."""

    breaks: str = ""
    mends: str = ""
    unit: str = "mainstay-backup"
    during: str = ""  # while it runs
    lost: str = ""  # before the restore
    found: str = ""  # after it
    live: bool = False  # the live data went on: what was restored is compared with itself
    only: tuple = tuple(TOOLS)  # where it can be
    is_check: bool = False  # it is a copy that is broken: what looks at copies runs, where there is such a thing


def row(name, **more):
    """One of test_z_hard's."""
    found = hard.TABLE[name]
    return Case(found.breaks, found.mends, found.unit, **more)


def server(command):
    return f"systemctl {command} $(ls /etc/postgresql/*/main -d | sed 's#/etc/postgresql/#postgresql@#; s#/main#-main#')"


WAITS = sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'")
HELD = (
    "systemd-run --quiet --unit=hard-lock --uid=postgres /usr/bin/psql -XAtq chat"
    " --command='BEGIN; LOCK TABLE words IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)'; sleep 1"
)
FREED = "systemctl stop hard-lock; " + sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
UNTIL = f"timeout 60 bash -c {shlex.quote(f'until [ $({WAITS}) = 1 ]; do sleep 0.2; done')}"
NO_TOOL_OF_ITS_OWN = ("mainstay", "borgmatic")  # cron has no such thing
CASES = {
    "nothing is wrong": Case(),
    "500 writes a second to PostgreSQL": Case(
        "systemd-run --quiet --unit=hard-postgresql --uid=postgres $(ls /usr/lib/postgresql/*/bin/pgbench) --no-vacuum --file=/run/order.sql"
        f" --rate={hard.RATE} --client=4 --time=3600 chat; sleep 3",
        "systemctl stop hard-postgresql", live=True,
    ),
    "500 writes a second to SQLite": Case(
        f"systemd-run --quiet --unit=hard-sqlite --uid=chat /usr/bin/python3 -c {shlex.quote(hard.WRITER)}; sleep 3",
        "systemctl stop hard-sqlite", live=True,
    ),
    "a role that owns nothing, on a server that has lost it": Case(
        lost=sql("DROP OWNED BY reader; DROP ROLE reader"), found=sql("CREATE ROLE reader; GRANT SELECT ON words TO reader"),
    ),
    "a table that cannot be dumped": Case(
        f"{sql('CREATE TABLE broken AS SELECT generate_series(1, 1000) AS i')}; {sql('CHECKPOINT')}; path=$({sql(PATH)}); mv $path $path.away",
        f"mv $path.away $path; {sql('DROP TABLE broken')}",
    ),
    "the database is gone": Case(
        sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'chat'", "postgres") + "; "
        + sql("ALTER DATABASE chat RENAME TO away", "postgres"),
        sql("ALTER DATABASE away RENAME TO chat", "postgres"),
    ),
    "PostgreSQL is down": Case(server("stop"), server("start") + "; sleep 2"),
    "pg_dump is killed": Case(HELD, FREED, during=f"{UNTIL}; pkill --signal KILL --exact pg_dump"),
    "the backup itself is killed": Case(HELD, FREED, during=f"{UNTIL}; systemctl kill --signal=KILL $unit"),
    "a SQLite database that is damaged": row("a SQLite database that is damaged"),
    "a file that the app may not read": row("a file that the app may not read"),
    "the repository is full": row("the repository is full"),
    "the repository is gone": Case("mv /mnt/backups /mnt/away", "mv /mnt/away /mnt/backups"),
    "its disk is not mounted: an empty folder": row("the repository is gone"),
    "another repository in its place": row("another repository in its place", only=NO_TOOL_OF_ITS_OWN),
    "a wrong password": Case(
        f"cp --preserve {hard.PASSWORD} {hard.PASSWORD}.right && echo another > {hard.PASSWORD}",
        f"mv {hard.PASSWORD}.right {hard.PASSWORD}", only=NO_TOOL_OF_ITS_OWN,
    ),
    "no password": row("no password", only=NO_TOOL_OF_ITS_OWN),
    "another host died in the repository a moment ago": row("another host died in the repository a moment ago", only=NO_TOOL_OF_ITS_OWN),
    "a lock of one that was killed on this host": Case(f"python3 -I -c {shlex.quote(hard.LOCK)}", only=NO_TOOL_OF_ITS_OWN),
    "the newest copy is cut short": row("a pack that is cut short, upkeep", is_check=True),
    "the newest copy is cut short, and is restored": row("a pack that is cut short, drill", is_check=True),
    "somebody has removed the newest copy": Case(unit="mainstay-backup-drill", is_check=True),
    "nobody has run it for three days": Case(),
    "the repository is read-only": row("the repository is read-only"),
}  # fmt: skip
