# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main loop: look, decide, act, tell. Everything it touches is given to it, so that tests need no sleep."""

from __future__ import annotations

import faulthandler
import math
import queue
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import replace

from . import config
from .act import RECLAIM
from .actuator import Actuator, Helper
from .guards import Guards
from .limits import Hold, Limits
from .notify import notify
from .outcome import HANG
from .paths import Paths
from .prober import Prober
from .records import Incidents, open_resources, open_units
from .resource_watch import OK, ResourceWatch
from .resources import INTERVAL as RESOURCES_EVERY
from .resources import Resources
from .server_watch import ServerWatch
from .state import State
from .units import Systemd, SystemdError
from .watch import Watch
from .ways_back import failed_release

DRY_RUN = Hold("dry run: nothing is done")
LONGEST_WAIT = 10  # seconds; systemd's watchdog wants a sign of life every 30
UNRECORDED = 100  # events that are kept while the disk takes none
SOON = 10  # seconds until what was done about a disk is looked at


class Cleaner:
    """What throws away, as the actuator knows it."""

    unit = RECLAIM


def log(text, level=6):
    print(f"<{level}>{text}", file=sys.stderr, flush=True)


class Agent:
    def __init__(self, cfg, *, clock, systemd, prober, actuator, incidents, guards, inbox, paths, resources=None, log=log):
        self.config, self.settings = cfg, cfg.settings
        self.clock, self.systemd, self.prober, self.actuator = clock, systemd, prober, actuator
        self.incidents, self.guards, self.inbox, self.paths, self.log = incidents, guards, inbox, paths, log
        self.watches = {process.unit: Watch(process, cfg.settings, clock, systemd) for process in cfg.processes}
        servers = {server.name: ServerWatch(server, cfg.settings, clock, systemd) for server in cfg.servers}
        self.watches |= {watch.process.unit: watch for watch in servers.values()}
        guards.servers = servers
        self.limits = Limits(cfg.settings)
        self.state = State(self)
        self.resources, self.resource_watches, self.reclaimed = resources, {}, None
        now = clock.monotonic()
        self.resources_due = now if resources else math.inf
        self.states = {}  # of the units, as last seen
        self.started, self.started_wall = now, clock.time()
        self.due = dict.fromkeys(self.watches, now)
        self.probing = {}  # unit: time of the probe under way
        self.acting = set()  # units an action is under way for
        self.wake = now
        self.returned = {}  # app: the release that it has been asked to leave
        self.stale = 0.0  # failures of probes sent until this moment do not count
        self.complaint = ""
        self.unrecorded, self.unwritten = deque(maxlen=UNRECORDED), ""

    # --- memory ----------------------------------------------------------------------------------------------------

    def restore(self):
        """Go on where the agent was before its own restart; a state that cannot be read is no state."""
        self._adopt()
        self.state.remember()
        self._let_go()

    def _adopt(self):
        """Incidents of resources outlive the host's own restart: what was full is full."""
        try:
            for name, found in open_resources(self.paths.incidents).items() if self.resources else ():
                self.resource_watches[name] = ResourceWatch(name, self.clock)
                self.resource_watches[name].adopt(found)
        except OSError as error:
            self.log(f"the incidents of before cannot be read: {error}", 4)

    def _let_go(self):
        """Incidents of processes end where nobody remembers them, as after a start of the host: what is not well is seen anew."""
        known = {watch.incident.id for watch in self.watches.values() if watch.incident}
        try:
            for incident, place in open_units(self.paths.incidents).items():
                if incident not in known:
                    self._write({"incident": incident, "event": "closed", **place, "reason": "the agent began anew without it"})
        except OSError as error:
            self.log(f"the incidents of before cannot be read: {error}", 4)

    # --- one round -------------------------------------------------------------------------------------------------

    def step(self):
        """Do what is due; returns the seconds until something is due again."""
        now = self.clock.monotonic()
        if now > self.wake + 2 * self.settings.interval:
            self.log(f"{now - self.wake:.0f} s late (suspended or starved): failures of this round do not count", 4)
            self.stale = now
        while not self.inbox.empty():
            self.receive(self.inbox.get())
        due = [unit for unit, moment in self.due.items() if moment <= now]
        if due:
            self._look(now, due)
        if self.resources and self.resources_due <= now:
            self.resources_due = math.inf  # until this look is over
            self.resources.submit(dict(self.states))
        self._decide()
        self._flush()
        if due or not self.probing:
            self.state.write()
        now = self.clock.monotonic()
        wait = max(0.0, min([*self.due.values(), self.resources_due, now + LONGEST_WAIT]) - now)
        self.wake = now + wait
        return wait

    def receive(self, message):
        kind, token, result = message
        if kind == "probe":
            self._probed(token, result)
        elif kind == "late":
            self.watches[token[0]].observe_late(result, token[1])
        elif kind == "resources":
            self._looked(result)
        else:
            self._acted(token, result)

    def _probed(self, token, outcome):
        unit, invocation, sent = token
        watch = self.watches[unit]
        self.probing.pop(unit, None)
        if unit in self.acting or (outcome.healthy is False and sent <= self.stale):
            return
        self._record(watch, watch.observe_probe(outcome, invocation))
        if outcome.healthy is False or (outcome.healthy and watch.health != "up"):
            self._again_soon(unit, sent)
        if outcome.healthy is False and outcome.kind == HANG and watch.process.kind != "server" and not watch.process.silent:
            self.prober.wait_longer(watch.process, token)

    def _looked(self, done):
        """The readings of all resources, from the thread that has taken them."""
        self.resources_due = self.clock.monotonic() + RESOURCES_EVERY
        error = done.exception()
        if error:  # the agent's own fault, which must not end the watch over all else
            self.log(f"the resources cannot be read: {type(error).__name__}: {error}", 3)
            return
        readings = list(map(self._explained, done.result()))
        for reading in readings:
            watch = self.resource_watches.setdefault(reading.name, ResourceWatch(reading.name, self.clock))
            self._note(reading.name, watch.observe(reading))
        for name in set(self.resource_watches) - {reading.name for reading in readings}:
            self._note(name, self.resource_watches.pop(name).gone())
        self._note_reclaimed()

    def _explained(self, reading):
        """A site that is away because nginx or a process of its app is not well has no incident of its own."""
        if reading.kind != "site" or reading.level == OK:
            return reading
        causes = {"server": "nginx", **reading.place}.items()
        unwell = any(watch.health != "up" and causes & watch.process.place.items() for watch in self.watches.values())
        return replace(reading, level=OK, reason="", steady=False) if unwell else reading

    def _note(self, name, events):
        for event in events:
            self._write(event)
            details = " ".join(f"{key}={event[key]}" for key in ("kind", "level", "action", "reason", "seconds") if key in event)
            self.log(f"{name}: {event['event']} {details}".rstrip(), 4 if event["event"] in ("opened", "again", "action") else 5)

    def _note_reclaimed(self):
        """What the helper has thrown away, told with the incidents for which it was asked to."""
        freed = self.resources.reclaimed()
        if not freed or freed == self.reclaimed:
            return
        first, self.reclaimed = self.reclaimed is None, freed
        for name, watch in self.resource_watches.items():
            if watch.acted_at is not None and watch.incident and not (first and freed["time"] < watch.opened):
                self._note(name, watch.done([f"{step}: {number >> 20} MB freed" for step, number in freed["freed"].items()]))

    def _again_soon(self, unit, sent):
        self.due[unit] = min(self.due[unit], max(self.clock.monotonic(), sent + self.settings.retry_interval))

    def _look(self, now, due):
        try:
            states = self.systemd.show(list(self.watches))
            self.complaint = ""
        except SystemdError as error:
            if str(error) != self.complaint:
                self.log(f"systemd cannot be asked: {error}", 3)
            self.complaint = str(error)
            states = {}
        self.states = states or self.states
        for unit, watch in self.watches.items():
            if unit in states and unit not in self.acting:
                self._record(watch, watch.observe_unit(states[unit]))
                if watch.health in ("up", "looping", "failed", "stopped", "missing"):
                    self.limits.answered(unit)
        for unit in due:
            self.due[unit] = self._next(now)
            watch = self.watches[unit]
            if unit not in states or unit in self.acting:
                continue
            if not states[unit].running or not watch.asked:
                if watch.health in ("unknown", "starting", "restarting"):
                    self._again_soon(unit, now)
            elif unit not in self.probing:
                self.probing[unit] = now
                self.prober.submit(watch.process, states[unit], (unit, watch.invocation, now))

    def _next(self, now):
        """The next point of one grid for all, so that one call serves all units."""
        interval = self.settings.interval
        return self.started + (math.floor((now - self.started) / interval) + 1) * interval

    # --- deciding --------------------------------------------------------------------------------------------------

    def _decide(self):
        now = self.clock.monotonic()
        # Servers first: what depends on them cannot be well before.
        for unit, watch in sorted(self.watches.items(), key=lambda item: (item[1].process.kind != "server", item[1].since)):
            action = watch.wants()
            if action and unit not in self.acting:
                hold = self.guards.hold(watch.process) or self.limits.hold(now, unit, action)
                if hold:
                    self._record(watch, watch.hold(hold))
                elif self.settings.dry_run:
                    self._record(watch, watch.hold(DRY_RUN))
                else:
                    self.limits.acted(now, unit, action)
                    self._record(watch, watch.acted(action), evidence=False)
                    self._start(action, watch)
            if watch.stable():
                self._record(watch, watch.settle())
                self.limits.forget(unit)
                self._start("reset", watch)

        if self.settings.rollback:
            self._leave_failed_releases()
        for name, resource in self.resource_watches.items():
            action = resource.wants()
            if action:
                self._answer(now, name, resource, action)

    def _leave_failed_releases(self):
        """What goes wrong again and again since a deploy is no restart's to mend; each release is left once."""
        for watch in self.watches.values():
            app = getattr(watch.process, "app", None)
            release = failed_release(self.paths, watch.process, watch.incident)
            if not release or self.returned.get(app) == release or watch.process.unit in self.acting:
                continue
            hold = self.guards.hold(watch.process)
            if hold or self.settings.dry_run:
                self._record(watch, watch.hold(hold or DRY_RUN))
                continue
            self.returned[app] = release
            self._record(watch, watch.acted("rollback"), evidence=False)
            self._start("rollback", watch)

    def _answer(self, now, name, resource, action):
        """A disk is cleared, or a process that leaks is started anew, within the limits of all restarts."""
        watch = self.watches.get(resource.reading.unit)
        if action == "renew" and (watch is None or watch.health != "up" or watch.process.unit in self.acting):
            return
        hold = self.guards.hold(watch.process if watch else None)
        if not hold and action == "renew":
            hold = self.limits.hold(now, watch.process.unit, action)
        if hold or self.settings.dry_run:
            self._note(name, resource.hold(hold or DRY_RUN))
            return
        self._note(name, resource.acted(action))
        if action == "renew":
            self.limits.acted(now, watch.process.unit, action)
            self._record(watch, watch.acted(action), evidence=False)
            self._start(action, watch, resource.incident)
        else:
            self.actuator.submit(action, Cleaner, None, (RECLAIM, action, resource.incident))
            self.resources_due = min(self.resources_due, now + SOON)

    def _start(self, action, watch, incident=None):
        unit = watch.process.unit
        if action not in ("reset", "observe"):
            self.acting.add(unit)
        incident = incident or (watch.incident.id if watch.incident else None)
        self.actuator.submit(action, watch.process, watch.invocation, (unit, action, incident))

    def _acted(self, token, done):
        unit, action, incident = token
        if action not in ("reset", "observe", "reclaim"):
            self.acting.discard(unit)
            self.due[unit] = self.clock.monotonic()
        if not done.ok:
            self.log(f"{unit}: {action}: {done.error}", 4)
        if incident and action != "reset" and not (action == "reclaim" and done.ok):
            event = {
                "incident": incident,
                "event": "evidence" if action == "observe" else "done",
                "unit": unit,
                "ok": done.ok,
            }
            event |= {key: value for key in ("steps", "error", "evidence") if (value := getattr(done, key))}
            self._write(event)

    # --- telling ---------------------------------------------------------------------------------------------------

    def _record(self, watch, events, evidence=True):
        for event in events:
            self._write(event)
            details = " ".join(f"{key}={event[key]}" for key in ("kind", "action", "reason", "seconds") if key in event)
            self.log(
                f"{watch.process.name}: {event['event']} {details}".rstrip(),
                4 if event["event"] in ("opened", "again", "action") else 5,
            )
            # A hang is looked at just before it is answered; a crash has nothing more to show than now.
            if evidence and event["event"] == "opened" and watch.wants() is None:
                self._start("observe", watch)

    def _write(self, event):
        self.unrecorded.append(self.incidents.stamped(event))
        self._flush()

    def _flush(self):
        """What cannot be recorded waits, so that nothing stays open on record that has long ended."""
        try:
            while self.unrecorded:
                self.incidents.append(self.unrecorded[0])
                self.unrecorded.popleft()
            self.unwritten = ""
        except OSError as error:
            if not self.unwritten:
                self.log(f"incidents cannot be recorded: {error}", 3)
            self.unwritten = f"incidents cannot be recorded: {error.strerror}"

    def summary(self):
        counts = Counter(watch.health for watch in self.watches.values())
        return ", ".join(f"{number} {health}" for health, number in counts.most_common()) or "nothing to watch"


