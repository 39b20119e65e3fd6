# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a period, from what the agent has recorded: how available each app was, what went wrong, what it took, what is used up.

An app is available while each of its processes has an instance that is well. Time that nobody has watched, and maintenance, count neither
way.
Nothing here reads or writes.
"""

from __future__ import annotations

from typing import NamedTuple

from .commands.history import where
from .commands.status import watching
from .records import finite, fold
from .text import iso

VERSION = 1
MOST = 200  # incidents, the newest, that are told one by one
WORDS = 300  # of a reason
BY_AGENT = ("kill", "restart", "revive", "renew")
BY_SYSTEMD = ("crash", "oom", "loop")
USED = ("disk", "inodes", "memory")


class Window(NamedTuple):
    """What is counted: from when until when, and the times in it that are not."""

    begin: float
    end: float
    apart: tuple = ()

    @property
    def seconds(self):
        return self.end - self.begin - _sum(self.apart)


def figures(config, events, state, memory, now, seconds, before=None, apart=()):
    """The report of the last so many seconds.

    :param events: of the agent, as `records.events` gives them.
    :param state: the agent's last.
    :param memory: of the host, as `core.host.limits.memory` gives it.
    :param before: the report to compare with, or None.
    :param apart: the times of maintenance, as `maintenances.read` gives them.
    """
    agent = state.get("agent") if isinstance(state.get("agent"), dict) else {}
    alive = agent_is_watching(state, now)
    until = now if alive else min(now, max(now - seconds, finite(agent.get("written")) or 0))
    incidents = fold({key: value for key, value in event.items() if key != "evidence"} for event in events)
    since = now - seconds
    begun = [iso(incident["opened"]) for incident in incidents]
    begun += [started for started in [finite(agent.get("started"))] if started is not None]
    if before:
        begun.append((finite(before.get("time")) or now) - (finite(before.get("watched_s")) or 0))
    since_watched = min(until, max(since, min(begun, default=now)))
    mine = [told(incident, since, now) for incident in incidents]
    mine = [incident for incident in mine if incident["ended"] is None or incident["ended"] >= since]
    counted = [incident for incident in mine if not incident["resource"]]
    window = Window(since_watched, until, tuple(pieces(apart, 1, (since_watched, until))))
    found = {
        "version": VERSION,
        "host": config.host,
        "time": round(now, 1),
        "since": round(since, 1),
        "watched_s": round(until - since_watched, 1),
        "maintenance_s": round(_sum(window.apart), 1),
        "agent": {"watching": alive, "started": finite(agent.get("started"))},
        "apps": {name: _app(config, name, counted, window) for name in sorted({process.app for process in config.processes})},
        "servers": {server.name: _server(server, counted, window) for server in config.servers},
        "slowest_recovery": _slowest(counted),
        "incidents_total": len(mine),
        "incidents": [_shown(incident) for incident in mine[-MOST:]],
        "used": _compared(_used(state if alive else {}, memory), before),
        "compared_with": finite((before or {}).get("time")),
    }
    return found


def agent_is_watching(state, now):
    try:
        return watching(state, now)
    except (TypeError, AttributeError):  # nothing that the agent has written
        return False


# --- incidents -----------------------------------------------------------------------------------------------------------


def told(incident, since, now):
    """One incident with the times in which something was down for it, and what was done about it since."""
    down, start, recoveries, restarts, before = [], None, [], 0, 0
    for event in incident["events"]:
        time, kind = iso(event["time"]), event["event"]
        if time < since:
            before = event.get("times", max(before, 1))
        if kind in ("opened", "again") and start is None:
            start = time
        elif kind == "recovered":
            seconds = event.get("seconds")
            down.append((time - seconds if seconds is not None else start or time, time))
            start = None
            if time >= since and seconds is not None:
                recoveries.append(seconds)
        elif kind in ("closed", "stopped") and start is not None:
            down.append((start, time))
            start = None
        elif kind == "action" and time >= since:
            restarts += event.get("action") in BY_AGENT
    if start is not None:
        down.append((start, now))
    return {
        **incident,
        "where": where(incident),
        "resource": bool(incident.get("resource")),
        "down": down,
        "ended": None if start is not None else down[-1][1] if down else iso(incident["events"][-1]["time"]),
        "recovery": max(recoveries, default=None),
        "by_agent": restarts,
        "by_systemd": max(0, incident["times"] - before) if incident["kind"] in BY_SYSTEMD else 0,
    }


def _shown(incident):
    kept = {key: incident[key] for key in ("id", "kind", "state", "times", "opened")}
    done = [action for action in incident["actions"] if action]
    seconds = sum(end - begin for begin, end in incident["down"])
    return {
        **kept,
        "where": _line(incident["where"]),
        "reason": _line(incident["reason"]),
        "done": done[-3:],
        "lasted_s": round(seconds, 1),
    }


def _line(text):
    """What others have said, as a part of a line: it begins none of its own."""
    return " ".join(text.split())[:WORDS]


def _slowest(incidents):
    """The recovery within the period that took longest."""
    slow = max((incident for incident in incidents if incident["recovery"] is not None), key=lambda found: found["recovery"], default=None)
    return slow and {"where": _line(slow["where"]), "kind": slow["kind"], "seconds": slow["recovery"], "id": slow["id"]}


# --- availability ----------------------------------------------------------------------------------------------------------


def pieces(intervals, instances, window):
    """The parts of the window in which at least as many intervals lie one over another as there are instances."""
    moments = []
    for begin, end in intervals:
        begin, end = max(begin, window[0]), min(end, window[1])
        if begin < end:
            moments += [(begin, 1), (end, -1)]
    depth, found, last = 0, [], None
    for moment, step in sorted(moments):
        if depth >= instances and moment > last:
            found.append((last, moment))
        depth, last = depth + step, moment
    return found


def _sum(intervals):
    return sum(end - begin for begin, end in intervals)


def _lost(down, window):
    """Seconds in which anything was down and that count."""
    down = pieces(down, 1, window)
    return _sum(down) - _sum(pieces([*down, *window.apart], 2, window))


def _app(config, name, incidents, window):
    processes = {}
    for process in config.processes:
        if process.app == name:
            processes.setdefault(process.process, []).append(process.unit)
    mine = [incident for incident in incidents if incident.get("app") == name]
    down = []
    for process, units in processes.items():
        lives = {}  # of one unit, two incidents at once are one time
        for incident in mine:
            if incident.get("process") == process:
                lives.setdefault(incident.get("unit"), []).extend(incident["down"])
        of_units = [piece for intervals in lives.values() for piece in pieces(intervals, 1, window)]
        down += pieces(of_units, len(units), window)
    return _summed(mine, _lost(down, window), window)


def _server(server, incidents, window):
    mine = [incident for incident in incidents if incident.get("server") == server.name]
    return _summed(mine, _lost([interval for incident in mine for interval in incident["down"]], window), window)


def _summed(mine, down, window):
    return {
        "availability": round(100 * (1 - down / window.seconds), 3) if window.seconds > 0 else None,
        "down_s": round(down, 1),
        "incidents": len(mine),
        "restarts": {"by_agent": sum(item["by_agent"] for item in mine), "by_systemd": sum(item["by_systemd"] for item in mine)},
        "slowest_recovery": _slowest(mine),
    }


# --- what is used up -------------------------------------------------------------------------------------------------------


def _used(state, memory):
    """{name: {value, limit, unit}} now: of disks in percent, of memory in MB."""
    found = {}
    if finite(memory.get("memory_mb")):
        used = memory["memory_mb"] - (finite(memory.get("available_mb")) or 0)
        found["memory of the host"] = {"value": used, "limit": memory["memory_mb"], "unit": "MB"}
    resources = state.get("resources")
    for entry in resources if isinstance(resources, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("resource"), str):
            continue
        kind, value = entry["resource"].partition(" ")[0], finite(entry.get("value"))
        if kind in USED and value is not None:
            unit = "MB" if kind == "memory" else "%"
            found[_line(entry["resource"])] = {"value": value, "limit": finite(entry.get("limit")), "unit": unit}
    return found


def _compared(used, before):
    known = before.get("used") if before and isinstance(before.get("used"), dict) else {}
    for name, entry in used.items():
        then = known.get(name)
        then = finite(then.get("value")) if isinstance(then, dict) else None
        entry["change"] = None if then is None else round(entry["value"] - then, 1)
    return used
