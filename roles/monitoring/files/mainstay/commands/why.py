# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last incident of an app, a process, a server or the host: what was seen, what was done, and what to do.

Exit status: 0 there is none, or it is over; 1 it is not; 2 cannot tell.
"""

from __future__ import annotations

import json

from ..advice import advice, folder, named
from ..text import iso, span, wall
from .history import concerns, evidence, recorded, where

LINES = 15  # of the journal


def arguments(parser):
    parser.add_argument("target", nargs="?", metavar="APP[/PROCESS]|SERVER", help="whose (default: the last of all)")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    chosen = context.config().find(options.target) if options.target else None
    incidents = recorded(context)
    incidents = [incident for incident in incidents if chosen is None or concerns(incident, chosen)]
    # What is not over comes first, and of those the one that happened last.
    incidents.sort(key=lambda incident: (incident["state"] == "open", iso(incident["events"][-1]["time"])))
    if not incidents:
        print(json.dumps(None) if options.json else f"Nothing has happened to {options.target or 'this host'} that is on record.")
        return 0
    found = explained(incidents[-1])
    print(json.dumps(found, indent=2) if options.json else render(found, context.clock.time()))
    return 1 if found["state"] == "open" else 0


def explained(incident):
    """An incident with its evidence, and with what is to be done."""
    seen = [event["evidence"] for event in incident["events"] if event.get("evidence")]
    why, commands = advice(incident["kind"], named(incident), folder(incident))
    kept = ("id", "kind", "reason", "level", "opened", "state", "times", "actions", "recovered_after")
    return {
        "where": where(incident),
        **{key: incident[key] for key in kept if key in incident},
        "held": sorted({event["reason"] for event in incident["events"] if event["event"] == "held"}),
        "evidence": seen[-1] if seen else None,
        "why": why,
        "do": [*commands, f"mainstay history --id {incident['id']}    # all that was recorded"],
    }


def render(found, now):
    opened = iso(found["opened"])
    times = f", {found['times']} times" if found["times"] > 1 else ""
    lines = [f"{found['where']}: {found['kind']} since {wall(opened)}, {span(now - opened)} ago{times}", f"  {found['reason']}"]
    if found["why"]:
        lines.append(f"  {found['why']}")
    after = found.get("recovered_after")
    lines += [
        "",
        f"Now: {'not over' if found['state'] == 'open' else found['state']}{'' if after is None else f', well after {span(after)}'}",
    ]
    lines.append(f"Done: {'; '.join(action for action in found['actions'] if action) or 'nothing'}")
    lines += [f"Put off: {reason}" for reason in found["held"]]
    if found["evidence"]:
        shown = evidence({**found["evidence"], "journal": found["evidence"].get("journal", [])[-LINES:]})
        lines += ["", "Seen, before anything was done:", *(f"  {line}" for line in shown)]
    return "\n".join([*lines, "", "To do:", *(f"  {command}" for command in found["do"])])
