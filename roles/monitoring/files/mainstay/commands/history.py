# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys and incidents, newest last: what was deployed by whom, what went wrong, what was done, how long it took.

An incident stays one until its process has been well for 10 minutes (monitoring_stable_after); `--id` shows one with its
evidence: the journal's last lines, the unit and its processes as they were before anything was done.
"""

from __future__ import annotations

import json

from ..cli import Refusal
from ..records import fold, read_deploys, read_events
from ..text import iso, span, table, wall

DEPLOY_HEADINGS = ["DEPLOYED", "APP", "BY", "FROM", "TO", "TOOK", "RESULT"]
HEADINGS = ["STARTED", "WHERE", "KIND", "TIMES", "DONE", "STATE", "REASON"]


def recorded(context):
    """All incidents on record, the oldest first."""
    try:
        return fold(read_events(context.paths.incidents))
    except PermissionError:
        raise Refusal("this user may not read the incidents: use sudo") from None
    except FileNotFoundError:
        return []


def arguments(parser):
    parser.add_argument("target", nargs="?", metavar="APP[/PROCESS]|SERVER", help="only these")
    parser.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="at most so many of each (default: 20)")
    parser.add_argument("--id", help="one incident with its events and evidence")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    incidents = recorded(context)
    if options.target:
        chosen = context.config().find(options.target)
        incidents = [incident for incident in incidents if concerns(incident, chosen)]
    if options.id:
        incidents = [incident for incident in incidents if incident["id"] == options.id]
        if not incidents:
            raise Refusal(f"there is no incident {options.id}; see mainstay history")
    else:
        for incident in incidents:
            incident["events"] = [{key: event[key] for key in event if key != "evidence"} for event in incident["events"]]
    incidents = incidents[-max(1, options.lines) :]
    deploys = None if options.id else find_deploys(options, context)
    if options.json:
        print(json.dumps({"deploys": deploys, "incidents": incidents}, indent=2))
    elif options.id:
        print(detail(incidents[0]))
    else:
        print(render(deploys, incidents))
    return 0


def concerns(incident, chosen):
    """Whether an incident is one of these processes and servers, or of an app of theirs as a whole."""
    if "unit" in incident:
        return incident["unit"] in {watched.unit for watched in chosen}
    if "process" in incident:
        return any(incident.items() >= watched.place.items() for watched in chosen)
    return "app" in incident and incident["app"] in {watched.app for watched in chosen if watched.kind != "server"}


def find_deploys(options, context):
    """The deploys of the app that was asked for; None where this user may not read them."""
    try:
        deploys = read_deploys(context.paths.deploys)
    except PermissionError:
        return None
    if options.target:
        apps = {watched.app for watched in context.config().find(options.target) if watched.kind != "server"}
        deploys = [deploy for deploy in deploys if deploy["app"] in apps]
    return deploys[-max(1, options.lines) :]


def render(deploys, incidents):
    if deploys:
        parts = [table([deploy_row(deploy) for deploy in deploys], DEPLOY_HEADINGS)]
    else:
        parts = ["No deploy is recorded." if deploys is not None else "This user may not read the deploys: use sudo."]
    if incidents:
        parts += [
            table([row(incident) for incident in incidents], HEADINGS),
            f"mainstay history --id ID shows an incident; the last is {incidents[-1]['id']}",
        ]
    else:
        parts.append("No incident is recorded.")
    return "\n\n".join(parts)


def deploy_row(deploy):
    seconds = deploy.get("seconds")
    return [
        wall(deploy["time"]),
        deploy["app"],
        deploy.get("by") or "-",
        deploy.get("from") or "-",
        deploy.get("to") or "-",
        "-" if seconds is None else span(seconds),
        deploy.get("result") or "-",
    ]


def where(incident):
    return incident.get("resource") or incident.get("server") or "/".join(incident.get(key, "?") for key in ("app", "process", "instance"))


def row(incident):
    after = incident.get("recovered_after")
    state = f"well after {span(after)}" if incident["state"] in ("recovered", "closed") and after is not None else incident["state"]
    done = incident["actions"][-1] if incident["actions"] else "-"
    return [
        wall(iso(incident["opened"])),
        where(incident),
        incident["kind"],
        incident["times"],
        done,
        state,
        incident["reason"],
    ]


def detail(incident):
    lines = [f"{incident['id']}: {where(incident)}", ""]
    for event in incident["events"]:
        known = ("kind", "reason", "action", "steps", "error", "seconds")
        words = [f"{', '.join(event[key]) if key == 'steps' else event[key]}" for key in known if event.get(key) not in (None, "", [])]
        lines.append(f"{wall(iso(event['time']))}  {event['event'].ljust(9)}  {'; '.join(words)}".rstrip())
        lines += [f"    {line}" for line in evidence(event.get("evidence"))]
    return "\n".join(lines)


def evidence(found):
    if not found:
        return []
    lines = [", ".join(f"{key} {value}" for key, value in found.get("unit", {}).items() if value is not None)]
    for process in found.get("processes", []):
        wchan = f" in {process['wchan']}" if process["wchan"] else ""
        lines.append(f"{process['pid']} {process['name']}: {process['state']}{wchan}, {process['threads']} threads, {process['rss_mb']} MB")
    return lines + ["| " + line for line in found.get("journal", [])]
