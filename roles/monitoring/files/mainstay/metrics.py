# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's figures in Prometheus' text format, for the exporter of the system to read.

One wrong line, or one figure told twice, and the exporter leaves out the whole file: so what is told is a table, the words of others go
into label values alone, escaped, and what is no finite number is left out.
"""

from __future__ import annotations

import contextlib
import json
import os

from . import backups
from .core.text import printable
from .records import finite
from .report import BY_AGENT, BY_SYSTEMD
from .resource_watch import RANK

MB = 1 << 20
DAY = 86400
WORDS = 200  # of a label's value
STATES = ("up", "starting", "failing", "down", "looping", "restarting", "failed", "missing", "stopped", "unknown")
GAUGE, COUNTER = "gauge", "counter"
# Name: kind, labels and meaning. docs/healing.md shows it.
FAMILIES = {
    "mainstay_agent_acting": (GAUGE, (), "Whether the agent acts on what it sees: 0 in maintenance and in a dry run."),
    "mainstay_agent_start_time_seconds": (GAUGE, (), "When the agent started."),
    "mainstay_agent_watching": (GAUGE, (), "Whether the agent watches."),
    "mainstay_app_availability_ratio": (GAUGE, ("app", "window"), "Part of the last day or month in which the app was available."),
    "mainstay_app_up": (GAUGE, ("app",), "Whether each process of the app has an instance that answers."),
    "mainstay_backup_last_ok": (GAUGE, (), "Whether the last backup succeeded."),
    "mainstay_backup_last_success_timestamp_seconds": (GAUGE, (), "When the last good backup was made."),
    "mainstay_backup_problems": (GAUGE, (), "What is wrong with the backups: failed, too old, or not proved."),
    "mainstay_backup_size_bytes": (GAUGE, (), "What the last good backup holds."),
    "mainstay_beat_last_tick_timestamp_seconds": (
        GAUGE,
        ("app", "process", "unit"),
        "When Celery's beat was last seen to look at its schedule; not told of one with a heartbeat.",
    ),
    "mainstay_certificate_remaining_seconds": (GAUGE, ("site",), "Time until the site's certificate ends."),
    "mainstay_database_connections": (GAUGE, ("app",), "Connections to databases that the app has open."),
    "mainstay_database_connections_limit": (GAUGE, ("app",), "Connections to databases that the plan gives the app."),
    "mainstay_deploy_last_success": (GAUGE, ("app",), "Whether the app's last deploy succeeded."),
    "mainstay_deploy_last_timestamp_seconds": (GAUGE, ("app",), "When the app's last deploy ended."),
    "mainstay_drill_duration_seconds": (GAUGE, (), "How long the last good drill took to restore the backup."),
    "mainstay_drill_last_ok": (GAUGE, (), "Whether the last drill succeeded."),
    "mainstay_drill_last_success_timestamp_seconds": (GAUGE, (), "When a backup was last proved restorable."),
    "mainstay_figures_missing": (GAUGE, (), "Parts of these figures that could not be had; the journal of mainstay-history says which."),
    "mainstay_incident_open": (GAUGE, ("subject", "kind"), "An incident that is not over."),
    "mainstay_incidents_total": (COUNTER, ("kind",), "Incidents that have begun."),
    "mainstay_plan_differences": (GAUGE, (), "Limits of units that are not the plan's."),
    "mainstay_plan_memory_bytes": (GAUGE, ("part",), "Memory that the plan counts for a part of the host."),
    "mainstay_plan_memory_used_bytes": (GAUGE, ("part",), "Memory that this part uses, without the file cache."),
    "mainstay_plan_users": (GAUGE, (), "People online at once that the plan is made for."),
    "mainstay_process_latency_seconds": (GAUGE, ("app", "process", "unit"), "How long the last answer took."),
    "mainstay_process_memory_bytes": (GAUGE, ("app", "process", "unit"), "Memory that the unit uses, without the file cache."),
    "mainstay_process_memory_limit_bytes": (GAUGE, ("app", "process", "unit"), "Memory that the unit may use."),
    "mainstay_process_restarts_total": (COUNTER, ("app", "process", "by"), "Restarts by the agent, and by systemd after a crash."),
    "mainstay_process_state": (GAUGE, ("app", "process", "unit", "state"), "1 for the state in which the unit is."),
    "mainstay_process_up": (GAUGE, ("app", "process", "unit"), "Whether it answers; not told of one that is stopped, starts or is not watched."),
    "mainstay_queue_tasks": (GAUGE, ("app",), "Tasks that wait in the app's Celery queues."),
    "mainstay_reboot_required": (GAUGE, (), "Whether packages want a reboot."),
    "mainstay_recovery_backup_last_ok": (GAUGE, (), "Whether the last backup for point-in-time recovery succeeded."),
    "mainstay_recovery_backup_last_success_timestamp_seconds": (
        GAUGE,
        (),
        "When the last good backup for point-in-time recovery was made.",
    ),
    "mainstay_recovery_backup_size_bytes": (GAUGE, (), "What the last good backup for point-in-time recovery holds."),
    "mainstay_recovery_gaps": (GAUGE, (), "Times after the oldest backup that cannot be restored any more."),
    "mainstay_recovery_log_kept": (GAUGE, (), "Whether PostgreSQL's log arrives, and none of it was dropped since the last backup."),
    "mainstay_recovery_oldest_timestamp_seconds": (GAUGE, (), "The oldest moment to which PostgreSQL can go back."),
    "mainstay_recovery_problems": (GAUGE, (), "What is wrong with point-in-time recovery: a backup, its age, or a log that is not kept."),
    "mainstay_resource_level": (GAUGE, ("resource", "kind"), "Of what a host runs out of: 0 well, 1 warning, 2 critical."),
    "mainstay_server_latency_seconds": (GAUGE, ("server", "unit"), "How long the last answer took."),
    "mainstay_server_availability_ratio": (GAUGE, ("server", "window"), "Part of the last day or month in which the server was available."),
    "mainstay_server_memory_bytes": (GAUGE, ("server", "unit"), "Memory that the unit uses, without the file cache."),
    "mainstay_server_memory_limit_bytes": (GAUGE, ("server", "unit"), "Memory that the unit may use."),
    "mainstay_server_restarts_total": (COUNTER, ("server", "by"), "Restarts by the agent, and by systemd after a crash."),
    "mainstay_server_state": (GAUGE, ("server", "unit", "state"), "1 for the state in which the unit is."),
    "mainstay_server_up": (GAUGE, ("server", "unit"), "Whether it answers; not told of one that is stopped, starts or is not watched."),
    "mainstay_site_up": (GAUGE, ("site", "app"), "Whether nginx, the site's processes and certificate are well, and no visitor is kept out."),
}  # fmt: skip


class Exposition:
    """Figures by name and labels, each once."""

    def __init__(self):
        self.samples = {}

    def add(self, name, value, **labels):
        """A figure; nothing is told where there is no number."""
        value = int(value) if isinstance(value, bool) else finite(value)
        _kind, known, _help = FAMILIES[name]
        if value is not None:
            words = tuple((label, _escaped(labels[label])) for label in known)
            self.samples.setdefault(name, {})[words] = value

    def render(self):
        lines = []
        for name in sorted(self.samples):
            kind, _labels, meaning = FAMILIES[name]
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            for words, value in self.samples[name].items():
                inside = ",".join(f'{label}="{word}"' for label, word in words)
                lines.append(f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}")
        return "\n".join([*lines, ""])


def _escaped(text):
    """A label's value. What a terminal obeys is written out, because alerts and pages show it."""
    text = printable(str(text).encode("utf-8", "replace").decode())[:WORDS]
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def render(facts, counted):
    """The text, of what `page_facts` has found and `count` has counted."""
    found = Exposition()
    _agent(found, facts)
    for entry in facts["watched"]:
        _watched(found, entry, facts)
    for app in facts["apps"]:
        state = facts["app_states"].get(app)
        if state not in (None, "unknown", "stopped", "starting"):
            found.add("mainstay_app_up", state != "down", app=app)
    _availability(found, facts)
    for site in facts["sites"]:
        if site["health"] not in ("unknown", "stopped", "starting"):
            found.add("mainstay_site_up", site["health"] in ("up", "degraded", "failing", "looping"), site=site["name"], app=site["app"])
    for entry in facts["resources"]:
        _resource(found, entry)
    for incident in facts["open"]:
        found.add("mainstay_incident_open", 1, subject=incident["where"], kind=incident["kind"])
    for deploy in facts["last_deploys"].values():
        found.add("mainstay_deploy_last_success", deploy.get("result") == "succeeded", app=deploy["app"])
        found.add("mainstay_deploy_last_timestamp_seconds", deploy["time"], app=deploy["app"])
    _backup(found, facts["backup"])
    _recovery(found, facts["recovery"])
    _plan(found, facts["plan"], facts["users"])
    _counters(found, facts, counted)
    found.add("mainstay_reboot_required", facts["reboot"] is not None)
    found.add("mainstay_figures_missing", len(facts["unread"]))
    return found.render()


