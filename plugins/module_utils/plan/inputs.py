# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made for: the processes of the declared apps, the hosts, and how both are read."""

from __future__ import annotations

import bisect
from collections import namedtuple
from dataclasses import dataclass, field
from functools import cached_property

from ..stack import apps as stack_apps
from ..stack import external, services, web_servers
from ..stack import processes as stack_processes
from ..stack.redis_ports import assigned_ports
from ..stack.tiers import TIERS

# More than any host affords: what a stack would run if memory were no bound.
UNBOUNDED = 1 << 40
HOST_KEYS = (
    "address",
    "bind_address",
    "cpus",
    "databases",
    "max_connections",
    "memory_mb",
    "prometheus",
    "redis_ports",
    "reserved_memory_mb",
    "service_memory_mb",
    "tiers",
)

# Upper bounds on what is automatic, so that all connections together stay possible; None is no bound.
Ceilings = namedtuple("Ceilings", "pool instances children")
NO_CEILINGS = Ceilings(None, None, None)


@dataclass(frozen=True)
class Process:
    app: str
    name: str
    runtime: str
    database: str
    pooled: bool
    elsewhere: bool
    keeps_nothing: bool
    kind: str
    port: int | None
    port_room: int
    instances: int | str
    workers: int
    threads: int | str | None
    one_at_a_time: bool
    singleton: bool
    memory_mb: int | None
    pool_size: int | str
    overflow: int | str

    @property
    def has_pool(self):
        return self.database != "none" or self.elsewhere

    @property
    def key(self):
        return f"{self.app}.{self.name}"


@dataclass(frozen=True)
class Host:
    name: str
    tiers: tuple
    memory_mb: int
    cpus: int
    max_connections: int | None = None
    address: str | None = None
    bind_address: str | None = None
    reserved_memory_mb: int = 0
    service_memory_mb: dict = field(default_factory=dict, hash=False)
    redis_ports: dict = field(default_factory=dict, hash=False)
    databases: dict = field(default_factory=dict, hash=False)
    prometheus: dict = field(default_factory=dict, hash=False)

    @property
    def alone(self):
        """Whether its one tier has the host to itself."""
        return len(self.tiers) == 1


@dataclass(frozen=True, eq=False)
class Stack:
    """Everything that is declared. One object is one stack: what is counted of it is remembered."""

    users: int
    hosts: dict
    processes: tuple
    databases: tuple
    redis: dict
    apps: dict
    ceilings: dict

    def tier(self, tier):
        return self.by_tier[tier]

    @cached_property
    def by_tier(self):
        return {tier: [host for host in self.hosts.values() if tier in host.tiers] for tier in TIERS}

    @cached_property
    def pooled(self):
        """The apps that reach PostgreSQL through PgBouncer."""
        return sorted({process.app for process in self.processes if process.pooled})

    def web(self, database=None):
        return [process for process in self.processes if process.kind == "web" and database in (None, process.database)]

    @cached_property
    def sharing_cores(self):
        """How many units of each kind share the cores of a host; a process with automatic instances counts once."""
        units = dict.fromkeys(stack_processes.KINDS, 0)
        for process in self.processes:
            units[process.kind] += 0 if process.singleton else 1 if process.instances == "auto" else process.instances
        return {kind: number or 1 for kind, number in units.items()}


def read(apps, users, hosts):
    """The stack of normalised apps on some hosts; refuses what no plan could serve."""
    read_hosts = {str(name): _host(str(name), hosts[name]) for name in sorted(hosts, key=str)}
    rooms = _port_rooms(apps)
    processes = tuple(
        _process(apps[app], apps[app]["processes"][name], rooms) for app in sorted(apps) for name in sorted(apps[app]["processes"])
    )
    stack = Stack(
        users=stack_apps.users(users),
        hosts=read_hosts,
        processes=processes,
        databases=tuple(sorted({app["database"] for app in apps.values()} - {"none"})),
        redis=_redis(apps, read_hosts),
        apps=apps,
        ceilings={},
    )
    _require_tiers(stack)
    return stack


