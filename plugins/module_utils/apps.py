# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user declares in ``mainstay_apps``: checked once, completed with defaults, and read by everything else.

Every derivation (plan, units, sites, firewall, agent) starts from :func:`normalise`, so a declaration is either whole and
consistent or refused here, with the variable, the value and the remedy, before a host is touched.
"""
from __future__ import annotations

import difflib
import ipaddress
import re

from . import references
from .containers import usable
from .placeholders import is_secret, placeholder, url_password
from .releases import build_item
from .sandbox import ALLOWANCES

NAME = re.compile(r"[a-z][a-z0-9-]{0,24}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SIZE = re.compile(r"(\d+)([KMG])")
# A package with one version, as PyPI and npm write it: datasette==1.0, @scope/name@1.0.0.
PACKAGES = {
    "python": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9.!+_-]+"),
    "node": re.compile(r"(@[a-z0-9._~-]+/)?[a-z0-9][a-z0-9._~-]*@\d[A-Za-z0-9.+-]*"),
}
RATE = re.compile(r"[1-9]\d*r/[sm]")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
CONTAINER_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.@-]*)+")

RUNTIMES = ("python", "node", "command", "container")
DATABASES = ("postgresql", "mariadb", "none")
POOLERS = ("pgbouncer", "none")
REDIS_INSTANCES = ("cache", "queue")
SOURCES = ("path", "git", "archive", "package", "image")
TLS = ("selfsigned", "letsencrypt", "none")
ROUTES = ("process", "spa", "directory", "redirect")
KINDS = ("web", "celery", "worker")
EGRESS = ("none", "internal")
# A release is built by a user of its own: shop-build.
BUILD_SUFFIX = "-build"

# Users and services that exist, or may exist, on a Debian host: an app of that name would take over their account.
RESERVED_NAMES = frozenset({
    "admin", "backup", "bin", "daemon", "debian", "firewall", "games", "irc", "list", "lp", "mail", "mainstay", "man", "messagebus",
    "mysql", "news", "nginx", "nobody", "postgres", "proxy", "redis", "root", "ssh", "sshd", "sync", "sys", "system", "systemd",
    "ubuntu", "uucp", "www-data",
})
# Ports the stack itself listens on; Redis has an instance for each app and purpose.
REDIS_PORTS = range(6379, 6432)
RESERVED_PORTS = {3306: "MariaDB", 5432: "PostgreSQL", **dict.fromkeys(REDIS_PORTS, "Redis"), 6432: "PgBouncer"}

# Parts of the interface that are declared but not built yet: refused instead of half done.
NOT_YET = {
    ("tls", "letsencrypt"): "use tls: selfsigned, or {certificate: …, key: …} with files of your own",
}


class DeclarationError(ValueError):
    """A declaration that cannot work; the message names the variable, the value and the remedy."""

    def __init__(self, variable, value, remedy):
        self.variable, self.value, self.remedy = variable, value, remedy
        super().__init__(f"{variable}: {value!r} cannot be used. {remedy}")


def _refuse(variable, value, remedy):
    raise DeclarationError(variable, value, f"{remedy[0].upper()}{remedy[1:]}.")


def _mapping(value, where, keys=None, required=()):
    """The value as a dict whose keys are all known; an unknown key is answered with the nearest known one."""
    if not isinstance(value, dict):
        _refuse(where, value, f"write a mapping{' with the keys ' + ', '.join(keys) if keys else ''}")
    for key in value:
        if keys is not None and key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1)
            _refuse(f"{where}.{key}", value[key], f"did you mean {near[0]!r}? Known keys are {', '.join(keys)}" if near
                    else f"there is no such key; known keys are {', '.join(keys)}")
    for key in required:
        if value.get(key) in (None, ""):
            _refuse(f"{where}.{key}", value.get(key), f"it is required; add {key}: …")
    return value


def _one_of(value, where, choices, field=None):
    if value not in choices:
        _refuse(where, value, f"use one of {', '.join(choices)}")
    if (field, value) in NOT_YET:
        _refuse(where, value, f"it is part of the interface but not built yet; {NOT_YET[field, value]}")
    return value


def _text(value, where, pattern=None, remedy="write a text that is not empty"):
    if not isinstance(value, str) or not value.strip() or "\n" in value or (pattern and not pattern.fullmatch(value)):
        _refuse(where, value, remedy)
    return str(value)


def _integer(value, where, low, high):
    """A whole number; numbers in text are taken too, as Jinja and extra vars deliver them."""
    try:
        number = int(str(value))
    except ValueError:
        number = None
    if isinstance(value, bool) or number is None or not low <= number <= high:
        _refuse(where, value, f"use a whole number from {low} to {high}")
    return number


def _integer_or_auto(value, where, low, high):
    return "auto" if value == "auto" else _integer(value, where, low, high)


def _boolean(value, where):
    if not isinstance(value, bool):
        _refuse(where, value, "use true or false")
    return value


def _texts(value, where):
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        _refuse(where, value, "write a list of texts")
    return [_text(item, f"{where}[{index}]") for index, item in enumerate(value)]


def megabytes(value, where="memory"):
    """``300M``, ``1G`` or a plain number of MB as an integer number of MB."""
    match = SIZE.fullmatch(str(value))
    if match:
        number = int(match[1]) * {"K": 1 / 1024, "M": 1, "G": 1024}[match[2]]
    elif not isinstance(value, bool) and str(value).isdigit():
        number = int(value)
    else:
        number = 0
    if number < 16:
        _refuse(where, value, "write a size of at least 16M, such as 300M or 1G")
    return int(number)


def _path_below(value, where):
    """A relative path that stays below the folder it is relative to."""
    text = _text(value, where)
    if text.startswith("/") or ".." in text.split("/"):
        _refuse(where, value, "write a path relative to the app's folder, without '..'")
    return text


def _source(value, where, runtime):
    keys = SOURCES + ("version", "checksum")
    _mapping(value, where, keys)
    kinds = [kind for kind in SOURCES if kind in value]
    if len(kinds) != 1:
        _refuse(where, value, f"name exactly one of {', '.join(SOURCES)}")
    kind = kinds[0]
    if (kind == "image") != (runtime == "container"):
        _refuse(f"{where}.{kind}", value[kind], "runtime: container takes source: {image: …}, and no other runtime does")
    source = {"kind": kind, kind: _text(value[kind], f"{where}.{kind}")}
    if kind == "git":
        source["version"] = _text(value.get("version"), f"{where}.version",
                                  remedy="pin a tag, a branch or a commit; a deploy without a version is a surprise")
    if kind == "archive":
        source["checksum"] = _text(value.get("checksum"), f"{where}.checksum", re.compile(r"sha256:[0-9a-f]{64}"),
                                   "give the archive's digest as sha256:<64 hexadecimal digits>")
    if kind == "package":
        if runtime not in PACKAGES:
            _refuse(f"{where}.package", value[kind], "only runtime: python (PyPI) and runtime: node (npm) have packages")
        _text(value[kind], f"{where}.package", PACKAGES[runtime],
              f"pin one version, such as {'datasette==1.0' if runtime == 'python' else 'http-server@14.1.1'}")
    if kind == "image" and not usable(source[kind]):
        _refuse(f"{where}.image", value[kind], "name registry, repository and tag or digest, such as docker.io/library/httpd:2.4, "
                "or a file on the control node that docker save or podman save wrote, such as build/shop.tar")
    for key in ("version", "checksum"):
        if key in value and key not in source:
            _refuse(f"{where}.{key}", value[key], f"it has no meaning for a source of kind {kind}; remove it")
    return source


def _build(value, where, known):
    """The commands of a build, each with the variables it declares; those may refer to the app's ``known`` ones."""
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        _refuse(where, value, "write a list of commands")
    items = []
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        item = build_item(_text(item, place) if isinstance(item, str) else item)
        _mapping(item, place, ("command", "env"), required=("command",))
        env = _env(item["env"], f"{place}.env", known)
        items.append({"command": _text(item["command"], f"{place}.command"), "env": env})
    return items


