# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an app or a process (of all its units, also those of former releases), of a server, or of the agent.

PostgreSQL and nginx write files of their own, whose ends follow their journal. They hold what apps have sent as it was; journalctl writes out
what a terminal obeys, and so is it done with those.
"""

from __future__ import annotations

import glob
import json
import os
import re

from ..act import RECLAIM
from ..answers import Answer, option
from ..cli import Refusal

AGENT = ("mainstay-agent.service", "mainstay-act@*.service", "mainstay-alert.service", RECLAIM)
TIMEOUT = 30  # seconds
LEVELS, UNSAID = [str(level) for level in range(8)], 6  # syslog's, and that of a line that says none
TOO_LONG = "(longer than 4096 bytes; without --json it is shown)"  # of which journalctl says null
FILES = {"nginx": "var/log/nginx/error.log", "postgresql": "var/log/postgresql/postgresql-*.log"}


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]|SERVER|agent", help="whose journal")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="the last N lines (default: 100)")
    parser.add_argument("--since", metavar="TIME", help="from then on, such as '1 hour ago' or 'today'")
    option(parser)


def command(units, options):
    argv = ["journalctl", "--output=short-iso", f"--lines={options.lines}"]
    if options.since:
        argv.append(f"--since={options.since}")
    argv += ["--follow"] if options.follow else ["--no-pager"]
    return argv + [f"--unit={unit}" for unit in units]


def run(options, context):
    cfg = context.config()
    if options.json and options.follow:
        raise Refusal("what has no end is no JSON; leave --follow or --json away")
    if options.target == "agent" and "agent" not in {process.app for process in cfg.processes}:
        return told(AGENT, [], options, context) if options.json else context.call(command(AGENT, options))
    chosen = cfg.find(options.target)
    units = [process.job for process in chosen]
    if options.target.count("/") < 2 and "@" not in options.target:
        servers = {server.unit for server in cfg.servers}
        units = sorted({unit if unit in servers else re.sub(r"@.*\.service$", "@*.service", unit) for unit in units})
    paths = [path for process in chosen if process.kind == "server" for path in files(process.name, context.filesystem)]
    if options.json:
        return told(units, paths, options, context)
    if options.follow and paths:
        return context.show(["tail", "-F", f"--lines={options.lines}", "--", *paths])
    status = context.call(command(units, options))
    return context.show(["tail", f"--lines={options.lines}", "--", *paths]) if paths and not status else status


def told(units, paths, options, context):
    """The same as JSON: one result for each line."""
    answer = Answer("logs", True)
    # Not --all: of a line of 50 MB, which an app may write, journalctl would make JSON in 1.5 GB of memory.
    argv = [*command(units, options), "--quiet"]
    argv[1] = "--output=json"
    for line in lines(context.run(argv, timeout=TIMEOUT)):
        entry = json.loads(line)
        # An app may write any field but those that begin with a line: of which unit something is, systemd says, and journald.
        unit = text((entry.get("_PID") == "1" and entry.get("UNIT")) or entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER"))
        time, level = int(entry["__REALTIME_TIMESTAMP"]) / 1e6, entry.get("PRIORITY")
        level = int(level) if level in LEVELS else UNSAID
        answer.result(unit, time=time, level=level, text=TOO_LONG if entry.get("MESSAGE", "") is None else text(entry.get("MESSAGE")))
    for path in paths:
        for line in lines(context.run(["tail", f"--lines={options.lines}", "--", path], timeout=TIMEOUT)):
            answer.result(path, text=line)
    return answer.end(0)


def lines(output):
    """What ends with a line feed; others would end lines at characters that apps may write within them, too."""
    return [line for line in output.split("\n") if line]


def text(field):
    """A field of the journal's JSON: a list of bytes where it holds what a terminal obeys, and a list of those where there are several."""
    if isinstance(field, list) and all(isinstance(byte, int) for byte in field):
        return bytes(field).decode("utf-8", "replace")
    return " ".join(map(text, field)) if isinstance(field, list) else field or ""


def files(server, root):
    return sorted(glob.glob(os.path.join(root, FILES[server]))) if server in FILES else []
