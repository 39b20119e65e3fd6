# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an app or a process: of all its units, also those of former releases."""

from __future__ import annotations

import re


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]|SERVER", help="whose journal")
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
    units = [process.job for process in context.config().find(options.target)]
    if options.target.count("/") < 2 and "@" not in options.target:
        servers = {server.unit for server in context.config().servers}
        units = sorted({unit if unit in servers else re.sub(r"@.*\.service$", "@*.service", unit) for unit in units})
    return context.call(command(units, options))
