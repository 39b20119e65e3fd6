# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack a plan is made for: which processes run on which hosts, how many of them, and the connections they hold.

Counts depend on a share (see ``sizing_rules``). Functions that look at several hosts take ``share_for(host, process)``,
so that the same code answers "if every host had this share" while a host is being sized, and "as planned" afterwards.
"""

from __future__ import annotations

import bisect
from collections import namedtuple
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..stack import apps as stack_apps
from ..stack import external, services, web_servers
from ..stack import processes as stack_processes
from ..stack.redis_ports import assigned_ports
from ..stack.tiers import TIERS
from . import figures, rules_connections, rules_processes

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
RESERVED = {"postgresql": rules_connections.POSTGRESQL_RESERVED, "mariadb": rules_connections.MARIADB_RESERVED}

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


@dataclass(frozen=True)
class Stack:
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

    @cached_property
    def web_slots(self):
        """The servers of each web process on all hosts together, were memory no bound."""
        return {
            process: process.workers * sum(instances(self, host, process, UNBOUNDED) for host in self.tier("backend"))
            for process in self.web()
        }

    @cached_property
    def most_connections(self):
        """``max_connections`` of each database on each of its hosts, were memory no bound."""
        return {
            (database, host.name): connection_limit(self, database, host, everywhere(UNBOUNDED))
            for database in self.databases
            for host in self.tier("database")
        }


# --- the input -----------------------------------------------------------------------------------------------------


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


# --- counts --------------------------------------------------------------------------------------------------------


def _ceilings(stack, process):
    """What the database's connections leave a process; those to a pooler are not its own."""
    return NO_CEILINGS if process.pooled else stack.ceilings.get(process.database, NO_CEILINGS)


def instances(stack, host, process, share):
    """How many units of a process run on a host."""
    backends = stack.tier("backend")
    if process.singleton:
        first = backends[0].name
        return figures.Figure(int(host.name == first), "a singleton runs once, on the first backend host {}", first)
    if process.kind != "web":
        if process.instances == "auto":
            return figures.Figure(1, "one unit; more only when declared")
        return figures.Figure(process.instances, "declared as instances")
    return rules_processes.web_instances(
        process,
        host.cpus,
        stack.sharing_cores["web"],
        stack.users,
        len(backends),
        _ceilings(stack, process).instances,
        share,
    )


def children(stack, host, process, share):
    """The processes inside one unit that do work at the same time: Celery's children, a web server's workers."""
    if process.kind != "celery":
        return figures.Figure(process.workers, "declared as workers")
    return rules_processes.celery_children(
        process,
        host.cpus,
        stack.sharing_cores["celery"],
        stack.users,
        len(stack.tier("backend")),
        _ceilings(stack, process).children,
        share,
    )


def threads(stack, process, share):
    """The requests that one worker of a web process serves at once, or None where it takes what comes, or nobody knows."""
    if process.threads == "auto":
        return rules_processes.chosen_threads(process, stack.users, stack.web_slots[process], _threads_connected(stack, process, share))
    return None if process.threads is None else figures.Figure(process.threads, "as declared, or as its command says")


def _threads_connected(stack, process, share):
    """The threads that the connections of one worker serve; None where there is no database."""
    if not process.has_pool:
        return None
    total = _web_pool(stack, process, share)
    if process.pool_size == process.overflow == "auto":
        return rules_connections.threads_of(total)
    return sum(rules_connections.split_pool(process.pool_size, process.overflow, total))


def pool(stack, process, share):
    """Pool size and overflow of each process inside one unit."""
    if not process.has_pool:
        nothing = figures.Figure(0, "the app declares no database")
        return nothing, nothing
    if process.kind != "web":
        total = rules_connections.worker_pool()
    elif process.threads is None:
        total = _web_pool(stack, process, share)
    else:
        total = rules_connections.thread_pool(threads(stack, process, share))
    return rules_connections.split_pool(process.pool_size, process.overflow, total)


def _web_pool(stack, process, share):
    direct = [other for other in stack.web(process.database) if not other.pooled]
    return rules_connections.web_pool(
        stack.users,
        stack.web_slots[process],
        None if process.pooled or process.elsewhere else sum(stack.web_slots[other] for other in direct),
        min((host.cpus for host in stack.tier("database")), default=1),
        external_ceiling(stack, process) if process.elsewhere else _ceilings(stack, process).pool,
        share,
    )


# --- connections ---------------------------------------------------------------------------------------------------


