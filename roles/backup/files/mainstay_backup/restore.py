# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app's data back out of a backup. What is there now is put aside first; a restore that fails leaves the live data as it is."""

from __future__ import annotations

import os
import sys
import time

from . import backup, drill, mariadb, pipes, postgres
from .scratch import ASIDE, RESTORED
from .settings import BackupError


def run(settings, restic, app, what, wanted):
    """Put back what was asked for, the first error ends it; a sentence that says what was done.

    :raises BackupError: before anything live has changed, but for the last step of MariaDB, which says so.
    """
    restic.open()
    taken = backup.choose(restic, wanted)
    parts = [part for part in settings.parts if part.get("app") == app and _asked(part, what)]
    if not parts:
        raise BackupError(f"{app} has nothing of that kind on {settings.host}")
    for part in parts:
        if not taken["parts"].get(part["name"], {}).get("ok"):
            raise BackupError(f"{part['name']} is not in the backup {taken['id']}; choose another one")
    place = os.path.join(settings.kept, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{app}")
    os.makedirs(place, 0o700)
    made = []
    for part in parts:
        kept = taken["parts"][part["name"]]
        if part["kind"] == "postgresql":
            made += into_postgresql(restic, part, kept, place, backup.known_roles(settings, restic, taken))
        elif part["kind"] == "mariadb":
            into_mariadb(restic, part, kept, place)
        else:
            into_folders(restic, part, kept, place)
    names = ", ".join(part["name"] for part in parts)
    return f"restored {names} from the backup {taken['id']}; what was there before is in {place}" + (
        f"; made the roles {', '.join(made)}, who may not log in until you let them" if made else ""
    )


def _asked(part, what):
    return {"database": part["kind"] in drill.SERVERS, "files": part["kind"] == "folders"}.get(
        what, part["kind"] in (*drill.SERVERS, "folders")
    )


def save(command, place, name, user=None, env=None):
    """What is there now, into a file of root's."""
    path = os.path.join(place, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        pipes.run(command, user=user, env=env, stdout=file)
    return path


def into_postgresql(restic, part, kept, place, known):
    """Into a database beside the live one, which it replaces when all of it is there and its rows are those of the record; the roles that
    were made for its grants."""
    database, scratch, aside = part["database"], RESTORED + part["database"], ASIDE + part["database"]
    if postgres.exists(database):
        dump = ["/usr/bin/pg_dump", "--format=custom", f"--dbname={database}"]
        save(dump, place, backup.filename(part), user="postgres")
    postgres.drop(scratch)
    try:
        with drill.fetched(restic, part, kept) as file:
            made = postgres.make_roles(file.name, known)
            postgres.make(database, scratch, part["owner"])
            postgres.fill(file.name, scratch, part["owner"])
        drill.compare(kept["rows"], postgres.counts(scratch))
        postgres.drop(aside)
        postgres.take_place(scratch, database, aside)
    finally:
        postgres.drop(scratch)
    postgres.drop(aside)
    return made


def into_mariadb(restic, part, kept, place):
    """MariaDB renames no database: a rehearsal in another one comes first, and then the dump goes into the live one, emptied."""
    database, scratch = part["database"], RESTORED + part["database"]
    live = mariadb.exists(database)
    if live:
        save([*mariadb.DUMP, database], place, backup.filename(part))
    with drill.fetched(restic, part, kept) as file:
        mariadb.drop(scratch)
        try:
            mariadb.make(database, scratch, part["owner"])
            mariadb.fill(file.name, scratch, part["owner"])
            drill.compare(kept["rows"], mariadb.counts(scratch))
        finally:
            mariadb.drop(scratch)
        try:
            mariadb.drop(database)
            mariadb.make(database, database, part["owner"])
            mariadb.fill(file.name, database, part["owner"])
            drill.compare(kept["rows"], mariadb.counts(database))
        except BackupError as error:
            raise BackupError(f"{database} is not whole: {error}. What was there before is in {place}") from error


def into_folders(restic, part, kept, place):
    """As the app's user: all of it beside what is there, and then in its place."""
    env, tree = backup.child_env(), [sys.executable, "-I", backup.TREE]
    with open(os.devnull, "w") as report:
        fds = (report.fileno(),)
        path = os.path.join(place, backup.filename(part))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            pipes.run([*tree, "pack", str(fds[0]), "", "", *part["paths"]], user=part["user"], env=env, stdout=file, pass_fds=fds)
        pipes.feed(
            restic.dump_command(kept["snapshot"], backup.filename(part)),
            [*tree, "unpack", str(fds[0]), "", "", *part["paths"]],
            source_env=restic.env,
            sink_user=part["user"],
            sink_env=env,
            sink_fds=fds,
        )
