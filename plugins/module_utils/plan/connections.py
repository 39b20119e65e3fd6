# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that processes hold to databases and poolers at the worst moment, and what keeps them possible."""

from __future__ import annotations

import functools
from dataclasses import replace

from . import figures, rules_connections
from .counts import blue_green, connections, everywhere
from .inputs import NO_CEILINGS, UNBOUNDED, Ceilings

RESERVED = {"postgresql": rules_connections.POSTGRESQL_RESERVED, "mariadb": rules_connections.MARIADB_RESERVED}


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


@functools.lru_cache(maxsize=128)
def most_connections(stack):
    """``max_connections`` of each database on each of its hosts, were memory no bound."""
    return {
        (database, host.name): connection_limit(stack, database, host, everywhere(UNBOUNDED))
        for database in stack.databases
        for host in stack.tier("database")
    }