def _agent(found, facts):
    agent = facts["agent"]
    found.add("mainstay_agent_watching", facts["watching"])
    found.add("mainstay_agent_start_time_seconds", agent.get("started"))
    if facts["watching"]:
        found.add("mainstay_agent_acting", not agent.get("paused") and not agent.get("dry_run"))


def _watched(found, entry, facts):
    kind = "server" if "server" in entry else "process"
    labels = {key: entry[key] for key in ("app", "process", "server", "unit") if key in entry}
    health = entry["health"] if entry["health"] in STATES else "unknown"
    for state in STATES:
        found.add(f"mainstay_{kind}_state", state == health, **labels, state=state)
    if facts["watching"] and health not in ("stopped", "starting", "unknown"):
        found.add(f"mainstay_{kind}_up", health in ("up", "failing", "looping"), **labels)
    if finite(entry.get("ticked")) is not None:
        found.add("mainstay_beat_last_tick_timestamp_seconds", entry["ticked"], **labels)
    if health == "up" and finite(entry["latency_ms"]) is not None:
        found.add(f"mainstay_{kind}_latency_seconds", entry["latency_ms"] / 1000, **labels)
    for name, key in (("memory", "used_mb"), ("memory_limit", "memory_max_mb")):
        if finite(entry[key]) is not None:
            found.add(f"mainstay_{kind}_{name}_bytes", round(entry[key] * MB), **labels)


