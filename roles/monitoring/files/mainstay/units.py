# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd knows about the units, in one call for all of them."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass

from .core.host import units as host_units

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "InvocationID",
    "MainPID",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
    "MemoryCurrent",
    "MemoryMax",
    "ControlGroup",
)
RUNNING = ("active", "reloading")
UNSET = 2**64 - 1
LINE = 400  # characters of a line of the journal

# What systemd writes to the journal (systemd.messages): the job that last touched a unit tells who stopped it.
MESSAGE_STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
MESSAGE_STARTED = "39f53479d3a045ac8e11786248231fbf"
MESSAGE_STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
# How a process ended, and what systemd makes of it.
MESSAGE_EXIT = "98e322203f7a4ed290d09fe03c09fe15"
MESSAGE_FAILURE = "d9b373ed55a64feb8242e02dbe79a49c"


class SystemdError(Exception):
    """systemd did not answer."""


@dataclass(frozen=True)
class UnitState:
    unit: str
    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    invocation: str = ""
    main_pid: int = 0
    restarts: int = 0
    active_since: float = 0.0
    changed: float = 0.0
    exit: str = ""
    memory_mb: int | None = None
    memory_max_mb: int | None = None
    group: str = ""

    @property
    def running(self):
        return self.active in RUNNING

    @property
    def words(self):
        return self.load if self.load not in ("loaded", "") else f"{self.active} ({self.sub})"


def parse_blocks(text):
    """`systemctl show` of several units: {unit: {key: value}}."""
    return {unit["Id"]: unit for unit in host_units.parse_show(text)}


def parse_show(text):
    return {unit: _state(values) for unit, values in parse_blocks(text).items()}


def _integer(text):
    return int(text) if text and text.isdigit() else 0


def _megabytes(text):
    return int(text) >> 20 if text and text.isdigit() and int(text) < UNSET else None


def _state(values):
    code, status = values.get("ExecMainCode"), _integer(values.get("ExecMainStatus"))
    ended = ""
    if code == "1":
        ended = f"exit status {status}"
    elif code in ("2", "3"):
        ended = f"ended by {_signal(status)}"
    return UnitState(
        unit=values["Id"],
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        result=values.get("Result", ""),
        invocation=values.get("InvocationID", ""),
        main_pid=_integer(values.get("MainPID")),
        restarts=_integer(values.get("NRestarts")),
        active_since=_integer(values.get("ActiveEnterTimestampMonotonic")) / 1e6,
        changed=_integer(values.get("StateChangeTimestampMonotonic")) / 1e6,
        exit=ended,
        memory_mb=_megabytes(values.get("MemoryCurrent")),
        memory_max_mb=_megabytes(values.get("MemoryMax")),
        group=values.get("ControlGroup", ""),
    )


def _signal(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run(argv, timeout=5, text=""):
    """Standard output of a program that reads `text`, or SystemdError in plain words."""
    try:
        done = subprocess.run(
            argv,
            **({"input": text} if text else {"stdin": subprocess.DEVNULL}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SystemdError(f"{argv[0]} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise SystemdError(f"{argv[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise SystemdError(f"{argv[0]}: {(done.stderr.strip() or f'exit status {done.returncode}').splitlines()[-1]}")
    return done.stdout


class Systemd:
    """Reading only; acting is the actuator's part."""

    def __init__(self, run=run):
        self._run = run

    def show(self, units):
        if not units:
            return {}
        return parse_show(self._run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *units]))

    def booted(self):
        """Monotonic time at which this system's user space started (a container's own, not its machine's)."""
        return _integer(self._run(["systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"]).strip()) / 1e6

    def journal(self, unit, lines):
        """Its last lines, each cut off: an app may write one of 50 MB, which is more than the agent's memory. journalctl has to unpack it all the
        same; where there is no room for that, it goes, and not the agent."""
        argv = ["journalctl", "--quiet", "--no-pager", "--no-full", "--output=short-iso", f"--lines={lines}", f"--unit={unit}"]
        return self._run(["choom", "--adjust=1000", "--", "env", f"COLUMNS={LINE}", *argv]).splitlines()

    def ended(self, unit, since=60):
        """(result, words) of a unit's last failure within so many seconds, as ("oom-kill", "ended by SIGKILL"); None when the journal does
        not say, as where its process ended well."""
        match = [f"UNIT={unit}", f"MESSAGE_ID={MESSAGE_EXIT}", f"MESSAGE_ID={MESSAGE_FAILURE}"]
        fields = "--output-fields=UNIT_RESULT,EXIT_CODE,EXIT_STATUS"
        try:
            text = self._run(
                ["journalctl", "--quiet", "--no-pager", "--output=json", fields, "--lines=2", f"--since=-{since}s", "_PID=1", *match]
            )
            found = {key: str(value) for line in text.splitlines() for key, value in json.loads(line).items()}
        except (SystemdError, ValueError, AttributeError):
            return None
        status, words = _integer(found.get("EXIT_STATUS")), ""
        if "EXIT_CODE" in found:
            words = f"exit status {status}" if found["EXIT_CODE"] == "exited" else f"ended by {_signal(status)}"
        return (found.get("UNIT_RESULT", ""), words) if words or "UNIT_RESULT" in found else None

    def stopped_on_request(self, unit):
        """Whether the last thing that happened to a unit was a stop job, not a crash; None when the journal does not say.

        A process that ends badly while it is being stopped leaves its unit `failed`, just as a crash does.
        """
        match = [f"MESSAGE_ID={name}" for name in (MESSAGE_STARTING, MESSAGE_STARTED, MESSAGE_STOPPING)]
        fields = "--output-fields=MESSAGE_ID"
        try:
            text = self._run(
                [
                    "journalctl",
                    "--quiet",
                    "--no-pager",
                    "--output=json",
                    fields,
                    "--lines=1",
                    "--boot",
                    "_PID=1",
                    f"UNIT={unit}",
                    *match,
                ]
            )
            last = json.loads(text.splitlines()[-1])["MESSAGE_ID"]
        except (SystemdError, ValueError, LookupError):
            return None
        return last == MESSAGE_STOPPING