def connections(stack, host, process, share):
    """The most connections a process holds from one host."""
    number, slots = instances(stack, host, process, share), children(stack, host, process, share)
    size, overflow = pool(stack, process, share)
    return figures.Figure(
        number * slots * (size + overflow),
        "{}: {} x {} x ({} + {})",
        host.name,
        int(number),
        int(slots),
        int(size),
        int(overflow),
    )


def connection_parts(stack, database, share_for):
    """Who holds how many connections to a database, on all hosts together, at the worst moment.

    The processes of an app behind a pooler hold none: the pooler does, and never more than its own pool for the app.
    """
    held = _held(stack, share_for, lambda process: process.database == database and not process.pooled)
    parts = _pool_parts(stack, held, share_for)
    if database == "postgresql" and stack.pooled:
        size = server_pool(stack, share_for)
        parts.update({f"{app}.pgbouncer": figures.Figure(size, "default_pool_size {}", int(size)) for app in stack.pooled})
    parts["migrations"] = figures.Figure(rules_connections.MIGRATION_CONNECTIONS, "one migration and what watches its locks")
    parts["monitoring"] = figures.Figure(rules_connections.MONITORING_CONNECTIONS, "agent, backup and an operator's session")
    if any(host.prometheus for host in stack.tier("database")):
        parts["exporter"] = figures.Figure(rules_connections.EXPORTER_CONNECTIONS, "the exporter for Prometheus")
    others = {name for host in stack.tier("database") for name in host.databases.get(database, ())} - set(stack.apps)
    if others:
        each = rules_connections.OTHER_CONNECTIONS
        parts["others"] = figures.Figure(len(others) * each, "{} databases that no app declares x {}", len(others), each)
    return parts


def role_limits(stack, database, share_for):
    """The connections the role of each app may have: its processes, a second set of them, a migration, and an operator's command."""
    held = _held(stack, share_for, lambda process: process.database == database and not process.pooled)
    limits = {}
    for name, app in stack.apps.items():
        if app["database"] == database:
            own = {process: by_host for process, by_host in held.items() if process.app == name}
            pooled = server_pool(stack, share_for) if name in stack.pooled else 0
            parts = sum(sum(by_host.values()) for by_host in own.values()) + pooled
            second = sum(_second_set(own, host) for host in stack.tier("backend") if blue_green(stack, host, share_for))
            limits[name] = rules_connections.role_limit(parts, second)
    return limits


def client_parts(stack, share_for):
    """Who holds how many connections to PgBouncer, on all hosts together, at the worst moment."""
    parts = _pool_parts(stack, _held(stack, share_for, lambda process: process.pooled), share_for)
    parts["monitoring"] = figures.Figure(rules_connections.MONITORING_CONNECTIONS, "agent, proof and an operator's session")
    return parts


def client_limits(stack, parts, limit):
    """The connections to PgBouncer that each app may have: what the others need stays free."""
    own = {app: sum(parts[process.key] for process in stack.processes if process.pooled and process.app == app) for app in stack.pooled}
    others = {app: sum(own.values()) - own[app] + parts["monitoring"] for app in own}
    return {app: figures.Figure(limit - kept, "{} - {} of others", int(limit), int(kept)) for app, kept in others.items()}


def server_pool(stack, share_for):
    """``default_pool_size`` of PgBouncer: the connections to PostgreSQL that the processes of one app share."""
    hosts, pooled = stack.tier("database"), [process for process in stack.processes if process.pooled]
    held = _held(stack, share_for, lambda process: process.pooled)
    most = max(sum(sum(held[process].values()) for process in pooled if process.app == app) for app in stack.pooled)
    return rules_connections.server_pool(
        min(host.cpus for host in hosts),
        len(stack.pooled),
        most,
        stack.ceilings.get("postgresql", NO_CEILINGS).pool,
        min(share_for(host, process) for host in hosts for process in pooled),
    )


def _held(stack, share_for, wanted):
    """The connections of processes by host."""
    return {
        process: {host.name: connections(stack, host, process, share_for(host, process)) for host in stack.tier("backend")}
        for process in stack.processes
        if wanted(process)
    }


def _pool_parts(stack, held, share_for):
    """Held connections as parts of a sum, the second set of a deploy beside them."""
    parts = {
        process.key: figures.Figure(
            sum(by_host.values()), "{}", lambda by_host=by_host: " + ".join(figure.why for figure in by_host.values())
        )
        for process, by_host in held.items()
    }
    second = sum(_second_set(held, host) for host in stack.tier("backend") if blue_green(stack, host, share_for))
    parts["deploy_surge"] = figures.Figure(second, "the second set of web processes while a release changes")
    return parts