def _availability(found, facts):
    for window, figures in (("1d", facts["day"]), ("30d", facts["month"])):
        for kind, entries in (("app", figures.get("apps", {})), ("server", figures.get("servers", {}))):
            for name, entry in entries.items():
                if finite(entry["availability"]) is not None:
                    found.add(f"mainstay_{kind}_availability_ratio", entry["availability"] / 100, **{kind: name}, window=window)


def _resource(found, entry):
    name, kind, value = entry["resource"], entry["kind"], finite(entry.get("value"))
    found.add("mainstay_resource_level", RANK.get(entry["level"]), resource=name, kind=kind)
    if value is None:
        return
    if name.startswith("certificate of "):
        found.add("mainstay_certificate_remaining_seconds", value * DAY, site=name.partition(" of ")[2])
    elif name.startswith("queue of "):
        found.add("mainstay_queue_tasks", value, app=name.partition(" of ")[2])
    elif name.startswith("connections of "):
        found.add("mainstay_database_connections", value, app=name.partition(" of ")[2])
        found.add("mainstay_database_connections_limit", entry.get("limit"), app=name.partition(" of ")[2])


def _backup(found, backup):
    if backup is None:  # nobody asked for any
        return
    found.add("mainstay_backup_problems", len(backup["problems"]))
    for name, last, good in (("backup", "last", "last_good"), ("drill", "drill", "drill_good")):
        if isinstance(backup.get(last), dict):
            found.add(f"mainstay_{name}_last_ok", bool(backup[last].get("ok")))
        if isinstance(backup.get(good), dict):
            found.add(f"mainstay_{name}_last_success_timestamp_seconds", backup[good].get("time"))
    found.add("mainstay_backup_size_bytes", (backup.get("last_good") or {}).get("bytes"))
    found.add("mainstay_drill_duration_seconds", (backup.get("drill_good") or {}).get("seconds"))


