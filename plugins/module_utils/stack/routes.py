# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared site: its names, certificate and routes."""

from __future__ import annotations

import re

from .processes import HEADER, url_path
from .refusal import boolean, integer, mapping, networks_of, one_of, refuse, text_of, texts_of
from .source import path_below

DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
RATE = re.compile(r"[1-9]\d*r/[sm]")
TLS = ("selfsigned", "letsencrypt", "none")
ROUTES = ("process", "spa", "directory", "redirect", "status")
PROCESS_ROUTE_KEYS = (
    "process",
    "websocket",
    "max_connections",
    "timeout",
    "buffering",
    "request_buffering",
    "strip_prefix",
    "max_body",
    "rate_limit",
    "allow",
)
STATUSES = (403, 404, 410)
BODY = re.compile(r"\d+[KMG]?")
# How gunicorn is told after how many seconds it ends a worker with its request.
GUNICORN_TIMEOUT = re.compile(r"\bgunicorn\b.*?\s(?:--timeout[= ]|-t ?)(\d+)")
SITE_KEYS = ("tls", "routes", "aliases", "rate_limit", "max_body", "headers", "maintenance")


def public_folders(sites):
    """The folders of a release that nginx serves by itself."""
    routes = [route for site in sites.values() for route in site["routes"].values()]
    return sorted({route[route["kind"]].strip("/") for route in routes if route["kind"] in ("spa", "directory")})


def _timeout(value, where, process):
    """Seconds between two bytes of an answer, which neither a deploy nor the app's own server may cut short."""
    seconds = integer(value, where, 1, 86400)
    if seconds > process["drain"]:
        refuse(
            where,
            value,
            f"set drain: {seconds} for the process, a deploy gives requests under way {process['drain']} s, or set a shorter timeout",
        )
    limit = GUNICORN_TIMEOUT.search(process["command"] or "")
    if limit and 0 < int(limit[1]) < seconds:
        refuse(where, value, f"give gunicorn --timeout {seconds} or more, it ends a request after {limit[1]} s, or set a shorter timeout")
    return seconds


def _process_route(value, where, path, processes):
    mapping(value, where, PROCESS_ROUTE_KEYS)
    process = value["process"]
    if process not in processes or not processes[process]["port"]:
        web = [name for name in processes if processes[name]["port"]]
        refuse(
            f"{where}.process",
            process,
            f"route to a process that has a port: {', '.join(web)}" if web else "declare a process with a port first",
        )
    websocket = boolean(value.get("websocket", False), f"{where}.websocket")
    if websocket and value.get("timeout"):
        refuse(f"{where}.timeout", value["timeout"], "a websocket may be silent for nginx_websocket_timeout; remove timeout")
    if value.get("strip_prefix") and path == "/":
        refuse(f"{where}.strip_prefix", value["strip_prefix"], "the path / has no prefix; remove strip_prefix")
    limit = value.get("max_connections")
    return {
        "kind": "process",
        "process": process,
        "websocket": websocket,
        "max_connections": None if limit is None else integer(limit, f"{where}.max_connections", 1, 1000000),
        "timeout": _timeout(value["timeout"], f"{where}.timeout", processes[process]) if value.get("timeout") is not None else None,
        "buffering": boolean(value.get("buffering", True), f"{where}.buffering"),
        "request_buffering": boolean(value.get("request_buffering", True), f"{where}.request_buffering"),
        "strip_prefix": boolean(value.get("strip_prefix", False), f"{where}.strip_prefix"),
        "max_body": _max_body(value["max_body"], f"{where}.max_body") if value.get("max_body") is not None else None,
        "rate_limit": _rate_limit(value["rate_limit"], f"{where}.rate_limit") if value.get("rate_limit") else None,
    }


