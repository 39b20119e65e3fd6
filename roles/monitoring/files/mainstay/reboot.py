# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host waits for a reboot, as the packages that need one say: a new kernel runs only after it. Reading only."""

from __future__ import annotations

import os

from .core.text import printable
from .text import span

SHOWN = 3


def look(folder, now):
    """None where no reboot is due; else since when, for which packages, and a sentence for `mainstay status`."""
    path = os.path.join(folder, "reboot-required")
    try:
        since = os.stat(path).st_mtime
    except OSError:
        return None
    try:
        with open(f"{path}.pkgs", encoding="utf-8", errors="replace") as file:
            packages = sorted({printable(line.strip()) for line in file if line.strip()})
    except OSError:
        packages = []
    more = [f"{len(packages) - SHOWN} more"] if len(packages) > SHOWN else []
    named = f" for {', '.join(packages[:SHOWN] + more)}" if packages else ""
    return {"since": since, "packages": packages, "sentence": f"Reboot due since {span(now - since)}{named}"}
