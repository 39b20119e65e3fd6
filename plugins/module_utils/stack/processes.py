# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared process: its command, health, pool, ports and instances."""

from __future__ import annotations

import re

from . import calendars, celery
from .fields import Choice, Field, Flag, Keys, Named, Text, Whole, Words
from .places import DEVICE, WritableFolder
from .refusal import mapping, refuse, text_of
from .sandbox import ALLOWANCES
from .services import RESERVED_PORTS
from .source import PathBelow
from .variables import ENV, env_of

NAME = re.compile(r"[a-z][a-z0-9-]{0,24}")
SIZE = re.compile(r"(\d+)([KMG])")
KINDS = ("web", "celery", "worker")
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
SMALLEST_MB = 16

PATH = Text(re.compile(r"/[^\s?#]*"), "write a path that begins with '/', such as /health", about="The path that is asked for.")


def megabytes(value, where="memory"):
    """``300M``, ``1G`` or a plain number of MB as an integer number of MB."""
    match = SIZE.fullmatch(str(value))
    if match:
        number = int(match[1]) * {"K": 1 / 1024, "M": 1, "G": 1024}[match[2]]
    elif not isinstance(value, bool) and str(value).isdigit():
        number = int(value)
    else:
        number = 0
    if number < SMALLEST_MB:
        refuse(where, value, f"write a size of at least {SMALLEST_MB}M, such as 300M or 1G")
    return int(number)


class Memory(Field):
    """An amount of memory, in megabytes."""

    def read(self, value, where):
        return megabytes(value, where)


HEALTH = Keys(
    {
        "path": PATH,
        "status": Whole(100, 599, default=200, about="The status of a good answer."),
        "timeout": Whole(1, 60, default=2, about="Seconds to wait for the answer."),
        "host": Text(
            HOST,
            "write the name a visitor asks for, such as shop.example.com",
            about="The Host header; the first site with a route to the process without it.",
        ),
        "headers": Named(
            Text(HEADER, "name a header, such as X-Probe"), Text(), about="Further headers of the question, such as {X-Probe: mainstay}."
        ),
    },
    required=("path",),
    default={"path": "/health"},
)
READINESS = Keys(
    {"path": PATH, "json": Named(Text(), Field(), about="What the answer holds, such as {status: healthy}.")}, required=("path",)
)
POOL = Keys(
    {
        "size": Whole(0, 1000, auto=True, default="auto", about="Connections that are kept, as DB_POOL_SIZE."),
        "overflow": Whole(0, 1000, auto=True, default="auto", about="Further connections at a peak, as DB_MAX_OVERFLOW."),
    },
    default={},
)
HEARTBEAT = Keys(
    {
        "file": PathBelow(about="A file below /run/<app> that the process touches; HEARTBEAT_FILE is its path."),
        "max_age": Whole(5, 86400, default=180, about="Seconds after which the process counts as hung."),
    },
    required=("file",),
)
PROCESS_KEYS = Keys(
    {
        "command": Text(),
        "kind": Choice(KINDS),
        "port": Whole(1024, 65535, taken=RESERVED_PORTS),
        "instances": Whole(1, 64, auto=True),
        "workers": Whole(1, 64, default=1),
        "threads": Whole(1, 256, auto=True),
        "singleton": Flag(),
        "health": HEALTH,
        "readiness": READINESS,
        "memory": Memory(),
        "pool": POOL,
        "heartbeat": HEARTBEAT,
        "drain": Whole(0, 3600, default=30),
        "notify": Flag(default=False),
        "env": ENV,
        "allow": Words(Choice(ALLOWANCES)),
        "writable": Words(WritableFolder()),
        "devices": Words(DEVICE),
        "schedule": calendars.EVENT,
        "time_limit": Whole(1, 604800, default=3600),
    }
)
ONE_BEAT = "Celery's beat sends every task once for each instance; remove instances, or let beat be a process of its own"
ONE_SINGLETON = "a singleton runs exactly once; remove instances or singleton"
# What only a web process has, and what a process on a schedule is not: it starts, does its work and ends.
WEB_ONLY = ("port", "health", "readiness", "drain", "threads")
NEVER_SCHEDULED = ("port", "instances", "singleton", "heartbeat", "notify", "workers")


def _health(value, where):
    HEALTH.checked(value, where)
    name = HEALTH["headers"].name
    return {
        **{key: HEALTH.take(value, where, key) for key in ("path", "status", "timeout")},
        "host": HEALTH["host"].read(value["host"], f"{where}.host") if value.get("host") else None,
        "headers": {
            name.read(key, f"{where}.headers"): text_of(content, f"{where}.headers.{key}")
            for key, content in sorted(mapping(value.get("headers", {}), f"{where}.headers").items())
        },
    }


def _readiness(value, where):
    READINESS.checked(value, where)
    return {"path": READINESS.take(value, where, "path"), "json": dict(mapping(value.get("json", {}), f"{where}.json"))}


def url_path(value, where):
    return PATH.read(value, where)