def _second_set(held, host):
    """Connections of the second set of the app that has the most on a host; one app is deployed at a time."""
    sets = {}
    for process, by_host in held.items():
        if process.kind == "web":
            sets[process.app] = sets.get(process.app, 0) + by_host[host.name]
    return max(sets.values(), default=0)


def external_ceiling(stack, process):
    """The pool of each web process for which the connections to a database elsewhere are enough, a second set beside it."""
    limit = external.connections(stack.apps[process.app])
    if limit is None:
        return None
    backends = stack.tier("backend")
    kept, slots = rules_connections.MIGRATION_CONNECTIONS + rules_connections.COMMAND_CONNECTIONS, 0
    for other in stack.processes:
        if other.app == process.app and other.kind == "web":
            slots += stack.web_slots[other]
        elif other.app == process.app:
            kept += sum(connections(stack, host, other, UNBOUNDED) for host in backends)
    return max(1, (limit - kept) // (2 * slots))


def external_parts(stack, app, share_for):
    """Who holds how many connections to the database elsewhere of an app, on all hosts together, at the worst moment."""
    parts = _pool_parts(stack, _held(stack, share_for, lambda process: process.app == app), share_for)
    parts["migrations"] = figures.Figure(rules_connections.MIGRATION_CONNECTIONS, "one migration and what watches its locks")
    parts["commands"] = figures.Figure(rules_connections.COMMAND_CONNECTIONS, "what an operator runs")
    return parts


def connection_ceiling(stack):
    """The highest ``max_connections`` any of the database's hosts may have."""
    return min(host.max_connections or rules_connections.CONNECTIONS[1] for host in stack.tier("database"))


def connection_limit(stack, database, host, share_for):
    """``max_connections`` of a database on a host."""
    if host.max_connections:
        return figures.Figure(host.max_connections, "declared as max_connections of host {}", host.name)
    needed = sum(connection_parts(stack, database, share_for).values())
    return rules_connections.connections_limit(needed, RESERVED[database], rules_connections.CONNECTIONS[1])


def everywhere(share):
    """The same share on every host."""
    return lambda _host, _process: share


def within_connections(stack):
    """The stack with ceilings that keep each database's connections possible, and the databases for which none do.

    Pools shrink first, then instances and children. Memory plays no part here, so more memory never changes a ceiling.
    """
    ladder = [Ceilings(size, None, None) for size in range(rules_connections.POOL[1], rules_connections.POOL[0] - 1, -1)]
    ladder += [Ceilings(rules_connections.POOL[0], number, 2 * number) for number in range(64, 0, -1)]
    impossible = []
    for database in stack.databases:
        ceilings = _first_possible(stack, database, [NO_CEILINGS, *ladder])
        if ceilings is None:
            impossible.append(database)
        stack = with_ceilings(stack, database, ceilings or ladder[-1])
    return stack, impossible


def _first_possible(stack, database, ladder):
    """The first step of a ladder of ever lower ceilings at which all connections are possible, or None."""
    allowed = connection_ceiling(stack) - RESERVED[database]

    def possible(step):
        parts = connection_parts(with_ceilings(stack, database, ladder[step]), database, everywhere(UNBOUNDED))
        return sum(parts.values()) <= allowed

    # Most stacks need no ceiling: ask for that first.
    step = 0 if possible(0) else figures.first_true(possible, 1, len(ladder) - 1)
    return ladder[step] if possible(step) else None


def with_ceilings(stack, database, ceilings):
    return replace(stack, ceilings={**stack.ceilings, database: ceilings})


# --- deploys -------------------------------------------------------------------------------------------------------


def memory_max(stack, host, process, share, share_for):
    level = share_for(host, process)
    return rules_processes.memory_max(process, children(stack, host, process, level), threads(stack, process, level), share)


def second_set_memory(stack, host, share, share_for):
    """Memory of a second set of web processes of the app that has the largest; one app is deployed at a time."""
    if "backend" not in host.tiers:
        return 0
    sets = {}
    for process in stack.web():
        number = instances(stack, host, process, share_for(host, process))
        sets[process.app] = sets.get(process.app, 0) + number * memory_max(stack, host, process, share, share_for)
    return max(sets.values(), default=0)


def blue_green(stack, host, share_for):
    """Whether a release starts beside the running one on a host; else its instances are replaced one after the other.

    The second set gets its place once the share is half its smallest size: before that, a working database and cache
    matter more.
    """
    smallest = second_set_memory(stack, host, 0, everywhere(0))
    if not smallest:
        return False
    return min(share_for(host, process) for process in stack.web()) >= smallest // 2
