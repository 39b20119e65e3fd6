# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of a plan at a given share: every setting, and the memory that all of it can take at the worst moment."""

from __future__ import annotations

from . import sizing_rules as rules
from . import sizing_stack as stacks


def host_plan(stack, host, share, share_for):
    """Everything the plan says about a host; ``share`` sizes its memory, ``share_for`` the counts of all hosts."""
    planned = {"cpus": host.cpus, "tiers": list(host.tiers), "deploy": _deploy(stack, host, share_for)}
    parts = {"agent": rules.agent()}
    files = rules.FILES_SYSTEM
    surging = planned["deploy"].value == "blue_green"

    planned["processes"] = {}
    if "backend" in host.tiers:
        for process in stack.processes:
            settings = _process(stack, host, process, share, share_for, surging)
            planned["processes"].setdefault(process.app, {})[process.name] = settings
            parts[process.key] = rules.Figure(
                settings["instances"] * settings["memory_max_mb"],
                "instances {} x memory_max {}",
                int(settings["instances"]),
                int(settings["memory_max_mb"]),
            )
            files += settings["instances"] * settings["nofile"] * (1 + surging)
        if surging:
            parts["deploy_surge"] = rules.Figure(
                stacks.second_set_memory(stack, host, share, share_for),
                "the second set of web processes of the largest app",
            )
    if "database" in host.tiers and "postgresql" in stack.databases:
        planned["postgresql"] = _postgresql(stack, host, share, share_for)
        parts["postgresql"] = rules.postgresql_worst_case(planned["postgresql"])
        files += planned["postgresql"]["max_connections"] * rules.FILES_PER_BACKEND
    if "database" in host.tiers and "mariadb" in stack.databases:
        planned["mariadb"] = _mariadb(stack, host, share, share_for)
        parts["mariadb"] = rules.mariadb_worst_case(planned["mariadb"])
        files += planned["mariadb"]["max_connections"] + planned["mariadb"]["table_open_cache"]
    if "cache" in host.tiers and stack.redis:
        planned["redis"] = _redis(stack, host, share, share_for)
        for name, settings in planned["redis"].items():
            parts[f"redis-{name}"] = rules.Figure(
                settings["maxmemory_mb"] + settings["reserve_mb"],
                "maxmemory {} + reserve {}",
                int(settings["maxmemory_mb"]),
                int(settings["reserve_mb"]),
            )
            files += settings["nofile"]
    if "proxy" in host.tiers:
        planned["nginx"] = rules.nginx(stack.users, host.cpus, share)
        parts["nginx"] = rules.nginx_memory(stack.users, planned["nginx"])
        files += planned["nginx"]["worker_processes"] * planned["nginx"]["worker_rlimit_nofile"]

    planned["memory"] = _memory(host, share, parts)
    planned["swap_mb"] = rules.swap(host.memory_mb)
    planned["sysctl"] = rules.sysctl(stack.users, "redis" in planned, files)
    return planned


def _deploy(stack, host, share_for):
    if stacks.blue_green(stack, host, share_for):
        return rules.Choice("blue_green", "a second set of web processes fits beside the running one")
    if "backend" in host.tiers and stack.web():
        return rules.Choice(
            "rolling", "a second set of web processes does not fit: instances are replaced one after the other"
        )
    return rules.Choice("rolling", "no web process runs here")


def _process(stack, host, process, share, share_for, surging):
    level = share_for(host, process)
    number, slots = stacks.instances(stack, host, process, level), stacks.children(stack, host, process, level)
    limit = stacks.memory_max(stack, host, process, share, share_for)
    size, overflow = stacks.pool(stack, process, level)
    settings = {
        "instances": number,
        "workers": rules.Figure(process.workers, "declared as workers")
        if process.kind != "celery"
        else rules.Figure(1, "one unit"),
        "concurrency": slots if process.kind != "web" else _requests(stack, process, share_for),
        "pool_size": size,
        "max_overflow": overflow,
        "memory_max_mb": limit,
        "memory_high_mb": rules.memory_high(limit),
        "tasks_max": rules.tasks_max(process, slots),
        "nofile": rules.nofile(),
        "surge_mb": _surge(process, surging, number, limit),
    }
    if process.kind == "web":
        settings["max_websockets"] = rules.process_websockets(stack.users)
    if process.runtime == "node":
        settings["node_heap_mb"] = rules.node_heap(limit, process.workers)
    return settings


def _requests(stack, process, share_for):
    """Requests at once one instance has to carry when all hosts share them."""
    total = sum(stacks.instances(stack, host, process, share_for(host, process)) for host in stack.tier("backend"))
    requests = rules.in_flight(stack.users)
    return rules.Figure(
        rules.divide_up(requests, max(1, total)), "requests at once {} / instances of all hosts {}", requests, total
    )


def _surge(process, surging, number, limit):
    if process.kind == "web" and surging:
        return rules.Figure(number * limit, "instances {} x memory_max {} for the second set", int(number), int(limit))
    return rules.Figure(
        0, "replaced in place" if process.kind != "web" else "rolling deploy: replaced one after the other"
    )


def _postgresql(stack, host, share, share_for):
    limit = stacks.connection_limit(stack, "postgresql", host, share_for)
    return rules.postgresql(share, host.cpus, limit, stack.most_connections["postgresql", host.name])


def _mariadb(stack, host, share, share_for):
    limit = stacks.connection_limit(stack, "mariadb", host, share_for)
    return rules.mariadb(share, limit, stack.most_connections["mariadb", host.name])


def _redis(stack, host, share, share_for):
    alone = host.tiers == ("cache",)
    processes = sum(
        stacks.instances(stack, backend, process, share_for(backend, process))
        * stacks.children(stack, backend, process, share_for(backend, process))
        * (2 if process.kind == "web" else 1)
        for backend in stack.tier("backend")
        for process in stack.processes
        if process.uses_redis
    )
    return {name: rules.redis(name, share, alone, processes) for name in stack.redis}


def _memory(host, share, parts):
    reserved = rules.reserve(host.memory_mb)
    planned = sum(parts.values())
    return {
        "total_mb": rules.Figure(host.memory_mb, "as the kernel limits it"),
        "reserve_mb": reserved,
        "share_mb": rules.Figure(share, "the largest share whose parts and reserve fit"),
        "parts": parts,
        "free_mb": rules.Figure(
            host.memory_mb - reserved - planned,
            "total {} - reserve {} - parts {}",
            host.memory_mb,
            int(reserved),
            planned,
        ),
    }


def worst_case_mb(stack, host, share):
    """The memory a host must have for its parts at a share, without the reserve."""
    parts = host_plan(stack, host, share, stacks.everywhere(share))["memory"]["parts"]
    return sum(parts.values())


def budget_mb(host):
    return host.memory_mb - rules.reserve(host.memory_mb)


def largest_share(stack, host):
    """The largest share that fits into a host's memory, or None when not even the smallest settings do."""
    budget = budget_mb(host)
    if budget < 0 or worst_case_mb(stack, host, 0) > budget:
        return None
    return rules.first_true(lambda share: worst_case_mb(stack, host, share + 1) > budget, 0, budget)
