# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB: a consistent dump of one database, the rows of its tables, and a dump back into a database.

An app owns its database: a table that is asked may have become a view meanwhile, whose functions run as whoever asks, and a dump may end a
statement where the server that wrote it saw a comment. So root, whom the server knows by the socket, reads and restores as an account that
may do no more than the app: see guest and as_owner. A dump begins with the client's sandbox mode, so that nothing in it is a command of
the client's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets

from . import pipes
from .restic import SILENCE
from .scratch import OURS
from .settings import BackupError

ROOT = (("--user=root",), {"LC_ALL": "C.UTF-8"})
# A table that somebody keeps locked is an error soon, and one that takes long to count is none.
PATIENT = "--init-command=SET SESSION lock_wait_timeout = 600, max_statement_time = 0"
CLIENT = ("/usr/bin/mariadb", "--no-defaults", PATIENT, "--batch", "--skip-column-names", "--raw")
GUEST = "'mainstay_backup'@'localhost'"
READS = "SELECT, EXECUTE, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES"  # a view is read by what its functions give
# Of a routine only root and who defined it may read the text, so root asks for those, which is no question to a table or a view. They come
# first, for views may call them.
DUMP = """
set -e
dump() { /usr/bin/mariadb-dump --no-defaults --quick "$@"; }
(unset MYSQL_PWD; dump --user=root --routines --no-data --no-create-info --skip-triggers "$0")
dump "$@" --single-transaction --events --triggers --hex-blob "$0"
"""
# Who restores is who defines what is restored: another one only a superuser may name. The regular expression is sed's.
DEFINERS = r"s#^(CREATE |/\*![0-9]+ (CREATE\*/ /\*![0-9]+ )?)DEFINER=`([^`]|``)*`(@`([^`]|``)*`)?#\1#"


def name(text):
    return "`" + text.replace("`", "``") + "`"


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def execute(statements, login=ROOT):
    words, env = login
    return pipes.run([*CLIENT, *words], text=statements, env=env, patience=SILENCE).splitlines()


def password_hash(password):
    """What MariaDB stores, so that the password itself is in no log of its."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def known(user, password, *more):
    return (f"--user={user}", *more), {**ROOT[1], "MYSQL_PWD": password}


@contextlib.contextmanager
def guest(rights):
    """How to log in as an account that has these rights in each database, and none elsewhere; gone afterwards."""
    password = secrets.token_urlsafe(32)
    grants = "".join(f"GRANT {what} ON {pattern(database)}.* TO {GUEST};\n" for database, what in rights.items())
    execute(f"CREATE OR REPLACE USER {GUEST} IDENTIFIED VIA mysql_native_password USING {literal(password_hash(password))};\n{grants}")
    try:
        yield known("mainstay_backup", password)
    finally:
        execute(f"DROP USER IF EXISTS {GUEST}")


@contextlib.contextmanager
def as_owner(owner):
    """How to log in as the app's own account, which has a second password meanwhile: what is restored as it is defined by it, as before."""
    account = f"{literal(owner)}@'127.0.0.1'"
    password = secrets.token_urlsafe(32)
    found = execute(
        "SELECT JSON_VALUE(priv, '$.plugin'), JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv"
        f" WHERE user = {literal(owner)} AND host = '127.0.0.1'"
    )
    own, second = (
        f"{plugin} USING {literal(stored)}"
        for plugin, stored in (
            found[0].split("\t") if found else ("mysql_native_password", password_hash(secrets.token_urlsafe(32))),
            ("mysql_native_password", password_hash(password)),
        )
    )
    if not found:
        execute(f"CREATE USER {account} IDENTIFIED VIA {own}; GRANT ALL ON {pattern(owner)}.* TO {account}")
    execute(f"ALTER USER {account} IDENTIFIED VIA {own} OR {second}")
    try:
        yield known(owner, password, "--host=127.0.0.1", "--skip-ssl")
    finally:
        execute(f"ALTER USER {account} IDENTIFIED VIA {own}")


def counts(database):
    with guest({database: READS}) as login:
        return counted(database, login)


def counted(database, login):
    """The rows of each table, one after the other: while an app writes, no moment is the same for all."""
    tables = execute(
        "SELECT JSON_QUOTE(table_name) FROM information_schema.tables"
        f" WHERE table_schema = {literal(database)} AND table_type = 'BASE TABLE' ORDER BY 1",
        login,
    )
    names = [json.loads(table) for table in tables]
    found = execute("".join(f"SELECT COUNT(*) FROM {name(database)}.{name(table)};\n" for table in names), login) if names else []
    return dict(zip(names, map(int, found)))


@contextlib.contextmanager
def dumping(database):
    """The command that dumps a database, its variables, and how the account logs in that does."""
    with guest({database: READS}) as login:
        words, env = login
        yield ["/bin/sh", "-c", DUMP, database, *words], env, login


def keep(restic, database, filename, tags, moment):
    """A database into the repository; of a table that was written meanwhile the rows are not known (None)."""
    with dumping(database) as (command, env, login):
        before = counted(database, login)
        found = restic.keep(command, filename, tags, moment, env=env)
        after = counted(database, login)
    return {**found, "rows": {table: rows if after.get(table) == rows else None for table, rows in before.items()}}


def make(_database, scratch, _owner):
    execute(f"CREATE DATABASE {name(scratch)} CHARACTER SET utf8mb4")


def fill(path, scratch, owner):
    """The first error ends it. An event of the dump would run in the scratch database, too, so the scheduler has to be off."""
    is_live = not scratch.startswith(OURS)
    if not is_live and execute("SELECT @@event_scheduler") == ["ON"]:
        raise BackupError("event_scheduler is on: events in the dump would run in the scratch database")
    with as_owner(owner) if is_live else guest(whole(scratch, owner)) as (words, env):
        pipes.feed(
            ["/bin/sed", "--regexp-extended", DEFINERS, path],
            [*CLIENT, "--binary-mode", f"--database={scratch}", *words],
            source_env={"LC_ALL": "C"},
            sink_env=env,
            patience=SILENCE,
        )


def whole(scratch, owner):
    """What a dump needs to become a database: its views call functions by the name of the live one."""
    return {scratch: "ALL", owner: "SELECT, EXECUTE"}


def inspect(_scratch):
    """What the server itself says of the tables: InnoDB checks every page when it writes it."""
    return {}


def make_roles(_path, _known, is_drill=False):
    """A dump of it grants nothing."""


@contextlib.contextmanager
def lent(scratch, owner):
    """The scratch database is the owner's, too, wherever he may log in from; and who has restored it is there, for its views are by him."""
    accounts = execute(f"SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user = {literal(owner)}")
    execute("".join(f"GRANT ALL ON {pattern(scratch)}.* TO {account};\n" for account in accounts))
    try:
        with guest(whole(scratch, owner)):
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
    if scratch.startswith(OURS):  # those of the live one are the app's, and it comes back
        take_back(scratch)
    execute(f"DROP DATABASE IF EXISTS {name(scratch)}")


def clear(scratch):
    """Drop what a drill has made."""
    drop(scratch)


def exists(database):
    return bool(execute(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(database)}"))
