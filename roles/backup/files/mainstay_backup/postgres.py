# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: a dump and its row counts out of one snapshot, and a dump back into a database of another name.

What an app has put into its database may run when it is restored (a function in a CHECK, for one), so it is restored by a role that is
made for this and may do no more than the app's own. What the superuser asks in it names nothing that an app could have put before the
server's own: see SAFE.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import subprocess
import tempfile

from . import pipes
from .settings import BackupError
from .superuser import LOCKS, options

MARK = "mainstay-answered"
# How the superuser comes into an app's database.
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGOPTIONS": options()}
# A table that is counted may have become a view meanwhile, whose functions would run as whoever counts. Older servers do not know the setting.
SAFE = r"""
SELECT count(*) > 0 AS views FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind' \gset
\if :views
SET restrict_nonsystem_relation_kind = 'view, foreign-table';
\endif
"""
ROLE = "mainstay_restore_{}"  # one for each owner: what he does with it is no concern of another's
OF_A_DRILL = "made for a drill of mainstay-backup, and gone after it"  # the comment of such a role
# Tables whose rows a dump holds: those of extensions are the extension's. A count for each, as one line of JSON, and of large objects.
COUNTS = r"""
SELECT format('SELECT json_build_array(%L::text, count(*)) FROM ONLY %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL SELECT 'SELECT json_build_array(''large objects'', count(*)) FROM pg_largeobject_metadata'
WHERE EXISTS (SELECT FROM pg_largeobject_metadata)
ORDER BY 1 \gexec
"""
ITERATIONS = 4096
PROGRAMS = "/usr/lib/postgresql/{}/bin"  # where Debian keeps those of each version; of pg_amcheck there is no link in /usr/bin
PSQL = ("/usr/bin/psql", "-XAtq", "-v", "ON_ERROR_STOP=1")
# What only a superuser may restore, and every database has, or gets before the rest.
LEFT_OUT = re.compile(r"^\d+; \d+ \d+ (EXTENSION|(COMMENT|SECURITY LABEL) - EXTENSION|SCHEMA - public |(ACL|COMMENT) - SCHEMA public )")

# Entries of a dump that name roles besides the owner.
GRANTED = re.compile(r"^\d+; \d+ \d+ (ACL|DEFAULT ACL|POLICY) ")


class Session:
    """psql that stays open, and with it a snapshot that pg_dump can share."""

    def __init__(self, database):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the session
        self.process = subprocess.Popen(
            [*PSQL, f"--dbname={database}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd="/",
            text=True,
            encoding="utf-8",
            env=ENV,
            **pipes.as_user("postgres"),
        )
        self.ask(SAFE)

    def ask(self, statements):
        """The lines of an answer."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{statements}\n\\echo {MARK}\n")
            self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == MARK:
                return lines
            lines.append(line.rstrip("\n"))
        raise pipes.complaint("psql", self.process.wait(), self.errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()


def keep(restic, database, filename, tags, moment):
    """A database into the repository, with the rows of each of its tables at that very moment."""
    with Session(database) as session:
        (snapshot,) = session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();")
        # Not compressed: restic compresses, and finds again what has not changed since yesterday.
        command = ["/usr/bin/pg_dump", "--format=custom", "--compress=0", f"--lock-wait-timeout={LOCKS}", f"--snapshot={snapshot}"]
        found = restic.keep([*command, f"--dbname={database}"], filename, tags, moment, user="postgres", env=ENV)
        return {**found, "server": release(session), "rows": dict(json.loads(line) for line in session.ask(COUNTS))}


def release(session):
    (number,) = session.ask("SHOW server_version_num;")
    return int(number) // 10000


def refuse_later(name, kept):
    """A dump of a later release, which this one's pg_restore does not read and its server would not understand."""
    with Session("postgres") as session:
        here = release(session)
    if kept.get("server", 0) > here:
        raise BackupError(
            f"{name} is of PostgreSQL {kept['server']}, and this host has {here}, which reads no dump of a later one; restore it on a host of "
            "the release of Debian that it comes from, or a later one"
        )


def keep_globals(restic, filename, tags, moment):
    """Roles and their settings, without passwords: site.yml sets those again, out of the secrets of the control node."""
    command = ["/usr/bin/pg_dumpall", "--globals-only", "--no-role-passwords"]
    return restic.keep(command, filename, tags, moment, user="postgres", env=ENV)


def counts(database):
    with Session(database) as session:
        return dict(json.loads(line) for line in session.ask(COUNTS))


def name(text):
    return '"' + text.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def execute(statements, database="postgres"):
    """Statements go in by the input: a command line is in every process list."""
    return pipes.run([*PSQL, f"--dbname={database}"], user="postgres", env=ENV, text=f"{SAFE}{statements}").splitlines()


def verifier(password):
    """What PostgreSQL stores for a password (RFC 5803), so that the password itself is in no log of its."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = (base64.b64encode(value).decode() for value in (salt, stored, hmac.digest(salted, b"Server Key", "sha256")))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *parts)


def restore_list(shown):
    """The entries of `pg_restore --list` that the app's own role can restore."""
    return "".join(f"{line}\n" for line in shown.splitlines() if not LEFT_OUT.match(line))


def roles(text):
    """The roles that pg_dumpall makes, before what each has set for itself: there an app has written, lines such as these, too."""
    made = re.split(r"^-- User Config", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r'^CREATE ROLE (?:"((?:[^"]|"")+)"|(\w+));$', made, re.MULTILINE)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]


