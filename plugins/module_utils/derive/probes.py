# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an instance of a process is asked: the gate of a deploy, the agent and the proof of a host all ask what is built here."""

from __future__ import annotations

from ..stack import celery
from ..stack.processes import heartbeat_path
from ..stack.routes import asked_path, covering_route
from ..stack.tiers import at

TIMEOUT = 5  # seconds, where a readiness declares none


def http(app, process, address, number, check):
    """A declared ``health`` or ``readiness`` of the instance at a port of an address, asked as nginx would pass a visitor's request on."""
    health, site = process["health"] or {}, _site(app, process)
    headers = {"X-Forwarded-Proto": "http" if site["tls"]["kind"] == "none" else "https"} if site else {}
    probe = {
        "kind": "http",
        "url": f"http://{at(address, number)}{check['path']}",
        "status": [check.get("status", 200)],
        "timeout": check.get("timeout", TIMEOUT),
        "host_header": health.get("host") or (site["name"] if site else None),
        "headers": {**headers, **health.get("headers", {})},
        "json": check.get("json"),
    }
    return {key: value for key, value in probe.items() if value}


def _site(app, process):
    """The first site with a route to a process, else the first of the app: many apps answer to the names of their sites only."""
    sites = list(app["sites"].values())
    own = [site for site in sites if any(route.get("process") == process["name"] for route in site["routes"].values())]
    return next(iter(own or sites), None)


def page(app, site, path, route):
    """(where a visitor of a site finds what the process of a route says of its health, whether nginx takes that route there)."""
    asked = asked_path(path, route, app["processes"][route["process"]]["health"]["path"])
    return asked, covering_route(site, asked) is route


def pages(app, site):
    """The pages of a site that anybody may ask as often as he likes: what processes say of their health, and what nginx answers itself."""
    asked = [page(app, site, path, route) for path, route in site["routes"].items() if route["kind"] == "process"]
    first = covering_route(site, "/")
    static = ["/"] if first and first["kind"] != "process" else []
    return list(dict.fromkeys([*static, *(path for path, is_taken in asked if is_taken)]))


def checks(app, process, address, number):
    """What an instance declares to be asked, by name: ``health``, whether it lives, and ``readiness``, whether it can work.

    Where both have one path it is asked once, for all of it.
    """
    health, readiness = process["health"], process["readiness"]
    if health and readiness and health["path"] == readiness["path"]:
        health, readiness = {**readiness, **health}, None
    declared = {"health": health, "readiness": readiness}
    return {name: http(app, process, address, number, check) for name, check in declared.items() if check}


def liveness(app, process, address, number):
    """How to see that an instance lives: by HTTP, by the age of its heartbeat, of Celery's beat by the time that it runs, or not at all (None:
    the unit's state says all)."""
    if process["health"]:
        return http(app, process, address, number, process["health"])
    if process["heartbeat"]:
        return {"kind": "heartbeat", "file": heartbeat_path(app, process), "max_age": process["heartbeat"]["max_age"]}
    # What runs in a container is no child of its unit.
    if celery.is_beat_alone(process["command"]) and app["runtime"] != "container":
        return {"kind": "beat"}
    return None
