# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an app can return to the release before by itself, and whether its new release is the cause of what is wrong."""

from __future__ import annotations

import json
import os

from .core.deploy.blame import PROVEN_AFTER, repeats
from .records import read_deploys
from .shapes import WAY_BACK, fits

# Seconds at the end of a deploy in which what goes wrong is the new release's already, though its deploy has not ended.
LAST_STEPS = 10


def way_back(paths, app):
    """What the last deploy has left for a return: the releases it leads from and to, and the links of then; or None."""
    try:
        with open(os.path.join(paths.ways_back, f"{app}.json"), encoding="utf-8") as file:
            way = json.load(file)
    except (OSError, ValueError):
        return None
    return way if fits(way, WAY_BACK) else None


def last_deploy(paths, app):
    """The line that the app's last deploy has left; nothing where there is none."""
    return next((deploy for deploy in reversed(read_deploys(paths.deploys)) if deploy["app"] == app), {})


def failed_release(paths, process, incident):
    """The new release of a process's app, if an open incident of it, which comes again and again, is that release's doing."""
    if (
        process.kind == "server"
        or not incident
        or incident.recovered_after is not None
        or not repeats(incident.kind, incident.times, incident.faults)
    ):
        return None
    way = way_back(paths, process.app)
    try:
        last = last_deploy(paths, process.app) if way else {}
    except OSError:
        return None
    fresh = last.get("result") == "succeeded" and -LAST_STEPS <= incident.opened - last["time"] < PROVEN_AFTER
    return way["from"] if fresh and last.get("to") == way["from"] else None
