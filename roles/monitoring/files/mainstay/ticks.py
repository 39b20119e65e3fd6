# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When Celery's beat has last looked at its schedule, without its help.

However rare its tasks are, beat wakes at least every five minutes to look whether one is due, unless the app has given it a longer pause.
The kernel counts the time that its main thread has run: where that stands still, nothing looks. What is too long, it says itself: a pause
counts where it has been watched for as long as it is, and is three times as long as any that it has made before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from . import signs
from .outcome import STALE, Outcome
from .text import span

LONG = 600  # seconds: twice the longest pause that Celery makes by itself (beat_max_loop_interval)
TIMES_ITS_OWN = 3
KEPT = 200  # pauses: enough to have watched for so long also one that wakes at each of our looks
UNSEEN = 30  # seconds between two looks of ours, above which we were away, and know no pause
NOT_AT_REST = set("RDt")  # it wants the processor, waits for a disk, or is debugged


@dataclass
class Pace:
    """What is known of one beat; its pauses, also of its lives before."""

    pid: int = 0
    ran: int = 0
    moved: float = 0.0  # when it was last seen to have run
    looked: float = 0.0
    ticked: bool = False  # whether that was seen, and not taken for granted
    pauses: deque = field(default_factory=lambda: deque(maxlen=KEPT))

    def observe(self, now, pid, ran):
        """Seconds since it has last run, as far as it was watched."""
        away, self.looked = now - self.looked > UNSEEN, now
        if pid != self.pid or ran != self.ran:
            self.ticked = pid == self.pid and not away
            if self.ticked:
                self.pauses.append(now - self.moved)
            self.pid, self.ran, self.moved = pid, ran, now
        return now - self.moved

    @property
    def longest(self):
        """The longest pause that it has made, or None until it has been watched for long enough to say."""
        return max(self.pauses) if sum(self.pauses) >= LONG else None


class Ticks:
    def __init__(self, clock, proc="/proc"):
        self.clock, self.proc = clock, proc
        self.paces = {}  # unit: its pace

    def look(self, unit):
        now, pace = self.clock.monotonic(), self.paces.setdefault(unit.unit, Pace())
        silent = pace.observe(now, unit.main_pid, signs.main_threads_ran(unit.main_pid, self.proc))
        ticked = self.clock.time() - silent if pace.ticked else None
        if silent <= LONG:
            return Outcome(True, ticked=ticked)
        if pace.longest is None:
            return Outcome(None, "", f"cannot tell: it has not moved for {span(silent)}, and was not watched before", ticked=ticked)
        if silent <= TIMES_ITS_OWN * pace.longest:
            return Outcome(True, ticked=ticked)
        done = signs.work(unit.main_pid, root=self.proc.removesuffix("/proc"))
        if set(done.states) & NOT_AT_REST:
            return Outcome(None, "", "cannot tell: it wants the processor, waits for a disk or is debugged", ticked=ticked)
        why = f"beat has not looked at its schedule for {span(silent)}; its longest pause was {span(pace.longest)}"
        return Outcome(False, STALE, why, activity=done, ticked=ticked)
