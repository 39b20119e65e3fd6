# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of a plan at a given share: every setting, and the memory that all of it can take at the worst moment."""

from __future__ import annotations

import collections

from ..stack import exporters
from ..stack.redis_ports import instance_name
from . import (
    connections,
    counts,
    figures,
    rules_connections,
    rules_host,
    rules_mariadb,
    rules_nginx,
    rules_postgresql,
    rules_processes,
    rules_redis,
)


def host_plan(stack, host, share, share_for):
    """Everything the plan says about a host; ``share`` sizes its memory, ``share_for`` the counts of all hosts."""
    planned = {
        "cpus": host.cpus,
        "deploy": _deploy(stack, host, share_for),
        "processes": {},
        "swap_mb": rules_host.swap(host.memory_mb),
        "tiers": list(host.tiers),
    }
    parts, files = {"agent": rules_host.agent()}, rules_host.FILES_SYSTEM
    if host.reserved_memory_mb:
        parts["others"] = figures.Figure(host.reserved_memory_mb, "mainstay_reserved_memory_mb, for what is not of the stack")
    for tier, sized in TIERS.items():
        if tier in host.tiers:
            settings, tier_parts, tier_files = sized(stack, host, share, share_for)
            planned.update(settings)
            parts.update(tier_parts)
            files += tier_files
    wanted = _exporters(stack, host, planned)
    parts.update({f"exporter-{name}": rules_host.exporter(name) for name in wanted})
    planned.update({"exporters": wanted} if wanted else {})
    planned.update({key: getattr(host, key) for key in ("address", "bind_address") if getattr(host, key)})
    planned["memory"] = _memory(host, share, parts)
    planned["services"] = {name: _service(name, planned[name], parts[name]) for name in SERVICES if name in parts}
    planned["services"].update(
        {f"exporter-{name}": rules_host.exporter_limits(parts[f"exporter-{name}"]) for name in planned.get("exporters", ())}
    )
    planned["sysctl"] = rules_host.sysctl(stack.users, "redis" in planned, files)
    return planned


def _backend(stack, host, share, share_for):
    surging = counts.blue_green(stack, host, share_for)
    processes, parts, files = {}, {}, 0
    for process in stack.processes:
        settings = _process(stack, host, process, share, share_for, surging)
        number, limit = settings["instances"], settings["memory_max_mb"]
        processes.setdefault(process.app, {})[process.name] = settings
        parts[process.key] = figures.Figure(number * limit, "instances {} x memory_max {}", int(number), int(limit))
        files += number * settings["nofile"] * (1 + surging)
    second = counts.second_set_memory(stack, host, share, share_for) if surging else 0
    build = rules_processes.build_memory([app["runtime"] for app in stack.apps.values()], second)
    if surging:
        parts["deploy_surge"] = figures.Figure(
            build, "a build, then the second set of web processes of the largest app: {} and {}", int(build), int(second)
        )
    elif stack.apps and rules_processes.builds_in_the_sum(build, share):
        parts["build"] = figures.Figure(build, "one command of a build beside all that runs: {}", build.why)
    return {"processes": processes, "build_memory_mb": build}, parts, files


def _database(stack, host, share, share_for):
    planned, parts, files = {}, {}, 0
    for database in stack.databases:
        settings_of, worst_case, files_of = DATABASES[database]
        limit = connections.connection_limit(stack, database, host, share_for)
        settings = settings_of(share, host.cpus, limit, connections.most_connections(stack)[database, host.name], host.alone)
        planned[database], parts[database] = settings, worst_case(settings)
        files += files_of(settings)
    if stack.pooled:
        size, needed = connections.server_pool(stack, share_for), sum(connections.client_parts(stack, share_for).values())
        planned["pgbouncer"] = settings = rules_connections.pgbouncer(needed, size, len(stack.pooled))
        parts["pgbouncer"] = rules_connections.pgbouncer_memory(settings)
        files += settings["nofile"]
    return planned, parts, files


def _cache(stack, host, share, share_for):
    planned, parts, files = {}, {}, 0
    sharing = collections.Counter(purpose for ports in stack.redis.values() for purpose in ports)
    for app, ports in stack.redis.items():
        clients = sum(_redis_clients(stack, app, backend, share_for) for backend in stack.tier("backend"))
        for purpose, port in ports.items():
            settings = rules_redis.redis(purpose, share, host.alone, clients, sharing[purpose])
            part = rules_redis.redis_worst_case(settings)
            port = figures.Figure(port, "its own for good: on record, or the lowest that was free")
            planned.setdefault(app, {})[purpose] = {**settings, "port": port, "memory_max_mb": part}
            parts[f"redis-{instance_name(app, purpose)}"] = part
            files += settings["nofile"]
    return {"redis": planned} if planned else {}, parts, files


def _redis_clients(stack, app, host, share_for):
    """The processes of an app on a host, the second set of a deploy included."""
    clients = 0
    for process in stack.processes:
        if process.app == app:
            share = share_for(host, process)
            sets = 2 if process.kind == "web" else 1
            clients += counts.instances(stack, host, process, share) * counts.children(stack, host, process, share) * sets
    return clients


def _proxy(stack, host, share, _share_for):
    settings = rules_nginx.nginx(stack.users, host.cpus, share)
    files = settings["worker_processes"] * settings["worker_rlimit_nofile"]
    return {"nginx": settings}, {"nginx": rules_nginx.nginx_memory(settings)}, files


