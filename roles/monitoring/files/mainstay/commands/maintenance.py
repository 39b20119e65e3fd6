# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the agent to keep its hands off for a while: it goes on watching and recording, but restarts nothing.

Maintenance always ends by itself. systemd still restarts what crashes.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os

from .. import maintenances
from ..cli import Refusal
from ..guards import read_maintenance
from ..records import write_state
from ..text import duration, span, wall

LONGEST = 7 * 86400


def arguments(parser):
    parser.add_argument("state", nargs="?", choices=("on", "off"), help="without it: say how it is")
    parser.add_argument(
        "--for",
        dest="length",
        type=duration,
        default=3600,
        metavar="TIME",
        help="with on: how long (default: 1h, at most 7d)",
    )
    parser.add_argument("--reason", default="", help="with on: why, for those who wonder")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    path, now = context.paths.maintenance, context.clock.time()
    if options.state:
        context.need_root("maintenance")
    if options.state == "on":
        if options.length > LONGEST:
            raise Refusal("maintenance lasts 7 days at most; use a shorter time")
        by = os.environ.get("SUDO_USER") or getpass.getuser()
        write_state(path, {"until": now + options.length, "since": now, "by": by, "reason": options.reason}, 0o644)
        maintenances.note(context.paths.maintenances, now, now + options.length)
    elif options.state == "off":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        maintenances.note(context.paths.maintenances, now, now)
    flag = read_maintenance(path, now)
    if options.json:
        print(json.dumps({"on": bool(flag), **(flag or {})}, indent=2))
    elif flag:
        why = f", {flag['reason']}" if flag.get("reason") else ""
        print(f"Maintenance is on until {wall(flag['until'])} ({span(flag['until'] - now)} left; by {flag.get('by', '?')}{why}).")
    else:
        print("Maintenance is off: the agent acts.")
    return 0
