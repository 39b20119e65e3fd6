# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an app or a process (of all its units, also those of former releases), of a server, or of the agent.

PostgreSQL and nginx write files of their own, whose ends follow their journal.
"""

from __future__ import annotations

import glob
import os
import re

from ..act import RECLAIM

AGENT = ("mainstay-agent.service", "mainstay-act@*.service", "mainstay-alert.service", RECLAIM)
FILES = {"nginx": "var/log/nginx/error.log", "postgresql": "var/log/postgresql/postgresql-*.log"}


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]|SERVER|agent", help="whose journal")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="the last N lines (default: 100)")
    parser.add_argument("--since", metavar="TIME", help="from then on, such as '1 hour ago' or 'today'")


def command(units, options):
    argv = ["journalctl", "--output=short-iso", f"--lines={options.lines}"]
    if options.since:
        argv.append(f"--since={options.since}")
    argv += ["--follow"] if options.follow else ["--no-pager"]
    return argv + [f"--unit={unit}" for unit in units]


def run(options, context):
    cfg = context.config()
    if options.target == "agent" and "agent" not in {process.app for process in cfg.processes}:
        return context.call(command(AGENT, options))
    chosen = cfg.find(options.target)
    units = [process.job for process in chosen]
    if options.target.count("/") < 2 and "@" not in options.target:
        servers = {server.unit for server in cfg.servers}
        units = sorted({unit if unit in servers else re.sub(r"@.*\.service$", "@*.service", unit) for unit in units})
    paths = [path for process in chosen if process.kind == "server" for path in files(process.name, context.filesystem)]
    if options.follow and paths:
        return context.call(["tail", "-F", f"--lines={options.lines}", "--", *paths])
    status = context.call(command(units, options))
    return context.call(["tail", f"--lines={options.lines}", "--", *paths]) if paths and not status else status


def files(server, root):
    return sorted(glob.glob(os.path.join(root, FILES[server]))) if server in FILES else []
