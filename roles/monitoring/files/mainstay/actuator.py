# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on units, one action at a time, in a thread beside the main loop. Rights come from the helper (act.py)."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .act import ROLLBACK
from .evidence import collect
from .units import SystemdError

HELPER_TIMEOUT = 20


class HelperError(Exception):
    """The helper refused, or could not be reached."""


class Helper:
    """The client's side of the privileged helper: one connection, one line there, one line back."""

    def __init__(self, path):
        self.path = path

    def __call__(self, verb, unit):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(HELPER_TIMEOUT)
                sock.connect(self.path)
                sock.sendall(json.dumps({"verb": verb, "unit": unit}).encode() + b"\n")
                sock.shutdown(socket.SHUT_WR)
                with sock.makefile(encoding="utf-8", errors="replace") as file:
                    answer = json.loads(file.readline(65536) or "{}")
        except (OSError, ValueError) as error:
            raise HelperError(f"the helper at {self.path} does not answer: {error}") from None
        if not answer.get("ok"):
            raise HelperError(answer.get("error") or "the helper ended without an answer")


@dataclass
class Done:
    ok: bool
    steps: list = field(default_factory=list)
    error: str = ""
    evidence: dict | None = None


def done_of(future):
    """Whatever went wrong, the main loop must hear that the action is over."""
    error = future.exception()
    return Done(False, error=f"{type(error).__name__}: {error}") if error else future.result()


class Actuator:
    def __init__(self, settings, helper, systemd, inbox, clock):
        self.settings, self.helper, self.systemd, self.inbox, self.clock = settings, helper, systemd, inbox, clock
        self.pool = ThreadPoolExecutor(1, "act")

    def submit(self, action, process, invocation, token):
        """Perform an action; ("action", token, Done) will be put into the inbox."""
        future = self.pool.submit(self.perform, action, process, invocation)
        future.add_done_callback(lambda done: self.inbox.put(("action", token, done_of(done))))

    def perform(self, action, process, invocation):
        done = Done(True)
        try:
            if action not in ("observe", "reset", "reclaim", "rollback"):
                self._check(action, process, invocation)
            if action not in ("reset", "reclaim"):
                done.evidence = collect(self.systemd, process.unit, self.settings.evidence_lines)
            getattr(self, f"_{action}")(process, invocation, done.steps)
        except (HelperError, SystemdError) as error:
            done.ok, done.error = False, str(error)
        return done

    def _check(self, action, process, invocation):
        """Somebody else may have stopped or restarted it since the last look."""
        state = self.systemd.show([process.unit])[process.unit]
        wanted = self._ended(process, state) if action == "revive" else state.running and state.invocation == invocation
        if not wanted:
            raise HelperError(f"left alone: it is {state.words} now")

    def _ended(self, process, state):
        if process.kind == "server" and state.active == "inactive":
            return self.systemd.stopped_on_request(process.unit) is False
        return state.active == "failed"

    def _observe(self, process, invocation, steps):
        """Nothing but the evidence."""

    def _kill(self, process, invocation, steps):
        """It gives no answer: no point in asking it to end."""
        self.helper("kill", process.unit)
        steps.append("SIGKILL")
        self.helper("restart", process.unit)
        steps.append("restart")

    def _continue(self, process, invocation, steps):
        """It was stopped by a signal: another one makes it go on, with all it holds."""
        self.helper("continue", process.unit)
        steps.append("SIGCONT")

    def _restart(self, process, invocation, steps):
        """It answers wrongly: it may finish what it is doing, but not for long."""
        self.helper("restart", process.unit)
        steps.append("restart")
        end = self.clock.monotonic() + self.settings.stop_grace
        while self.clock.monotonic() < end:
            self.clock.sleep(0.25)
            state = self.systemd.show([process.unit])[process.unit]
            if state.invocation != invocation and state.active != "deactivating":
                return
        self.helper("kill", process.unit)
        steps.append(f"SIGKILL after {self.settings.stop_grace:g} s")

    def _renew(self, process, invocation, steps):
        """It is well, but grows: it may take all the time that it needs to end."""
        self.helper("restart", process.unit)
        steps.append("graceful restart")

    def _reclaim(self, process, invocation, steps):
        """What was freed is on record when it has been."""
        self.helper("reclaim", process.unit)

    def _rollback(self, process, invocation, steps):
        """The unit that does it says in its journal, and in the record of deploys, how it went."""
        self.helper("rollback", ROLLBACK.format(process.app))
        steps.append("return to the release before")

    def _revive(self, process, invocation, steps):
        """systemd gave up: one more start."""
        self.helper("reset-failed", process.unit)
        self.helper("start", process.unit)
        steps.append("reset-failed, start")

    def _reset(self, process, invocation, steps):
        """Stable again: systemd forgets its counters too."""
        self.helper("reset-failed", process.unit)
