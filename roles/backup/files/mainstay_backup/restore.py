# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app's data back out of a backup. What is there now is put aside first; a restore that fails leaves the live data as it is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time

from . import backup, drill, mariadb, pipes, postgres
from .scratch import ASIDE, RESTORED
from .settings import BackupError

PLACE = [sys.executable, "-I", os.path.join(os.path.dirname(os.path.abspath(__file__)), "place.py")]
LARGEST = 16384  # bytes of what it says
SERVERS_DATA = ("/var/lib/postgresql/", "/var/lib/mysql/")


def run(settings, restic, app, what, wanted):
    """Put back what was asked for, the first error ends it; a sentence that says what was done.

    :raises BackupError: before anything live has changed, but for the last step of MariaDB, which says so.
    """
    taken, parts = foreseen(settings, restic, app, what, wanted)
    place, made = make_place(settings, app), []
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


def foreseen(settings, restic, app, what, wanted):
    """All that can be refused before anything stands still: the record of the backup, and the parts that are asked for."""
    restic.open()
    taken = backup.choose(restic, wanted)
    parts = [part for part in settings.parts if part.get("app") == app and _asked(part, what)]
    if not parts:
        raise BackupError(f"{app} has nothing of that kind on {settings.host}")
    for part in parts:
        kept = taken["parts"].get(part["name"], {})
        if not kept.get("ok"):
            raise BackupError(f"{part['name']} is not in the backup {taken['id']}; choose another one")
        if part["kind"] == "postgresql":
            postgres.refuse_later(part["name"], kept)
    return taken, parts


