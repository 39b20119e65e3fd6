# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role backup has left on record: whether there is a backup, how old it is, and when it was proved. Reading only."""

from __future__ import annotations

import json
import os

from . import shapes
from .text import span

HOUR, DAY = 3600, 86400


def read(path):
    """A record of root's; {} where there is none or it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def look(folder, now):
    """None where nobody asked for backups; else their records, what is wrong with them, and a sentence for `mainstay status`."""
    found = judge(folder, now)
    if found is None:
        return None
    public, wrong = found
    problems = list(wrong.values())
    return {**public, "problems": problems, "sentence": _sentence(public.get("last_good"), public.get("drill_good"), problems, now)}


def judge(folder, now):
    """None where nobody asked for backups; else their records, and what is wrong with them: {what is wrong: the problem}."""
    limits = os.path.join(folder, "limits.json")
    wanted = read(limits)
    if not shapes.fits(wanted, shapes.BACKUP_LIMITS):
        return None
    since, public = os.stat(limits).st_mtime, read(os.path.join(folder, "status.json"))
    public = public if shapes.fits(public, shapes.BACKUPS) else {}
    last, good = public.get("last"), public.get("last_good")
    drill, proved = public.get("drill"), public.get("drill_good")
    wrong = {}
    if last and not last["ok"]:
        wrong["backup"] = f"the last backup failed {span(now - last['time'])} ago: {', '.join(last['failed'])}"
    if now - (good["time"] if good else since) > wanted["max_age_hours"] * HOUR:
        wrong["age of the backup"] = f"no backup for {span(now - (good['time'] if good else since))}"
    if drill and not drill["ok"]:
        wrong["drill"] = f"the last drill failed {span(now - drill['time'])} ago: {', '.join(drill['failed'])}"
    if now - (proved["time"] if proved else since) > wanted["drill_max_age_days"] * DAY:
        wrong["age of the drill"] = f"not proved restorable for {span(now - (proved['time'] if proved else since))}"
    upkeep = public.get("upkeep")
    if upkeep and not upkeep["ok"]:
        wrong["upkeep"] = f"the last upkeep failed {span(now - upkeep['time'])} ago: {', '.join(upkeep['failed'])}"
    return public, wrong


def _sentence(good, proved, problems, now):
    parts = [f"backup {span(now - good['time'])} ago, {size(good['bytes'])}" if good else "no backup yet"]
    if proved:
        parts.append(f"proved restorable {span(now - proved['time'])} ago, {span(proved['seconds'])}, {proved['rows']:,} rows")
    elif good:
        parts.append("not proved yet")
    said = f"Backup: {', '.join(parts)}"
    return "\n".join([said, *(f"Backup problem: {problem}; see mainstay backups" for problem in problems)])


def size(number):
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number} B"
