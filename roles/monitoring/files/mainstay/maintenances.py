# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When there was maintenance, for reports, which count it apart. `mainstay maintenance` keeps it, as root; times are of the wall clock."""

from __future__ import annotations

import json

from .records import write_state
from .shapes import fits, moment

KEPT = 500


def read(path):
    """``[(begin, end), …]``, oldest first, none over another; nothing where the file is torn."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return []
    return list(map(tuple, found)) if fits(found, [_is_time]) else []


def _is_time(value):
    return fits(value, [moment]) and len(value) == 2 and value[0] <= value[1]


def note(path, now, until):
    """There is maintenance from now on until then; what there was before ends now."""
    times = [(begin, min(end, now)) for begin, end in read(path) if begin < now]
    times += [(now, until)] if until > now else []
    write_state(path, times[-KEPT:], 0o644)
