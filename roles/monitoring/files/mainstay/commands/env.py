# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that an app's processes really run with, against the one that a start would give them now, and its packages.

No value is shown: a name, where it is from, its length and, from 12 letters on, the first 8 digits of its SHA-256. One compares with

    printf %s "$SECRET_KEY" | sha256sum

Packages are compared with those of the release before, and pip is asked whether they fit to each other.

Exit status: 0 all as a start would have it, 1 something differs or packages do not fit, 2 cannot tell.
"""

from __future__ import annotations

import json

from .. import environments
from ..text import table


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="whose")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    context.need_root("mainstay env")
    cfg = context.config()
    chosen = cfg.select(options.target)
    app = cfg.app(chosen[0].app)
    states = context.systemd.show(list(dict.fromkeys(process.job for process in chosen)))
    before, changed = environments.since_before(app)
    found = {
        "app": app.name,
        "processes": environments.looked_at(app, chosen, states, context),
        "release_before": before,
        "packages_changed": changed,
        "packages_broken": environments.broken(app, context),
    }
    print(json.dumps(found, indent=2) if options.json else render(found, options.target))
    return 1 if found["packages_broken"] or any(process["differs"] for process in found["processes"]) else 0


def render(found, target):
    processes = found["processes"]
    if not processes:
        blocks = [f"Nothing of {target} runs: there is nothing to compare."]
    else:
        holders = {}
        for process in processes:
            for row in (row for row in process["rows"] if row["from"] != environments.SYSTEMD):  # they differ from start to start
                holders.setdefault((row["name"], row["from"], row["length"], row["sha256"]), []).append(process["name"].partition("/")[2])
        rows = [
            [name, source, length, sha or "-", "all" if len(names) == len(processes) else " ".join(names)]
            for (name, source, length, sha), names in sorted(holders.items())
        ]
        blocks = [table(rows, ["VARIABLE", "FROM", "LENGTH", "SHA-256", "IN"])]
    for process in processes:
        words = ", ".join(f"{name} ({word})" for name, word in process["differs"].items())
        if words:
            blocks.append(f"{process['name']} would start with others: {words}\n  mainstay restart {process['name']}")
    if found["packages_broken"]:
        blocks.append("Packages that do not fit:\n" + "\n".join(f"  {line}" for line in found["packages_broken"]))
    if found["release_before"]:
        lines = found["packages_changed"] or ["none"]
        blocks.append(f"Packages that differ from release {found['release_before']}:\n" + "\n".join(f"  {line}" for line in lines))
    return "\n\n".join(blocks)
