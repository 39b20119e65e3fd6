# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup: each part into the repository, each well or failed for itself, and the record of all into the repository as the last."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time

from . import hooks, mariadb, postgres, records
from .settings import BackupError

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree.py")
RUN = "mainstay-run.json"
SUFFIX = {"postgresql": "dump", "globals": "sql", "mariadb": "sql", "queue": "tar", "folders": "tar"}
TRIES = 5  # of a queue that rewrites its files just now
TIME = 10 * 3600  # seconds for all apps, of which each has its part at most; a while later the unit is ended
LISTED = 100  # of the newest backups, for those who may not ask the repository


def filename(part):
    return f"{part['name']}.{SUFFIX[part['kind']]}"


def run(settings, restic):
    """Back up everything that is declared; the record."""
    started = time.time()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started))
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started))
    parts, found = {}, {}
    try:
        restic.open()
    except BackupError as error:
        parts["repository"] = {"ok": False, "error": str(error)}
    else:
        apps = by_app(settings.parts)
        for left, (app, its_parts) in zip(range(len(apps), 0, -1), apps.items()):
            restic.until = time.monotonic() + max(0, started + TIME - time.time()) / left
            if restic.stalled:
                parts.update(not_taken(its_parts, restic.stalled))
            else:
                parts.update(keep_app(settings, restic, app, its_parts, (f"run={name}",), moment))
        restic.until = None
    record = total({"id": name, "time": started, "host": settings.host, "parts": parts})
    if "repository" not in parts:
        try:
            found = keep_record(restic, record, moment)
            known = listed(restic)
        except BackupError as error:
            record["parts"]["record"] = {"ok": False, "error": str(error)}
            record["ok"] = False
        else:
            records.publish(settings, runs=known)
    record |= {"snapshot": found.get("snapshot"), "seconds": round(time.time() - started, 1)}
    records.write(settings, "last.json", record)
    news = {"last": records.summary(record)}
    records.publish(settings, **news, **({"last_good": news["last"]} if record["ok"] else {}))
    return record


def total(record):
    parts = record["parts"].values()
    return {
        **record,
        "ok": all(part["ok"] for part in parts),
        **{key: sum(part.get(key, 0) for part in parts) for key in ("bytes", "added", "files")},
        "rows": sum(rows or 0 for part in parts for rows in part.get("rows", {}).values()),
    }


def by_app(parts):
    """The parts of each app, which its own commands stand around; those of none are the last."""
    found = {}
    for part in sorted(parts, key=lambda part: not part.get("app")):
        found.setdefault(part.get("app"), []).append(part)
    return found


def keep_app(settings, restic, app, parts, tags, moment):
    """The parts of an app between its own commands; their records, and one of a command after them that has failed."""
    try:
        hooks.before(settings, app)
        found = {part["name"]: keep(restic, part, tags, moment) for part in parts}
    except BackupError as error:
        found = not_taken(parts, error)
    try:
        hooks.after(settings, app)
    except BackupError as error:
        found[f"{app} after"] = {"ok": False, "error": str(error)}
    return found


def not_taken(parts, why):
    return {part["name"]: {"ok": False, "error": f"not taken: {why}"} for part in parts}


def keep(restic, part, tags, moment):
    """One part; its record."""
    began = time.time()
    try:
        found = _keep(restic, part, tags, moment)
    except (BackupError, OSError, ValueError) as error:
        return {"ok": False, "error": str(error), "seconds": round(time.time() - began, 1)}
    return {"ok": True, **found, "seconds": round(time.time() - began, 1)}


def _keep(restic, part, tags, moment):
    file = filename(part)
    if part["kind"] == "postgresql":
        return postgres.keep(restic, part["database"], file, tags, moment)
    if part["kind"] == "globals":
        return postgres.keep_globals(restic, file, tags, moment)
    if part["kind"] == "mariadb":
        return mariadb.keep(restic, part["database"], file, tags, moment)
    if part["kind"] == "queue":
        return keep_queue(restic, part, file, tags, moment)
    return keep_folders(restic, part, file, tags, moment)


def keep_queue(restic, part, file, tags, moment):
    """The files of a queue. Redis only appends to those that its manifest names, and names others after each rewrite."""
    (folder,) = part["paths"]
    for left in reversed(range(TRIES)):
        try:
            return keep_folders(restic, part, file, tags, moment, steady=f"{folder}/{MANIFEST}")
        except BackupError as error:
            if "has changed meanwhile" not in str(error) or not left:
                raise
            time.sleep(1)
    return None


MANIFEST = "appendonlydir/appendonly.aof.manifest"


def keep_folders(restic, part, file, tags, moment, steady=""):
    """Folders, read by the user whose they are."""
    with tempfile.TemporaryFile() as report:
        command = [sys.executable, "-I", TREE, "pack", str(report.fileno()), steady, ":".join(part.get("without", ())), *part["paths"]]
        found = restic.keep(command, file, tags, moment, user=part["user"], env=child_env(), pass_fds=(report.fileno(),))
        return {**found, **read_report(report)}


def child_env():
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **({"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {})}


def read_report(file):
    """What a program of an app's user has said of its work: three values of known kinds, or it has failed."""
    file.seek(0)
    said = json.loads(file.read(1000) or "{}")
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return {"files": int(said["files"]), "content_bytes": int(said["bytes"]), "sha256": str(said["sha256"])[:64]}
    raise BackupError("tree.py ended well and reported nothing")


def keep_record(restic, record, moment):
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(record, file)
        file.flush()
        return restic.keep(["/bin/cat", file.name], RUN, (f"run={record['id']}", "record"), moment)


def listed(restic):
    """The backups in the repository, newest first."""
    found = [
        {"id": tag.removeprefix("run="), "snapshot": snapshot["short_id"]}
        for snapshot in restic.snapshots()
        for tag in snapshot.get("tags") or ()
        if tag.startswith("run=") and "record" in snapshot["tags"]
    ]
    return sorted(found, key=lambda run: run["id"], reverse=True)[:LISTED]


def known_roles(settings, restic, taken):
    """The roles that the server had when the backup was made."""
    for part in settings.parts:
        kept = taken["parts"].get(part["name"], {})
        if part["kind"] == "globals" and kept.get("ok"):
            return postgres.roles(restic.text(kept["snapshot"], filename(part)))
    return []


def choose(restic, wanted="latest"):
    """The record of a backup in the repository, by its id or the newest."""
    known = listed(restic)
    for run_found in known:
        if wanted in ("latest", run_found["id"]):
            return json.loads(restic.text(run_found["snapshot"], RUN))
    ids = ", ".join(run_found["id"] for run_found in known[:10])
    raise BackupError(f"there is no backup {wanted} of {restic.settings.host} in the repository; the newest are {ids or 'none'}")
