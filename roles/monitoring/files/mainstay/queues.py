# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody works on an app's Celery queues: a worker that is alive consumes.

Two signs have to agree until a queue is stuck: nothing has left it, though tasks wait, and its workers rest. A worker in a long task
that computes is at work; one in a long task that only waits looks as a stuck one does, so it is told and not restarted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from . import measure
from .resource_watch import CRITICAL, OK, WARNING, Reading
from .text import span

RESTING = 0.02  # of one processor, all workers together: their own timers and heartbeats
MANY, LONG = 100, 900  # tasks, and seconds that the last of them waits: more are a backlog
PACE = 11  # looks over which the pace of the workers is measured: five minutes
PUSHES = ("cmdstat_lpush", "cmdstat_rpush")


@dataclass
class Seen:
    taken: int  # what has left the queues so far, as far as it can be counted
    since: float  # since when nothing has left them, though tasks wait
    ran: int  # microseconds of processor time of the workers at that moment


class Queues:
    def __init__(self, config, clock, root="/", ask=measure.redis_ask):
        self.config, self.clock, self.root, self.ask = config, clock, root, ask
        self.seen = {}  # app: what was seen
        self.paces = {}  # app: (monotonic time, tasks taken so far) at the last looks

    def look(self, now, units):
        for app in self.config.apps.values():
            workers = [units.get(process.unit) for process in self.config.processes if process.app == app.name and process.kind == "celery"]
            running = [state for state in workers if state and state.running and state.group] if app.queue else []
            if not running:
                self.seen.pop(app.name, None)
                self.paces.pop(app.name, None)
                continue
            try:
                length, taken = self.measure(app.queue)
            except OSError:
                continue  # whether Redis lives is its own watch's question
            yield self.judge(app.name, now, length, taken, sum(measure.processor_time(state.group, self.root) or 0 for state in running))

    def measure(self, queue):
        """Tasks that wait, and how many have been taken so far: those put there less those that are there."""
        *lengths, stats = self.ask("127.0.0.1", queue["port"], [*(("LLEN", name) for name in queue["names"]), ("INFO", "commandstats")])
        counted = measure.redis_lines(stats)
        pushed = sum(int(counted[name].partition("calls=")[2].partition(",")[0]) for name in PUSHES if name in counted)
        return sum(lengths), pushed - sum(lengths)

    def judge(self, app, now, length, taken, ran):
        seen = self.seen.get(app)
        worked = seen and now > seen.since and (ran - seen.ran) / 1e6 / (now - seen.since) >= RESTING
        if seen is None or not length or taken > seen.taken or ran < seen.ran or worked:
            seen = self.seen[app] = Seen(taken, now, ran)
        seen.taken = taken
        idle = now - seen.since
        facts = {"name": f"queue of {app}", "place": {"app": app}, "value": length}
        if length and idle >= self.config.settings.queue_stuck_after:
            reason = f"{length} tasks wait, and for {span(idle)} none has been taken, and the workers rest"
            return Reading(kind="stuck", level=CRITICAL, reason=reason, steady=False, **facts)
        wait = self.wait(app, now, length, taken)
        if length >= MANY and wait >= LONG:
            reason = f"{length} tasks wait, the last of them for {span(wait)} at the pace of the last minutes"
            return Reading(kind="backlog", level=WARNING, reason=reason, steady=False, **facts)
        return Reading(kind="stuck", level=OK, steady=wait < LONG / 2, **facts)

    def wait(self, app, now, length, taken):
        """Seconds until what waits now has been taken, as fast as tasks were taken of late; 0 while that is not known yet."""
        pace = self.paces.setdefault(app, deque(maxlen=PACE))
        if pace and taken < pace[-1][1]:  # Redis has started anew, and counts from nothing
            pace.clear()
        pace.append((now, taken))
        (began, before), enough = pace[0], len(pace) == PACE
        return length * (now - began) / (taken - before) if enough and taken > before else 0
