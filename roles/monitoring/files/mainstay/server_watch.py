# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one server. It is touched less readily than an app: others depend on it, and what it holds may be lost.

A server that answers anything lives; one that says itself that it has no connection left, or does not write, is of no use to its apps
all the same, which is told and spares them. One that gives no answer is acted upon only if its processes rest, too: one stopped by a
signal is told to go on, which loses nothing, and only one that does not answer then either is killed and started again. One
that ended without anybody asking for it is started again, as one that systemd gave up is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .limits import Hold
from .outcome import HANG
from .signs import FULL, REFUSES, STARTING, Activity, frozen
from .watch import Watch

AWAY = ("failing", "down", "failed", "restarting", "starting", "stopped")
WORDS = {FULL: "full", REFUSES: "refusing what it is asked"}
SETTLING = 30  # seconds after its return in which its apps find their way back by themselves


@dataclass
class ServerWatch(Watch):
    first: Activity | None = None  # at the first failed probe of those counted
    last: Activity | None = None
    returned_at: float | None = None

    KEPT = (*Watch.KEPT, "returned_at")

    def _become(self, health, reason=""):
        if health == "up" and self.health in AWAY:
            self.returned_at = self.clock.monotonic()
        super()._become(health, reason)

    def _failure(self, now, outcome):
        if outcome.kind == STARTING:
            self.failures = self.successes = 0
            self._become("starting", outcome.reason)
            return []
        if not self.failures or self.first is None:
            self.first = outcome.activity
        self.last = outcome.activity
        events = super()._failure(now, outcome)
        if self.health == "down" and outcome.kind == HANG and not frozen(self.first, self.last):
            self.reason = f"{outcome.reason}, but its processes are at work: it is left alone"
        return events

    def _inactive(self, now, unit):
        return self._failed(now, unit)

    def _stopped_on_request(self, unit):
        if unit.active == "failed":
            return super()._stopped_on_request(unit)
        return self.systemd.stopped_on_request(unit.unit) is not False

    def _why_failed(self, unit):
        return super()._why_failed(unit) if unit.active == "failed" else "it ended, and nobody had asked for it"

    def wants(self):
        if self.health != "down":
            return super().wants()
        if self.kind != HANG or self.failures < self.settings.failures or not frozen(self.first, self.last):
            return None
        return "continue" if self.last.stopped and not self._continued() else "kill"

    def absence(self):
        """Why an app that needs it is left alone, or None."""
        if self.health in AWAY:
            word = WORDS.get(self.kind, self.health) if self.health in ("failing", "down") else self.health
            return Hold(f"it needs {self.process.name}, which is {word}")
        until = (self.returned_at or float("-inf")) + SETTLING
        return Hold(f"{self.process.name} has just come back", until) if self.clock.monotonic() < until else None
