# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one process, and what it asks for: no clock but the one given, no side effects.

Fed with what systemd says (`observe_unit`) and what the probe found (`observe_probe`); both return the events worth
recording. `wants` says what should be done now; whether it may be done is decided elsewhere (guards, limits).

health: unknown → starting → up ⇄ failing → down → (restart) → starting …
        looping: it answers, but has ended or been down again and again; up only when that has stopped
        beside it, as systemd says: restarting, stopped (on request), failed (systemd gave up), missing
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import asdict, dataclass, field

from .incident import Incident
from .outcome import CRASH, FAILED, FLAPPING, HANG, LOOP, OOM, STALE

LOOP_TIMES = 5  # ends, or times down, within `restart_window`
LOOP_OVER = 120  # seconds without another one
BUSY = 0.05  # of one processor: it computes
TICK = 1 / os.sysconf("SC_CLK_TCK")
SLOW_AFTER = 10  # seconds that one who answers, but too late, may need to recover: a burst of work
OWN_RESTART = 10  # seconds in which a new life of a unit is still the work of our own restart
DAY = 86400


@dataclass
class Watch:
    process: object
    settings: object
    clock: object
    systemd: object
    unit: object = None
    health: str = "unknown"
    since: float = 0.0
    reason: str = ""
    latency_ms: float | None = None
    ticked: float | None = None  # of a beat, as the probe found
    failures: int = 0
    faulty: bool = False  # that it is down now has been counted as a fault
    failing_at: float | None = None  # the first failure of those counted
    successes: int = 0
    grace_until: float = 0.0
    invocation: str = ""
    counted: int | None = None  # systemd's restart counter as last seen
    kind: str = ""  # of the last failure
    healthy_since: float | None = None
    acted_at: float | None = None
    continued_at: float | None = None
    failed_at: float | None = None
    judged: float | None = None  # the change of a failed unit that has been looked into
    revivals: int = 0
    restarts: list = field(default_factory=list)  # monotonic times, the last 24 h
    falls: list = field(default_factory=list)  # monotonic times at which it ended or went down by itself
    looks: deque = field(default_factory=lambda: deque(maxlen=4))  # (monotonic time, activity) at the last failures
    late: float | None = None  # seconds after which it answered one who waited longer, since it began to fail
    late_at: int = 0  # the failures there had been at the first such answer
    incident: Incident | None = None
    held: tuple | None = None

    # What survives a restart of the agent.
    KEPT = (
        "health",
        "since",
        "reason",
        "failures",
        "failing_at",
        "successes",
        "grace_until",
        "invocation",
        "counted",
        "kind",
    )
    KEPT += ("faulty", "healthy_since", "acted_at", "continued_at", "failed_at", "judged", "revivals", "restarts", "falls")

    def dump(self):
        kept = {key: getattr(self, key) for key in self.KEPT}
        return {**kept, "incident": asdict(self.incident) if self.incident else None}

    def load(self, kept):
        incident = Incident(**kept["incident"]) if kept["incident"] else None
        for key in self.KEPT:
            setattr(self, key, kept.get(key, getattr(self, key)))
        self.incident = incident

    @property
    def asked(self):
        """Whether anything but its unit's state tells how it is."""
        return self.process.probe is not None or self.process.kind != "server"

    # --- what is seen ----------------------------------------------------------------------------------------------

    def observe_unit(self, unit):
        now = self.clock.monotonic()
        self.unit = unit
        events = self._count_restarts(now, unit)
        if unit.load in ("not-found", "masked", "bad-setting", "error"):
            self._become("missing", f"unit is {unit.load}")
        elif unit.running:
            events += self._running(now, unit)
        elif unit.active in ("activating", "deactivating"):
            self._become("restarting", unit.words)
        elif unit.active == "failed":
            events += self._failed(now, unit)
        elif not self._own_work(now):
            events += self._inactive(now, unit)
        return events

    def observe_probe(self, outcome, invocation):
        """The outcome of a probe that was sent to this invocation of the unit."""
        if self.unit is None or not self.unit.running or invocation != self.invocation:
            return []
        self.latency_ms, self.ticked = outcome.latency_ms, outcome.ticked
        if outcome.healthy is None:
            self.reason = outcome.reason
            return []
        now = self.clock.monotonic()
        return self._success(now) if outcome.healthy else self._failure(now, outcome)

    def observe_late(self, seconds, invocation):
        """It has answered somebody with more patience than a probe has: it does not hang, it is slow."""
        if invocation == self.invocation and self.failures:
            self.late_at = self.late_at if self.late else self.failures
            self.late = seconds

    # --- what follows ----------------------------------------------------------------------------------------------

    def _become(self, health, reason=""):
        if health != self.health:
            self.health, self.since = health, self.clock.time()
            self.healthy_since = self.clock.monotonic() if health == "up" else None
        self.reason = reason

    def _count_restarts(self, now, unit):
        """systemd restarted the process: it crashed (unless we just killed it)."""
        before, self.counted = self.counted, unit.restarts
        self.restarts = [moment for moment in self.restarts if now - moment < DAY][-1000:]
        if before is None or unit.restarts <= before or self._own_work(now):
            return []
        self.restarts += [now] * (unit.restarts - before)
        result, words = self.systemd.ended(unit.unit) or ("", "")
        kind, reason = CRASH, f"the process ended{f' ({words})' if words else ''} and systemd started it again"
        if result == "oom-kill":
            limit = self.process.memory_max_mb or unit.memory_max_mb
            limited = f" (its limit is {limit} MB)" if limit else ""
            kind, reason = OOM, f"the kernel killed it for want of memory{limited}, and systemd started it again"
        self._fall(now, unit.restarts - before)
        if not self._looping(now):
            return self._open(kind, reason)
        return self._open(LOOP, f"{self._loop_words(now, 'ended')}; the last time {reason}")

    def _fall(self, now, times=1):
        window = self.settings.restart_window
        self.falls = [moment for moment in [*self.falls, *[now] * times] if now - moment < window][-100:]

    def _looping(self, now):
        """A state of its own: it comes back each time, and is not well for that."""
        recent = [moment for moment in self.falls if now - moment < self.settings.restart_window]
        return len(recent) >= LOOP_TIMES and now - recent[-1] < LOOP_OVER

    def _loop_words(self, now, verb):
        return f"it has {verb} {len(self.falls)} times within {max(1, round((now - self.falls[0]) / 60))} min"

    def _own_work(self, now):
        return self.acted_at is not None and now - self.acted_at < OWN_RESTART

    def _running(self, now, unit):
        self.failed_at = None
        if unit.invocation != self.invocation:
            self.invocation = unit.invocation
            self.failures = self.successes = 0
            self.late = None
            self.looks.clear()
            self.grace_until = (unit.active_since or now) + self.settings.start_grace
            self._become("starting" if now < self.grace_until else "unknown")
        elif self.health in ("restarting", "stopped", "failed", "missing"):
            self._become("unknown")
        return [] if self.asked else self._success(now)

    def _success(self, now):
        self.grace_until = 0.0
        self.failures = 0
        self.successes += 1
        self.late = None
        self.looks.clear()
        if self.health == "up" or (self.health not in ("failing", "looping") and self.successes < self.settings.successes):
            return []
        if self._looping(now):
            self._become("looping", self._loop_words(now, "ended or been down"))
            return []
        self._become("up")
        self.held = None
        if self.incident and self.incident.recovered_after is None:
            self.incident.recovered_after = round(now - self.incident.opened_at, 1)
            return [self._event("recovered", seconds=self.incident.recovered_after, times=self.incident.times)]
        return []

    def _failure(self, now, outcome):
        self.successes = 0
        if now < self.grace_until:
            self._become("starting", outcome.reason)
            return []
        self.failures += 1
        self.failing_at = now if self.failures == 1 else self.failing_at
        self.kind = outcome.kind
        if outcome.activity is not None:
            self.looks.append((now, outcome.activity))
        if self.failures < self.settings.failures:
            self._become("down" if self.health == "down" else "failing", outcome.reason)
            return []
        fresh = self.health != "down"
        self._become("down", outcome.reason)
        works = self.process.kind != "server" and self.at_work()
        counts = not works and (fresh or not self.faulty)
        self.faulty = counts or (self.faulty and not fresh)
        if works:
            self.reason = f"{outcome.reason}, but it is at work: it is left alone"
        elif self.late:
            self.reason = f"{outcome.reason}, only after {self.late:g} s"
        if not fresh:
            if self.incident:
                self.incident.faults += counts
            return []
        self._fall(now)
        if self._looping(now):
            return self._open(FLAPPING, f"{self._loop_words(now, 'been down')}; now {outcome.reason}", self.failing_at, counts)
        return self._open(outcome.kind, self.reason, self.failing_at, counts)

    def at_work(self):
        """Whether a restart would take more than it gives: it computes, or somebody waits for its answer, and not for too long yet."""
        if self.kind not in (HANG, STALE) or len(self.looks) < 2:
            return False
        (start, first), (end, last) = self.looks[0], self.looks[-1]
        if last.stopped or self._halted():
            return False
        computes = (last.ticks - first.ticks) * TICK >= BUSY * (end - start)
        if self.kind == STALE:
            return computes
        patience = self.process.patience or self.settings.busy_limit
        # What was long may have ended with that answer, when one probe was still under way. Who fails after it is slow: nothing long is.
        slow = self.late and self.failures > self.late_at + 1
        if slow and not computes and not self.process.patience:
            patience = min(patience, SLOW_AFTER)
        return (computes or last.clients > 0) and self.clock.monotonic() - self.failing_at < patience

    def _halted(self):
        """Whether it failed because a signal has stopped it, or a child of it; of those who can be asked their answers tell."""
        return bool(self.process.silent and self.kind == HANG and self.looks)

    def _continued(self):
        return self.continued_at is not None and self.clock.monotonic() - self.continued_at < self.settings.cooldown

    def _failed(self, now, unit):
        if unit.changed == self.judged:  # nothing new: a revival that had no effect, at most
            if self.health == "restarting":
                self._become("failed", self.reason)
            return []
        self.judged = unit.changed
        if not self._own_work(now) and self._stopped_on_request(unit):
            return self._stopped()
        self.failed_at = now
        self.kind = FAILED
        reason = self._why_failed(unit)
        self._become("failed", reason)
        return self._open(FAILED, reason)

    def _why_failed(self, unit):
        return ", ".join(part for part in (f"systemd gave up: {unit.result}", unit.exit) if part)

    def _inactive(self, now, unit):
        """A process that ended well was told to."""
        return self._stopped()

    def _stopped_on_request(self, unit):
        """In doubt the unit is left alone, unless systemd's own words or counter say that it crashed."""
        requested = self.systemd.stopped_on_request(unit.unit)
        if requested is None:
            return unit.result != "start-limit-hit" and not unit.restarts
        return requested

    def _stopped(self):
        self._become("stopped")
        self.failures = self.successes = 0
        self.failed_at = None
        if self.incident and self.incident.recovered_after is None:
            event = self._event("stopped")
            self.incident = None
            return [event]
        return []

    def _open(self, kind, reason, began=None, counts=True):
        """A new incident, or once more the one that has not been stable for long enough to be closed."""
        now = self.clock.monotonic() if began is None else began
        if not self.incident:
            self.incident = Incident.begin(self.process.unit, kind, reason, self.clock.time(), now, counts)
            return [self._event("opened", kind=kind, reason=reason)]
        if self.incident.again(kind, reason, now, counts):
            return [self._event("again", kind=kind, reason=reason, times=self.incident.times)]
        return []

    def _event(self, name, **details):
        about = {"incident": self.incident.id, "event": name, **self.process.place, "unit": self.process.unit}
        return {**about, "faults": self.incident.faults, **details}

    # --- what is asked for -----------------------------------------------------------------------------------------

    def wants(self):
        """`kill`, `restart` or `revive`, or None when there is nothing to do or it is systemd's or the operator's turn."""
        if self.health == "down":
            if self.successes or self.at_work():  # it has just answered, or will
                return None
            if self._halted():
                return self._wants_to_go_on()
            return "kill" if self.kind == HANG and not self.late else "restart"
        if self.health == "failed" and self.clock.monotonic() >= self.revive_at():
            return "revive"
        return None

    def _wants_to_go_on(self):
        """Going on loses nothing, not even the task under way; a child that does not is no reason to end the tasks of the others."""
        if self.failures < self.settings.failures:
            return None
        if not self._continued():
            return "continue"
        return "kill" if self.looks[-1][1].main_halted else None

    def revive_at(self):
        delays = self.settings.revive_delays
        return (self.failed_at or 0.0) + delays[min(self.revivals, len(delays) - 1)]

    def acted(self, action):
        """Our own action begins; called before it, so that what it causes is not taken for a crash."""
        now = self.clock.monotonic()
        if action == "continue":
            self.continued_at = now
            self.failures = 0  # whether it helped, as many probes tell
            if not self.incident:
                return []
            self.incident.actions += 1
            return [self._event("action", action=action)]
        self.acted_at = now
        self.restarts.append(now)
        self.held = None
        self._become("restarting", f"{action} by the agent")
        if action == "revive":
            self.revivals += 1
            self.failed_at = now
        if self.incident:
            self.incident.actions += 1
        return [self._event("action", action=action)] if self.incident else []

    def hold(self, hold):
        """The action is put off; told once for each reason."""
        known = self.held and self.held[0] == hold.reason
        self.held = (hold.reason, hold.until)
        return [self._event("held", reason=hold.reason)] if self.incident and not known else []

    def stable(self):
        """Whether there is a past to forget, and the process has been well for long enough."""
        past = self.incident or self.revivals or self.acted_at is not None
        return bool(past and self.healthy_since is not None and self.clock.monotonic() - self.healthy_since >= self.settings.stable_after)

    def settle(self):
        events = [self._event("closed")] if self.incident else []
        self.incident, self.revivals, self.acted_at = None, 0, None
        return events