def make_roles(path, known, is_drill=False):
    """Roles of a dump's grants and policies that this server lacks and the backup knew, without a login; their names.

    A server that is new has those of the apps only, and a dump of which one grant fails is not restored.
    """
    there = execute("SELECT rolname FROM pg_roles")
    shown = pipes.run(["/usr/bin/pg_restore", "--list", path])
    with tempfile.NamedTemporaryFile("w") as chosen:
        chosen.write("".join(f"{line}\n" for line in shown.splitlines() if GRANTED.match(line)))
        chosen.flush()
        granted = pipes.run(["/usr/bin/pg_restore", f"--use-list={chosen.name}", "--file=-", path])
    missing = [role for role in known if role not in there and re.search(rf"(?<!\w){re.escape(role)}(?!\w)", granted)]
    for role in missing:
        comment = f"; COMMENT ON ROLE {name(role)} IS {literal(OF_A_DRILL)}" if is_drill else ""
        execute(f"CREATE ROLE {name(role)} NOLOGIN{comment}")
    return missing


def extensions(shown):
    return re.findall(r"^\d+; \d+ \d+ EXTENSION - (\S+)", shown, re.MULTILINE)


def make(database, scratch, owner):
    """An empty database that sorts and encodes as the live one does; without one, as the server does."""
    found = execute(f"SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = {literal(database)}")
    encoding, collate, ctype = found[0].split("|") if found else ("UTF8", None, None)
    locale = f" LC_COLLATE {literal(collate)} LC_CTYPE {literal(ctype)}" if collate else ""
    execute(f"CREATE DATABASE {name(scratch)} TEMPLATE template0 OWNER {name(owner)} ENCODING {literal(encoding)}{locale}")
    execute(f"REVOKE ALL ON DATABASE {name(scratch)} FROM PUBLIC")


