# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping what leads back: a backup is made, and looked after whether the log arrives. Runs as postgres in units of their own."""

from __future__ import annotations

import os
import time

from . import programs, repository, status
from .programs import Refused

DAY = 86400
# A full backup each week; half a day less, so that one which was late does not move the next by a day.
FULL_EVERY = 6.5 * DAY
MOST_GAPS = 100


def backup(options):
    """A full one each week, and else what differs from it."""
    began = time.time()
    status.record(running=began)
    try:
        full = max((item["stop"] for item in repository.backups()[0] if item["type"] == "full"), default=0)
        programs.run([*repository.STANZA, "backup", f"--type={'full' if began - full > FULL_EVERY else 'diff'}"])
        kept = repository.backups()[0]
    except Refused as error:
        status.record(running=None, last={"ok": False, "time": time.time(), "reason": str(error)})
        raise
    told = status.recorded()
    good = {"ok": True, "time": time.time(), "seconds": time.time() - began, "bytes": kept[-1]["size"], "type": kept[-1]["type"]}
    gaps, mended = told.get("gaps") or [], told.get("gap") and told["gap"] < began
    if mended:
        gaps = [*gaps, [status.gap_since(told), kept[-1]["stop"]]]
    gaps = [gap for gap in gaps if gap[1] > kept[0]["stop"]][-MOST_GAPS:]
    status.record(
        running=None, last=good, last_good=good, oldest=kept[0]["stop"], gaps=gaps, **({"gap": None, "gap_since": None} if mended else {})
    )
    watch(options)


def ended(options):
    """One that was killed could not tell so itself."""
    if status.recorded().get("running"):
        why = "killed" if os.environ.get("SERVICE_RESULT") != "oom-kill" else "out of memory"
        status.record(running=None, last={"ok": False, "time": time.time(), "reason": why})


def noted(options):
    status.record(given_up=[*(status.recorded().get("given_up") or ())[-99:], [options.since, options.until]])


def watch(options):
    """Whether the log arrives: what the server says of it, and what is there."""
    try:
        server = programs.ask(
            "SELECT json_build_object('failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),"
            " 'since', extract(epoch FROM last_archived_time), 'segment', last_archived_wal,"
            " 'bytes', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')) FROM pg_stat_archiver"
        )
        kept, newest = repository.backups()
        hole = repository.missing(repository.segments(), kept[-1]["segment"], server["bytes"]) if kept else None
    except Refused as error:
        status.record(watch={"ok": False, "time": time.time(), "reason": str(error)})
        return
    told = status.recorded()
    # Some of the repository may be away for a moment; what is missing at two looks is gone.
    gap = repository.lost(server["segment"], newest) or (hole is not None and hole == told.get("hole"))
    why = "PostgreSQL cannot hand over its log" if server["failing"] else ""
    status.record(
        watch={"ok": not why, "time": time.time(), "reason": why, "since": server["since"]},
        oldest=kept[0]["stop"] if kept else None,
        hole=hole,
        # Until when all had arrived at a look before: what is dropped is younger.
        **({"gap": time.time(), "gap_since": status.gap_since(told) or told.get("archived")} if gap else {}),
        **({"archived": server["since"]} if not gap and hole is None else {}),
    )
