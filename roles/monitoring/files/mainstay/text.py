# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are written for people: tables, ages, sizes."""

from __future__ import annotations

import re
from datetime import datetime

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def table(rows, headings):
    """Aligned columns; the last one may be of any length."""
    rows = [headings, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(headings))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def span(seconds):
    """4 s, 12 min, 3 h, 9 d."""
    seconds = max(0, int(seconds))
    for limit, size, name in ((100, 1, "s"), (6000, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {name}"
    return f"{seconds // 86400} d"


def duration(text):
    """Seconds of 90, 45s, 30m, 2h or 1d."""
    match = re.fullmatch(r"(\d+)([smhd]?)", text.strip())
    if not match or not int(match[1]):
        raise ValueError(f"{text!r} is no duration; write 30m, 2h or 1d")
    return int(match[1]) * UNITS[match[2] or "s"]


def wall(seconds):
    """A moment as local time."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def iso(text):
    """Seconds since the epoch of an event's time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
