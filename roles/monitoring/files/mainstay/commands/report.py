# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How available each app and server was, what went wrong, what that took, and what is used up, with the difference to the last report.

An app is available while each of its processes has an instance that is well. One report a day is kept.
"""

from __future__ import annotations

import json

from .. import reports
from ..cli import Refusal
from ..text import duration, iso, span, table, wall

HEADINGS = ["AVAILABLE", "DOWN", "INCIDENTS", "RESTARTS", "SLOWEST RECOVERY"]
INCIDENTS = ["STARTED", "WHERE", "KIND", "LASTED", "TIMES", "DONE", "REASON"]
SHOWN = 20


def arguments(parser):
    parser.add_argument("--since", type=duration, default=reports.DAY, metavar="TIME", help="of how long, such as 12h or 7d (default: 24h)")
    parser.add_argument("--last", action="store_true", help="the last report that was kept, as it is")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    if options.last:
        found = reports.newest(context.paths.reports)
        if found is None:
            raise Refusal("no report is kept yet; mainstay report makes one of now")
    else:
        found = reports.now(context.config(), context.paths, context.clock, options.since, context.filesystem)
    print(json.dumps(found, indent=2) if options.json else render(found))
    return 0


def render(found):
    head = f"{found['host']}, {span(found['time'] - found['since'])} until {wall(found['time'])}"
    if found["watched_s"] < found["time"] - found["since"] - 60:
        head += f", of which {span(found['watched_s'])} were watched"
    if found["maintenance_s"] >= 1:
        head += f"; {span(found['maintenance_s'])} of maintenance count neither way"
    parts = [head if found["agent"]["watching"] else f"{head}\nThe agent is not watching: systemctl status mainstay-agent.service"]
    for name, title in (("apps", "APP"), ("servers", "SERVER")):
        if found[name]:
            parts.append(table([[key, *row(entry)] for key, entry in found[name].items()], [title, *HEADINGS]))
    shown = found["incidents"][-SHOWN:]
    parts.append(table([incident(entry) for entry in shown], INCIDENTS) if shown else "No incident.")
    if found["incidents_total"] > len(shown):
        parts[-1] += f"\n{found['incidents_total'] - len(shown)} more before; mainstay history shows them"
    rows = [[name, amount(entry), change(entry)] for name, entry in found["used"].items()]
    if rows:
        parts.append(table(rows, ["USED", "NOW", "CHANGE"]))
    compared = found["compared_with"]
    parts.append(f"Compared with the report of {wall(compared)}." if compared else "There is no report yet to compare with.")
    return "\n\n".join(parts)


def row(entry):
    slow, restarts = entry["slowest_recovery"], entry["restarts"]
    return [
        "-" if entry["availability"] is None else f"{entry['availability']:.3f} %",
        span(entry["down_s"]),
        entry["incidents"],
        f"{restarts['by_agent'] + restarts['by_systemd']}",
        f"{span(slow['seconds'])} ({slow['where']}, {slow['kind']})" if slow else "-",
    ]


def incident(entry):
    lasted = f"{span(entry['lasted_s'])}{', open' if entry['state'] == 'open' else ''}"
    done = entry["done"][-1] if entry["done"] else "-"
    return [wall(iso(entry["opened"])), entry["where"], entry["kind"], lasted, entry["times"], done, entry["reason"]]


def amount(entry):
    if entry["unit"] == "%" or entry["limit"] is None:
        return f"{entry['value']:.1f} {entry['unit']}"
    return f"{entry['value']:.0f} of {entry['limit']:.0f} {entry['unit']}"


def change(entry):
    return "-" if entry["change"] is None else f"{entry['change']:+.1f} {entry['unit']}"
