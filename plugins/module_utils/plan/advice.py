# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan that fits still wants to say: each warning names what it is about, the numbers and what to do."""

from __future__ import annotations

import dataclasses
import re

from ..stack import references, routes
from ..stack.variables import secret_names
from . import counts, rules_connections, rules_host, rules_processes

# Linux' own default of net.ipv4.ip_local_port_range.
EPHEMERAL_PORTS = (32768, 60999)
# pgtune and PostgreSQL's own default are 4 MB; below 1 MB ordinary sorts go to disk.
WORK_MEM_ADVISED_KB = 1024
# Ten connections for each query the database works on at once: most of them only wait.
CONNECTIONS_PER_BUSY_ADVISED = 10
# A service that holds less is within the host's reserve.
STRANGER_MB = 48
# The stack's own servers, and what Debian, Ubuntu and their cloud images bring, for which the reserve is.
OURS = (
    r"(mainstay-|systemd-|ssh|nginx|pgbouncer|fail2ban|cron|dbus|nftables|ufw|needrestart|apt-|certbot|unattended-upgrades|man-db|logrotate|"
    r"prometheus-\w+-exporter|redis-server@|cloud-|init\.scope|multipathd|networkd-dispatcher|packagekit|polkit|qemu-guest-agent|rsyslog|snapd)"
)
DATABASES = {"postgresql": r"postgresql@\d+-main", "mariadb": "mariadb"}

POOLERS = {"postgresql": " (pooler: pgbouncer, if transaction pooling suits)", "mariadb": ""}


def warnings(stack, plan):
    """All warnings, in a fixed order."""
    return [
        *_small_machines(stack),
        *_rolling_deploys(stack, plan),
        *_homeless_builds(plan),
        *_strangers(stack),
        *_small_memories(stack),
        *_few_at_once(stack, plan),
        *_many_connections(stack, plan),
        *_short_elsewhere(plan),
        *_small_work_mem(plan),
        *_several_databases(stack),
        *_ephemeral_ports(stack, plan),
        *_crowded_ports(stack, plan),
        *_told_secrets(stack),
        *_split_socket_io(stack, plan),
    ]


def _small_machines(stack):
    cpus, memory_mb = rules_host.recommended(stack.users)
    have_cpus = sum(host.cpus for host in stack.hosts.values())
    have_mb = sum(host.memory_mb for host in stack.hosts.values())
    # A machine sold as 8 GB shows a few per cent less.
    if have_cpus < cpus or have_mb < memory_mb * 95 // 100:
        yield (
            f"users: for {stack.users} people online {cpus} cores and {memory_mb} MB are recommended, all hosts "
            f"together have {have_cpus} and {have_mb} MB. Measure under load before you rely on it."
        )


def _rolling_deploys(stack, plan):
    for name, host in plan["hosts"].items():
        if host["deploy"] == "rolling" and host["processes"] and stack.web():
            yield (
                f"{name}: no room for a second set of web processes, so a release replaces them one after the other; "
                "with a single instance that is a pause of seconds. More memory makes deploys seamless."
            )


def _homeless_builds(plan):
    for name, host in plan["hosts"].items():
        if host["processes"] and not {"build", "deploy_surge"} & set(host["memory"]["parts"]):
            yield (
                f"{name}: no room for a build of {host['build_memory_mb']} MB beside what runs; it takes what processes leave "
                "of their limits, and swap. Build elsewhere and deploy an archive if one is killed."
            )


def _strangers(stack):
    """What runs on a host beside the stack, and has no part of its memory."""
    for name, host in stack.hosts.items():
        found = {unit: held for unit, held in host.service_memory_mb.items() if held >= STRANGER_MB and not _is_ours(unit, stack)}
        if sum(found.values()) > host.reserved_memory_mb:
            told = ", ".join(
                f"{unit.removesuffix('.service')} with {held} MB" for unit, held in sorted(found.items(), key=lambda item: -item[1])
            )
            yield (
                f"{name}: beside the stack runs {told}, and {host.reserved_memory_mb} MB of memory are kept for that. Write what may be "
                "needed into mainstay_reserved_memory_mb, or remove what nobody needs."
            )


def _is_ours(unit, stack):
    owned = [OURS, *(DATABASES[name] for name in stack.databases), *(f"{re.escape(app)}-" for app in stack.apps)]
    return any(re.match(pattern, unit) for pattern in owned)


def _small_memories(stack):
    for process in stack.processes:
        least = rules_processes.smallest_memory(process)
        if process.memory_mb is not None and process.memory_mb < least:
            yield (
                f"{process.key}: memory is declared as {process.memory_mb} MB; a process of this kind usually needs "
                f"{least} MB to start and work. Watch for kills by the memory limit."
            )


def _few_at_once(stack, plan):
    """Web processes that serve a known number of requests at once, where that is less than the plan expects."""
    expected = rules_processes.in_flight(stack.users)
    for process in stack.web():
        planned = [host["processes"].get(process.app, {}).get(process.name, {}) for host in plan["hosts"].values()]
        workers = sum(settings.get("instances", 0) for settings in planned) * process.workers
        threads = next((settings["threads"] for settings in planned if "threads" in settings), 1 if process.one_at_a_time else None)
        if threads is None or workers * threads >= expected:
            continue
        if process.one_at_a_time:
            yield (
                f"{process.key}: gunicorn serves one request at a time in each worker, {workers} of the {expected} that {stack.users} people send "
                "at once; the others wait. Where the app may run in threads, write threads: auto."
            )
        else:
            more = "connections (pool), memory" if process.threads == "auto" else "threads"
            yield (
                f"{process.key}: {workers} x {threads} threads serve {workers * threads} of the {expected} requests that {stack.users} people "
                f"send at once; the others wait. More {more}, instances or workers serve more."
            )


