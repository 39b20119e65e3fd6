# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A moment as people write it, and the backup that leads there."""

from __future__ import annotations

import datetime
import time

from .programs import Refused


def moment_of(text, now=None):
    """The second of a moment that is written with its zone."""
    remedy = "write a time with its zone, such as 2026-11-30 10:15:00+00"
    wanted = text.strip().replace("T", " ")
    wanted = f"{wanted[:-1].strip()}+00:00" if wanted.upper().endswith("Z") else wanted
    wanted = f"{wanted}:00" if len(wanted) > 3 and wanted[-3] in "+-" and wanted[-2:].isdigit() and ":" in wanted else wanted
    try:
        found = datetime.datetime.fromisoformat(wanted)
    except ValueError:
        raise Refused(f"{text!r} is no time; {remedy}") from None
    if found.tzinfo is None:
        raise Refused(f"{text!r} does not say its zone; {remedy}")
    if found.timestamp() > (time.time() if now is None else now):
        raise Refused(f"{text!r} is in the future; {remedy}")
    return found.timestamp()


def chosen(kept, moment):
    """The newest backup that was whole before a moment."""
    before = [item for item in kept if item["stop"] < moment]
    if not before:
        first = f"the oldest backup is of {shown(kept[0]['stop'])}" if kept else "there is no backup yet"
        raise Refused(f"nothing leads back to {shown(moment)}: {first}")
    return before[-1]


def shown(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00")


def stamped(moment):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def shown_exactly(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")