def make_place(settings, app):
    place = os.path.join(settings.kept, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{app}")
    os.makedirs(place, 0o700)
    return place


def _asked(part, what):
    return {"database": part["kind"] in drill.SERVERS, "files": part["kind"] == "folders"}.get(
        what, part["kind"] in (*drill.SERVERS, "folders")
    )


def save(command, place, name, user=None, env=None, pass_fds=()):
    """What is there now, into a file of root's."""
    path = os.path.join(place, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        pipes.run(command, user=user, env=env, stdout=file, pass_fds=pass_fds)
    return path


def into_postgresql(restic, part, kept, place, known):
    """Into a database beside the live one, which it replaces when all of it is there and its rows are those of the record; the roles that
    were made for its grants."""
    database, scratch, aside = part["database"], RESTORED + part["database"], ASIDE + part["database"]
    if postgres.exists(database):
        postgres.end_sessions(part["owner"])
        dump = ["/usr/bin/pg_dump", "--format=custom", f"--dbname={database}"]
        save(dump, place, backup.filename(part), user="postgres", env=postgres.ENV)
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
        with mariadb.dumping(database) as (command, env, _login):
            save(command, place, backup.filename(part), env=env)
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
        words = [*tree, "aside", str(fds[0]), "", "", *part["paths"]]
        save(words, place, backup.filename(part), user=part["user"], env=env, pass_fds=fds)
        restic.send(
            kept["snapshot"],
            backup.filename(part),
            [*tree, "unpack", str(fds[0]), "", "", *part["paths"]],
            sink_user=part["user"],
            sink_env=env,
            sink_fds=fds,
        )


def path(settings, restic, app, wanted, snapshot):
    """Put one file or folder of an app back; a sentence that says what was done.

    :raises BackupError: before anything has changed.
    """
    part, taken, found = _sought(settings, restic, app, wanted, snapshot, "fetch")
    if found.get("absent"):
        raise BackupError(found["absent"])
    if found["same"]:
        return f"{found['path']} is already as it was in the backup {taken['id']}; nothing was changed"
    top = next(top for top in part["paths"] if found["path"].startswith(f"{top}/"))
    words, who, kept = [found["path"][len(top) + 1 :], top], {"user": part["user"], "env": backup.child_env()}, ""
    try:
        if found["there"]:
            place = make_place(settings, app)
            save([*PLACE, "keep", "-", *words], place, backup.filename(part), **who)
            kept = f"; what was there before is in {place}"
        pipes.run([*PLACE, "swap", "-", *words], **who)
    except BackupError:
        with contextlib.suppress(BackupError):
            pipes.run([*PLACE, "drop", "-", *words], **who)
        raise
    return f"restored {found['path']} from the backup {taken['id']}, {size(found)}{kept}"


def look(settings, restic, app, wanted, snapshot):
    """What `path` would do: {told, path, files, bytes, there, same, still} or {absent}."""
    _part, taken, found = _sought(settings, restic, app, wanted, snapshot, "look")
    if "absent" in found:
        return found
    if found["same"]:
        told = f"{found['path']} is already as it was in the backup {taken['id']}"
    else:
        told = f"{found['path']} comes back as it was in the backup {taken['id']}, {size(found)}" + (
            ", in the place of what is there now" if found["there"] else ""
        )
        told += "; the app stands still meanwhile" if found["still"] else ""
    return {"told": told, **found}


def size(found):
    return f"{found['files']} file{'' if found['files'] == 1 else 's'} of {found['bytes']} bytes"


def _sought(settings, restic, app, wanted, snapshot, verb):
    part, tops, inner = named(settings, app, wanted)
    restic.open()
    taken = backup.choose(restic, snapshot)
    kept = taken["parts"].get(part["name"], {})
    if not kept.get("ok"):
        raise BackupError(f"{part['name']} is not in the backup {taken['id']}; choose another one")
    with tempfile.TemporaryFile() as report:
        restic.send(
            kept["snapshot"],
            backup.filename(part),
            [*PLACE, verb, str(report.fileno()), inner, *tops],
            sink_user=part["user"],
            sink_env=backup.child_env(),
            sink_fds=(report.fileno(),),
        )
        found = _told(report, [f"{top}/{inner}" for top in tops])
    if found.get("refused"):
        raise BackupError(found["refused"])
    if found.get("absent"):
        found["absent"] = f"the backup {taken['id']} has {found['absent']}; name what is there, or choose another backup"
    return part, taken, found


def _told(file, paths):
    """What a program of an app's user has said: values of known kinds, a path that was asked for, or it has failed."""
    file.seek(0)
    said = json.loads(file.read(LARGEST) or "{}")
    for key in ("refused", "absent"):
        if isinstance(said.get(key), str):
            return {key: pipes.words(said[key].encode(errors="replace"))}
    try:
        found = {"path": str(said["path"]), **{key: int(said[key]) for key in ("files", "bytes")}}
        found |= {key: bool(said[key]) for key in ("there", "same", "still")}
    except (KeyError, TypeError, ValueError):
        found = {}
    if found.get("path") not in paths:
        raise BackupError("place.py ended well and reported nothing")
    return found


def named(settings, app, path):
    """The part, the folders below which a path is sought, and the path below them.

    :raises BackupError: of a path that is none of an app's files.
    """
    parts = [part for part in settings.parts if part.get("app") == app]
    part = next((part for part in parts if part["kind"] == "folders"), None)
    if part is None:
        raise BackupError(f"{app} has no files on {settings.host}")
    words = [word for word in path.split("/") if word not in ("", ".")]
    whole, tops, inner = f"/{'/'.join(words)}", part["paths"], "/".join(words)
    for other in parts:
        names = (other["name"], backup.filename(other))
        if inner in names and other["kind"] in drill.SERVERS or (f"{whole}/".startswith(SERVERS_DATA) and path.startswith("/")):
            raise BackupError(f"{path} is a database and no file; restore `database` instead of a path")
        if other["kind"] == "queue" and (inner in names or f"{whole}/".startswith(f"{other['paths'][0]}/")):
            raise BackupError(f"{path} is Redis's and no file of the app's: it has it open; docs/backups.md says how a queue comes back")
    if not path.isprintable():
        raise BackupError(f"{path!a} cannot be told in words; name the folder that it is in")
    if ".." in words:
        raise BackupError(f"{path} leads out of its folder by ..; write the path without it")
    if not words or whole in tops or inner == backup.filename(part):
        raise BackupError(
            f"{path or 'an empty path'} is all that there is; restore `files` instead of a path, or name what is in {' or '.join(tops)}"
        )
    if path.startswith("/"):
        tops = [top for top in tops if whole.startswith(f"{top}/")]
        if not tops:
            raise BackupError(f"{path} is in no folder of {app}'s; name what is in {' or '.join(part['paths'])}")
        inner = whole[len(tops[0]) + 1 :]
    return part, tops, inner