def _recovery(found, back):
    if back is None:  # nobody asked for it
        return
    found.add("mainstay_recovery_problems", len(back["problems"]))
    found.add("mainstay_recovery_oldest_timestamp_seconds", back["since"])
    found.add("mainstay_recovery_gaps", len(back["missing"]))
    found.add("mainstay_recovery_log_kept", back["log_kept"])
    found.add("mainstay_recovery_backup_last_ok", back["last_ok"])
    found.add("mainstay_recovery_backup_last_success_timestamp_seconds", back["backed"])
    found.add("mainstay_recovery_backup_size_bytes", back["bytes"])


def _plan(found, plan, users):
    if plan is None:
        return
    found.add("mainstay_plan_users", users)
    found.add("mainstay_plan_differences", len(plan["differs"]))
    for entry in plan["parts"]:
        found.add("mainstay_plan_memory_bytes", entry["planned_mb"] * MB, part=entry["part"])
        if entry["used_mb"] is not None:
            found.add("mainstay_plan_memory_used_bytes", entry["used_mb"] * MB, part=entry["part"])
    found.add("mainstay_plan_memory_bytes", plan["reserve_mb"] * MB, part="reserve")
    found.add("mainstay_plan_memory_bytes", plan["free_mb"] * MB, part="free")


# --- counters ------------------------------------------------------------------------------------------------------------


def _counters(found, facts, counted):
    for entry in facts["watched"]:
        kind = "server" if "server" in entry else "process"
        labels = {key: entry[key] for key in ("app", "process", "server") if key in entry}
        for by in ("agent", "systemd"):
            number = counted["restarts"].get("/".join([*labels.values(), by]), 0)
            found.add(f"mainstay_{kind}_restarts_total", number, **labels, by=by)
    for kind, number in counted["incidents"].items():
        found.add("mainstay_incidents_total", number, kind=kind)


def count(path, events):
    """Restarts and incidents since anybody counts, ``{restarts: {name: number}, incidents: {kind: number}}``.

    The file of incidents forgets, and a counter must not: what has been counted is kept beside the samples.
    """
    kept = backups.read(path)
    counted = {key: _numbers(kept.get(key)) for key in ("restarts", "incidents")}
    until = latest = kept.get("until") if isinstance(kept.get("until"), str) else ""
    for event in events:
        time = event.get("time")
        if not isinstance(time, str) or time <= until:
            continue
        latest = max(latest, time)
        kind, what = event.get("kind"), event.get("event")
        if what == "opened" and isinstance(kind, str):
            counted["incidents"][kind] = counted["incidents"].get(kind, 0) + 1
        by = "agent" if what == "action" and event.get("action") in BY_AGENT else None
        by = "systemd" if what in ("opened", "again") and kind in BY_SYSTEMD else by
        place = [str(event[key]) for key in ("app", "process", "server") if key in event]
        if by and place:
            name = "/".join([*place, by])
            counted["restarts"][name] = counted["restarts"].get(name, 0) + 1
    if latest != until:
        with contextlib.suppress(OSError):  # a full disk: they are counted again
            write(path, json.dumps({**counted, "until": latest}), 0o600)
    return counted


def _numbers(found):
    found = found if isinstance(found, dict) else {}
    return {name: number for name, number in found.items() if finite(number) is not None}


def write(path, text, mode):
    """Replace a file whole."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    os.fchmod(descriptor, mode)
    with open(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "replace"))
    os.replace(temporary, path)