def _exporters(stack, host, planned):
    """What tells Prometheus of a host that wants it, ``{name: {address, port, from}}``: of the system, and of each server that is there."""
    if not host.prometheus:
        return {}
    # nginx has figures where it serves a site.
    serves = "nginx" in planned and any(app["sites"] for app in stack.apps.values())
    there = {"node": True, "nginx": serves, **{name: name in planned for name in ("mariadb", "postgresql", "redis")}}
    return {
        name: {**host.prometheus, "port": figures.Figure(exporters.PORTS[name], "its usual one")}
        for name, wanted in there.items()
        if wanted
    }


# Servers that apps share; a Redis instance is one app's.
SERVICES = ("mariadb", "nginx", "pgbouncer", "postgresql")
# Each sizes one tier of a host: its settings, its parts of the memory, and the files it may open.
TIERS = {"backend": _backend, "database": _database, "cache": _cache, "proxy": _proxy}
# Settings, worst case in memory, and files of each database.
DATABASES = {
    "postgresql": (rules_postgresql.postgresql, rules_postgresql.postgresql_worst_case, rules_postgresql.postgresql_files),
    "mariadb": (rules_mariadb.mariadb, rules_mariadb.mariadb_worst_case, rules_mariadb.mariadb_files),
}


def _service(name, settings, part):
    whole = rules_nginx.nginx_limit(settings, part) if name == "nginx" else figures.Figure(part, "its part of the memory")
    return rules_host.service_limits(name, settings, whole)


def _deploy(stack, host, share_for):
    if counts.blue_green(stack, host, share_for):
        return figures.Choice("blue_green", "a second set of web processes fits beside the running one")
    if "backend" in host.tiers and stack.web():
        return figures.Choice("rolling", "a second set of web processes does not fit: instances are replaced one after the other")
    return figures.Choice("rolling", "no web process runs here")


def _process(stack, host, process, share, share_for, surging):
    level = share_for(host, process)
    number, slots = counts.instances(stack, host, process, level), counts.children(stack, host, process, level)
    limit = counts.memory_max(stack, host, process, share, share_for)
    size, overflow = counts.pool(stack, process, level)
    threads = counts.threads(stack, process, level)
    settings = {
        "instances": number,
        "workers": _workers(process),
        "concurrency": slots if process.kind != "web" else threads or _requests(stack, process, share_for),
        "pool_size": size,
        "max_overflow": overflow,
        "memory_max_mb": limit,
        "memory_high_mb": rules_processes.memory_high(limit),
        "tasks_max": rules_processes.tasks_max(process, slots, threads),
        "nofile": rules_processes.nofile(),
        "surge_mb": _surge(process, surging, number, limit),
    }
    if process.kind == "web":
        settings["max_websockets"] = rules_processes.process_websockets(stack.users)
    if threads:
        settings["threads"] = threads
    if process.runtime == "node":
        settings["node_heap_mb"] = rules_processes.node_heap(limit, process.workers)
    return settings


def _workers(process):
    if process.kind == "celery":
        return figures.Figure(1, "Celery's children are its concurrency")
    return figures.Figure(process.workers, "declared as workers")


def _requests(stack, process, share_for):
    """Requests at once that one worker serves: of one that takes what comes, what it has to carry when all hosts share them."""
    if process.one_at_a_time:
        return figures.Figure(1, "gunicorn without threads serves one at a time in each worker")
    total = process.workers * sum(counts.instances(stack, host, process, share_for(host, process)) for host in stack.tier("backend"))
    requests = rules_processes.in_flight(stack.users)
    return figures.Figure(figures.divide_up(requests, max(1, total)), "requests at once {} / workers of all hosts {}", requests, total)


def _surge(process, surging, number, limit):
    if process.kind == "web" and surging:
        return figures.Figure(number * limit, "instances {} x memory_max {} for the second set", int(number), int(limit))
    return figures.Figure(0, "replaced in place" if process.kind != "web" else "rolling deploy: replaced one after the other")


def _memory(host, share, parts):
    reserved = rules_host.reserve(host.memory_mb)
    planned = sum(parts.values())
    return {
        "total_mb": figures.Figure(host.memory_mb, "as the kernel limits it"),
        "reserve_mb": reserved,
        "share_mb": figures.Figure(share, "the largest share whose parts and reserve fit"),
        "parts": parts,
        "free_mb": figures.Figure(
            host.memory_mb - reserved - planned,
            "total {} - reserve {} - parts {}",
            host.memory_mb,
            int(reserved),
            planned,
        ),
    }


def worst_case_mb(stack, host, share):
    """The memory a host must have for its parts at a share, without the reserve."""
    parts = host_plan(stack, host, share, counts.everywhere(share))["memory"]["parts"]
    return sum(parts.values())


def budget_mb(host):
    return host.memory_mb - rules_host.reserve(host.memory_mb)


def largest_share(stack, host):
    """The largest share that fits into a host's memory, or None when not even the smallest settings do."""
    budget = budget_mb(host)
    if budget < 0 or worst_case_mb(stack, host, 0) > budget:
        return None
    return figures.first_true(lambda share: worst_case_mb(stack, host, share + 1) > budget, 0, budget)
