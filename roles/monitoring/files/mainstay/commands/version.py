# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of this command and of the agent that runs."""

from __future__ import annotations

import json

from .. import __version__
from ..records import read_state


def arguments(parser):
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    agent = (read_state(context.paths.state).get("agent") or {}).get("version")
    if options.json:
        print(json.dumps({"version": __version__, "agent": agent}))
    else:
        print(f"mainstay {__version__}" + (f", agent {agent}" if agent and agent != __version__ else ""))
    return 0