def _variables(env, secrets, database, redis, prefix):
    """The names of the variables in an app's environment file."""
    generated = {*secrets, *(["DATABASE_URL"] if database != "none" else []), *(f"REDIS_{name.upper()}_URL" for name in redis)}
    return {*env, *generated, *(prefix + name for name in generated)}


def _public(sites):
    """The folders of a release that nginx serves by itself."""
    routes = [route for site in sites.values() for route in site["routes"].values()]
    return sorted({route[route["kind"]].strip("/") for route in routes if route["kind"] in ("spa", "directory")})


def _egress(value, where):
    """What the app's processes may connect to: None for everything but link-local addresses, else a word or networks."""
    if value is None or value in EGRESS:
        return value
    if isinstance(value, str):
        _refuse(where, value, f"use {', '.join(EGRESS)}, or a list of networks such as [203.0.113.0/24]")
    networks = []
    for index, item in enumerate(_texts(value, where)):
        try:
            networks.append(str(ipaddress.ip_network(item)))
        except ValueError as error:
            _refuse(f"{where}[{index}]", item, f"write an address or a network such as 203.0.113.0/24 ({error})")
    return networks


def _volumes(value, where, runtime):
    """Folders of the host that a container finds at a path of its own."""
    _mapping(value, where)
    if value and runtime != "container":
        _refuse(where, value, "only a container needs them; every other process finds its files below shared")
    for folder, place in value.items():
        _text(folder, f"{where}.{folder}", FOLDER, "name one folder, such as uploads")
        _text(place, f"{where}.{folder}", CONTAINER_PATH, "write the absolute path in the container, such as /app/uploads")
    return dict(sorted(value.items()))


