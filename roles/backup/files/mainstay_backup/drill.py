# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill: the newest backup out of the repository and into scratch, counted and compared; the live data is never touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time

from . import backup, hooks, mariadb, postgres, records
from .scratch import DRILL
from .settings import BackupError

SERVERS = {"postgresql": postgres, "mariadb": mariadb}


def run(settings, restic):
    """Every part of the newest backup; the record."""
    started, parts, taken = time.time(), {}, {}
    try:
        restic.open()
        taken = backup.choose(restic)
    except BackupError as error:
        parts["repository"] = {"ok": False, "error": str(error)}
    for part in settings.parts if taken else ():
        began = time.time()
        try:
            found = prove(settings, restic, part, taken)
            parts[part["name"]] = {"ok": True, **found, "seconds": round(time.time() - began, 1)}
        except (BackupError, OSError, ValueError) as error:
            parts[part["name"]] = {"ok": False, "error": str(error), "seconds": round(time.time() - began, 1)}
    record = backup.total({"id": taken.get("id"), "time": started, "parts": parts})
    record["seconds"] = round(time.time() - started, 1)
    records.write(settings, "drill.json", record)
    news = {"drill": records.summary(record)}
    records.publish(settings, **news, **({"drill_good": news["drill"]} if record["ok"] else {}))
    return record


def prove(settings, restic, part, taken):
    """One part against its record; what was found.

    :raises BackupError: when it is not in the backup, cannot be restored, or is not what the record says.
    """
    kept = taken["parts"].get(part["name"])
    if not kept or not kept["ok"]:
        raise BackupError("the newest backup does not have it; see mainstay backups")
    if part["kind"] in SERVERS:
        return prove_database(settings, restic, part, kept, backup.known_roles(settings, restic, taken))
    if part["kind"] == "globals":
        if "CREATE ROLE" not in restic.text(kept["snapshot"], backup.filename(part)):
            raise BackupError("there is no role in it")
        return {}
    found = verify_folders(restic, part, kept)
    if any(found[key] != kept[key] for key in ("files", "sha256")):
        raise BackupError(f"{found['files']} files are in it where {kept['files']} were taken, or their checksum is another one")
    return found


def verify_folders(restic, part, kept):
    with tempfile.TemporaryFile() as report:
        restic.send(
            kept["snapshot"],
            backup.filename(part),
            [sys.executable, "-I", backup.TREE, "verify", str(report.fileno()), "", ""],
            sink_user="nobody",
            sink_env=backup.child_env(),
            sink_fds=(report.fileno(),),
        )
        return backup.read_report(report)


def prove_database(settings, restic, part, kept, roles):
    """As a restore does it; also the roles that this server lacks are there only meanwhile."""
    server, scratch = SERVERS[part["kind"]], DRILL + part["database"]
    server.clear(scratch)
    try:
        with fetched(restic, part, kept) as file:
            server.make_roles(file.name, roles, is_drill=True)
            server.make(part["database"], scratch, part["owner"])
            server.fill(file.name, scratch, part["owner"])
        rows = compare(kept["rows"], server.counts(scratch))
        found = server.inspect(scratch)
        with server.lent(scratch, part["owner"]):
            return {"rows": rows, **found, **hooks.check(settings, part.get("app"))}
    finally:
        server.clear(scratch)


def clear(settings):
    """Drop what a drill has left that was killed."""
    for part in settings.parts:
        if part["kind"] in SERVERS:
            SERVERS[part["kind"]].clear(DRILL + part["database"])


@contextlib.contextmanager
def fetched(restic, part, kept):
    """The dump as a file on disk that nobody else may read, where there is room for it and as much again."""
    folder = os.environ.get("TMPDIR", "/var/tmp")
    free = shutil.disk_usage(folder).free
    if 2 * kept["bytes"] > free:
        raise BackupError(f"it has {kept['bytes'] >> 20} MB and {folder} has {free >> 20} MB free: twice the size is needed")
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        restic.file(kept["snapshot"], backup.filename(part), file)
        yield file


def compare(recorded, found):
    """The rows that were found, where every table has as many as were recorded; of None nothing was known."""
    for table in sorted({*recorded, *found}):
        wanted, there = recorded.get(table, 0), found.get(table)
        if there is None or table not in recorded or wanted not in (None, there):
            raise BackupError(f"{table} has {'no table' if there is None else there} where {wanted} rows were recorded")
    return found
