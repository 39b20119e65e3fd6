# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the processes, beside the main loop: results arrive in its inbox."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from . import signs
from .outcome import ERROR, HANG, STALE, Outcome
from .ticks import Ticks

# What the shared probe calls the cause of a failure. Others (permission, dns, network) are faults of the probing, not of
# the probed.
KINDS = {"timeout": HANG, "refused": HANG, "closed": HANG}
KINDS |= {
    "status": ERROR,
    "content": ERROR,
    "slow": ERROR,
    "protocol": ERROR,
    "degraded": ERROR,
    "json": ERROR,
    "header": ERROR,
}
THREADS = 8
LATE = 10  # seconds that one who gave no answer in time is given to answer at all
LATE_THREADS = 2


def outcome_of(future):
    """The agent's own fault must not look like the process's."""
    error = future.exception()
    return Outcome(None, "", f"the probe itself failed: {type(error).__name__}: {error}") if error else future.result()


class Prober:
    def __init__(self, settings, inbox, clock):
        self.settings, self.inbox, self.clock = settings, inbox, clock
        self.beats = {}  # heartbeat file: (mtime, monotonic time at which it was first seen)
        self.ticks = Ticks(clock)
        self.ran = {}  # main process of a server: nanoseconds it had run by the last look
        self.pool = ThreadPoolExecutor(THREADS, "probe")
        self.waiting = set()  # units that are asked with more patience
        self.late_pool = ThreadPoolExecutor(LATE_THREADS, "late")

    def submit(self, process, unit, token):
        """Probe a process; ("probe", token, outcome) will be put into the inbox."""
        future = self.pool.submit(self.probe, process, unit)
        future.add_done_callback(lambda done: self.inbox.put(("probe", token, outcome_of(done))))

    def wait_longer(self, process, token):
        """Ask one who gave no answer in time with more patience; ("late", token, seconds) will be put into the inbox if there is one."""
        if process.unit in self.waiting or len(self.waiting) >= LATE_THREADS:
            return
        self.waiting.add(process.unit)
        self.late_pool.submit(self.late, process, token)

    def late(self, process, token):
        from .core.probe import once

        try:
            took = once.check_once({**process.probe, "timeout": LATE})["latency_ms"]["last"]
            if took is not None and took > 1000 * process.probe.get("timeout", self.settings.timeout):
                self.inbox.put(("late", token, round(took / 1000, 1)))
        finally:
            self.waiting.discard(process.unit)

    def probe(self, process, unit):
        if process.kind == "server":
            return self.server(process, unit)
        if process.silent:
            return self.halted(unit) or self.sign_of_life(process.probe, unit)
        from .core.probe import once

        spec = {"timeout": self.settings.timeout, **process.probe}
        started = self.clock.monotonic()
        result = once.check_once(spec)
        late = self.clock.monotonic() - started > 2 * spec["timeout"] + 1
        latency = result["latency_ms"]["last"]
        if result["healthy"]:
            return Outcome(True, latency_ms=latency)
        reason = "; ".join(result["reasons"])
        kind = KINDS.get(result["cause"])
        if late or kind is None:
            return Outcome(None, "", f"cannot tell: {'this host is too busy to probe' if late else reason}", latency)
        port = urlsplit(process.probe.get("url", "")).port or process.probe.get("port")
        return Outcome(False, kind, reason, latency, signs.work(unit.main_pid, port) if kind == HANG else None)

    def sign_of_life(self, probe, unit):
        if not probe:
            return Outcome(True)
        return self.ticks.look(unit) if probe["kind"] == "beat" else self.heartbeat(probe, unit)

    def halted(self, unit):
        """What can be seen of those who cannot be asked: a process that a signal has stopped does nothing until another one comes."""
        done = signs.work(unit.main_pid)
        if not done.halted:
            return None
        who = "it is" if done.main_halted else "a process of it is"
        return Outcome(False, HANG, f"{who} stopped by a signal", activity=done)

    def server(self, server, unit):
        """Whether it answers at all, and if not, what its processes do instead."""
        probe = {"timeout": self.settings.timeout, **server.probe}
        if probe["kind"] == "mysql" and self.has_run(probe, unit.main_pid):
            return Outcome(True)
        started = self.clock.monotonic()
        cause, reason, latency = signs.ask(probe)
        late = self.clock.monotonic() - started > 2 * probe["timeout"] + 1
        if cause in signs.LIVES:
            return Outcome(True, latency_ms=latency)
        kind = signs.KINDS.get(cause)
        if late or kind is None:
            return Outcome(None, "", f"cannot tell: {'this host is too busy to probe' if late else reason}", latency)
        return Outcome(False, kind, reason, latency, signs.activity(probe, unit.main_pid))

    def has_run(self, probe, pid):
        """Whether a server has run since the last look: MariaDB logs a warning for each visitor without a login, so it gets none meanwhile."""
        before, self.ran[pid] = self.ran.get(pid), signs.on_cpu(pid)
        return before is not None and self.ran[pid] > before and not signs.activity(probe, pid).stopped

    def heartbeat(self, probe, unit):
        """The file's age, by the monotonic clock from the moment a change of it was seen: a jump of the clock is no silence."""
        now = self.clock.monotonic()
        try:
            stamp = os.stat(probe["file"]).st_mtime
        except FileNotFoundError:
            stamp = None
        except OSError as error:
            return Outcome(None, "", f"cannot tell: {probe['file']}: {error.strerror}")
        known = self.beats.get(probe["file"])
        if known is None and stamp is not None:
            known = self.beats[probe["file"]] = (stamp, now - max(0.0, self.clock.time() - stamp))
        elif known is not None and stamp is not None and stamp != known[0]:
            known = self.beats[probe["file"]] = (stamp, now)
        silent = now - max(known[1] if known else 0.0, unit.active_since)
        if silent <= probe["max_age"]:
            return Outcome(True)
        what = (
            f"no heartbeat for {silent:.0f} s, allowed are {probe['max_age']:g} s"
            if stamp is not None
            else f"{probe['file']} does not exist"
        )
        return Outcome(False, STALE, what, activity=signs.work(unit.main_pid))
