# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit that is asked whether it is well while it starts: does it live to answer, and is it the one who answers?"""

from __future__ import annotations

import subprocess
from urllib.parse import urlsplit

from ..host import listeners, units

# A process that ends at once may have met a moment in which what it needs was not there; one that ends twice does not start.
ENDS = 2
SHOW = ("systemctl", "show", "--property=Id,ActiveState,NRestarts,Result,ExecMainStatus")


def show(unit):
    """What systemd says of a unit, by property."""
    said = subprocess.run([*SHOW, "--", unit], stdout=subprocess.PIPE, text=True, check=True).stdout
    return units.parse_show(said)[0]


class Starting:
    """Judges the answers of starting units, one object for each wait: it remembers how often a unit had been started before, and how it ended."""

    def __init__(self, tell=show, listening=lambda port: listeners.snapshot(ports={port})):
        self.tell, self.listening = tell, listening
        self.before, self.endings = {}, {}

    def __call__(self, spec, result):
        """Why the wait for a probe's ``unit`` is over, or an empty text."""
        unit = spec["unit"]
        port = urlsplit(spec["url"]).port if spec["url"] else None
        other = self._other_holder(unit, port)
        if result["healthy"]:
            return other
        shown = self.tell(unit)
        if shown.get("ExecMainStatus", "0") != "0":  # once it is started again systemd says 0
            self.endings[unit] = _ending(shown)
        restarts = int(shown.get("NRestarts") or 0)
        ended = restarts - self.before.setdefault(unit, restarts)
        if shown.get("ActiveState") != "failed" and ended < ENDS:
            return ""
        times = "" if ended < ENDS else f" {ended} times"
        return f"it has ended{times}{self.endings.get(unit, '')}" + (f"; {other}" if other else "")

    def _other_holder(self, unit, port):
        """Who else listens on the unit's port where the unit does not."""
        held = [item for item in self.listening(port) if item.protocol in ("tcp", "tcp6") and item.pids] if port else []
        if not held or any(item.unit == unit for item in held):
            return ""
        holder = held[0]
        of_unit = f" of {holder.unit}" if holder.unit else ""
        return f"its port {port} is held by {holder.name or 'a process'} (pid {holder.pids[0]}, user {holder.user}){of_unit}, which answered in its place"


def _ending(shown):
    status = shown.get("ExecMainStatus", "")
    words = {"127": " (the program was not found)", "126": " (the program cannot be run)"}.get(status, "")
    result = shown.get("Result", "")
    return f" with status {status}{words}" if result in ("exit-code", "success", "") else f" with {result}, status {status}"
