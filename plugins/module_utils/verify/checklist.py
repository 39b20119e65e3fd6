# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an item of a checklist is made of: where it belongs, what it looks at, which limits it knows, and how it says what it saw."""

from __future__ import annotations

CHECKLISTS = ("pre-launch", "post-launch", "daily", "periodic", "emergency")
# What is compared with a number of the user's; each has a place in mainstay_verify_limits.
LIMITS = {
    "secret_characters": 64,  # of the secrets an app declares; the guide's own number
    "certificate_days": 14,  # certbot renews a third of a lifetime before the end: with 14 days left that has failed for weeks
    "disk_percent": 85,
    "inodes_free": 10000,
    "memory_percent": 90,  # of the host, and of a unit's own limit
    "connections_percent": 80,
    "availability_percent": 99.5,  # the guides' own number: 216 minutes of 30 days
    "restarts_a_day": 3,
    "errors_a_day": 100,  # entries of level error in the journal, of one unit
    "beat_minutes": 60,
    "rotation_hours": 26,
    "updates_days": 7,
    "reboot_days": 7,
    "agent_seconds": 60,
    "backup_hours": 36,
    "drill_days": 9,
}
DAY, HOUR, MB = 86400, 3600, 1 << 20
SHOWN = 6


class Context:
    """What an item judges: ``want`` of wanted.py, ``found`` of gather.py, ``host`` the snapshot, ``control`` what the control node saw."""

    def __init__(self, want, found, host, control, limits):
        self.want, self.found, self.host, self.control, self.limits = want, found, host, control, limits
        self.now = found.get("now") or 0

    def age(self, moment):
        return None if moment is None else max(0, self.now - float(moment))


class Items(list):
    """The items of a file, in the order in which the report tells them."""

    def add(self, id, title, requirements, checklists):
        def register(function):
            self.append({"id": id, "title": title, "requirements": requirements, "checklists": checklists, "judge": function})
            return function

        return register


def ok(seen):
    return {"verdict": "ok", "seen": seen, "reason": "", "remedy": ""}


def failed(seen, reason, remedy):
    return {"verdict": "failed", "seen": seen, "reason": reason, "remedy": remedy}


def skipped(reason):
    return {"verdict": "skipped", "seen": "", "reason": reason, "remedy": ""}


def judged(seen, wrong, remedy):
    seen = seen if isinstance(seen, str) else listed(seen)
    return failed(seen, listed(wrong), remedy) if wrong else ok(seen)


def listed(things, none="nothing"):
    """At most a few of many, in words."""
    things = [str(thing) for thing in things]
    return ", ".join(things[:SHOWN]) + (f" and {len(things) - SHOWN} more" if len(things) > SHOWN else "") if things else none


def span(seconds):
    """A time as a person says it."""
    if seconds is None:
        return "never"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
