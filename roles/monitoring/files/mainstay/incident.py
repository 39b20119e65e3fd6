# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of what is wrong with one process: it is opened once, told again where it goes on, and ends when all has been well for long."""

from __future__ import annotations

from dataclasses import dataclass

from .outcome import CRASH, FLAPPING, LOOP, OOM

TELL_AGAIN = 60  # seconds


@dataclass
class Incident:
    id: str
    kind: str
    reason: str
    opened: float  # wall clock
    opened_at: float  # monotonic
    told_at: float = 0.0  # monotonic, the last event
    times: int = 1
    faults: int = 0  # of these times those that were no work under way
    actions: int = 0
    recovered_after: float | None = None

    @classmethod
    def begin(cls, unit, kind, reason, wall, began, counts):
        """A new one; ``began`` is monotonic, and whether it ``counts`` says that it is no work under way."""
        return cls(f"{int(wall)}-{unit.rpartition('.')[0]}", kind, reason, wall, began, began, faults=int(counts))

    def again(self, kind, reason, now, counts):
        """Once more before it was closed; whether that is worth telling. A crash loop is one story, which is told again once a minute."""
        told = kind == self.kind and (kind in (LOOP, FLAPPING) or (kind in (CRASH, OOM) and now - self.told_at < TELL_AGAIN))
        self.times += 1
        self.faults += counts
        self.kind, self.reason = kind, reason
        if self.recovered_after is not None:
            self.recovered_after, self.opened_at = None, now
        if not told:
            self.told_at = now
        return not told
