# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to what nginx serves: upstreams, and sites whose locations leave a template nothing to decide."""

from __future__ import annotations

import re

from ..stack.apps import normalise
from ..stack.instances import numbers
from ..stack.routes import asked_path, covering_route
from ..stack.tiers import at, hosts_of, reached_at
from .passwords import file_name

TLS_DIRECTORY = "/etc/mainstay/tls"
# Where certbot lays what an authority asks for on port 80. It is root's: who could write there could have certificates.
CHALLENGES = "/var/lib/mainstay/acme"


def upstream_name(app_name, process_name):
    return f"{app_name}-{process_name}"


def nginx_upstreams(apps, plan, hostname, live=None, spare=None):
    """One upstream for each process that has a port, with its servers on all backends. They are named by address: ``localhost``
    may mean ::1 first.

    ``live`` tells the ports that serve, ``{host: {app: {process: [port, …]}}}``, and ``spare`` those that stand by for them.
    """
    return [
        _upstream(app, process, plan, hostname, live or {}, spare or {})
        for app in normalise(apps).values()
        for process in app["processes"].values()
        if process["port"]
    ]


def _upstream(app, process, plan, hostname, live, spare):
    upstream = {"name": upstream_name(app["name"], process["name"]), "servers": [], "backup_servers": []}
    for backend in hosts_of(plan, hostname, "backend"):
        address = reached_at(plan, backend, hostname)
        standing_by = spare.get(backend, {}).get(app["name"], {}).get(process["name"], ())
        upstream["servers"] += [at(address, port) for port in numbers(plan, backend, app, process, live.get(backend))]
        upstream["backup_servers"] += [at(address, port) for port in standing_by]
    return upstream


def tls_files(site):
    """The certificate and key a site is served with, or None for plain HTTP."""
    tls = site["tls"]
    if tls["kind"] == "none":
        return None
    if tls["kind"] == "files":
        return {"certificate": tls["certificate"], "key": tls["key"]}
    return {"certificate": f"{TLS_DIRECTORY}/{site['name']}.crt", "key": f"{TLS_DIRECTORY}/{site['name']}.key"}


# One address has at most a tenth of a route's connections, and enough for a household.
SOURCES_PER_ROUTE, LEAST_PER_SOURCE = 10, 10


def _connections(zone, limit):
    return {"zone": zone, "limit": limit, "per_source": min(limit, max(LEAST_PER_SOURCE, limit // SOURCES_PER_ROUTE))}


def _health(app, site, path, route):
    """The path at which the route's process says how it is, where the route leads there; also visitors ask it, such as a monitor."""
    health = app["processes"][route["process"]]["health"]
    asked = asked_path(path, route, health["path"])
    return asked if asked != path and covering_route(site, asked) == route else None


def _location(app, site, path, route, max_websockets):
    location = {"path": path, "kind": route["kind"], "allow": route.get("allow", []), "extra": route.get("extra")}
    if route.get("auth") is not None:
        location["auth"] = file_name(site, path) if route["auth"] else "off"
    bare = path.rstrip("/")
    if route["kind"] in ("spa", "directory"):
        # A slash on both sides: a prefix without it also serves /downloadsX, and one side only is a traversal.
        folder = route[route["kind"]].strip("/")
        location.update(path=f"{bare}/", alias=f"{app['root']}/current/{folder}/", expires=route["expires"])
        if folder in app["served"]:
            # Whoever writes there is the app, so no link is followed from root's own folder on.
            location.update(alias=f"{app['root']}/shared/{folder}/", links_from=f"{app['root']}/shared")
        if route["kind"] == "spa":
            location.update(previous_alias=f"{app['root']}/previous/{folder}/")
    elif route["kind"] == "process":
        limit = route["max_connections"] or (max_websockets if route["websocket"] else None)
        zone = f"{site['name']}{path}"
        location.update(
            upstream=upstream_name(app["name"], route["process"]),
            connections=_connections(zone, limit) if limit else None,
            rate_limit={"zone": f"{zone}.rate", **route["rate_limit"]} if route["rate_limit"] else None,
            strip_prefix=bare if route["strip_prefix"] else None,
            health=_health(app, site, path, route),
            **{key: route[key] for key in ("websocket", "timeout", "buffering", "request_buffering", "max_body")},
        )
    else:
        location.update({route["kind"]: route[route["kind"]]})
    return location


def nginx_sites(apps, plan=None, hostname=None):
    """The sites of all apps, sorted by host name, each with its TLS files, limits and locations.

    A route of websockets that declares no ``max_connections`` has the plan's for the host.
    """
    max_websockets = (plan or {}).get("hosts", {}).get(hostname, {}).get("nginx", {}).get("max_websockets")
    sites = []
    for app in normalise(apps).values():
        for site in app["sites"].values():
            sites.append(
                {
                    "name": site["name"],
                    "aliases": site["aliases"],
                    "wildcards": site["wildcards"],
                    "challenges": CHALLENGES if site["tls"]["kind"] == "letsencrypt" else None,
                    "app": app["name"],
                    "tls": tls_files(site),
                    "max_body": site["max_body"],
                    "rate_limit": site["rate_limit"],
                    "headers": site["headers"],
                    "maintenance": site["maintenance"],
                    "auth": file_name(site) if site["auth"] else None,
                    "extra": site["extra"],
                    "locations": [_location(app, site, path, route, max_websockets) for path, route in site["routes"].items()],
                }
            )
    return sorted(sites, key=lambda site: site["name"])


# What nginx says of its owner's files beside the stack's, each with what settles it; {0}, {1} are what the words name.
LEFT_BEHIND = (
    "is in the nginx.conf that the stack replaces, and not in its own. Move it into a file of its own, such as /etc/nginx/conf.d/own.conf"
)
COLLISIONS = {
    r'"(\S+)" directive is duplicate in (\S+?):\d+': "The stack's files set {0}, too: take it out of {1}",
    r"a duplicate default server for (\S+) in (\S+?):\d+": (
        "The stack's own server answers at {0} to names that nobody declares: take default_server out of {1}, and name there in server_name "
        "what it serves"
    ),
    r'duplicate (\S+) "(\S+)" in (\S+?):\d+': "The stack's files have {0} {1}, too: call it something else in {2}",
    r'unknown (log format|limit_req_zone|limit_conn_zone) "(\S+)" in': f"The {{0}} {{1}} {LEFT_BEHIND}",
    r'zero size shared memory zone "(\S+)"': f"The zone {{0}} {LEFT_BEHIND}",
    r'unknown "(\S+)" variable': f"The variable ${{0}}, of a map or geo, {LEFT_BEHIND}",
    r'host not found in upstream "(\S+?)(?::\d+)?"': f"The upstream {{0}} has no address, or {LEFT_BEHIND}",
}


def nginx_collision(said, hostname):
    """The refusal of an nginx whose own files do not stand beside the stack's, in words.

    :param said: what ``nginx -t`` says of both together.
    """
    lines = [line for line in said.splitlines() if "[emerg]" in line] or said.splitlines()[-1:] or [""]
    words = re.sub(r"^.*?\[emerg\] (?:\d+#\d+: )?", "", lines[0])
    remedy = "Settle it there"
    for pattern, text in COLLISIONS.items():
        match = re.search(pattern, words)
        if match:
            remedy = text.format(*match.groups())
            break
    return (
        f"{hostname}: what the nginx there serves of its owner's does not stand beside what the stack would add, as nginx -t says: {words}. "
        f"{remedy}. Nothing has changed."
    )