def _health(value, where):
    _mapping(value, where, ("path", "status", "timeout"), required=("path",))
    return {
        "path": _url_path(value["path"], f"{where}.path"),
        "status": _integer(value.get("status", 200), f"{where}.status", 100, 599),
        "timeout": _integer(value.get("timeout", 2), f"{where}.timeout", 1, 60),
    }


def _readiness(value, where):
    _mapping(value, where, ("path", "json"), required=("path",))
    return {"path": _url_path(value["path"], f"{where}.path"), "json": dict(_mapping(value.get("json", {}), f"{where}.json"))}


def _url_path(value, where):
    return _text(value, where, re.compile(r"/[^\s?#]*"), "write a path that begins with '/', such as /health")


def _pool(value, where):
    _mapping(value, where, ("size", "overflow"))
    return {key: _integer_or_auto(value.get(key, "auto"), f"{where}.{key}", 0, 1000) for key in ("size", "overflow")}


def _heartbeat(value, where):
    _mapping(value, where, ("file", "max_age"), required=("file",))
    return {
        "file": _path_below(value["file"], f"{where}.file"),
        "max_age": _integer(value.get("max_age", 180), f"{where}.max_age", 5, 86400),
    }


PROCESS_KEYS = ("command", "kind", "port", "instances", "workers", "singleton", "health", "readiness", "memory", "pool",
                "heartbeat", "drain", "notify", "env", "allow")


def _process(name, value, where, database, runtime):
    _text(name, where, NAME, "a process name has small letters, digits and '-', and begins with a letter")
    _mapping(value, where, PROCESS_KEYS, required=() if runtime == "container" else ("command",))
    port = value.get("port")
    if port is not None:
        port = _integer(port, f"{where}.port", 1024, 65535)
        if port in RESERVED_PORTS:
            _refuse(f"{where}.port", port, f"{RESERVED_PORTS[port]} listens there; choose another port, such as 8000")
    kind = _one_of(value.get("kind", "web" if port else "worker"), f"{where}.kind", KINDS)
    if kind == "web" and not port:
        _refuse(f"{where}.port", port, "a web process needs a port; add port: 8000")
    if kind != "web":
        for key in ("port", "health", "readiness", "drain"):
            if value.get(key):
                _refuse(f"{where}.{key}", value[key], f"only a web process answers requests; remove it from this {kind} process")
    singleton = _boolean(value.get("singleton", False), f"{where}.singleton")
    instances = _integer_or_auto(value.get("instances", 1 if singleton else "auto"), f"{where}.instances", 1, 64)
    if singleton and instances != 1:
        _refuse(f"{where}.instances", instances, "a singleton runs exactly once; remove instances or singleton")
    return {
        "name": name,
        "kind": kind,
        "command": _text(value["command"], f"{where}.command") if value.get("command") else None,
        "port": port,
        "instances": instances,
        "workers": _integer(value.get("workers", 1), f"{where}.workers", 1, 64),
        "singleton": singleton,
        "health": _health(value.get("health", {"path": "/health"}), f"{where}.health") if kind == "web" else None,
        "readiness": _readiness(value["readiness"], f"{where}.readiness") if value.get("readiness") else None,
        "memory_mb": megabytes(value["memory"], f"{where}.memory") if value.get("memory") is not None else None,
        "pool": _pool(value.get("pool", {}), f"{where}.pool") if database != "none" else {"size": 0, "overflow": 0},
        "heartbeat": _heartbeat(value["heartbeat"], f"{where}.heartbeat") if value.get("heartbeat") else None,
        "drain": _integer(value.get("drain", 30), f"{where}.drain", 0, 3600) if kind == "web" else 0,
        "notify": _boolean(value.get("notify", False), f"{where}.notify"),
        "env": _env(value.get("env", {}), f"{where}.env"),
        "allow": sorted({_one_of(item, f"{where}.allow", tuple(ALLOWANCES)) for item in _texts(value.get("allow", []), f"{where}.allow")}),
    }


