# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as it lies on a host: its package importable as `mainstay`, the shared core beside it; and a world to live in."""

from __future__ import annotations

import queue
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "roles/monitoring/files"))

import mainstay.core

mainstay.core.__path__.append(str(ROOT / "plugins/module_utils"))

from mainstay import agent as agent_module
from mainstay import config
from mainstay.guards import Guards
from mainstay.outcome import ERROR, HANG, STALE, Outcome
from mainstay.paths import Paths
from mainstay.records import Incidents, fold, read_events, write_state
from mainstay.signs import DEAF, FULL, STARTING, Activity
from mainstay.units import UnitState


class Clock:
    """Time that passes when told to. The wall clock may jump by itself."""

    def __init__(self, now=1000.0):
        self.now, self.offset = now, 1_700_000_000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + self.offset

    def sleep(self, seconds):
        self.now += seconds


class World:
    """A host with units whose fate the test decides, and an agent that lives through it without sleeping.

    A unit is a dict: active, result, invocation, restarts, since, changed, and how its process behaves:
    up, hang (no answer), error (a wrong one), unknown (the probe cannot tell); a server also stopped (no answer, by a signal),
    slow (an answer after 8 s), overloaded (the same, and it computes), stuck (no answer, at rest), busy (no answer, at work), deaf
    (refuses connections), full (has none left), starting (says that it is not ready). Of a process that nobody can ask only one thing is seen: that it is
    halted, or a child of it (maimed).
    Every app needs every server.
    """

    def __init__(self, tmp_path, names, settings=None, probe=True, servers=()):
        self.clock = Clock()
        self.paths = Paths(
            *(
                str(tmp_path / name)
                for name in ("agent.json", "state.json", "incidents.jsonl", "maintenance.json", "locks", "sock", "deploys.jsonl")
            ),
            ways_back=str(tmp_path / "ways-back"),
        )
        self.booted_at = 0.0
        self.units = {
            f"{name}.service": {
                "active": "active",
                "invocation": f"{name}-0",
                "since": 1.0,
                "changed": 1.0,
                "behaves": "up",
                "restarts": 0,
            }
            for name in (*names, *servers)
        }
        self.requests = {}  # unit: what the journal says about a stop on request
        self.ends = {}  # unit: how the journal says it ended, (result, words)
        self.cured = True  # whether a restart helps
        self.continues = True  # whether a signal to go on helps
        self.start_time = 3.0
        self.actions = []  # (time, action, unit)
        self.shows = 0
        self.pending = []  # (time, message for the inbox)
        probe = {"kind": "http", "url": "http://127.0.0.1:8000/"} if probe else None
        processes = [
            {
                "app": name.split("-")[0],
                "process": "web",
                "instance": str(index),
                "unit": f"{name}.service",
                "kind": "web",
                "probe": probe,
                "needs": list(servers),
            }
            for index, name in enumerate(names, 1)
        ]
        entries = [{"name": name, "unit": f"{name}.service", "probe": {"kind": "redis", "port": 6379}} for name in servers]
        self.config = config.parse({"processes": processes, "servers": entries, "settings": settings or {}})
        self.agent = None
        self.start_agent()

    def start_agent(self, state=None, resources=None):
        """A new agent; the one before has left its state, or what the test says."""
        if state is not None:
            Path(self.paths.state).write_text(state)
        elif self.agent:
            write_state(self.paths.state, self.agent.state.report())
        inbox = queue.SimpleQueue()
        self.pending = []
        self.agent = agent_module.Agent(
            self.config,
            clock=self.clock,
            systemd=self,
            prober=self,
            actuator=self,
            incidents=Incidents(self.paths.incidents, 5, self.clock),
            guards=Guards(self.config.settings, self.paths, self.clock, self.booted_at),
            inbox=inbox,
            paths=self.paths,
            resources=resources,
            log=lambda text, level=6: None,
        )
        self.agent.restore()
        self.agent.state.write = lambda: None  # the disk is slower than this world
        return self.agent

    # systemd
    def show(self, units):
        self.shows += 1
        return {unit: self.state(unit) for unit in units}

    def state(self, unit):
        facts = self.units[unit]
        return UnitState(
            unit,
            active=facts["active"],
            sub="x",
            result=facts.get("result", "success"),
            invocation=facts["invocation"],
            restarts=facts["restarts"],
            active_since=facts["since"],
            changed=facts["changed"],
        )

    def ended(self, unit):
        return self.ends.get(unit)

    def stopped_on_request(self, unit):
        return self.requests.get(unit)

    # prober and actuator
    def submit(self, *arguments):
        if len(arguments) == 3:
            process, _unit, token = arguments
            behaves = self.units[process.unit]["behaves"]
            if process.silent and not process.probe and behaves not in ("halted", "maimed"):
                behaves = "up"
            outcomes = {
                "up": (0.01, Outcome(True, latency_ms=10.0)),
                "hang": (2.0, Outcome(False, HANG, "no answer within 2 s")),
                "error": (0.01, Outcome(False, ERROR, "status 500, expected 2xx")),
                "unknown": (0.01, Outcome(None, "", "cannot tell: permission denied")),
                "stopped": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(7, "T"))),
                "stuck": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(7, "S"))),
                "busy": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(int(self.clock.now), "S"))),
                "full": (0.01, Outcome(False, FULL, "all its connections are in use", activity=Activity(7, "S"))),
                "deaf": (0.01, Outcome(False, DEAF, "connection refused", activity=Activity(7, "S"))),
                "stale": (0.01, Outcome(False, STALE, "no heartbeat", activity=Activity(7, "S"))),
                "burning": (0.01, Outcome(False, STALE, "no heartbeat", activity=Activity(int(self.clock.now * 50), "R"))),
                "ticking": (0.01, Outcome(False, STALE, "no heartbeat", activity=Activity(int(self.clock.now), "S"))),
                "working": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(int(self.clock.now * 50), "S"))),
                "serving": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(7, "S", clients=1))),
                "halted": (0.01, Outcome(False, HANG, "stopped by a signal", activity=Activity(7, "TSS"))),
                "maimed": (0.01, Outcome(False, HANG, "stopped by a signal", activity=Activity(int(self.clock.now * 50), "STR"))),
                "slow": (2.0, Outcome(False, HANG, "no answer within 2 s", activity=Activity(7, "S", clients=1))),
                "overloaded": (
                    2.0,
                    Outcome(False, HANG, "no answer within 2 s", activity=Activity(int(self.clock.now * 50), "S", clients=1)),
                ),
                "starting": (0.01, Outcome(False, STARTING, "it is still loading its data")),
            }
            delay, outcome = outcomes[behaves]
            self.pending.append((self.clock.now + delay, ("probe", token, outcome)))
            return
        action, process, _invocation, token = arguments
        if action != "observe":
            self.actions.append((self.clock.now, action, process.unit))
        if action in ("kill", "restart", "revive"):
            # systemd may be faster with its own restart and counts it
            self.begin(process.unit, "up" if self.cured else self.units[process.unit]["behaves"], crashed=action == "kill")
            if action == "revive" and not self.cured:
                self.give_up(process.unit)
        if action == "continue" and self.continues:
            self.units[process.unit]["behaves"] = "up"
        from mainstay.actuator import Done

        self.pending.append((self.clock.now + 0.3, ("action", token, Done(True, steps=[action]))))

    def wait_longer(self, process, token):
        if self.units[process.unit]["behaves"] in ("slow", "overloaded"):
            self.pending.append((self.clock.now + 8, ("late", token, 8.0)))

    # what may happen to a unit
    def begin(self, unit, behaves="up", crashed=False):
        facts = self.units[unit]
        number = int(facts["invocation"].rsplit("-", 1)[1]) + 1
        facts.update(
            active="active",
            invocation=f"{unit}-{number}",
            since=self.clock.now,
            changed=self.clock.now,
            behaves=behaves,
        )
        facts["restarts"] += crashed

    def stop(self, unit, active="inactive"):
        self.units[unit].update(active=active, changed=self.clock.now)

    def give_up(self, unit):
        self.units[unit].update(active="failed", result="exit-code", changed=self.clock.now)

    # life
    def live(self, seconds):
        end = self.clock.now + seconds
        while True:
            wait = self.agent.step()
            moments = [self.clock.now + wait, end, *(moment for moment, _message in self.pending)]
            self.clock.now = max(self.clock.now, min(moments))
            ready = [item for item in self.pending if item[0] <= self.clock.now]
            self.pending = [item for item in self.pending if item[0] > self.clock.now]
            for _moment, message in ready:
                self.agent.receive(message)
            if self.clock.now >= end and not ready:
                self.agent.step()
                return self

    def until(self, unit, health, limit=120):
        """Seconds until a unit has this health."""
        start = self.clock.now
        while self.health(unit) != health:
            assert self.clock.now - start < limit, f"{unit} is {self.health(unit)}, not {health}, after {limit} s"
            self.live(0.1)
        return self.clock.now - start

    def health(self, unit):
        return self.agent.watches[unit].health

    def held(self, unit):
        held = self.agent.watches[unit].held
        return held[0] if held else None

    def acted(self, *names):
        return [(round(moment - 1000), action, unit) for moment, action, unit in self.actions if not names or action in names]

    def events(self):
        return read_events(self.paths.incidents)

    def incidents(self):
        return fold(self.events())


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def world(tmp_path):
    def make(*names, probe=True, servers=(), **settings):
        return World(tmp_path, names or ("shop-web@1",), settings, probe, servers)

    return make
