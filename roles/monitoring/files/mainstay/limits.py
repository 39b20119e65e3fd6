# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often we may act: a bounded number of restarts, one at a time, with a growing pause after each."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400
FREE = ("continue",)  # ends nothing, so it is not counted


@dataclass(frozen=True)
class Hold:
    """Why an action is put off, and until when (monotonic) if that is known."""

    reason: str
    until: float | None = None


class Limits:
    def __init__(self, settings):
        self.settings = settings
        self.actions = []  # (monotonic time, unit), the last 24 h
        self.pauses = {}  # unit: [until, length of the next pause]
        self.busy = None  # (unit, until): the restart whose effect is being waited for

    def dump(self):
        return {"actions": self.actions, "pauses": self.pauses, "busy": self.busy}

    def load(self, kept):
        actions = [(float(moment), str(unit)) for moment, unit in kept["actions"]]
        pauses = {str(unit): [float(until), float(length)] for unit, (until, length) in kept["pauses"].items()}
        self.actions, self.pauses = actions, pauses
        self.busy = (str(kept["busy"][0]), float(kept["busy"][1])) if kept["busy"] else None

    def hold(self, now, unit, action):
        """The reason why this action has to wait, or None. Revivals have a rhythm of their own and count globally only."""
        settings = self.settings
        if action in FREE:
            return None
        if self.busy and self.busy[0] != unit and now < self.busy[1]:
            return Hold(f"one restart at a time, waiting for {self.busy[0]}", self.busy[1])
        rules = [(None, settings.restart_window, settings.restart_global)]
        if action != "revive":
            until = self.pauses.get(unit, [0, 0])[0]
            if now < until:
                return Hold("cool-down after the last restart", until)
            rules += [(unit, settings.restart_window, settings.restart_burst), (unit, DAY, settings.restart_daily)]
        for owner, window, limit in rules:
            times = [moment for moment, name in self.actions if owner in (None, name) and now - moment < window]
            if len(times) >= limit:
                whose = "of all units" if owner is None else "of this unit"
                return Hold(f"{limit} restarts {whose} within {window:g} s are spent", times[-limit] + window if limit else None)
        return None

    def acted(self, now, unit, action):
        if action in FREE:
            return
        settings = self.settings
        self.actions = [(moment, name) for moment, name in self.actions if now - moment < DAY] + [(now, unit)]
        length = self.pauses.get(unit, [0, settings.cooldown])[1]
        self.pauses[unit] = [now + length, min(length * 2, settings.cooldown_max)]
        self.busy = (unit, now + settings.stop_grace + settings.start_grace)

    def answered(self, unit):
        """The unit is up, failed or stopped: the next one may be restarted."""
        if self.busy and self.busy[0] == unit:
            self.busy = None

    def forget(self, unit):
        self.pauses.pop(unit, None)