def _route(value, where, processes, runtime):
    kinds = [kind for kind in ROUTES if isinstance(value, dict) and kind in value]
    if len(kinds) != 1:
        _refuse(where, value, f"name exactly one of {', '.join(ROUTES)}")
    kind = kinds[0]
    if kind == "process":
        _mapping(value, where, ("process", "websocket", "max_connections"))
        process = value["process"]
        if process not in processes or not processes[process]["port"]:
            web = [name for name in processes if processes[name]["port"]]
            _refuse(f"{where}.process", process,
                    f"route to a process that has a port: {', '.join(web)}" if web else "declare a process with a port first")
        limit = value.get("max_connections")
        return {
            "kind": kind,
            "process": process,
            "websocket": _boolean(value.get("websocket", False), f"{where}.websocket"),
            "max_connections": None if limit is None else _integer(limit, f"{where}.max_connections", 1, 1000000),
        }
    if kind == "redirect":
        _mapping(value, where, ("redirect",))
        return {"kind": kind, kind: _text(value[kind], f"{where}.{kind}", re.compile(r"(https?://|/)\S*"),
                                          "write a URL or a path that begins with '/'")}
    _mapping(value, where, (kind, "expires"))
    if runtime == "container":
        _refuse(where, value, "nginx sees no file of an image; let a process of the app answer there")
    return {
        "kind": kind,
        kind: _path_below(value[kind], f"{where}.{kind}"),
        "expires": _text(value.get("expires", "1h"), f"{where}.expires", re.compile(r"\d+[smhd]"), "write a time such as 1h or 30d"),
    }


def _tls(value, where):
    if isinstance(value, dict):
        _mapping(value, where, ("certificate", "key"), required=("certificate", "key"))
        pem = re.compile(r"/\S+")
        return {"kind": "files", **{key: _text(value[key], f"{where}.{key}", pem, "give the absolute path of a PEM file on the host")
                                    for key in ("certificate", "key")}}
    return {"kind": _one_of(value, where, TLS, "tls")}


def _rate_limit(value, where):
    _mapping(value, where, ("rate", "burst"), required=("rate",))
    return {
        "rate": _text(value["rate"], f"{where}.rate", RATE, "write requests per second or minute, such as 10r/s"),
        "burst": _integer(value.get("burst", 20), f"{where}.burst", 0, 100000),
    }


def _site(name, value, where, processes, runtime):
    _text(name, where, DOMAIN, "write a host name in small letters, such as shop.example.com")
    _mapping(value, where, ("tls", "routes", "rate_limit", "max_body"), required=("routes",))
    routes = _mapping(value["routes"], f"{where}.routes")
    if not routes:
        _refuse(f"{where}.routes", routes, "declare at least one route, such as /: {process: web}")
    return {
        "name": name,
        "tls": _tls(value.get("tls", "selfsigned"), f"{where}.tls"),
        "routes": {
            _url_path(path, f"{where}.routes"): _route(routes[path], f"{where}.routes.{path}", processes, runtime)
            for path in sorted(routes)
        },
        "rate_limit": _rate_limit(value["rate_limit"], f"{where}.rate_limit") if value.get("rate_limit") else None,
        "max_body": _text(value.get("max_body", "10M"), f"{where}.max_body", re.compile(r"\d+[KMG]?"), "write a size such as 10M"),
    }


