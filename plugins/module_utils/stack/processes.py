# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared process: its command, health, pool, ports and instances."""

from __future__ import annotations

import re

from .refusal import boolean, integer, integer_or_auto, mapping, one_of, refuse, text_of, texts_of
from .sandbox import ALLOWANCES
from .services import RESERVED_PORTS
from .source import path_below
from .variables import env_of

NAME = re.compile(r"[a-z][a-z0-9-]{0,24}")
SIZE = re.compile(r"(\d+)([KMG])")
KINDS = ("web", "celery", "worker")
HEALTH_KEYS = ("path", "status", "timeout", "host", "headers")
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


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
        refuse(where, value, "write a size of at least 16M, such as 300M or 1G")
    return int(number)


def _health(value, where):
    mapping(value, where, HEALTH_KEYS, required=("path",))
    headers = mapping(value.get("headers", {}), f"{where}.headers")
    return {
        "path": url_path(value["path"], f"{where}.path"),
        "status": integer(value.get("status", 200), f"{where}.status", 100, 599),
        "timeout": integer(value.get("timeout", 2), f"{where}.timeout", 1, 60),
        "host": text_of(value["host"], f"{where}.host", HOST, "write the name a visitor asks for, such as shop.example.com")
        if value.get("host")
        else None,
        "headers": {
            text_of(key, f"{where}.headers", HEADER, "name a header, such as X-Probe"): text_of(content, f"{where}.headers.{key}")
            for key, content in sorted(headers.items())
        },
    }


def _readiness(value, where):
    mapping(value, where, ("path", "json"), required=("path",))
    return {"path": url_path(value["path"], f"{where}.path"), "json": dict(mapping(value.get("json", {}), f"{where}.json"))}


def url_path(value, where):
    return text_of(value, where, re.compile(r"/[^\s?#]*"), "write a path that begins with '/', such as /health")


def _pool(value, where):
    mapping(value, where, ("size", "overflow"))
    return {key: integer_or_auto(value.get(key, "auto"), f"{where}.{key}", 0, 1000) for key in ("size", "overflow")}


def _heartbeat(value, where):
    mapping(value, where, ("file", "max_age"), required=("file",))
    return {
        "file": path_below(value["file"], f"{where}.file"),
        "max_age": integer(value.get("max_age", 180), f"{where}.max_age", 5, 86400),
    }


PROCESS_KEYS = (
    "command",
    "kind",
    "port",
    "instances",
    "workers",
    "singleton",
    "health",
    "readiness",
    "memory",
    "pool",
    "heartbeat",
    "drain",
    "notify",
    "env",
    "allow",
    "schedule",
    "time_limit",
)
# What a process on a schedule is not: it starts, does its work and ends.
NEVER_SCHEDULED = ("port", "instances", "singleton", "heartbeat", "notify", "workers")
CALENDAR = re.compile(r"[A-Za-z0-9*:,./~ -]{1,100}")
CRON = re.compile(r"(@\w+|[\d*/,-]+( [\d*/,A-Za-z-]+){4})")


def _schedule(value, where, runtime):
    """When systemd starts a process, in its own words, and the seconds it may take; nothing for one that runs all the time."""
    if value.get("schedule") is None:
        if "time_limit" in value:
            refuse(f"{where}.time_limit", value["time_limit"], "only a process with a schedule ends by itself; remove it")
        return None, None
    example = "such as daily, Mon 06:30 or *-*-* 03:00:00; systemd-analyze calendar '…' on a host tells when that is"
    schedule = text_of(value["schedule"], f"{where}.schedule", CALENDAR, f"write a calendar event of systemd, {example}")
    if CRON.fullmatch(schedule):
        refuse(f"{where}.schedule", schedule, f"that is a line of cron; write a calendar event of systemd, {example}")
    if runtime == "container":
        refuse(f"{where}.schedule", schedule, "a container cannot be started by a timer yet; let a process of the image keep the time")
    for key in NEVER_SCHEDULED:
        if value.get(key):
            refuse(f"{where}.{key}", value[key], "a process with a schedule starts, does its work once and ends; remove one of the two")
    if value.get("kind", "worker") != "worker":
        refuse(f"{where}.kind", value["kind"], "a process with a schedule is a worker; remove kind")
    return schedule, integer(value.get("time_limit", 3600), f"{where}.time_limit", 1, 604800)


def process_of(name, value, where, database, runtime):
    text_of(name, where, NAME, "a process name has small letters, digits and '-', and begins with a letter")
    mapping(value, where, PROCESS_KEYS, required=() if runtime == "container" else ("command",))
    port = value.get("port")
    if port is not None:
        port = integer(port, f"{where}.port", 1024, 65535)
        if port in RESERVED_PORTS:
            refuse(f"{where}.port", port, f"{RESERVED_PORTS[port]} listens there; choose another port, such as 8000")
    kind = one_of(value.get("kind", "web" if port else "worker"), f"{where}.kind", KINDS)
    if kind == "web" and not port:
        refuse(f"{where}.port", port, "a web process needs a port; add port: 8000")
    if kind != "web":
        for key in ("port", "health", "readiness", "drain"):
            if value.get(key):
                refuse(f"{where}.{key}", value[key], f"only a web process answers requests; remove it from this {kind} process")
    schedule, time_limit = _schedule(value, where, runtime)
    singleton = boolean(value.get("singleton", False), f"{where}.singleton") or schedule is not None
    instances = integer_or_auto(value.get("instances", 1 if singleton else "auto"), f"{where}.instances", 1, 64)
    if singleton and instances != 1:
        refuse(f"{where}.instances", instances, "a singleton runs exactly once; remove instances or singleton")
    return {
        "name": name,
        "kind": kind,
        "command": text_of(value["command"], f"{where}.command") if value.get("command") else None,
        "port": port,
        "instances": instances,
        "workers": integer(value.get("workers", 1), f"{where}.workers", 1, 64),
        "singleton": singleton,
        "health": _health(value.get("health", {"path": "/health"}), f"{where}.health") if kind == "web" else None,
        "readiness": _readiness(value["readiness"], f"{where}.readiness") if value.get("readiness") else None,
        "memory_mb": megabytes(value["memory"], f"{where}.memory") if value.get("memory") is not None else None,
        "pool": _pool(value.get("pool", {}), f"{where}.pool") if database != "none" else {"size": 0, "overflow": 0},
        "heartbeat": _heartbeat(value["heartbeat"], f"{where}.heartbeat") if value.get("heartbeat") else None,
        "drain": integer(value.get("drain", 30), f"{where}.drain", 0, 3600) if kind == "web" else 0,
        "notify": boolean(value.get("notify", False), f"{where}.notify"),
        "schedule": schedule,
        "time_limit": time_limit,
        "env": env_of(value.get("env", {}), f"{where}.env"),
        "allow": sorted({one_of(item, f"{where}.allow", tuple(ALLOWANCES)) for item in texts_of(value.get("allow", []), f"{where}.allow")}),
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
