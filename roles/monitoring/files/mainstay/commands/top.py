# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each unit uses right now: processor time over a second, memory, threads, open files, connections, and where it listens.

CPU is in percent of one processor. FILES is of the process that is nearest to its limit. Exit status: 0, or 2 cannot tell.
"""

from __future__ import annotations

import json

from .. import measure
from ..core.host import listeners
from ..text import table
from .status import place

SECONDS = 1
HEADINGS = ["UNIT", "CPU", "MEMORY MB", "TASKS", "FILES", "CONNECTIONS", "LISTENS"]


def arguments(parser):
    parser.add_argument("target", nargs="?", metavar="APP[/PROCESS]|SERVER", help="only these (default: everything declared here)")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    context.need_root("mainstay top")
    cfg = context.config()
    chosen = cfg.find(options.target) if options.target else cfg.watched
    states = context.systemd.show(list(dict.fromkeys(watched.job for watched in chosen)))
    running = [(watched, state) for watched in chosen if (state := states.get(watched.job)) and state.running and state.group]
    before, began = [measure.processor_time(state.group, context.filesystem) for _watched, state in running], context.clock.monotonic()
    context.clock.sleep(SECONDS)
    open_ports = listeners.snapshot(f"{context.filesystem.rstrip('/')}/proc")
    entries = [used(watched, state, ran, began, open_ports, context) for (watched, state), ran in zip(running, before)]
    entries.sort(key=lambda entry: -(entry["cpu_percent"] or 0))
    print(json.dumps(entries, indent=2) if options.json else table([row(entry) for entry in entries], HEADINGS))
    return 0


def used(watched, state, ran, began, open_ports, context):
    root = context.filesystem
    pids, now = measure.processes(state.group, root), measure.processor_time(state.group, root)
    tasks, files = measure.tasks(state.group, pids, root), measure.open_files(pids, root)
    seconds = context.clock.monotonic() - began
    return {
        **watched.place,
        "unit": watched.job,
        "cpu_percent": None if None in (ran, now) else round(max(0, now - ran) / 1e4 / seconds, 1),
        "memory_mb": state.memory_mb,
        "memory_max_mb": watched.memory_max_mb or state.memory_max_mb,
        "tasks": tasks and tasks[0],
        "tasks_ended": tasks and tasks[1],
        "tasks_max": tasks and tasks[2],
        "files": files and files[0],
        "files_max": files and files[1],
        "connections": measure.connections(pids, root),
        "listens": [f"{item.address}:{item.port}/{item.protocol}" for item in open_ports if set(pids) & set(item.pids)],
    }


def row(entry):
    def share(name):
        number, limit = entry[name], entry[name.replace("_mb", "_max_mb") if name == "memory_mb" else f"{name}_max"]
        return "-" if number is None else f"{number} of {limit}" if limit else number

    cpu = "-" if entry["cpu_percent"] is None else f"{entry['cpu_percent']:g} %"
    return [
        "/".join(place(entry)),
        cpu,
        share("memory_mb"),
        share("tasks"),
        share("files"),
        entry["connections"],
        " ".join(entry["listens"]) or "-",
    ]