APP_KEYS = ("runtime", "source", "build", "migrate", "env_prefix", "env", "secrets", "database", "pooler", "redis", "processes",
            "sites", "logs", "volumes", "egress")


def _env(value, where, known=None):
    """Variables of a declaration; where there are ``known`` ones, a value may refer to them as ``$NAME``."""
    env = {}
    for name, content in _mapping(value, where).items():
        _text(name, f"{where}.{name}", ENV_NAME, "a variable's name has letters, digits and '_', and does not begin with a digit")
        if content is None or isinstance(content, (dict, list)):
            _refuse(f"{where}.{name}", content, "write a text, a number, true or false")
        referred = references.names(content) if known is not None and isinstance(content, str) else set()
        for unknown in sorted(referred - set(known or ())):
            _refuse(f"{where}.{name}", content, f"the app has no variable {unknown}; it has {', '.join(sorted(known)) or 'none'}, and $$ is a dollar")
        if not referred:
            _refuse_placeholder(name, content, f"{where}.{name}")
        env[name] = str(content).lower() if isinstance(content, bool) else str(content)
    return dict(sorted(env.items()))


def _refuse_placeholder(name, content, where):
    """Refuse changeme and its like where a secret belongs; what is empty or one character says that nothing is set."""
    if not isinstance(content, str) or len(content) < 2:
        return
    suspect = url_password(content) or (content if is_secret(name) else "")
    if len(suspect) > 1 and placeholder(suspect):
        _refuse(where, "********", f"it is a placeholder, not a secret; let mainstay make a random one (secrets: [{name}]), "
                "or give the real one from a vault")


def _app(name, value):
    where = f"mainstay_apps.{name}"
    _text(name, where, NAME, "an app's name has at most 25 small letters, digits and '-', and begins with a letter")
    if name in RESERVED_NAMES:
        _refuse(where, name, f"it is the name of a system account; call the app something else, such as {name}-app")
    _mapping(value, where, APP_KEYS, required=("source", "processes"))
    runtime = _one_of(value.get("runtime", "python"), f"{where}.runtime", RUNTIMES, "runtime")
    database = _one_of(value.get("database", "none"), f"{where}.database", DATABASES, "database")
    pooler = _one_of(value.get("pooler", "none"), f"{where}.pooler", POOLERS)
    if pooler != "none" and database != "postgresql":
        _refuse(f"{where}.pooler", pooler, "it stands before PostgreSQL only; declare database: postgresql, or remove pooler")
    declared = _mapping(value["processes"], f"{where}.processes")
    processes = {key: _process(key, declared[key], f"{where}.processes.{key}", database, runtime) for key in sorted(declared)}
    if runtime == "container" and value.get("build"):
        _refuse(f"{where}.build", value["build"], "an image is built already; build it where you make it")
    prefix = value.get("env_prefix", "")
    if prefix:
        _text(prefix, f"{where}.env_prefix", ENV_NAME, "write letters, digits and '_', such as APP_")
    sites = _mapping(value.get("sites", {}), f"{where}.sites")
    secrets = _texts(value.get("secrets", []), f"{where}.secrets")
    for secret in secrets:
        _text(secret, f"{where}.secrets", ENV_NAME, "name environment variables, such as SECRET_KEY")
    env = _env(value.get("env", {}), f"{where}.env")
    for secret in sorted(set(secrets) & set(env)):
        _refuse(f"{where}.env.{secret}", "********", "it is declared as a secret and as plain text; keep it in secrets only")
    redis = sorted({_one_of(item, f"{where}.redis", REDIS_INSTANCES) for item in _texts(value.get("redis", []), f"{where}.redis")})
    sites = {key: _site(key, sites[key], f"{where}.sites.{key}", processes, runtime) for key in sorted(sites)}
    for key, process in processes.items():
        for twice in sorted({*env, *secrets} & set(process["env"])):
            _refuse(f"{where}.processes.{key}.env.{twice}", process["env"][twice], "the whole app has it, too, and that would win; keep one")
    return {
        "name": name,
        "user": name,
        "build_user": f"{name}{BUILD_SUFFIX}",
        "root": f"/srv/{name}",
        "env_file": f"/etc/mainstay/{name}/env",
        "runtime": runtime,
        "source": _source(value["source"], f"{where}.source", runtime),
        "build": _build(value.get("build", []), f"{where}.build", _variables(env, secrets, database, redis, prefix)),
        "migrate": _text(value["migrate"], f"{where}.migrate") if value.get("migrate") else None,
        "env_prefix": prefix,
        "env": env,
        "secrets": sorted(set(secrets)),
        "database": database,
        "pooler": pooler,
        "redis": redis,
        "processes": processes,
        "sites": sites,
        "public": _public(sites),
        "logs": [_path_below(item, f"{where}.logs[{index}]") for index, item in
                 enumerate(_texts(value.get("logs", []), f"{where}.logs"))],
        "volumes": _volumes(value.get("volumes", {}), f"{where}.volumes", runtime),
        "egress": _egress(value.get("egress"), f"{where}.egress"),
    }


