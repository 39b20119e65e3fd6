# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps for itself: memory, swap, the kernel's limits, and those of the services."""

from __future__ import annotations

from .figures import Figure, clamp, divide_up, power_of_two
from .rules_processes import CONNECTIONS_PER_USER

# Operating system, journald, sshd, cron, fail2ban (14 MB with its jails), kernel memory: 150 MB on a quiet Debian, and 10 % for what
# grows with the machine.
RESERVE_MB = 150
RESERVE_PERCENT = 10
# The on-host agent's own MemoryMax.
AGENT_MB = 48
# What an exporter may take: two to three times what its unit held at most while it was asked a thousand times, by seven at once (12, 11, 10
# and 11 MB on Debian 13; of MariaDB 9). They are programs in Go, whose heap is told to end well below.
EXPORTER_MB = {"mariadb": 32, "node": 32, "nginx": 24, "postgresql": 32, "redis": 24}
EXPORTER_HEAP_PERCENT = 70
EXPORTER_TASKS = 32
# Swap catches what is idle and lets pressure be measured; it is never counted as memory (trellis 1 GB, debops 2 x RAM
# if small).
SWAP_MB = (1024, 2048)


def reserve(memory_mb):
    return clamp(divide_up(memory_mb * RESERVE_PERCENT, 100), RESERVE_MB, None, f"memory {memory_mb} MB x {RESERVE_PERCENT} %")


def memory_for(needed_mb):
    """The smallest memory whose reserve leaves so much."""
    return max(needed_mb + RESERVE_MB, divide_up(needed_mb * 100, 100 - RESERVE_PERCENT))


def agent():
    return Figure(AGENT_MB, "the agent's own MemoryMax")


def exporter(name):
    return Figure(EXPORTER_MB[name], "the exporter's own MemoryMax")


def exporter_limits(part):
    """MemoryMax and TasksMax of an exporter, and where its heap is to end."""
    return {
        "memory_max_mb": Figure(part, "its part of the memory"),
        "heap_mb": Figure(part * EXPORTER_HEAP_PERCENT // 100, "memory_max {} x {} %", int(part), EXPORTER_HEAP_PERCENT),
        "tasks_max": Figure(EXPORTER_TASKS, "the threads of a small program in Go"),
    }


def swap(memory_mb):
    return clamp(memory_mb, *SWAP_MB, f"memory {memory_mb} MB")


WORKER_CONNECTIONS_GUIDE, WORKER_CONNECTIONS_SHARE_MB = 4096, 512


# --- limits of services --------------------------------------------------------------------------------------------

# Threads and helpers beside those that serve: logger, checkpointer, signal handlers, a reload's second set of workers.
SERVICE_TASKS = 32


def service_limits(service, settings, memory_max):
    """MemoryMax and TasksMax of a server that apps share, so that it takes nothing from the others when one app drives it to its limit."""
    tasks = {
        "mariadb": lambda: settings["max_connections"],
        "nginx": lambda: 2 * settings["worker_processes"],
        "pgbouncer": lambda: 0,
        "postgresql": lambda: settings["max_connections"] + settings["max_worker_processes"],
    }[service]()
    return {
        "memory_max_mb": memory_max,
        "tasks_max": Figure(SERVICE_TASKS + tasks, "{} + {} that serve", SERVICE_TASKS, int(tasks)),
    }


# --- kernel --------------------------------------------------------------------------------------------------------

SOMAXCONN = (4096, 65535)
SWAPPINESS = 10
FILES_LEAST = 1048576
FILES_SYSTEM = 65536


def sysctl(users, has_redis, files):
    backlog = clamp(
        power_of_two(users * CONNECTIONS_PER_USER),
        *SOMAXCONN,
        f"users {users} x {CONNECTIONS_PER_USER}, next power of two",
    )
    values = {
        "fs.file-max": clamp(power_of_two(2 * files), FILES_LEAST, None, f"2 x all file limits of the host {files}, next power of two"),
        "net.core.somaxconn": backlog,
        "net.ipv4.tcp_max_syn_backlog": backlog,
        "vm.swappiness": Figure(SWAPPINESS, "swap what is idle, not what is used"),
    }
    if has_redis:
        values["vm.overcommit_memory"] = Figure(1, "Redis forks; the kernel must not refuse (redis.io, administration)")
    return values


# --- the guides' machines ------------------------------------------------------------------------------------------

# Users to cores and memory (guide).
RECOMMENDED = ((100, 4, 8192), (500, 8, 16384))


def recommended(users):
    """Cores and memory the guide recommends, along the line through its two machines; proportional below the first."""
    (few, few_cpus, few_mb), (many, many_cpus, many_mb) = RECOMMENDED
    if users <= few:
        return max(1, divide_up(few_cpus * users, few)), max(1024, divide_up(few_mb * users, few))
    return (
        few_cpus + divide_up((many_cpus - few_cpus) * (users - few), many - few),
        few_mb + divide_up((many_mb - few_mb) * (users - few), many - few),
    )