def build(cfg, paths, clock=time, systemd=None):
    systemd = systemd or Systemd()
    inbox = queue.SimpleQueue()
    agent = Agent(
        cfg,
        clock=clock,
        systemd=systemd,
        prober=Prober(cfg.settings, inbox, clock),
        actuator=Actuator(cfg.settings, Helper(paths.helper), systemd, inbox, clock),
        incidents=Incidents(paths.incidents, cfg.settings.incidents_max_mb, clock),
        guards=Guards(cfg.settings, paths, clock, systemd.booted()),
        inbox=inbox,
        paths=paths,
        resources=Resources(cfg, paths, inbox, clock),
    )
    agent.restore()
    return agent


def main(argv=(), paths=None):
    """Run until SIGTERM; systemd starts this as mainstay-agent.service."""
    faulthandler.enable()  # systemd's watchdog ends a stuck agent with SIGABRT: show where it was
    paths = paths or Paths()
    try:
        agent = build(config.load(paths.config), paths)
    except (config.ConfigError, SystemdError) as error:
        log(str(error), 3)
        return 1
    running = [True]

    def stop(number, frame):
        running.clear()
        agent.inbox.put(None)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log(f"watching {len(agent.watches)} units", 5)
    wait = agent.step()
    notify("READY=1")
    while running:
        try:
            message = agent.inbox.get(timeout=wait)
            if message:
                agent.receive(message)
        except queue.Empty:
            pass
        wait = agent.step()
        notify("WATCHDOG=1", f"STATUS={agent.summary()}")
    return 0