def _host(name, value):
    where = f"hosts.{name}"
    for key in value:
        if key not in HOST_KEYS:
            raise ValueError(f"{where}.{key}: there is no such key; known keys are {', '.join(HOST_KEYS)}.")
    unknown = sorted(set(value.get("tiers", ())) - set(TIERS))
    if unknown or not value.get("tiers"):
        raise ValueError(f"{where}.tiers: {value.get('tiers')!r} cannot be used. Name one or more of {', '.join(TIERS)}.")
    limit = value.get("max_connections")
    return Host(
        name=name,
        tiers=tuple(tier for tier in TIERS if tier in value["tiers"]),
        memory_mb=_count(value.get("memory_mb"), f"{where}.memory_mb"),
        cpus=_count(value.get("cpus"), f"{where}.cpus"),
        max_connections=None if limit is None else _count(limit, f"{where}.max_connections"),
        address=value.get("address"),
        bind_address=value.get("bind_address"),
        reserved_memory_mb=value.get("reserved_memory_mb", 0),
        service_memory_mb=dict(value.get("service_memory_mb") or {}),
        redis_ports=dict(value.get("redis_ports") or {}),
        databases=dict(value.get("databases") or {}),
        prometheus=dict(value.get("prometheus") or {}),
    )


def _count(value, where):
    """A whole number from 1 on; numbers in text are taken too, as Jinja delivers them."""
    if isinstance(value, bool) or not str(value).isdigit() or int(value) < 1:
        raise ValueError(f"{where}: {value!r} cannot be used. Give a whole number from 1 on.")
    return int(value)


def _redis(apps, hosts):
    """The ports of all Redis instances; the first host of the tier has on record which are taken."""
    recorded = next((host.redis_ports for host in hosts.values() if "cache" in host.tiers), {})
    return assigned_ports(apps, recorded)


def _process(app, process, rooms):
    words = web_servers.told(process["command"] if process["kind"] == "web" else "", app["env"], process["env"])
    return Process(
        app=app["name"],
        name=process["name"],
        runtime=app["runtime"],
        database=app["database"],
        pooled=app["pooler"] != "none",
        elsewhere=bool(external.databases(app)),
        # Where it keeps nothing in files, more than one of it can run.
        keeps_nothing=external.has_database(app) or bool(app["redis"] or app["external"]),
        kind=process["kind"],
        port=process["port"],
        port_room=rooms.get(process["port"], 0),
        instances=process["instances"],
        workers=process["workers"],
        threads=process["threads"] or words.threads,
        one_at_a_time=words.one_at_a_time and process["threads"] is None,
        singleton=process["singleton"],
        memory_mb=process["memory_mb"],
        pool_size=process["pool"]["size"],
        overflow=process["pool"]["overflow"],
    )


def _port_rooms(apps):
    """How many instances each port can have until its range meets the next port somebody owns."""
    ports = {process["port"] for app in apps.values() for process in app["processes"].values() if process["port"]}
    owned = sorted(ports | set(services.RESERVED_PORTS) | {65536})
    return {port: max(1, (owned[bisect.bisect_right(owned, port)] - port) // 2) for port in ports}


def _require_tiers(stack):
    needs = {
        "backend": ("processes", [process.key for process in stack.processes]),
        "database": ("a database", [name for name, app in stack.apps.items() if app["database"] != "none"]),
        "cache": ("Redis", [name for name, app in stack.apps.items() if app["redis"]]),
    }
    for tier, (what, users) in needs.items():
        if users and not stack.tier(tier):
            raise ValueError(
                f"hosts: no host is of the tier {tier!r}, but {what} is declared ({', '.join(users)}). "
                f"Put a host into the inventory group {tier!r}, or remove the declaration."
            )
