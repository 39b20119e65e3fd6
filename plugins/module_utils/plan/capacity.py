# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan: one budget of memory and connections for all hosts of a stack, with the arithmetic shown.

The plan is a pure function of the normalised apps, the users online and the hosts' resources. On every host it
searches the largest *share* (see ``host``) for which memory limits, the databases' worst case, Redis with its
reserve, the deploy surge and the system's reserve still fit into the real memory. A process that uses a database is
counted at the smaller of its own host's and the database host's share, so that a small database is never promised more
connections than it can carry.
"""

from __future__ import annotations

from ..stack import external
from ..stack import processes as stack_processes
from . import connections, figures, inputs
from .advice import warnings
from .host import host_plan, largest_share
from .refusal import PlanError, refuse_connections, refuse_memory

__all__ = ["PlanError", "plan"]


def plan(apps, users, hosts):
    """Size everything on all hosts.

    :param apps: the declared apps in the normal form of ``apps.normalise``.
    :param users: people online at once.
    :param hosts: ``{name: {tiers, memory_mb, cpus}}``, optionally ``max_connections`` to fix a database's limit,
        the ``address`` at which other hosts reach it, and the ``bind_address`` of its web processes.
    :raises PlanError: it does not fit; the message holds the sum and the changes that would make it fit.
    """
    stack, impossible = connections.within_connections(inputs.read(apps, users, hosts))
    if impossible:
        refuse_connections(stack, impossible, apps, users, hosts)
    shares = {host.name: largest_share(stack, host) for host in stack.hosts.values()}
    if None in shares.values():
        refuse_memory(stack, [stack.hosts[name] for name in sorted(shares) if shares[name] is None], apps, users, hosts)
    share_for = _effective(stack, shares)
    planned = {
        "users": figures.Figure(stack.users, "declared as mainstay_users"),
        "hosts": {host.name: host_plan(stack, host, shares[host.name], share_for) for host in stack.hosts.values()},
        "connections": {database: _connections(stack, database, share_for) for database in stack.databases},
    }
    if stack.pooled:
        planned["connections"]["pgbouncer"] = _clients(stack, planned["hosts"], share_for)
    elsewhere = {name: _external(stack, app, share_for) for name, app in stack.apps.items() if external.databases(app)}
    planned.update({"external": elsewhere} if elsewhere else {})
    explain = []
    numbers = _plain(planned, "", explain)
    _check_ports(apps, numbers["hosts"])
    return {**numbers, "explain": explain, "advice": warnings(stack, numbers)}


def _effective(stack, shares):
    """The share that decides the counts of a process on a host: its own, or that of the database it uses if smaller."""
    databases = [shares[host.name] for host in stack.tier("database")]

    def share_for(host, process):
        own = shares[host.name]
        return own if process.database == "none" else min([own, *databases])

    return share_for


def _connections(stack, database, share_for):
    parts = connections.connection_parts(stack, database, share_for)
    limits = [connections.connection_limit(stack, database, host, share_for) for host in stack.tier("database")]
    return {
        "limit": min(limits),
        "needed": figures.Figure(sum(parts.values()), "the sum of the parts"),
        "parts": parts,
        "reserved": figures.Figure(connections.RESERVED[database], "kept for an administrator"),
        "roles": connections.role_limits(stack, database, share_for),
    }


def _external(stack, app, share_for):
    parts, limit = connections.external_parts(stack, app["name"], share_for), external.connections(app)
    return {
        "needed": figures.Figure(sum(parts.values()), "the sum of the parts"),
        "parts": parts,
        **({"limit": figures.Figure(limit, "declared as connections")} if limit else {}),
    }


def _clients(stack, hosts, share_for):
    parts = connections.client_parts(stack, share_for)
    limit = min(host["pgbouncer"]["max_client_conn"] for host in hosts.values() if "pgbouncer" in host)
    return {
        "limit": limit,
        "needed": figures.Figure(sum(parts.values()), "the sum of the parts"),
        "parts": parts,
        "reserved": figures.Figure(0, "PgBouncer keeps none for an administrator"),
        "roles": connections.client_limits(stack, parts, limit),
    }


def _plain(node, path, explain):
    """The plan as plain sorted dicts; the reason of every number goes into ``explain``, in the same order."""
    if isinstance(node, dict):
        return {key: _plain(node[key], f"{path}.{key}" if path else key, explain) for key in sorted(node)}
    if isinstance(node, figures.Figure):
        explain.append(f"{path} = {int(node)}: {node.why}")
        return int(node)
    if isinstance(node, figures.Choice):
        explain.append(f"{path} = {node.value}: {node.why}")
        return node.value
    return node


def _check_ports(apps, hosts):
    for host in hosts.values():
        stack_processes.check_ports(
            apps,
            {app: {name: process["instances"] for name, process in processes.items()} for app, processes in host["processes"].items()},
        )
