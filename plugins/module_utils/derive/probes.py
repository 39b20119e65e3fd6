# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an instance of a process is asked: the gate of a deploy, the agent and the proof of a host all ask what is built here."""

from __future__ import annotations

from ..stack.processes import heartbeat_path
from ..stack.tiers import at

TIMEOUT = 5  # seconds, where a readiness declares none


def http(address, number, check):
    """A declared ``health`` or ``readiness`` of the instance at a port of an address."""
    probe = {
        "kind": "http",
        "url": f"http://{at(address, number)}{check['path']}",
        "status": [check.get("status", 200)],
        "timeout": check.get("timeout", TIMEOUT),
    }
    return {**probe, **({"json": check["json"]} if check.get("json") else {})}


def checks(process, address, number):
    """What an instance declares to be asked, by name: ``health``, whether it lives, and ``readiness``, whether it can work."""
    return {name: http(address, number, process[name]) for name in ("health", "readiness") if process[name]}


def liveness(app, process, address, number):
    """How to see that an instance lives: by HTTP, by the age of its heartbeat, or not at all (None: the unit's state says all)."""
    if process["health"]:
        return checks(process, address, number)["health"]
    if process["heartbeat"]:
        return {"kind": "heartbeat", "file": heartbeat_path(app, process), "max_age": process["heartbeat"]["max_age"]}
    return None
