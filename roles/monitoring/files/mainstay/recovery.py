# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgresql has left on record of point-in-time recovery: whether every moment can be restored. Reading only; the record is
of the user postgres and may hold anything."""

from __future__ import annotations

import os

from .backups import HOUR, read
from .shapes import RECOVERY_LIMITS, finite, fits, moment
from .text import span, wall

# It is written every five minutes.
SILENT = 20 * 60
MOST = 5  # gaps that are told, the last ones


def look(folder, now):
    """None where nobody asked for it; else how far back it leads, what is wrong with it, and a sentence for `mainstay status`."""
    found = judge(folder, now)
    if found is None:
        return None
    facts, wrong = found
    said = f"Recovery: every moment since {wall(facts['since'])}" if facts["since"] else "Recovery: no backup for it yet"
    if facts["since"] and facts["missing"]:
        said += f", but none between {', or '.join(f'{wall(begin)} and {wall(end)}' for begin, end in facts['missing'])}"
    if facts["since"] and facts["lost_since"]:
        said += f", but none after {wall(facts['lost_since'])}"
    remedy = "systemctl start mainstay-pitr makes a backup, journalctl -u mainstay-pitr says what hinders it"
    lines = [said, *(f"Recovery problem: {problem}; {remedy}" for problem in wrong.values())]
    return {**facts, "problems": list(wrong.values()), "sentence": "\n".join(lines)}


def judge(folder, now):
    """None where nobody asked for it; else what is on record, and what is wrong with it: {what is wrong: the problem}."""
    limits = os.path.join(folder, "limits.json")
    wanted = read(limits)
    if not fits(wanted, RECOVERY_LIMITS):
        return None
    since, told = os.stat(limits).st_mtime, read(os.path.join(folder, "status.json"))
    last, good, watch = (told.get(key) if isinstance(told.get(key), dict) else {} for key in ("last", "last_good", "watch"))
    backed, gap, oldest, seen = _time(good.get("time")), _time(told.get("gap")), _time(told.get("oldest")), _time(watch.get("time"))
    wrong = {}
    if last and not last.get("ok"):
        wrong["recovery"] = f"the last backup for it failed: {_text(last.get('reason'))}"
    if now - (backed or since) > wanted["max_age_hours"] * HOUR:
        wrong["age of the backup for recovery"] = f"no backup for it for {span(now - (backed or since))}"
    if watch and not watch.get("ok"):
        wrong["log for recovery"] = f"PostgreSQL's log is not kept: {_text(watch.get('reason'))}"
    if gap:
        wrong["gap of the log for recovery"] = (
            f"some of PostgreSQL's log was dropped: no moment before {wall(gap)} and after the backup before it can be restored"
        )
    if now - (seen or since) > SILENT:
        wrong["look at the log for recovery"] = f"nobody has looked for {span(now - (seen or since))} whether PostgreSQL's log is kept"
    facts = {
        "since": oldest,
        "lost_since": _time(told.get("gap_since")) if gap else None,
        "missing": _missing(told, oldest or 0),
        "last_ok": bool(last.get("ok")) if last else None,
        "backed": backed,
        "bytes": finite(good.get("bytes")),
        "log_kept": bool(watch.get("ok")) and not gap if watch else None,
    }
    return facts, wrong


def _missing(told, oldest):
    """What no backup leads to any more, although older ones are kept: a log that was dropped, and what an earlier recovery has given up."""
    kept = [pair for key in ("gaps", "given_up") for pair in (told.get(key) if isinstance(told.get(key), list) else ())]
    pairs = [[_time(moment) for moment in pair] for pair in kept if isinstance(pair, list) and len(pair) == 2]
    return sorted(pair for pair in pairs if None not in pair and oldest < pair[1])[-MOST:]


def _time(value):
    return value if moment(value) and value > 0 else None


def _text(value):
    return value[:300] if isinstance(value, str) else "for no reason that is on record"
