# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The privileged helper: what root must do for the agent, and nothing else.

systemd starts it for each connection to its socket, which only the agent's user can open. It reads one line of JSON,
{"verb": …, "unit": …}, and runs systemctl if the verb is known and the unit is declared in the configuration (which only
root can write). Two more are known, for one verb each: the one that throws away what nobody misses, and of each app the one
that returns it to the release before, which looks for itself whether it may.
"""

from __future__ import annotations

import json
import subprocess
import sys

from . import config
from .paths import Paths

VERBS = {
    "continue": ("kill", "--signal=SIGCONT"),
    "kill": ("kill", "--signal=SIGKILL"),
    "restart": ("restart", "--no-block"),
    "start": ("start", "--no-block"),
    "reset-failed": ("reset-failed",),
    "reclaim": ("start", "--no-block"),
    "rollback": ("start", "--no-block"),
}
# Besides the declared units, each for its own verb alone.
RECLAIM = "mainstay-reclaim.service"
ROLLBACK = "mainstay-rollback@{}.service"


def command(line, units, apps=()):
    """The systemctl command of a request; ValueError if it is not to be granted."""
    request = json.loads(line)
    if not isinstance(request, dict) or set(request) != {"verb", "unit"}:
        raise ValueError("a request has verb and unit")
    verb, unit = request["verb"], request["unit"]
    if verb not in VERBS:
        raise ValueError(f"verb {verb!r} is not known")
    if unit not in {"reclaim": [RECLAIM], "rollback": [ROLLBACK.format(app) for app in apps]}.get(verb, units):
        raise ValueError(f"unit {unit!r} is not declared")
    return ["systemctl", "--no-ask-password", *VERBS[verb], "--", unit]


def answer(line, units, run=subprocess.run, apps=()):
    try:
        argv = command(line, units, apps)
    except (ValueError, TypeError) as error:
        return {"ok": False, "error": f"refused: {error}"}
    try:
        done = run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=15, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return {"ok": False, "error": str(error)}
    return {"ok": done.returncode == 0, "error": done.stderr.strip()}


def main(argv=(), paths=None):
    try:
        known = config.load((paths or Paths()).config)
    except config.ConfigError as error:
        result = {"ok": False, "error": str(error)}
    else:
        result = answer(sys.stdin.readline(4096), known.units, apps=known.apps)
    print(json.dumps(result), flush=True)
    return 0
