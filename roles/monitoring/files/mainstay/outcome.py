# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look at a process or a server has found, and the kinds of what may be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

# How an outcome is answered. A process that gives no answer at all will not hear SIGTERM either.
HANG, ERROR, STALE, CRASH, FAILED = "hang", "error", "stale", "crash", "failed"
OOM = "oom"  # a crash that is the kernel's doing, for want of memory
LOOP, FLAPPING = "loop", "flapping"


@dataclass(frozen=True)
class Outcome:
    """What one probe found; healthy None means the probe itself could not tell, which is no failure of the process."""

    healthy: bool | None
    kind: str = ""
    reason: str = ""
    latency_ms: float | None = None
    activity: object = None  # of what gave no answer: what its processes did
    ticked: float | None = None  # of a beat: when it last looked at its schedule, wall clock