def _many_connections(stack, plan):
    for database in stack.databases:
        connections = plan["connections"][database]
        pools = sum(number for name, number in connections["parts"].items() if "." in name)
        busy = min(rules_connections.busy_connections(host.cpus) for host in stack.tier("database"))
        if pools > CONNECTIONS_PER_BUSY_ADVISED * busy:
            yield (
                f"{database}: all pools together hold {pools} connections, but the database works on about {busy} "
                "queries at once (cores x 2 + disks). Smaller pools are faster; look for leaked sessions before you "
                "raise them."
            )
        if connections["limit"] > rules_connections.POOLER_ADVISED:
            yield (
                f"{database}: max_connections is {connections['limit']}; above {rules_connections.POOLER_ADVISED} a connection "
                f"pooler serves the same load with less memory{POOLERS[database]}."
            )


def _short_elsewhere(plan):
    for app, connections in plan.get("external", {}).items():
        if connections["needed"] > connections.get("limit", connections["needed"]):
            yield (
                f"{app}: its processes may hold {connections['needed']} connections to its database elsewhere, where it may have "
                f"{connections['limit']}; beyond that it is refused. Smaller pools, fewer workers or instances hold fewer."
            )


def _small_work_mem(plan):
    for name, host in plan["hosts"].items():
        work_mem_kb = host.get("postgresql", {}).get("work_mem_kb", WORK_MEM_ADVISED_KB)
        if work_mem_kb < WORK_MEM_ADVISED_KB:
            yield (
                f"{name}: only {work_mem_kb} kB of work_mem are left for each sort, larger ones go to disk. Fewer "
                "connections or more memory raise it."
            )


def _several_databases(stack):
    hosts = stack.tier("database")
    if stack.databases and len(hosts) > 1:
        names = ", ".join(host.name for host in hosts)
        yield f"hosts: {names} are all of the tier database; each is sized to carry every connection alone."


def _ephemeral_ports(stack, plan):
    low, high = EPHEMERAL_PORTS
    for process in stack.web():
        planned = [host["processes"].get(process.app, {}).get(process.name, {}) for host in plan["hosts"].values()]
        most = max(settings.get("instances", 0) for settings in planned)
        if process.port <= high and process.port + 2 * most > low:
            yield (
                f"{process.key}: its ports from {process.port} on lie in {low} to {high}, which the kernel hands out "
                "to outgoing connections; choose a port below."
            )


def _crowded_ports(stack, plan):
    """Where the next port that somebody owns leaves a process fewer instances than it would have."""
    for name, host in plan["hosts"].items():
        for process in stack.web():
            planned = host["processes"].get(process.app, {}).get(process.name, {}).get("instances")
            if process.instances != "auto" or planned != process.port_room:
                continue
            free = dataclasses.replace(process, port_room=planned + 1)
            share = host["memory"]["share_mb"]
            if counts.instances(stack, stack.hosts[name], free, share) > planned:
                yield (
                    f"{process.key}: on {name} it gets {int(planned)} instance{'s' if planned > 1 else ''}, because the next port that is taken "
                    f"leaves room for no more from {process.port} on (twice its instances, for deploys). Move its port away from the others."
                )


def _told_secrets(stack):
    """Commands with a secret among their arguments, which every process list shows."""
    for app, declared in stack.apps.items():
        hidden = set(secret_names(declared))
        for name, process in declared["processes"].items():
            own = {variable for variable, value in process["env"].items() if references.names(str(value)) & hidden}
            told = sorted(references.names(process["command"] or "") & (hidden | own))
            if told:
                yield (
                    f"{app}.{name}: its command has the value of {' and '.join(told)} among its arguments, and whoever logs in to the host reads it in "
                    "the list of processes. Most programs take it from a variable instead: give it in env under the name they ask for."
                )


def _split_socket_io(stack, plan):
    """Routes of Socket.IO behind which several processes answer: nginx gives each request to whichever is free."""
    for process in stack.web():
        planned = [host["processes"].get(process.app, {}).get(process.name, {}) for host in plan["hosts"].values()]
        answering = sum(settings.get("instances", 0) for settings in planned) * process.workers
        found = [
            f"{site['name']}{path}"
            for site in stack.apps[process.app]["sites"].values()
            for path, route in site["routes"].items()
            if path.endswith(routes.SOCKET_IO) and route.get("process") == process.name
        ]
        if found and answering > 1:
            fewer = " and ".join(
                f"{key}: 1" for key, number in (("instances", answering // process.workers), ("workers", process.workers)) if number > 1
            )
            yield (
                f"{process.key}: {' and '.join(found)} leads to {answering} processes, and clients of Socket.IO begin with requests that one and the "
                f"same has to answer; another one answers them with 400. Write {fewer}, or let all clients say transports: "
                '["websocket"], with its adapter for Redis between the processes.'
            )
