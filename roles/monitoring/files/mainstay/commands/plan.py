# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan of this host as it was applied, and how far reality is from it.

Exit status: 0 all as planned, 1 a setting differs from the plan or something is above 80 % of its limit, 2 cannot tell.
"""

from __future__ import annotations

import json

from .. import plan_facts
from ..text import span, table

CLOSE_PERCENT = 80


def arguments(parser):
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    context.need_root("mainstay plan")
    planned = plan_facts.load(context.paths.plan)
    found = plan_facts.compare(planned, context)
    found["close"] = close(found)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(render(found))
    return 1 if found["differs"] or found["close"] else 0


def percent(part, whole):
    return 100 * part // whole if whole else 0


def close(found):
    """What is above 80 % of its limit."""
    pairs = []
    for entry in found["memory"]["parts"]:
        if entry["limited"]:
            pairs += [(f"memory of {unit['unit']}", unit["used_mb"], unit["limit_mb"], " MB") for unit in entry["limited"]]
        else:
            pairs.append((f"memory of {entry['part']}", entry["used_mb"] or 0, entry["planned_mb"], " MB"))
    for name in plan_facts.DATABASES:
        if "connections" in found[name]:
            allowed = found[name]["max_connections"] - found[name]["reserved"]
            pairs.append((f"connections to {name}", found[name]["connections"], allowed, ""))
    if "clients" in found["pgbouncer"]:
        pairs.append(("clients of pgbouncer", found["pgbouncer"]["clients"], found["pgbouncer"]["max_client_conn"], ""))
    # A cache is full by design, and evicts.
    pairs += [
        (f"memory of redis {entry['instance']}", entry["used_mb"], entry["maxmemory_mb"], " MB")
        for entry in found["redis"]["instances"]
        if not entry["evicts"]
    ]
    pairs += [(f"clients of redis {entry['instance']}", entry["clients"], entry["maxclients"], "") for entry in found["redis"]["instances"]]
    if found["nginx"]:
        pairs.append(("connections of nginx", found["nginx"]["connections"], found["nginx"]["slots"], ""))
    return [
        f"{what}: {used:g} of {limit}{unit}, {percent(int(used), limit)} %"
        for what, used, limit, unit in pairs
        if percent(int(used), limit) >= CLOSE_PERCENT
    ]


def render(found):
    held = found["memory"]
    rows = []
    for entry in held["parts"]:
        used = entry["used_mb"]
        part = "-" if used is None else f"{percent(used, entry['planned_mb'])} %"
        rows.append([entry["part"], entry["units"] or "-", entry["planned_mb"], "-" if used is None else used, part])
        if len(entry["limited"]) > 1:
            rows += [
                [f"  {unit['unit']}", "-", unit["limit_mb"], unit["used_mb"], f"{percent(unit['used_mb'], unit['limit_mb'])} %"]
                for unit in entry["limited"]
            ]
    rows += [["reserve", "-", held["reserve_mb"], "-", "-"], ["free", "-", held["free_mb"], "-", "-"]]
    lines = [f"{found['host']}: {held['total_mb']} MB, planned for {found['users']} people online", ""]
    lines.append(table(rows, ["MEMORY", "UNITS", "PLANNED MB", "USED MB", "PART"]))
    for name, database in [(name, found[name]) for name in plan_facts.DATABASES if "connections" in found[name]]:
        lines += ["", f"{name}: {database['connections']} of {database['max_connections']} connections"]
        rows = [
            [
                entry["app"],
                entry["planned"],
                entry["connections"],
                ", ".join(f"{number} {state}" for state, number in sorted(entry["states"].items())) or "-",
                span(entry["oldest_s"]) if entry["oldest_s"] else "-",
            ]
            for entry in database["apps"]
        ]
        lines.append(table(rows, ["APP", "PLANNED", "NOW", "STATES", "OLDEST TRANSACTION"]))
    pooler = found["pgbouncer"]
    if "clients" in pooler:
        lines += ["", f"pgbouncer: {pooler['clients']} of {pooler['max_client_conn']} clients"]
        rows = [
            [
                entry["app"],
                entry["clients"],
                entry["waiting"],
                span(entry["longest_wait_s"]) if entry["longest_wait_s"] else "-",
                f"{entry['sessions']} of {entry['pool']}",
                entry["active"],
            ]
            for entry in pooler["apps"]
        ]
        lines.append(table(rows, ["APP", "CLIENTS", "WAITING", "LONGEST WAIT", "SESSIONS", "ACTIVE"]))
    if found["redis"]["instances"]:
        rows = [
            [
                entry["instance"],
                f"{entry['used_mb']:g} of {entry['maxmemory_mb']}",
                f"{entry['clients']} of {entry['maxclients']}",
                entry["evicted"],
                entry["rejected"],
            ]
            for entry in found["redis"]["instances"]
        ]
        lines += ["", table(rows, ["REDIS", "MEMORY MB", "CLIENTS", "EVICTED", "REJECTED"])]
    if found["nginx"]:
        lines += ["", f"nginx: {found['nginx']['connections']} of {found['nginx']['slots']} connections"]
        if "requests" in found["nginx"]:
            idle = "{reading} send a request, {writing} are answered, {waiting} are idle".format(**found["nginx"])
            lines.append("  {requests} requests and {accepted} clients since it started, {refused} refused".format(**found["nginx"]))
            lines.append(f"  of the clients now {idle}")
    for title, what in (("Differs from the plan", found["differs"]), ("Close to its limit", found["close"])):
        if what:
            lines += ["", title, *(f"  - {line}" for line in what)]
    return "\n".join(lines)