@contextlib.contextmanager
def stranger(owner):
    """A role that may become the app's and nothing else, and the variables with which it logs in; gone afterwards, or closed."""
    password, role = secrets.token_urlsafe(32), ROLE.format(owner)
    drop_role(role)
    verb = "ALTER" if role in execute("SELECT rolname FROM pg_roles") else "CREATE"
    execute(
        f"{verb} ROLE {name(role)} LOGIN NOINHERIT PASSWORD {literal(verifier(password))}; ALTER ROLE {name(role)} RESET ALL; "
        f"GRANT {name(owner)} TO {name(role)}"
    )
    try:
        yield {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGHOST": "127.0.0.1", "PGUSER": role, "PGPASSWORD": password}
    finally:
        drop_role(role)


def fill(path, scratch, owner):
    """A dump into an empty database, as the app's own role; the first error ends it."""
    shown = pipes.run(["/usr/bin/pg_restore", "--list", path], user=None)
    for extension in extensions(shown):
        execute(f"SET search_path = public; CREATE EXTENSION IF NOT EXISTS {name(extension)}", scratch)
    with tempfile.NamedTemporaryFile("w") as chosen, stranger(owner) as env:
        chosen.write(restore_list(shown))
        chosen.flush()
        role = name(env["PGUSER"])
        execute(f"GRANT CONNECT ON DATABASE {name(scratch)} TO {role}")
        try:
            pipes.run(
                ["/usr/bin/pg_restore", "--exit-on-error", "--no-owner", f"--role={owner}", f"--use-list={chosen.name}"]
                + [f"--dbname={scratch}", path],
                env=env,
            )
        finally:
            execute(f"REVOKE ALL ON DATABASE {name(scratch)} FROM {role}")
    execute("ANALYZE", scratch)


def inspect(scratch):
    """pg_amcheck over every table and index, as words of the drill's record; where it cannot run they say so.

    Its functions go where an app can put none of its own.

    :raises BackupError: when something is damaged.
    """
    (major,) = execute("SELECT current_setting('server_version_num')::int / 10000")
    program = PROGRAMS.format(major) + "/pg_amcheck"
    if not os.path.exists(program):
        return {"amcheck": f"not run: there is no {program}"}
    if not execute("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
        return {"amcheck": "not run: the server has no extension amcheck"}
    execute("CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog", scratch)
    pipes.run([program, f"--maintenance-db={scratch}", scratch], user="postgres", env=ENV, told=True)
    return {"amcheck": "well"}


@contextlib.contextmanager
def lent(_scratch, _owner):
    """It is the owner's already."""
    yield


def drop(scratch):
    """Drop a database. Its owner may call it a template, and those cannot be dropped; an app does it to its own at any moment."""
    if exists(scratch):
        execute(f"ALTER DATABASE {name(scratch)} OWNER TO CURRENT_USER")
        execute(f"ALTER DATABASE {name(scratch)} IS_TEMPLATE false")
    execute(f"DROP DATABASE IF EXISTS {name(scratch)} WITH (FORCE)")


# Whoever owns a database may grant a role something in it while that is there, and who has been granted something cannot be dropped.
DROP_ROLE = """
SET client_min_messages = error;
DO $$ BEGIN
  DROP ROLE IF EXISTS {0};
EXCEPTION WHEN dependent_objects_still_exist THEN
  ALTER ROLE {0} NOLOGIN PASSWORD NULL;
END $$
"""


def drop_role(role):
    """Drop a role; one to which an app has tied something stays without a login, and goes when that is untied."""
    execute(DROP_ROLE.format(name(role)))


def clear(scratch):
    """Drop what a drill has made: its database, and then the roles that it had to lend the server."""
    drop(scratch)
    for role in execute(f"SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = {literal(OF_A_DRILL)}"):
        drop_role(role)


def exists(database):
    return execute(f"SELECT 1 FROM pg_database WHERE datname = {literal(database)}") == ["1"]


def end_sessions(owner):
    """Of an app that stands still: a statement goes on, and keeps its locks, when the process that sent it is gone."""
    execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {literal(owner)}")


def take_place(scratch, database, aside):
    """The restored database under the live name; the live one, if there is any, under another. Both or neither."""
    live = exists(database)
    away = f"ALTER DATABASE {name(database)} RENAME TO {name(aside)};" if live else ""
    closed = f"ALTER DATABASE {name(database)} ALLOW_CONNECTIONS false;" if live else ""
    opened = f"ALTER DATABASE {name(aside)} ALLOW_CONNECTIONS true;" if live else ""
    try:
        execute(closed) if live else None
        execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN ({literal(database)}, {literal(scratch)})")
        execute(f"BEGIN; {away} ALTER DATABASE {name(scratch)} RENAME TO {name(database)}; {opened} COMMIT")
    except BackupError:
        if live:
            execute(f"ALTER DATABASE {name(database)} ALLOW_CONNECTIONS true")
        raise
