# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared site: its names, certificate and routes."""

from __future__ import annotations

import itertools
import re

from .fields import Choice, Field, Flag, Items, Keys, Named, Special, Text, Whole
from .processes import HEADER, PATH, url_path
from .refusal import exactly_one, mapping, networks_of, refuse, texts_of
from .source import PathBelow

DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
RATE = re.compile(r"[1-9]\d*r/[sm]")
TLS = ("selfsigned", "letsencrypt", "none")
STATUSES = (403, 404, 410)
# A name in a line of nginx's file of passwords, in the name of a secret's file, and in a log.
LOGIN = Text(re.compile(r"[a-z0-9][a-z0-9_-]{0,31}"), "write a name of at most 32 small letters, digits, '-' and '_', such as anna")
BODY = Text(re.compile(r"\d+[KMG]?"), "write a size such as 10M", default="10M")
# Of nginx's language what may hold any character: comments, and texts in quotes.
NOT_SYNTAX = re.compile(r"""\\.|#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
ADD_HEADER = re.compile(r"(?:^|[;{}\s])add_header\s")
# How gunicorn is told after how many seconds it ends a worker with its request.
GUNICORN_TIMEOUT = re.compile(r"\bgunicorn\b.*?\s(?:--timeout[= ]|-t ?)(\d+)")
# Where clients of Socket.IO ask, unless they are told another place.
SOCKET_IO = "/socket.io"


class Networks(Field):
    """A list of addresses and networks."""

    def read(self, value, where):
        return networks_of(value, where)


class Logins(Field):
    """The names of those who may pass with a password; ``open`` allows ``false``, which asks nobody."""

    def __init__(self, open=False, **about):
        super().__init__(**about)
        self.open = open

    def read(self, value, where):
        if value is None or (self.open and value is False):
            return None if value is None else []
        if not isinstance(value, (list, tuple)) or not value:
            refuse(where, value, f"list the names of those who may pass, such as [anna]{', or write false' if self.open else ''}")
        return sorted({LOGIN.read(item, f"{where}[{index}]") for index, item in enumerate(texts_of(value, where))})


class Directives(Field):
    """Lines of nginx's own language. nginx itself tests them with all others, before they take effect."""

    def read(self, value, where):
        text = value.strip() if isinstance(value, str) else ""
        bare = NOT_SYNTAX.sub("", text)
        depths = list(itertools.accumulate({"{": 1, "}": -1}.get(character, 0) for character in bare))
        if not bare.rstrip().endswith((";", "}")) or depths[-1] != 0 or min(depths) < 0:
            refuse(where, value, "write whole directives of nginx as a text: each ends with ';' or a block '{ … }' of its own")
        if ADD_HEADER.search(bare) and ".routes." in where:
            refuse(where, value, "nginx leaves out every other header where a route adds one; write it into headers of the site")
        return text


ALLOW = Networks(default=(), about="Addresses and networks that are let in; everybody without it.")
HOST_NAME = Text(DOMAIN, "write a host name in small letters, such as shop.example.com")
WILDCARD = Text(
    re.compile(rf"\*\.(?=.*\.){DOMAIN.pattern}"),
    "write '*.' and a domain in small letters, which stands for one more label, such as *.example.com",
)
RATE_LIMIT = Keys(
    {
        "rate": Text(RATE, "write requests per second or minute, such as 10r/s", about="Requests of one client per second or minute."),
        "burst": Whole(0, 100000, default=20, about="Requests of one client that may come at once."),
    },
    required=("rate",),
)
EXTRA = Directives(about="Directives of nginx's own, beside those that are made of the rest.")
AUTH = Logins(open=True, about="Names of those who may pass with a password; false asks nobody.")
_FILES = {
    "expires": Text(re.compile(r"\d+[smhd]"), "write a time such as 1h or 30d", default="1h"),
    "allow": ALLOW,
    "auth": AUTH,
    "extra": EXTRA,
}
_FILES["expires"].about = "How long browsers may keep a file."
_LINK = Text(re.compile(r"(https?://|/)\S*"), "write a URL or a path that begins with '/'", about="Answers 301 to there.")
# What belongs to each kind of route.
ROUTE_KEYS = {
    "process": Keys(
        {
            "process": Text(about="A process of the app that has a port."),
            "websocket": Flag(default=False),
            "max_connections": Whole(1, 1000000),
            "timeout": Whole(1, 86400),
            "buffering": Flag(default=True),
            "request_buffering": Flag(default=True),
            "strip_prefix": Flag(default=False),
            "max_body": BODY,
            "rate_limit": RATE_LIMIT,
            "auth": AUTH,
            "extra": EXTRA,
            "allow": ALLOW,
        },
        required=("process",),
    ),
    "spa": Keys(
        {"spa": PathBelow(about="A folder of the release, and its index.html for every path that has no file."), **_FILES},
        required=("spa",),
    ),
    "directory": Keys({"directory": PathBelow(about="A folder of the release."), **_FILES}, required=("directory",)),
    "redirect": Keys({"redirect": _LINK}, required=("redirect",)),
    "status": Keys({"status": Choice(STATUSES, about="Nothing but this status.")}, required=("status",)),
}
ROUTES = tuple(ROUTE_KEYS)
PROCESS_ROUTE_KEYS = tuple(ROUTE_KEYS["process"])
_PEM = "give the absolute path of a PEM file on the host"
TLS_FILES = Keys(
    {key: Text(re.compile(r"/\S+"), _PEM, about="The absolute path of a PEM file on the host.") for key in ("certificate", "key")},
    required=("certificate", "key"),
)
SITE_KEYS = Keys(
    {
        "tls": Special(Choice(TLS), TLS_FILES, default="selfsigned"),
        "routes": Named(PATH, Special(*ROUTE_KEYS.values(), about="What answers below a path.")),
        "aliases": Items(HOST_NAME),
        "wildcards": Items(
            WILDCARD, about="Names such as *.example.com that the site answers to as they are, with every label that nobody else has."
        ),
        "rate_limit": RATE_LIMIT,
        "max_body": BODY,
        "headers": Named(
            Text(HEADER, "name a header, such as Content-Security-Policy"),
            Text(re.compile(r'[^"\\$]+'), "write the value without quotation marks, backslashes and dollars"),
        ),
        "maintenance": Flag(default=False),
        "auth": Logins(),
        "extra": EXTRA,
    },
    required=("routes",),
)


def public_folders(sites):
    """The folders of a release that nginx serves by itself."""
    routes = [route for site in sites.values() for route in site["routes"].values()]
    return sorted({route[route["kind"]].strip("/") for route in routes if route["kind"] in ("spa", "directory")})


def _timeout(value, where, process):
    """Seconds between two bytes of an answer, which neither a deploy nor the app's own server may cut short."""
    seconds = ROUTE_KEYS["process"]["timeout"].read(value, where)
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
    keys = ROUTE_KEYS["process"]
    mapping(value, where, PROCESS_ROUTE_KEYS)
    process = value["process"]
    if process not in processes or not processes[process]["port"]:
        web = [name for name in processes if processes[name]["port"]]
        refuse(
            f"{where}.process",
            process,
            f"route to a process that has a port: {', '.join(web)}" if web else "declare a process with a port first",
        )
    websocket = keys.take(value, where, "websocket")
    if websocket and value.get("timeout"):
        refuse(f"{where}.timeout", value["timeout"], "a websocket may be silent for nginx_websocket_timeout; remove timeout")
    if value.get("strip_prefix") and path == "/":
        refuse(f"{where}.strip_prefix", value["strip_prefix"], "the path / has no prefix; remove strip_prefix")
    return {
        "kind": "process",
        "process": process,
        "websocket": websocket,
        "max_connections": keys.take_if(value, where, "max_connections"),
        "timeout": _timeout(value["timeout"], f"{where}.timeout", processes[process]) if value.get("timeout") is not None else None,
        "buffering": keys.take(value, where, "buffering"),
        "request_buffering": keys.take(value, where, "request_buffering"),
        "strip_prefix": keys.take(value, where, "strip_prefix"),
        "max_body": keys.take_if(value, where, "max_body"),
        "rate_limit": RATE_LIMIT.read(value["rate_limit"], f"{where}.rate_limit") if value.get("rate_limit") else None,
    }


def _route(value, where, path, processes, runtime):
    kind = exactly_one(value, where, ROUTES)
    allow = networks_of(value.get("allow", []), f"{where}.allow")
    keys = ROUTE_KEYS[kind]
    if kind == "process":
        own = {key: keys.take_if(value, where, key) for key in ("auth", "extra")}
        return {**_process_route(value, where, path, processes), "allow": allow, **own}
    keys.checked(value, where)
    if kind in ("redirect", "status"):
        return {"kind": kind, kind: keys.take(value, where, kind)}
    if runtime == "container":
        refuse(where, value, "nginx sees no file of an image; let a process of the app answer there")
    shown = {key: keys.take(value, where, key) for key in (kind, "expires")}
    own = {key: keys.take_if(value, where, key) for key in ("auth", "extra")}
    return {"kind": kind, **shown, "allow": allow, **own}


def _tls(value, where):
    if isinstance(value, dict):
        return {"kind": "files", **TLS_FILES.read(value, where)}
    return {"kind": SITE_KEYS["tls"].ways[0].read(value, where)}


def _headers(value, where):
    """Headers of every answer of a site; in quotes of nginx's, so that no value ends its line."""
    field = SITE_KEYS["headers"]
    return {
        field.name.read(name, where): field.item.read(content, f"{where}.{name}") for name, content in sorted(mapping(value, where).items())
    }


def _wildcards(value, where, tls):
    names = SITE_KEYS.take(value, where, "wildcards")
    if names and tls["kind"] == "letsencrypt":
        refuse(
            f"{where}.wildcards",
            names,
            "an authority gives a certificate for a wildcard by a record of the DNS alone (DNS-01), which this does not set; get one "
            "yourself and write tls: {certificate: …, key: …}, or list the names as sites",
        )
    return names


def site_of(name, value, where, processes, runtime):
    if str(name).startswith("*."):
        remedy = f"name the site itself, such as {str(name)[2:]}, and write wildcards: ['{name}'] into it"
        refuse(where, name, remedy)
    HOST_NAME.read(name, where)
    SITE_KEYS.checked(value, where)
    routes = mapping(value["routes"], f"{where}.routes")
    if not routes:
        refuse(f"{where}.routes", routes, "declare at least one route, such as /: {process: web}")
    tls = _tls(value.get("tls", "selfsigned"), f"{where}.tls")
    return {
        "name": name,
        "aliases": SITE_KEYS.take(value, where, "aliases"),
        "wildcards": _wildcards(value, where, tls),
        "tls": tls,
        "routes": {
            url_path(path, f"{where}.routes"): _route(routes[path], f"{where}.routes.{path}", path, processes, runtime)
            for path in sorted(routes)
        },
        "rate_limit": RATE_LIMIT.read(value["rate_limit"], f"{where}.rate_limit") if value.get("rate_limit") else None,
        "max_body": SITE_KEYS.take(value, where, "max_body"),
        "headers": _headers(value.get("headers", {}), f"{where}.headers"),
        "maintenance": SITE_KEYS.take(value, where, "maintenance"),
        "auth": SITE_KEYS.take_if(value, where, "auth"),
        "extra": SITE_KEYS.take_if(value, where, "extra"),
    }


def check_sites(apps):
    """Refuse a host name that two sites answer to, as their own name or as an alias: nginx would serve one of them, whichever it is."""
    owners = {}
    for app in apps.values():
        for site in app["sites"].values():
            where = f"mainstay_apps.{app['name']}.sites.{site['name']}"
            further = [(f"{where}.{key}[{index}]", name) for key in ("aliases", "wildcards") for index, name in enumerate(site[key])]
            names = {where: site["name"], **dict(further)}
            for variable, name in names.items():
                if name in owners:
                    remedy = f"the app {owners[name]} serves it already; serve a host name once"
                    if owners[name] != app["name"]:
                        own = f"{app['name']}.{str(site['name']).removeprefix('www.')}"
                        remedy += (
                            f", {app['name']} under one of its own such as {own}, or both as routes of one app whose source holds both"
                        )
                    refuse(variable, name, remedy)
                owners[name] = app["name"]


def login_secret(user):
    """The name of the secret that is somebody's password; a variable of an app cannot have it, for it has a hyphen."""
    return f"auth-{user}"


def demanded(site, route):
    """Who may pass a route with a password; empty where nobody is asked."""
    own = route.get("auth")
    return (site["auth"] if own is None else own) or []


def logins(app):
    """Everybody who needs a password for one of an app's sites."""
    lists = [item.get("auth") or [] for site in app["sites"].values() for item in (site, *site["routes"].values())]
    return sorted({user for users in lists for user in users})


def asked_path(path, route, below):
    """Where visitors find what the route's process answers at the path ``below``."""
    return f"{path.rstrip('/')}{below}" if route["strip_prefix"] else below


def covering_route(site, path):
    """The route nginx would choose for a path: the longest one that it is or lies below."""
    fitting = [route for route in site["routes"] if path == route or path.startswith(f"{route.rstrip('/')}/")]
    return site["routes"][max(fitting, key=len)] if fitting else None
