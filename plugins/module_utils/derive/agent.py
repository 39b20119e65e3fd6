# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent and the command ``mainstay`` know of a host: every instance of every declared process and every server, with
its unit and the way to ask it, and for each app who it is and which ports are its own."""

from __future__ import annotations

from ..stack.apps import normalise
from ..stack.instances import names, numbers, planned_instances, planned_settings
from ..stack.processes import port_range
from ..stack.tiers import asked_at, tiers_of
from .probes import liveness
from .servers import needs, servers_of

VERSION = 1


def agent_config(apps, plan, hostname, address="127.0.0.1", live=None, postgresql_version=""):
    """The processes, servers and apps of a host for ``/etc/mainstay/agent.json``; no processes and apps where no application runs.

    :param apps: ``mainstay_apps``, declared or in normal form.
    :param plan: ``mainstay_plan``; without it each ``auto`` is one instance.
    :param address: where the web processes listen.
    :param live: the numbers of the instances that serve, ``{app: {process: [number, …]}}``.
    :param postgresql_version: the major version of the host's PostgreSQL, such as ``15``.
    """
    declared = normalise(apps)
    servers = servers_of(declared, plan, hostname, postgresql_version)
    processes, described = [], {}
    if "backend" in tiers_of(plan, hostname):
        for app in declared.values():
            described[app["name"]] = _app(app, plan, hostname)
            needed = needs(app, servers)
            for process in app["processes"].values():
                processes += [{**entry, "needs": needed} for entry in _instances(app, process, plan, hostname, address, live)]
    return {"version": VERSION, "host": hostname, "processes": processes, "servers": servers, "apps": described}


def applied_plan(plan, hostname):
    """The numbers of a host for ``/etc/mainstay/plan.json``, with which ``mainstay plan`` compares what it finds; none of them
    secret. Empty where there is no plan for it."""
    planned = plan.get("hosts", {}).get(hostname)
    if not planned:
        return {}
    return {"version": VERSION, "host": hostname, "users": plan["users"], "plan": planned, "connections": plan["connections"]}


def _app(app, plan, hostname):
    """What commands for one app need; ``ports`` are all that each of its processes owns, whichever of them serve."""
    ports = {
        name: list(port_range(process, planned_instances(plan, hostname, app, process)))
        for name, process in app["processes"].items()
        if process["port"]
    }
    return {**{key: app[key] for key in ("user", "root", "directory", "env_file", "runtime", "volumes")}, "ports": ports}


def _instances(app, process, plan, hostname, address, live):
    chosen = numbers(plan, hostname, app, process, live)
    planned = planned_settings(plan, hostname, app, process)
    return [
        {
            "app": app["name"],
            "process": process["name"],
            "instance": str(number),
            "unit": unit,
            "kind": process["kind"],
            "probe": liveness(app, process, asked_at(address), number),
            "memory_max_mb": planned.get("memory_max_mb", process["memory_mb"]),
        }
        for number, unit in zip(chosen, names(app, process, chosen))
    ]
