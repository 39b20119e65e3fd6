# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest keeps: backups, and the segments of PostgreSQL's log, of which none may be missing."""

from __future__ import annotations

import json
import re

from . import programs
from .programs import Refused

STANZA = ["pgbackrest", "--stanza=main"]
SEGMENT = re.compile(r"/([0-9A-F]{24})-[0-9a-f]+(?:\.\w+)?$")


def open_repository(options):
    """Make what pgBackRest calls a stanza, and prove that the log arrives."""
    programs.run([*STANZA, "stanza-create"], timeout=300)
    programs.run([*STANZA, "check"], timeout=300)


def backups(info=None):
    """Those in the repository that are whole, the oldest first, each {label, type, start, stop, size, segment}, and the last segment of the log."""
    info = json.loads(programs.run([*STANZA, "info", "--output=json"], timeout=300)) if info is None else info
    stanza = info[0] if info else {}
    if not stanza.get("backup") and (stanza.get("status") or {}).get("code") not in (0, 2):
        raise Refused(f"pgbackrest: {(stanza.get('status') or {}).get('message') or 'the repository holds nothing of this server'}")
    kept = [
        {
            "label": item["label"],
            "type": item["type"],
            "start": item["timestamp"]["start"],
            "stop": item["timestamp"]["stop"],
            "size": item["info"]["size"],
            "segment": (item.get("archive") or {}).get("stop"),
        }
        for item in stanza.get("backup") or ()
        if not item.get("error")
    ]
    newest = max((item.get("max") or "" for item in stanza.get("archive") or ()), default="")
    return sorted(kept, key=lambda item: item["stop"]), newest


def lost(handed_over, newest):
    """Whether pgBackRest has dropped what it took from PostgreSQL: the repository was away until the queue was at its limit."""
    segment = (handed_over or "")[:24]
    return len(segment) == 24 and segment[8:] > (newest or "")[8:] and segment[:8] == (newest or segment)[:8]


def segments():
    """The segments of the log that are in the repository."""
    found = json.loads(programs.run([*STANZA, "repo-ls", "archive/main", "--recurse", "--output=json"], timeout=300))
    return [match[1] for name in found if (match := SEGMENT.search(name))]


def missing(there, first, size):
    """The number of the first segment that is not there, though one after it is; None where the log goes on since the newest backup.

    It may have been dropped while nobody could look, and what came later is there. The server hands over one after the other.
    """
    if not first:
        return None
    timeline, each = first[:8], (1 << 32) // size
    numbers = {int(name[8:16], 16) * each + int(name[16:], 16) for name in there if name[:8] == timeline and name >= first}
    begin = int(first[8:16], 16) * each + int(first[16:24], 16)
    return next((number for number in range(begin, max(numbers)) if number not in numbers), None) if numbers else None