def _schedule(value, where):
    """When systemd starts a process, in its own words, and the seconds it may take; nothing for one that runs all the time."""
    if value.get("schedule") is None:
        if "time_limit" in value:
            refuse(f"{where}.time_limit", value["time_limit"], "only a process with a schedule ends by itself; remove it")
        return None, None
    schedule = calendars.event_of(value["schedule"], f"{where}.schedule")
    for key in NEVER_SCHEDULED:
        if value.get(key):
            refuse(f"{where}.{key}", value[key], "a process with a schedule starts, does its work once and ends; remove one of the two")
    if value.get("kind", "worker") != "worker":
        refuse(f"{where}.kind", value["kind"], "a process with a schedule is a worker; remove kind")
    return schedule, PROCESS_KEYS.take(value, where, "time_limit")


def _singleton(value, where, command):
    """Whether it never runs twice: as declared, and without a word of it where it is Celery's beat."""
    if "singleton" in value:
        return PROCESS_KEYS.take(value, where, "singleton")
    return celery.is_beat(command)


def _kind(port, command, value):
    """What a process is that does not say so."""
    if port:
        return "web"
    return "celery" if celery.is_worker(command) and value.get("schedule") is None else "worker"


def _check_children(process, where):
    """Refuse a number of Celery's children that the plan does not count."""
    number = celery.children(process["command"]) if process["kind"] == "celery" else None
    if number not in (None, 1, process["workers"]):
        remedy = f"it starts {number} children, and the plan counts those that it chooses; write workers: {number} beside it, or leave them to the plan"
        refuse(f"{where}.command", process["command"], f"{remedy}, which tells Celery by itself")


def process_of(name, value, where, has_pools, runtime):
    text_of(name, where, NAME, "a process name has small letters, digits and '-', and begins with a letter")
    mapping(value, where, tuple(PROCESS_KEYS), required=() if runtime == "container" else ("command",))
    port = PROCESS_KEYS.take_if(value, where, "port")
    if port in RESERVED_PORTS:
        refuse(f"{where}.port", port, f"{RESERVED_PORTS[port]} listens there; choose another port, such as 8000")
    command = PROCESS_KEYS.take(value, where, "command") if value.get("command") else None
    kind = PROCESS_KEYS["kind"].read(value.get("kind", _kind(port, command, value)), f"{where}.kind")
    if kind == "web" and not port:
        refuse(f"{where}.port", port, "a web process needs a port; add port: 8000")
    if kind != "web":
        for key in WEB_ONLY:
            if value.get(key):
                refuse(f"{where}.{key}", value[key], f"only a web process answers requests; remove it from this {kind} process")
    allow = PROCESS_KEYS.take(value, where, "allow")
    if "any_address" in allow and kind != "web":
        refuse(f"{where}.allow", "any_address", f"a {kind} process has no port that the proof would ask for; remove it")
    if runtime == "container":
        for key, remedy in (("writable", "declare volumes"), ("devices", "a container gets none")):
            if value.get(key):
                refuse(f"{where}.{key}", value[key], f"it is for a process of the host's; {remedy}")
        if "user_namespaces" in allow:
            refuse(f"{where}.allow", "user_namespaces", "it is for a process of the host's; remove it")
    schedule, time_limit = _schedule(value, where)
    singleton = _singleton(value, where, command) or schedule is not None
    instances = PROCESS_KEYS["instances"].read(value.get("instances", 1 if singleton else "auto"), f"{where}.instances")
    if singleton and instances != 1:
        refuse(f"{where}.instances", instances, ONE_SINGLETON if "singleton" in value else ONE_BEAT)
    found = {
        "name": name,
        "kind": kind,
        "command": command,
        "port": port,
        "instances": instances,
        "workers": PROCESS_KEYS.take(value, where, "workers"),
        "threads": PROCESS_KEYS.take_if(value, where, "threads"),
        "singleton": singleton,
        "health": _health(value.get("health", HEALTH.default), f"{where}.health") if kind == "web" else None,
        "readiness": _readiness(value["readiness"], f"{where}.readiness") if value.get("readiness") else None,
        "memory_mb": PROCESS_KEYS.take_if(value, where, "memory"),
        "pool": PROCESS_KEYS.take(value, where, "pool") if has_pools else {"size": 0, "overflow": 0},
        "heartbeat": PROCESS_KEYS.take(value, where, "heartbeat") if value.get("heartbeat") else None,
        "drain": PROCESS_KEYS.take(value, where, "drain") if kind == "web" else 0,
        "notify": PROCESS_KEYS.take(value, where, "notify"),
        "schedule": schedule,
        "time_limit": time_limit,
        "env": env_of(value.get("env", {}), f"{where}.env"),
        "allow": allow,
        "writable": PROCESS_KEYS.take(value, where, "writable"),
        "devices": PROCESS_KEYS.take(value, where, "devices"),
    }
    _check_children(found, where)
    return found


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
                    refuse(f"{where}.port", process["port"], f"its {len(owned)} ports go past 65535; choose a lower port")
                if port in owners:
                    refuse(
                        f"{where}.port",
                        process["port"],
                        f"it owns the ports {owned[0]} to {owned[-1]} (twice its instances, for deploys) and {port} belongs to "
                        f"{owners[port]}; move one of them, or set a smaller number of instances",
                    )
                owners[port] = where


def instance_numbers(process, instances):
    """What stands behind the ``@`` of each unit: the port of a web instance, else 1, 2, 3…"""
    first = process["port"] or 1
    return list(range(first, first + instances))


def heartbeat_path(app, process):
    """Where a worker leaves its sign of life: the app is told this path, and the agent looks there."""
    return f"/run/{app['name']}/{process['heartbeat']['file']}"
