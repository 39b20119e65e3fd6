# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent and the command ``mainstay`` know of a host: every instance of every declared process and every server, with
its unit and the way to ask it, and for each app who it is and which ports are its own."""

from __future__ import annotations

from ..stack.apps import normalise
from ..stack.instances import names, numbers, planned_instances, planned_settings
from ..stack.processes import port_range
from ..stack.redis_ports import instance_name
from ..stack.tiers import asked_at, hosts_of, tiers_of
from .probes import liveness, pages
from .redis import celery_queues
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
            described[app["name"]] = _app(app, plan, hostname, servers)
            needed = needs(app, servers)
            for process in app["processes"].values():
                processes += [{**entry, "needs": needed} for entry in _instances(app, process, plan, hostname, address, live)]
    told = {"version": VERSION, "host": hostname, "processes": processes, "servers": servers, "apps": described}
    return {**told, "sites": _sites(declared, plan, hostname)}


def applied_plan(plan, hostname):
    """The numbers of a host for ``/etc/mainstay/plan.json``, with which ``mainstay plan`` compares what it finds; none of them
    secret. Empty where there is no plan for it."""
    planned = plan.get("hosts", {}).get(hostname)
    if not planned:
        return {}
    return {"version": VERSION, "host": hostname, "users": plan["users"], "plan": planned, "connections": plan["connections"]}


def _patience(app, process):
    """Seconds that a request to a process may take, where its routes say so; None leaves it to the agent's settings."""
    routes = [route for site in app["sites"].values() for route in site["routes"].values() if route.get("process") == process["name"]]
    return max((route["timeout"] for route in routes if route.get("timeout")), default=None)


def _sites(apps, plan, hostname):
    """The sites that nginx serves on this host, as a visitor there is asked for them."""
    if "proxy" not in tiers_of(plan, hostname):
        return []
    sites = [(app, site) for app in apps.values() for site in app["sites"].values()]
    return [
        {"name": site["name"], "app": app["name"], "tls": site["tls"]["kind"] != "none", "paths": pages(app, site)} for app, site in sites
    ]


def _connections(app, plan):
    """The connections to its database that an app may have from here; None where its other hosts have a part that nobody counts."""
    if len(hosts_of(plan, None, "backend")) > 1:
        return None
    return (
        plan.get("connections", {}).get(app["database"] if app["pooler"] == "none" else app["pooler"], {}).get("roles", {}).get(app["name"])
    )


def _queue(app, servers):
    """Where the agent of this host sees how long an app's Celery queues are."""
    names = celery_queues(app)
    ports = {server["name"]: server["probe"]["port"] for server in servers if server["name"].startswith("redis/")}
    port = ports.get(f"redis/{instance_name(app['name'], 'queue')}")
    return {"port": port, "names": names} if names and port else None


def _app(app, plan, hostname, servers):
    """What commands for one app need; ``ports`` are all that each of its processes owns, whichever of them serve."""
    ports = {
        name: list(port_range(process, planned_instances(plan, hostname, app, process)))
        for name, process in app["processes"].items()
        if process["port"]
    }
    seen = {"connections": _connections(app, plan), "queue": _queue(app, servers)}
    described = {key: app[key] for key in ("user", "root", "directory", "env_file", "runtime", "volumes")}
    return {**described, "ports": ports, **{key: value for key, value in seen.items() if value}}


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
            "patience": _patience(app, process),
        }
        for number, unit in zip(chosen, names(app, process, chosen))
    ]
