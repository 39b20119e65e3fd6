# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's state on the disk: what it tells of all that it watches, and what it remembers after a restart of its own."""

from __future__ import annotations

import os

from . import __version__
from .records import read_state, write_state

VERSION = 1


class State:
    """What one agent writes and reads of its own."""

    def __init__(self, agent):
        self.agent = agent

    def write(self):
        try:
            write_state(self.agent.paths.state, self.report())
        except OSError as error:
            self.agent.log(f"the state cannot be written: {error}", 3)

    def report(self):
        paused = self.agent.guards.hold(None)
        return {
            "version": VERSION,
            "agent": {
                "version": __version__,
                "pid": os.getpid(),
                "started": self.agent.started_wall,
                "written": self.agent.clock.time(),
                "interval": self.agent.settings.interval,
                "dry_run": self.agent.settings.dry_run,
                "paused": self._hold(paused.reason, paused.until) if paused else None,
                "problem": self.agent.complaint or self.agent.unwritten or None,
            },
            "processes": [self._entry(self.agent.watches[process.unit]) for process in self.agent.config.processes],
            "servers": [self._entry(self.agent.watches[server.unit]) for server in self.agent.config.servers],
            "resources": [watch.entry() for _name, watch in sorted(self.agent.resource_watches.items()) if watch.reading],
            "memory": self.memory(),
        }

    def _wall(self, moment):
        return None if moment is None else round(moment - self.agent.clock.monotonic() + self.agent.clock.time(), 1)

    def _hold(self, reason, until):
        return {"reason": reason, "until": self._wall(until)}

    def _entry(self, watch):
        process, unit, incident = watch.process, watch.unit, watch.incident
        pause = self.agent.limits.pauses.get(process.unit)
        return {
            **process.place,
            "unit": process.unit,
            "kind": process.kind,
            "probe": process.probe["kind"] if process.probe else None,
            "health": watch.health,
            "since": watch.since or None,
            "reason": watch.reason,
            "latency_ms": watch.latency_ms,
            "ticked": watch.ticked,
            "unit_state": unit.words if unit else "",
            "restarts_24h": len(watch.restarts),
            "memory_mb": unit.memory_mb if unit else None,
            "memory_max_mb": process.memory_max_mb or (unit.memory_max_mb if unit else None),
            "held": self._hold(*watch.held) if watch.held else None,
            "cooldown_until": self._wall(pause[0]) if pause and pause[0] > self.agent.clock.monotonic() else None,
            "next_start": self._wall(watch.revive_at()) if watch.health == "failed" else None,
            "incident": {
                "id": incident.id,
                "kind": incident.kind,
                "reason": incident.reason,
                "opened": incident.opened,
                "times": incident.times,
                "actions": incident.actions,
                "recovered_after": incident.recovered_after,
            }
            if incident
            else None,
        }

    def memory(self):
        return {
            "booted": self.agent.guards.booted,
            "saved": self.agent.clock.monotonic(),
            "limits": self.agent.limits.dump(),
            "watches": {unit: watch.dump() for unit, watch in self.agent.watches.items()},
        }

    def remember(self):
        state = read_state(self.agent.paths.state)
        try:
            memory = state["memory"]
            if memory["booted"] != self.agent.guards.booted or memory["saved"] > self.agent.clock.monotonic():
                return
            self.agent.limits.load(memory["limits"])
            for unit, kept in memory["watches"].items():
                if unit in self.agent.watches:
                    self.agent.watches[unit].load(kept)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if state:
                self.agent.log(f"the state of before cannot be used ({type(error).__name__}: {error}); starting afresh", 4)
