# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit that is asked whether it is well while it starts: does it live to answer, and is it the one who answers?"""

from __future__ import annotations

import subprocess
import time
from urllib.parse import urlsplit

from ..host import limits, listeners, units
from ..probe import repeat

# A process that ends at once may have met a moment in which what it needs was not there; one that ends twice does not start.
ENDS = 2
# An answer that says that the question is wrong, or that the app has failed at it, is for so many seconds no start that takes its time: what
# is declared does not fit, or something is broken that time does not mend. Who is about to be ready says 503.
SETTLED, SETTLES = (301, 302, 303, 307, 308, 400, 401, 403, 404, 500), 30
EVERY_ADDRESS, LOOPBACKS = ("0.0.0.0", "::"), ("127.0.0.1", "::1")
SHOW = ("systemctl", "show", "--property=Id,ActiveState,NRestarts,Result,ExecMainStatus,MemoryMax,ControlGroup")
KILLED = "9"
# MemoryHigh is 90 % of a process' limit: from there on the kernel slows it down before it kills it, with cgroups of version 2.
FULL_PERCENT = 85


def show(unit):
    """What systemd says of a unit, by property."""
    said = subprocess.run([*SHOW, "--", unit], stdout=subprocess.PIPE, text=True, check=True).stdout
    return units.parse_show(said)[0]


def wait(specs):
    """The result of each probe, in their order, once it is healthy or it is clear that it will not be."""
    judge = Starting()
    results = repeat.run_all(specs, judge=judge)
    for result, spec in zip(results, specs):
        if not result["healthy"]:
            result["reasons"] += filter(None, [judge.elsewhere(spec["unit"], spec["url"]), judge.crowded(spec["unit"])])
    return results


class Starting:
    """Judges the answers of starting units, one object for each wait: it remembers how often a unit had been started before, and how it ended."""

    def __init__(
        self, tell=show, listening=lambda port: listeners.snapshot(ports=port and {port}), now=time.monotonic, held_by=limits.held_by
    ):
        self.tell, self.listening, self.now, self.held_by = tell, listening, now, held_by
        self.before, self.endings, self.answers = {}, {}, {}

    def __call__(self, spec, result):
        """Why the wait for a probe's ``unit`` is over, or an empty text."""
        unit = spec["unit"]
        url = urlsplit(spec["url"] or "")
        held = [item for item in self.listening(url.port) if item.protocol == "tcp" and item.pids] if url.port else []
        other = _other_holder(unit, url.port, held)
        if result["healthy"]:
            return other or ("" if spec["any_address"] else _open_to_all(unit, url, held))
        shown = self.tell(unit)
        if shown.get("ExecMainStatus", "0") != "0":  # once it is started again systemd says 0
            self.endings[unit] = _ending(shown)
        restarts = int(shown.get("NRestarts") or 0)
        ended = restarts - self.before.setdefault(unit, restarts)
        if shown.get("ActiveState") != "failed" and ended < ENDS:
            return "; ".join(result["reasons"]) if self._is_settled(unit, result["status"]) else ""
        times = "" if ended < ENDS else f" {ended} times"
        return f"it has ended{times}{self.endings.get(unit, '')}" + (f"; {other}" if other else "")

    def _is_settled(self, unit, status):
        """Whether a unit has given one and the same wrong answer for long enough."""
        first, since = self.answers.get(unit, (None, 0))
        if status != first:
            self.answers[unit] = (status, self.now())
            return False
        return status in SETTLED and self.now() - since >= SETTLES

    def elsewhere(self, unit, url):
        """Where a unit listens that has not answered where it was asked, or an empty text."""
        port = urlsplit(url or "").port
        own = [item for item in self.listening(None) if item.unit == unit and item.protocol == "tcp"] if unit and port else []
        if not own or any(item.port == port for item in own):
            return ""
        places = ", ".join(dict.fromkeys(f"{item.address} port {item.port}" for item in own))
        return (
            f"it listens on {places}, and not on $HOST:$PORT, which is port {port} here: tell it where, in its command or in env of the process, "
            "such as {HTTP_PORT: $PORT}"
        )

    def crowded(self, unit):
        """That a unit that has not answered fills the memory that it may have, or an empty text."""
        shown = self.tell(unit) if unit else {}
        limit = shown.get("MemoryMax", "")
        held = self.held_by(shown["ControlGroup"]) if limit.isdigit() and shown.get("ControlGroup") else None
        if held is None or held * 100 < int(limit) * FULL_PERCENT:
            return ""
        return f"it holds {held >> 20} MB of {_more(int(limit))}"


def _more(limit):
    """A limit of memory, and what raises it."""
    least = limit >> 20
    return f"its limit of {least} MB; memory of the process gives it more, such as memory: {2 * least}M"


def _other_holder(unit, port, held):
    """Who else listens on the unit's port where the unit does not."""
    if not held or any(item.unit == unit for item in held):
        return ""
    holder = held[0]
    of_unit = f" of {holder.unit}" if holder.unit else ""
    return f"its port {port} is held by {holder.name or 'a process'} (pid {holder.pids[0]}, user {holder.user}){of_unit}, which answered in its place"


def _open_to_all(unit, url, held):
    """Whether what belongs on the loopback is on every address of the host: nothing but the firewall would keep others out."""
    address = next((item.address for item in held if item.unit == unit and item.address in EVERY_ADDRESS), None)
    if address is None or url.hostname not in LOOPBACKS:
        return ""
    return (
        f"it listens on every address of the host ({address}, port {url.port}) and not on $HOST, which is {url.hostname}; tell it, such as by "
        "--host $HOST in its command, or in Node by server.listen(process.env.PORT, process.env.HOST). Where it cannot be told, "
        "allow: [any_address] leaves it to the firewall"
    )


def _ending(shown):
    status, limit = shown.get("ExecMainStatus", ""), shown.get("MemoryMax", "")
    words = {"127": " (the program was not found)", "126": " (the program cannot be run)"}.get(status, "")
    result = shown.get("Result", "")
    # Where systemd is not told whose doing it was, as with cgroups of version 1, nobody but the kernel kills who is just starting.
    if (result, status) == ("signal", KILLED) or result == "oom-kill":
        room = _more(int(limit)) if limit.isdigit() else "the host's memory"
        return f" with {result}, status {status}: killed by the kernel, most likely for {room}"
    return f" with status {status}{words}" if result in ("exit-code", "success", "") else f" with {result}, status {status}"
