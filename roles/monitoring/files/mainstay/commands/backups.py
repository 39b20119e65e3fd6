# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups of this host: the last one part by part, the last drill, and the names of all there are.

Reasons of failures and rows of tables are for root. `playbooks/restore.yml` takes a name as mainstay_snapshot.

Exit status: 0 all well, 1 something failed or is too old, 2 cannot tell.
"""

from __future__ import annotations

import json
import os

from .. import backups
from ..cli import Refusal
from ..text import span, table, wall

HEADINGS = ["PART", "RESULT", "SIZE", "ROWS", "FILES", "TOOK", "NOTE"]

# What a drill has asked of a restored database besides its rows.
PROOFS = {"amcheck": "pg_amcheck", "check": "the app's check"}


def arguments(parser):
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    folder, now = context.paths.backup, context.clock.time()
    found = backups.look(folder, now)
    if found is None:
        raise Refusal("nobody asked for backups of this host: declare backup_repository and run site.yml")
    # The whole records are root's; who may not read them is told the summaries.
    details = {name: backups.read(os.path.join(folder, f"{name}.json")) for name in ("last", "drill", "upkeep")}
    if options.json:
        print(json.dumps({**found, "details": details}, indent=2))
    else:
        print(render(found, details, now))
    return 1 if found["problems"] else 0


def render(found, details, now):
    blocks = [found["sentence"]]
    for name, words in (("last", "Backup"), ("drill", "Drill"), ("upkeep", "Upkeep")):
        entry = found.get(name)
        if entry:
            took = f", took {span(entry['seconds'])}" if "seconds" in entry else ""  # of one that was killed nobody knows
            head = f"{words} of {wall(entry['time'])}, {span(now - entry['time'])} ago{took}:"
            parts = details[name].get("parts", {})
            rows = [row(part, parts[part]) for part in parts] or [[part, "failed", "", "", "", "", ""] for part in entry["failed"]]
            blocks.append(f"{head} {'well' if entry['ok'] else 'failed'}" + (f"\n{table(rows, HEADINGS)}" if rows else ""))
    runs = [run_found["id"] for run_found in found.get("runs", [])]
    blocks.append(f"In the repository: {', '.join(runs)}" if runs else "There is no backup in the repository.")
    return "\n\n".join(blocks)


def row(name, part):
    rows = part.get("rows")
    return [
        name,
        "well" if part["ok"] else "failed",
        backups.size(part["bytes"]) if "bytes" in part else "-",
        sum(number or 0 for number in rows.values()) if rows is not None else "-",
        part.get("files", "-"),
        span(part["seconds"]) if "seconds" in part else "-",
        part.get("error") or ", ".join(f"{words} {part[key]}" for key, words in PROOFS.items() if key in part),
    ]
