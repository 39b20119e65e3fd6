# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgresql has left on record of point-in-time recovery: whether every moment can be restored. Reading only; the record is
of the user postgres and may hold anything."""

from __future__ import annotations

import os

from .backups import HOUR, read
from .text import span, wall

# It is written every five minutes.
SILENT = 20 * 60


def look(folder, now):
    """None where nobody asked for it; else what is wrong with it, and a sentence for `mainstay status`."""
    limits = os.path.join(folder, "limits.json")
    wanted = read(limits)
    if not wanted:
        return None
    since, told = os.stat(limits).st_mtime, read(os.path.join(folder, "status.json"))
    last, good, watch = (told.get(key) if isinstance(told.get(key), dict) else {} for key in ("last", "last_good", "watch"))
    backed, gap, oldest, seen = _time(good.get("time")), _time(told.get("gap")), _time(told.get("oldest")), _time(watch.get("time"))
    problems = []
    if last and not last.get("ok"):
        problems.append(f"the last backup for it failed: {_text(last.get('reason'))}")
    if now - (backed or since) > wanted["max_age_hours"] * HOUR:
        problems.append(f"no backup for it for {span(now - (backed or since))}")
    if watch and not watch.get("ok"):
        problems.append(f"PostgreSQL's log is not kept: {_text(watch.get('reason'))}")
    if gap:
        problems.append(
            f"some of PostgreSQL's log was dropped: no moment before {wall(gap)} and after the backup before it can be restored"
        )
    if now - (seen or since) > SILENT:
        problems.append(f"nobody has looked for {span(now - (seen or since))} whether PostgreSQL's log is kept")
    said = f"Recovery: every moment since {wall(oldest)}" if oldest else "Recovery: no backup for it yet"
    remedy = "systemctl start mainstay-pitr makes a backup, journalctl -u mainstay-pitr says what hinders it"
    return {
        "since": oldest,
        "problems": problems,
        "sentence": "\n".join([said, *(f"Recovery problem: {problem}; {remedy}" for problem in problems)]),
    }


def _time(value):
    return value if isinstance(value, (int, float)) and 0 < value < 1 << 40 else None


def _text(value):
    return value[:300] if isinstance(value, str) else "for no reason that is on record"
