# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to remember of this moment, and what the status page tells beside it. Each part stands alone: one that cannot be read is
named on the page and missing, and nothing else is."""

from __future__ import annotations

import os

from . import backups, maintenances, plan_facts, reboot, records, recovery, report
from .cli import Refusal
from .commands import status
from .commands.diagnose import finding, processes, resources
from .core.host import limits
from .core.text import read
from .units import SystemdError

DAY = 86400
SHOWN = 20  # incidents and deploys
ANSWERS = ("failing", "looping")  # it has given no answer once or twice, or ends again and again: it is not down yet, or not now
NUMBERS, WORDS = ("since", "latency_ms", "ticked", "restarts_24h", "memory_max_mb"), ("health", "reason", "unit_state")
ASIDE = ("stopped", "starting")  # neither up nor down: somebody wants it so
TROUBLE = (OSError, LookupError, TypeError, ValueError, AttributeError, SystemdError, Refusal)


class Facts(dict):
    """Facts by name; `unread` names those that could not be had."""

    def __init__(self):
        super().__init__(unread=[])

    def part(self, name, make, default):
        try:
            self[name] = make()
        except TROUBLE as error:
            self[name] = default
            self["unread"].append(f"{name}: {error}")


def now_here(cfg, context):
    """How everything is at this moment."""
    facts, moment = Facts(), context.clock.time()
    facts.update(host=cfg.host, now=moment, apps=sorted({process.app for process in cfg.processes}))
    facts.part("state", lambda: records.read_state(context.paths.state), {})
    facts["watching"] = report.agent_is_watching(facts["state"], moment)
    facts.part("live", lambda: context.systemd.show([unit for item in cfg.watched for unit in dict.fromkeys((item.unit, item.job))]), {})
    facts.part("agent", lambda: status.describe_agent(facts["state"], moment), {"watching": False})
    facts.part("watched", lambda: _watched(cfg, facts, context), [])
    facts.part("resources", lambda: _resources(facts), [])
    facts.part("memory", lambda: limits.memory(context.filesystem), {})
    facts.part("load", lambda: [float(word) for word in read(os.path.join(context.filesystem, "proc/loadavg")).split()[:3]], [])
    return facts


def _watched(cfg, facts, context):
    """Processes and servers as `mainstay status` tells of them, and the memory of each that the kernel could not take back."""
    entries = status.collect(cfg.watched, facts["state"], facts["live"], facts["watching"])
    for entry, watched in zip(entries, cfg.watched):
        unit = facts["live"].get(watched.job) or facts["live"].get(watched.unit)
        used = limits.held_by(unit.group, context.filesystem) if unit and unit.running and unit.group else None
        entry["name"], entry["used_mb"] = "/".join(status.place(entry)), None if used is None else used / limits.MB
        entry.update({key: records.finite(entry[key]) for key in NUMBERS})
        entry.update({key: entry[key] if isinstance(entry[key], str) else "" for key in WORDS})
        entry["incident"] = _incident(entry["incident"])
    return entries


def _incident(found):
    """The last incident of an entry, as the agent writes it, or None."""
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str) or records.finite(found.get("opened")) is None:
        return None
    return {"kind": found["kind"], "opened": found["opened"], "recovered_after": records.finite(found.get("recovered_after"))}


def _resources(facts):
    found = facts["state"].get("resources", []) if facts["watching"] else []
    return [
        entry
        for entry in found
        if isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("resource", "kind", "level"))
    ]


def measured(facts):
    """What of it is remembered, ``{series: number}``. What nobody watches is not known, and neither up nor down."""
    values = {}
    for entry in facts["watched"]:
        name = entry["name"]
        values[f"{name} memory"] = entry["used_mb"]
        if facts["watching"] and entry["health"] not in (*ASIDE, "unknown"):
            values[f"{name} up"] = int(entry["health"] in ("up", *ANSWERS))
            values[f"{name} latency"] = entry["latency_ms"] if entry["health"] == "up" else None
            values[f"{name} restarts"] = entry["restarts_24h"]
    for app in facts["apps"] if facts["watching"] else ():
        found = app_state(app, facts["watched"])
        if found not in (*ASIDE, "unknown"):
            values[f"app {app} up"] = int(found != "down")
    if records.finite(facts["memory"].get("memory_mb")):
        values["host memory"] = facts["memory"]["memory_mb"] - (records.finite(facts["memory"].get("available_mb")) or 0)
    values["host load"] = facts["load"][0] if facts["load"] else None
    values |= {entry["resource"]: records.finite(entry.get("value")) for entry in facts["resources"] if entry["kind"] in ("disk", "inodes")}
    return values


def app_state(app, entries, only=None):
    """One word for an app, or for some of its processes: up while each process has an instance that is, degraded where not all is."""
    healths = {}
    for entry in entries:
        if entry.get("app") == app and (only is None or entry["process"] in only):
            healths.setdefault(entry["process"], []).append(entry["health"])
    worst = {_of_process(found) for found in healths.values()}
    if "stopped" in worst and len(worst) > 1:  # a part of it
        worst = worst - {"stopped"} | {"degraded"}
    for word in ("down", "unknown", "degraded", "starting", "stopped"):
        if word in worst:
            return word
    return "up" if worst else "unknown"


def _of_process(healths):
    if all(health == "up" for health in healths):
        return "up"
    if any(health in ("up", *ANSWERS) for health in healths):
        return "degraded"
    return next((word for word in (*ASIDE, "unknown") if word in healths), "down")


def to_show(cfg, context, facts, settings, begun):
    """What only the page tells.

    :param settings: of the page, as the role has written them.
    :param begun: the moment from which on anything is remembered, or None.
    """
    paths, now = context.paths, facts["now"]
    facts.part("findings", lambda: _findings(facts), [])
    facts.part("events", lambda: _events(paths.incidents), [])
    before = {"time": begun, "watched_s": 0} if begun is not None else None

    apart = maintenances.read(paths.maintenances)

    def figures(seconds):
        return report.figures(cfg, facts["events"], facts["state"], facts["memory"], now, seconds, before, apart)

    facts.part("day", lambda: figures(DAY), {})
    facts.part("month", lambda: figures(30 * DAY), {})
    facts.part("incidents", lambda: [report.told(found, 0, now) for found in records.fold(facts["events"])[-SHOWN:]][::-1], [])
    facts.part("deploys", lambda: _deploys(paths.deploys), [])
    facts.part("open", lambda: [report.told(found, 0, now) for found in records.fold(facts["events"]) if found["state"] == "open"], [])
    facts.part("last_deploys", lambda: {deploy["app"]: deploy for deploy in records.read_deploys(paths.deploys)}, {})
    facts.part("app_states", lambda: {app: app_state(app, facts["watched"]) for app in facts["apps"]}, {})
    facts.part("users", lambda: backups.read(paths.plan).get("users"), None)
    facts.part("plan", lambda: plan_facts.memory(plan_facts.load(paths.plan), context) if os.path.exists(paths.plan) else None, None)
    facts.part("backup", lambda: backups.look(paths.backup, now), None)
    facts.part("recovery", lambda: recovery.look(paths.recovery, now), None)
    facts.part("reboot", lambda: reboot.look(paths.run, now), None)
    facts.part("cpus", lambda: limits.cpu(context.filesystem)["cpus"], None)
    facts.part("sites", lambda: [_site(site, facts) for site in settings.get("sites", [])], [])
    facts["alerts"], facts["ping"] = (settings.get(key) is True for key in ("alerts", "ping"))
    return facts


def _findings(facts):
    found = [] if facts["watching"] else [finding("agent", "agent", "the agent is not watching", "critical", "agent")]
    known = [entry for entry in facts["watched"] if entry["health"] != "unknown"]
    found += [*processes(known), *_restarting(known), *resources(facts["resources"])]
    return sorted(found, key=lambda item: item["level"] != "critical")


def _restarting(entries):
    """What comes back by itself is no finding of `mainstay diagnose`; who looks at the page sees that it is away."""
    for entry in entries:
        if entry["health"] == "restarting":
            kind = (entry.get("incident") or {}).get("kind") or "failed"
            yield finding(entry["name"], kind, f"restarting: {entry['reason'] or entry['unit_state']}", "critical", entry["name"])


def _events(path):
    try:
        return [{key: value for key, value in event.items() if key != "evidence"} for event in records.events(path)]
    except FileNotFoundError:
        return []


def _deploys(path):
    found = [deploy for deploy in records.read_deploys(path) if 0 <= deploy["time"] < 2**36]
    return found[-SHOWN:][::-1]


def _site(site, facts):
    """A site is up while what its routes lead to is, and nginx before it, and no visitor is kept out."""
    healths = [entry["health"] for entry in facts["watched"] if entry["name"] == "nginx"]
    if site["processes"] and any(entry.get("app") == site["app"] for entry in facts["watched"]):
        healths.append(app_state(site["app"], facts["watched"], site["processes"]))
    told = {entry["resource"]: entry for entry in facts["resources"]}
    certificate, visits = told.get(f"certificate of {site['name']}"), told.get(f"site {site['name']}")
    worst = next((health for health in healths if health != "up"), "up" if healths else "unknown")
    if worst == "up" and certificate and records.finite(certificate.get("value")) is not None and certificate["value"] <= 0:
        worst = "down"
    if worst == "up" and visits and visits["level"] == "critical":
        worst = "down"
    return {**site, "health": worst, "certificate": certificate}