def port_range(process, instances):
    """The ports a web process owns: one live set and one set for the next release."""
    return range(process["port"], process["port"] + 2 * instances) if process["port"] else range(0)


def check_ports(apps, instances=None):
    """Refuse two processes that would own the same port.

    ``instances`` is ``{app: {process: number}}`` as the plan decided; without it ``auto`` counts as one.
    """
    owners = dict(RESERVED_PORTS)
    for app in apps.values():
        for process in app["processes"].values():
            count = (instances or {}).get(app["name"], {}).get(process["name"], process["instances"])
            owned = port_range(process, 1 if count == "auto" else count)
            where = f"mainstay_apps.{app['name']}.processes.{process['name']}"
            for port in owned:
                if port > 65535:
                    _refuse(f"{where}.port", process["port"], f"its {len(owned)} ports go past 65535; choose a lower port")
                if port in owners:
                    _refuse(f"{where}.port", process["port"],
                            f"it owns the ports {owned[0]} to {owned[-1]} (twice its instances, for deploys) and {port} belongs to "
                            f"{owners[port]}; move one of them, or set a smaller number of instances")
                owners[port] = where


def _check_users(apps):
    for name, app in apps.items():
        if app["build_user"] in apps:
            remedy = f"the user of that name builds the releases of {name}; call the app something else"
            _refuse(f"mainstay_apps.{app['build_user']}", app["build_user"], remedy)


def _check_sites(apps):
    owners = {}
    for app in apps.values():
        for site in app["sites"]:
            if site in owners:
                _refuse(f"mainstay_apps.{app['name']}.sites.{site}", site, f"{owners[site]} serves it already; serve a host name once")
            owners[site] = app["name"]


def normalise(apps):
    """The declaration of all apps, checked and completed, with sorted keys.

    A normal form is given back as it is, so that filters may be chained without knowing who called them first.

    :raises DeclarationError: the first thing that cannot work.
    """
    _mapping(apps, "mainstay_apps")
    if is_normal(apps):
        return apps
    result = {name: _app(name, apps[name]) for name in sorted(apps)}
    check_ports(result)
    _check_users(result)
    _check_sites(result)
    return result


def is_normal(apps):
    """Whether this is a normal form already: only that has an app's name inside the app."""
    return all(isinstance(app, dict) and app.get("name") == name for name, app in apps.items())


def users(value):
    """``mainstay_users``: the number of people online at once."""
    return _integer(value, "mainstay_users", 1, 10000000)


def instance_numbers(process, instances):
    """What stands behind the ``@`` of each unit: the port of a web instance, else 1, 2, 3…"""
    first = process["port"] or 1
    return list(range(first, first + instances))


def heartbeat_path(app, process):
    """Where a worker leaves its sign of life: the app is told this path, and the agent looks there."""
    return f"/run/{app['name']}/{process['heartbeat']['file']}"
