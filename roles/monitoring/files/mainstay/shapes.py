# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of a host look like. A file may be torn, of another version or somebody's, and be JSON all the same: what has another shape
than this is passed over where it is read, so that nobody who reads it has to ask.

A shape is a type, a function that says whether a value is sound, None, a tuple of shapes of which one has to fit, `[shape]` for a list, or
`{key: shape}` for a mapping, in which a key that is missing counts as None and others may be there.
"""

from __future__ import annotations


def fits(value, shape):
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(value.get(key), inner) for key, inner in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, type):
        return isinstance(value, shape)
    return value is None if shape is None else shape(value)


def finite(value):
    """A number that one can reckon with, or None."""
    sound = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53
    return value if sound else None


def number(value):
    return finite(value) is not None


def moment(value):
    """A time that can be written as a date, and in the past of before too, as a clock may have been wrong."""
    return number(value) and 0 <= value < 2**36


def maybe(shape):
    return (None, shape)


HELD = {"reason": str, "until": maybe(moment)}
INCIDENT = {"id": str, "kind": str, "reason": str, "opened": moment, "times": number, "actions": number, "recovered_after": maybe(number)}
AGENT = {
    "version": maybe(str),
    "pid": maybe(number),
    "started": maybe(moment),
    "written": moment,
    "interval": number,
    "dry_run": maybe(bool),
    "paused": maybe(HELD),
    "problem": maybe(str),
}
WATCHED = {
    "app": maybe(str),
    "process": maybe(str),
    "instance": maybe(str),
    "server": maybe(str),
    "unit": str,
    "health": str,
    "reason": maybe(str),
    "unit_state": maybe(str),
    "since": maybe(moment),
    "ticked": maybe(moment),
    "latency_ms": maybe(number),
    "restarts_24h": maybe(number),
    "memory_mb": maybe(number),
    "memory_max_mb": maybe(number),
    "held": maybe(HELD),
    "cooldown_until": maybe(moment),
    "next_start": maybe(moment),
    "incident": maybe(INCIDENT),
}
RESOURCE = {
    "resource": str,
    "kind": str,
    "level": str,
    "reason": str,
    "value": maybe(number),
    "limit": maybe(number),
    "incident": maybe(str),
    "since": maybe(moment),
    "app": maybe(str),
    "unit": maybe(str),
}
DEPLOY = {
    "app": str,
    "time": moment,
    "by": maybe(str),
    "from": maybe(str),
    "to": maybe(str),
    "result": maybe(str),
    "reason": maybe(str),
    "seconds": maybe(number),
}
MAINTENANCE = {"until": moment, "by": maybe(str), "reason": maybe(str)}
BACKUP_LIMITS = {"max_age_hours": number, "drill_max_age_days": number}
RECOVERY_LIMITS = {"max_age_hours": number}
# Of a backup, a drill or an upkeep; one that was killed has told less.
RUN = {"time": moment, "ok": bool, "failed": [str], "seconds": maybe(number)}
GOOD_BACKUP = {"time": moment, "bytes": number}
GOOD_DRILL = {"time": moment, "seconds": number, "rows": number}
BACKUPS = {
    "last": maybe(RUN),
    "last_good": maybe(GOOD_BACKUP),
    "drill": maybe(RUN),
    "drill_good": maybe(GOOD_DRILL),
    "upkeep": maybe(RUN),
    "runs": maybe([{"id": str}]),
}
RECLAIMED = {"time": moment, "freed": dict}
WAY_BACK = {"from": str}
