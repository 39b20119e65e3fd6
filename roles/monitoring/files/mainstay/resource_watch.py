# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host runs out of, as incidents: a disk, a process's memory, a certificate's days. Fed with readings; no side effects.

What gets worse is told at once, what gets better after two looks in a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OK, WARNING, CRITICAL = "ok", "warning", "critical"
RANK = {OK: 0, WARNING: 1, CRITICAL: 2}
CALM = 2  # looks in a row after which it is over
HOUR = 3600


@dataclass(frozen=True)
class Reading:
    """One look at one thing. `steady` says that it is far enough below its threshold for an incident to end."""

    name: str
    kind: str
    level: str = OK
    reason: str = ""
    place: dict = field(default_factory=dict, hash=False)
    unit: str = ""
    value: float | None = None
    limit: float | None = None
    steady: bool = True
    action: str = ""  # what can be done about it, if anything


@dataclass
class ResourceWatch:
    name: str
    clock: object
    reading: Reading = None
    calm: int = 0
    incident: str = ""
    level: str = OK  # the worst that the incident has told
    kind: str = ""
    opened: float = 0.0  # wall clock
    times: int = 1
    acted_at: float | None = None
    held: str = ""

    def adopt(self, found):
        """An incident that was open when the agent, or the host, started again."""
        self.incident, self.opened = found["incident"], found["opened"]
        self.level, self.kind, self.times = found.get("level", WARNING), found.get("kind", ""), found.get("times", 1)

    def observe(self, reading):
        self.reading = reading
        if reading.level == OK:
            return self._better()
        self.calm = 0
        if not self.incident:
            self.opened, self.times = self.clock.time(), 1
            self.incident = f"{int(self.opened)}-{re.sub('[^A-Za-z0-9@_.]+', '-', reading.name).strip('-')}"
            return [self._tell("opened", reading)]
        if RANK[reading.level] > RANK[self.level] or reading.kind != self.kind:
            self.times += 1
            return [self._tell("again", reading, times=self.times)]
        return []

    def gone(self):
        """Nothing reads it any more, as it is no longer declared."""
        if not self.incident:
            return []
        events = [self._event("closed")]
        self.incident, self.level = "", OK
        return events

    def _better(self):
        self.calm += self.reading.steady
        if not self.incident or self.calm < CALM:
            return []
        seconds = round(max(0.0, self.clock.time() - self.opened), 1)
        return [self._event("recovered", seconds=seconds, times=self.times), *self.gone()]

    def _tell(self, event, reading, **more):
        self.level, self.kind = max(self.level, reading.level, key=RANK.get), reading.kind
        return self._event(event, kind=reading.kind, level=reading.level, reason=reading.reason, **more)

    def _event(self, name, **details):
        reading = self.reading or Reading(self.name, self.kind)
        unit = {"unit": reading.unit} if reading.unit else {}
        return {"incident": self.incident, "event": name, "resource": self.name, **reading.place, **unit, **details}

    # --- what is asked for -----------------------------------------------------------------------------------------

    def wants(self):
        """What should be done about it now, at most once an hour; None when there is nothing to do."""
        if not self.incident or not self.reading or not self.reading.action:
            return None
        if self.acted_at is not None and self.clock.monotonic() - self.acted_at < HOUR:
            return None
        return self.reading.action

    def acted(self, action):
        self.acted_at, self.held = self.clock.monotonic(), ""
        return [self._event("action", action=action)]

    def done(self, steps):
        return [self._event("done", ok=True, steps=steps)]

    def hold(self, hold):
        """It is put off; told once for each reason."""
        known, self.held = self.held == hold.reason, hold.reason
        return [] if known else [self._event("held", reason=hold.reason)]

    def entry(self):
        reading = self.reading
        numbers = {key: round(number, 1) for key in ("value", "limit") if (number := getattr(reading, key)) is not None}
        return {
            "resource": reading.name,
            **reading.place,
            "kind": reading.kind,
            "level": reading.level,
            "reason": reading.reason,
            **numbers,
            "incident": self.incident or None,
            "since": self.opened if self.incident else None,
        }
