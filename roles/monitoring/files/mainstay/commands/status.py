# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on this host, processes of apps and servers, how it is, and what happened last.

Unit states come from systemd, health from the agent's last look (every few seconds).

Exit status: 0 all well (or stopped on request), 1 something is not well, 2 cannot tell, 3 the agent is not watching.
"""

from __future__ import annotations

import json

from .. import backups, packets, reboot, recovery
from ..records import read_state
from ..text import span, table
from .history import concerns

WELL = ("up", "stopped", "starting")
COMMON = ["UNIT", "HEALTH", "SINCE", "RESTARTS", "MEMORY", "LAST INCIDENT"]
HEADINGS = ["APP", "PROCESS", "INSTANCE", *COMMON]
SERVER_HEADINGS = ["SERVER", *COMMON]


def arguments(parser):
    parser.add_argument("target", nargs="?", metavar="APP[/PROCESS]|SERVER", help="only these (default: everything declared here)")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    cfg = context.config()
    chosen = cfg.find(options.target) if options.target else cfg.watched
    state = read_state(context.paths.state)
    now = context.clock.time()
    live = context.systemd.show([unit for process in chosen for unit in dict.fromkeys((process.unit, process.job))])
    entries = collect(chosen, state, live, watching(state, now))
    agent = describe_agent(state, now)
    backup = backups.look(context.paths.backup, now)
    back = recovery.look(context.paths.recovery, now)
    due = reboot.look(context.paths.run, now)
    refused = packets.look(context.run) if context.root else None
    resources = of_these(state.get("resources", []), chosen, options.target) if agent["watching"] else []
    if options.json:
        servers, processes = ([entry for entry in entries if ("server" in entry) is wanted] for wanted in (True, False))
        told = {"agent": agent, "processes": processes, "servers": servers, "resources": resources}
        told.update(backup=backup, recovery=back, reboot=due, firewall=refused)
        print(json.dumps(told, indent=2))
    else:
        # Of backups and of a reboot all is said below.
        short = [
            f"{entry['resource']}: {entry['reason']}"
            for entry in resources
            if entry["level"] != "ok" and entry["kind"] not in ("backup", "recovery", "reboot")
        ]
        below = [told["sentence"] for told in (backup, back, refused, due) if told]
        print("\n\n".join([render(agent, entries, now), *(["\n".join(short)] if short else []), *below]))
    if not agent["watching"]:
        return 3
    if agent["problem"]:
        return 1
    well = all(entry["health"] in WELL for entry in entries) and not any(entry["level"] == "critical" for entry in resources)
    return 0 if well and not any(kept["problems"] for kept in (backup, back) if kept) else 1


def of_these(resources, chosen, target):
    """The resources of the processes that were asked for; without a target all."""
    return [entry for entry in resources if not target or "app" in entry and concerns(entry, chosen)]


def watching(state, now):
    """Whether the state is the work of an agent that is alive: written within the last rounds."""
    agent = state.get("agent") or {}
    return abs(now - agent.get("written", 0)) < 3 * agent.get("interval", 5) + 10


def describe_agent(state, now):
    agent = state.get("agent") or {}
    keys = ("version", "pid", "started", "written", "paused", "problem", "dry_run")
    return {"watching": watching(state, now), **{key: agent.get(key) for key in keys}}


def collect(processes, state, live, alive):
    """One entry for each process: systemd's word now, the agent's word as long as it fits to it."""
    known = {entry["unit"]: entry for part in ("processes", "servers") for entry in state.get(part, [])}
    entries = []
    for process in processes:
        seen = known.get(process.unit, {})
        unit = live.get(process.unit)
        entry = {
            **process.place,
            "kind": process.kind,
            "unit": process.unit,
            "unit_state": unit.words if unit else "unknown",
            "health": health(unit, seen.get("health", "unknown") if alive else "unknown"),
            "memory_mb": unit.memory_mb if unit and unit.running else None,
            "memory_max_mb": process.memory_max_mb or (unit.memory_max_mb if unit else None),
        }
        for key in (
            "reason",
            "since",
            "latency_ms",
            "ticked",
            "restarts_24h",
            "held",
            "cooldown_until",
            "next_start",
            "incident",
        ):
            entry[key] = seen.get(key)
        if entry["health"] != seen.get("health"):  # something has changed since the agent's last look
            entry.update(reason="", since=None, held=None, next_start=None)
        if process.job != process.unit and process.job in live:
            entry.update(scheduled(entry, live[process.job]))
        entries.append(entry)
    return entries


def scheduled(entry, job):
    """What the unit that a timer starts adds to the timer's entry: whether it runs now, and how its last run ended."""
    found = {"memory_mb": job.memory_mb}
    if job.active in ("activating", "active"):
        found["unit_state"] = "running now"
    elif job.result != "success":
        found |= {"health": "failed", "reason": f"its last run failed: {', '.join(part for part in (job.result, job.exit) if part)}"}
    return found


def health(unit, seen):
    if unit is None:
        return "unknown"
    if unit.load != "loaded":
        return "missing"
    if unit.active == "inactive":
        return "failed" if seen == "failed" else "stopped"  # a server that nobody stopped
    if unit.active == "failed":
        return "stopped" if seen == "stopped" else "failed"
    if not unit.running:
        return "restarting"
    return seen if seen not in ("stopped", "failed", "missing", "restarting") else "starting"


def render(agent, entries, now):
    lines = []
    if not agent["watching"]:
        lines.append("The agent is not watching: systemctl status mainstay-agent.service")
    elif agent["paused"]:
        until = agent["paused"]["until"]
        lines.append(f"The agent watches but does not act: {agent['paused']['reason']}" + (f", for {span(until - now)}" if until else ""))
    elif agent["dry_run"]:
        lines.append("The agent watches but does not act: dry run")
    if agent["problem"]:
        lines.append(f"The agent has a problem: {agent['problem']}")
    if not entries:
        return "\n".join([*lines, "No process is declared on this host."])
    for headings, key in ((HEADINGS, "app"), (SERVER_HEADINGS, "server")):
        rows = [row(entry, now) for entry in entries if key in entry]
        if rows:
            lines += [""] * bool(lines) + [table(rows, headings)]
    for entry in entries:
        if entry["health"] not in (*WELL, "unknown") or entry["reason"] and entry["health"] == "unknown":
            lines.append(f"\n{'/'.join(place(entry))}: {explain(entry, now)}")
    return "\n".join(lines)


def place(entry):
    return [entry[key] for key in ("app", "process", "instance", "server") if key in entry]


def row(entry, now):
    limit = entry["memory_max_mb"]
    memory = "-" if entry["memory_mb"] is None else f"{entry['memory_mb']} MB" + (f" of {limit}" if limit else "")
    return [
        *place(entry),
        entry["unit_state"],
        entry["health"],
        span(now - entry["since"]) if entry["since"] else "-",
        "-" if entry["restarts_24h"] is None else entry["restarts_24h"],
        memory,
        incident(entry["incident"], now),
    ]


def incident(found, now):
    if not found:
        return "-"
    after = found["recovered_after"]
    end = f"well after {span(after)}" if after is not None else "open"
    return f"{found['kind']} {span(now - found['opened'])} ago, {end}"


def explain(entry, now):
    """Why it is not well, and what happens next."""
    parts = [entry["reason"] or entry["health"]]
    held = entry["held"]
    if held:
        parts.append(f"waiting: {held['reason']}" + (f", {span(held['until'] - now)} left" if held["until"] else ""))
    if entry["next_start"]:
        parts.append(f"next start in {span(entry['next_start'] - now)}")
    return "; ".join(parts)
