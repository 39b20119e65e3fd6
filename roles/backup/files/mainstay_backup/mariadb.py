# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB: a consistent dump of one database, the rows of its tables, and a dump back into a database.

root is let in by the socket. A dump begins with the client's sandbox mode, so that nothing in it is a command of the client's.
"""

from __future__ import annotations

import contextlib
import json

from . import pipes
from .scratch import OURS
from .settings import BackupError

CLIENT = ("/usr/bin/mariadb", "--user=root", "--batch", "--skip-column-names", "--raw")
DUMP = ("/usr/bin/mariadb-dump", "--user=root", "--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob")


def name(text):
    return "`" + text.replace("`", "``") + "`"


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def execute(statements):
    return pipes.run(list(CLIENT), text=statements).splitlines()


def counts(database):
    """The rows of each table, one after the other: while an app writes, no moment is the same for all."""
    tables = execute(
        "SELECT JSON_QUOTE(table_name) FROM information_schema.tables"
        f" WHERE table_schema = {literal(database)} AND table_type = 'BASE TABLE' ORDER BY 1"
    )
    names = [json.loads(table) for table in tables]
    found = execute("".join(f"SELECT COUNT(*) FROM {name(database)}.{name(table)};\n" for table in names)) if names else []
    return dict(zip(names, map(int, found)))


def keep(restic, database, filename, tags, moment):
    """A database into the repository; of a table that was written meanwhile the rows are not known (None)."""
    before = counts(database)
    found = restic.keep([*DUMP, database], filename, tags, moment)
    after = counts(database)
    return {**found, "rows": {table: rows if after.get(table) == rows else None for table, rows in before.items()}}


def make(_database, scratch, _owner):
    execute(f"CREATE DATABASE {name(scratch)} CHARACTER SET utf8mb4")


def fill(path, scratch, _owner):
    """The first error ends it. An event of the dump would run in the scratch database, too, so the scheduler has to be off."""
    if execute("SELECT @@event_scheduler") == ["ON"] and scratch.startswith(OURS):
        raise BackupError("event_scheduler is on: events in the dump would run in the scratch database")
    with open(path, "rb") as file:
        pipes.run([*CLIENT, "--binary-mode", f"--database={scratch}"], stdin=file)


def inspect(_scratch):
    """What the server itself says of the tables: InnoDB checks every page when it writes it."""
    return {}


def make_roles(_path, _known, is_drill=False):
    """A dump of it grants nothing."""


@contextlib.contextmanager
def lent(scratch, owner):
    """The scratch database is the owner's, too, wherever he may log in from."""
    accounts = execute(f"SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user = {literal(owner)}")
    execute("".join(f"GRANT ALL ON {pattern(scratch)}.* TO {account};\n" for account in accounts))
    try:
        yield
    finally:
        take_back(scratch)


def take_back(scratch):
    """No privilege outlives its database: it would hold for the next of that name."""
    accounts = execute(f"SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.db WHERE db = {literal(pattern(scratch)[1:-1])}")
    execute("".join(f"REVOKE ALL ON {pattern(scratch)}.* FROM {account};\n" for account in accounts))


def pattern(text):
    """A name as GRANT reads it, where _ and % stand for others."""
    return name(text.replace("_", "\\_").replace("%", "\\%"))


def drop(scratch):
    take_back(scratch)
    execute(f"DROP DATABASE IF EXISTS {name(scratch)}")


def clear(scratch):
    """Drop what a drill has made."""
    drop(scratch)


def exists(database):
    return bool(execute(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(database)}"))