def _route(value, where, path, processes, runtime):
    kinds = [kind for kind in ROUTES if isinstance(value, dict) and kind in value]
    if len(kinds) != 1:
        refuse(where, value, f"name exactly one of {', '.join(ROUTES)}")
    kind = kinds[0]
    allow = networks_of(value.get("allow", []), f"{where}.allow")
    if kind == "process":
        return {**_process_route(value, where, path, processes), "allow": allow}
    if kind == "redirect":
        mapping(value, where, ("redirect",))
        return {
            "kind": kind,
            kind: text_of(value[kind], f"{where}.{kind}", re.compile(r"(https?://|/)\S*"), "write a URL or a path that begins with '/'"),
        }
    if kind == "status":
        mapping(value, where, ("status",))
        if value["status"] not in STATUSES:
            refuse(f"{where}.status", value["status"], f"use one of {', '.join(map(str, STATUSES))}")
        return {"kind": kind, "status": value["status"]}
    mapping(value, where, (kind, "expires", "allow"))
    if runtime == "container":
        refuse(where, value, "nginx sees no file of an image; let a process of the app answer there")
    return {
        "kind": kind,
        kind: path_below(value[kind], f"{where}.{kind}"),
        "expires": text_of(value.get("expires", "1h"), f"{where}.expires", re.compile(r"\d+[smhd]"), "write a time such as 1h or 30d"),
        "allow": allow,
    }


def _tls(value, where):
    if isinstance(value, dict):
        mapping(value, where, ("certificate", "key"), required=("certificate", "key"))
        pem = re.compile(r"/\S+")
        return {
            "kind": "files",
            **{
                key: text_of(value[key], f"{where}.{key}", pem, "give the absolute path of a PEM file on the host")
                for key in ("certificate", "key")
            },
        }
    return {"kind": one_of(value, where, TLS)}


def _rate_limit(value, where):
    mapping(value, where, ("rate", "burst"), required=("rate",))
    return {
        "rate": text_of(value["rate"], f"{where}.rate", RATE, "write requests per second or minute, such as 10r/s"),
        "burst": integer(value.get("burst", 20), f"{where}.burst", 0, 100000),
    }


def _max_body(value, where):
    return text_of(value, where, BODY, "write a size such as 10M")


def _headers(value, where):
    """Headers of every answer of a site; in quotes of nginx's, so that no value ends its line."""
    return {
        text_of(name, where, HEADER, "name a header, such as Content-Security-Policy"): text_of(
            content, f"{where}.{name}", re.compile(r'[^"\\$]+'), "write the value without quotation marks, backslashes and dollars"
        )
        for name, content in sorted(mapping(value, where).items())
    }


def _host_name(name, where):
    return text_of(name, where, DOMAIN, "write a host name in small letters, such as shop.example.com")


def site_of(name, value, where, processes, runtime):
    _host_name(name, where)
    mapping(value, where, SITE_KEYS, required=("routes",))
    routes = mapping(value["routes"], f"{where}.routes")
    if not routes:
        refuse(f"{where}.routes", routes, "declare at least one route, such as /: {process: web}")
    return {
        "name": name,
        "aliases": [
            _host_name(alias, f"{where}.aliases[{index}]")
            for index, alias in enumerate(texts_of(value.get("aliases", []), f"{where}.aliases"))
        ],
        "tls": _tls(value.get("tls", "selfsigned"), f"{where}.tls"),
        "routes": {
            url_path(path, f"{where}.routes"): _route(routes[path], f"{where}.routes.{path}", path, processes, runtime)
            for path in sorted(routes)
        },
        "rate_limit": _rate_limit(value["rate_limit"], f"{where}.rate_limit") if value.get("rate_limit") else None,
        "max_body": _max_body(value.get("max_body", "10M"), f"{where}.max_body"),
        "headers": _headers(value.get("headers", {}), f"{where}.headers"),
        "maintenance": boolean(value.get("maintenance", False), f"{where}.maintenance"),
    }


def check_sites(apps):
    """Refuse a host name that two sites answer to, as their own name or as an alias: nginx would serve one of them, whichever it is."""
    owners = {}
    for app in apps.values():
        for site in app["sites"].values():
            where = f"mainstay_apps.{app['name']}.sites.{site['name']}"
            names = {where: site["name"], **{f"{where}.aliases[{index}]": alias for index, alias in enumerate(site["aliases"])}}
            for variable, name in names.items():
                if name in owners:
                    refuse(variable, name, f"{owners[name]} serves it already; serve a host name once")
                owners[name] = app["name"]


def asked_path(path, route, below):
    """Where visitors find what the route's process answers at the path ``below``."""
    return f"{path.rstrip('/')}{below}" if route["strip_prefix"] else below


def covering_route(site, path):
    """The route nginx would choose for a path: the longest one that it is or lies below."""
    fitting = [route for route in site["routes"] if path == route or path.startswith(f"{route.rstrip('/')}/")]
    return site["routes"][max(fitting, key=len)] if fitting else None
