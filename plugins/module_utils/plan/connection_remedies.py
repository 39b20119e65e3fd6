# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that may make the connections of all pools fit into what a database accepts."""

from __future__ import annotations

from . import figures, rules_connections
from .remedies import Remedy, all_automatic, behind_pooler, by_connections, process_change


def remedies_for(stack, database, needed, given):
    fixed = {
        host.name: {"max_connections": needed} for host in stack.tier("database") if host.max_connections and host.max_connections < needed
    }
    if fixed and needed <= rules_connections.CONNECTIONS[1]:
        yield Remedy(f"Raise max_connections of {', '.join(fixed)} to {needed}.", {"hosts": fixed})
    if database == "postgresql":
        yield from behind_pooler(stack)
    yield from _smaller_pools(stack, database, given)
    yield from _fewer_instances(stack, database, given)
    yield from _fewer_backends(stack, database, given)
    yield from all_automatic(stack)
    yield from _fewer_database_apps(stack, database)


def _possible(given, change, database):
    try:
        return database not in given.changed(change).stack()[1]
    except ValueError:
        return False


def _smaller_pools(stack, database, given):
    """The largest pool of one process that fits, then automatic pools for all."""

    def change(process, size):
        return process_change(process, {"pool": {"size": size, "overflow": 0}})

    processes = by_connections(stack, database)
    for process in processes:
        if process.pool_size == "auto" and process.overflow == "auto":
            continue
        most = sum(number for number in (process.pool_size, process.overflow) if number != "auto")
        if _possible(given, change(process, 1), database):
            size = figures.first_true(
                lambda number, process=process: not _possible(given, change(process, number + 1), database),
                1,
                max(1, most),
            )
            yield Remedy(
                f"Set mainstay_apps.{process.app}.processes.{process.name}.pool to {{size: {size}, overflow: 0}} "
                f"instead of {process.pool_size} and {process.overflow}.",
                change(process, size),
            )
    everyone = {}
    for process in processes:
        everyone.setdefault(process.app, {})[process.name] = {"pool": {"size": "auto", "overflow": "auto"}}
    yield Remedy("Leave pool.size and pool.overflow of all processes to the plan (auto).", {"processes": everyone})


def _fewer_instances(stack, database, given):
    for process in by_connections(stack, database):
        for key, number in (("instances", process.instances), ("workers", process.workers), ("threads", process.threads)):
            if number in (None, "auto", 1) or not _possible(given, process_change(process, {key: 1}), database):
                continue
            fewer = figures.first_true(
                lambda n, process=process, key=key: not _possible(given, process_change(process, {key: n + 1}), database),
                1,
                number,
            )
            yield Remedy(
                f"Set mainstay_apps.{process.app}.processes.{process.name}.{key} to {fewer} instead of {number}.",
                process_change(process, {key: fewer}),
            )


def _fewer_backends(stack, database, given):
    """Fewer hosts of the tier backend; the others keep their other tiers."""
    backends = stack.tier("backend")

    def change(keep):
        return {
            "hosts": {host.name: {"tiers": [tier for tier in host.tiers if tier != "backend"] or ["proxy"]} for host in backends[keep:]}
        }

    if len(backends) > 1 and _possible(given, change(1), database):
        most = figures.first_true(lambda keep: not _possible(given, change(keep + 1), database), 1, len(backends) - 1)
        yield Remedy(f"Run the processes on {most} backend hosts instead of {len(backends)}.", change(most))


def _fewer_database_apps(stack, database):
    names = []
    for process in by_connections(stack, database):
        if process.app not in names:
            names.append(process.app)
            if len(names) < len({other.app for other in stack.processes}):
                yield Remedy(
                    f"Give {', '.join(names)} a database server of their own, in another inventory.",
                    {"without_apps": list(names)},
                )
