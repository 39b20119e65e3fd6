# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many units of a process run on a host, what each does at once, and whether a second set of them fits beside.

Counts depend on a share of the memory (see ``host``). Functions that look at several hosts take ``share_for(host, process)``,
so that the same code answers "if every host had this share" while a host is being sized, and "as planned" afterwards.
"""

from __future__ import annotations

import functools

from ..stack import external
from . import figures, rules_connections, rules_processes
from .inputs import NO_CEILINGS, UNBOUNDED


def everywhere(share):
    """The same share on every host."""
    return lambda _host, _process: share


def _ceilings(stack, process):
    """What the database's connections leave a process; those to a pooler are not its own."""
    return NO_CEILINGS if process.pooled else stack.ceilings.get(process.database, NO_CEILINGS)


def _automatic(rule, stack, host, process, ceiling, share):
    """What a rule makes of a host's cores, the users, and what else shares them."""
    return rule(process, host.cpus, stack.sharing_cores[process.kind], stack.users, len(stack.tier("backend")), ceiling, share)


def instances(stack, host, process, share):
    """How many units of a process run on a host."""
    if process.singleton:
        first = stack.tier("backend")[0].name
        return figures.Figure(int(host.name == first), "a singleton runs once, on the first backend host {}", first)
    if process.kind != "web":
        if process.instances == "auto":
            return figures.Figure(1, "one unit; more only when declared")
        return figures.Figure(process.instances, "declared as instances")
    return _automatic(rules_processes.web_instances, stack, host, process, _ceilings(stack, process).instances, share)


def children(stack, host, process, share):
    """The processes inside one unit that do work at the same time: Celery's children, a web server's workers."""
    if process.kind != "celery":
        return figures.Figure(process.workers, "declared as workers")
    return _automatic(rules_processes.celery_children, stack, host, process, _ceilings(stack, process).children, share)


def threads(stack, process, share):
    """The requests that one worker of a web process serves at once, or None where it takes what comes, or nobody knows."""
    if process.threads == "auto":
        return rules_processes.chosen_threads(process, stack.users, web_slots(stack)[process], _threads_connected(stack, process, share))
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
        web_slots(stack)[process],
        None if process.pooled or process.elsewhere else sum(web_slots(stack)[other] for other in direct),
        min((host.cpus for host in stack.tier("database")), default=1),
        _external_ceiling(stack, process) if process.elsewhere else _ceilings(stack, process).pool,
        share,
    )


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


@functools.lru_cache(maxsize=128)
def web_slots(stack):
    """The servers of each web process on all hosts together, were memory no bound."""
    return {
        process: process.workers * sum(instances(stack, host, process, UNBOUNDED) for host in stack.tier("backend"))
        for process in stack.web()
    }


def _external_ceiling(stack, process):
    """The pool of each web process for which the connections to a database elsewhere are enough, a second set beside it."""
    limit = external.connections(stack.apps[process.app])
    if limit is None:
        return None
    backends = stack.tier("backend")
    kept, slots = rules_connections.MIGRATION_CONNECTIONS + rules_connections.COMMAND_CONNECTIONS, 0
    for other in stack.processes:
        if other.app == process.app and other.kind == "web":
            slots += web_slots(stack)[other]
        elif other.app == process.app:
            kept += sum(connections(stack, host, other, UNBOUNDED) for host in backends)
    return max(1, (limit - kept) // (2 * slots))


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
