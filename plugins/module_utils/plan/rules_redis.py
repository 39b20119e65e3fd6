# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the Redis instances, and the memory they may take with them."""

from __future__ import annotations

from .figures import Choice, Figure, clamp, divide_up, round_down

# Measured 3 MB private for an empty server; the rest is clients' buffers.
REDIS_BASE_MB = 6
# Least memory for data: of one instance, and of each of several that share the tier.
REDIS_MB = (16, 8)
# Percent of the share. Beside other tiers both together stay below 15 % of the memory; alone on a
# host they may have it all, reserves included.
REDIS_PERCENT = {"cache": 10, "queue": 5}
REDIS_PERCENT_ALONE = {"cache": 40, "queue": 20}
REDIS_POLICIES = {
    "cache": Choice("allkeys-lru", "a cache may lose anything"),
    "queue": Choice("noeviction", "an evicted key is a lost task: a full queue must refuse instead"),
}
# A cache is not persisted, so it never forks: a quarter for fragmentation and output buffers. A queue is (append-only
# file): while a child rewrites it, every page may exist twice (redis.io, administration).
REDIS_RESERVE_PERCENT = {"cache": 25, "queue": 100}
# A client library's pool (guide), and a margin.
REDIS_CLIENTS_PER_PROCESS = 50
REDIS_CLIENTS_MARGIN_PERCENT = 25
REDIS_CLIENTS = 1000
# Redis keeps 32 descriptors for itself.
REDIS_FILES = 32


def redis(name, share, alone, processes, sharing):
    """One instance of a purpose, for the processes of one app; ``sharing`` apps divide what the purpose may have."""
    percent = (REDIS_PERCENT_ALONE if alone else REDIS_PERCENT)[name]
    memory = clamp(
        round_down(share * percent // 100 // sharing, 8),
        REDIS_MB[sharing > 1],
        None,
        f"share {share} x {percent} % / apps {sharing}",
    )
    reserved = REDIS_BASE_MB + divide_up(memory * REDIS_RESERVE_PERCENT[name], 100)
    wanted = divide_up(processes * REDIS_CLIENTS_PER_PROCESS * (100 + REDIS_CLIENTS_MARGIN_PERCENT), 100)
    clients = clamp(
        wanted,
        REDIS_CLIENTS,
        None,
        f"processes {processes} x {REDIS_CLIENTS_PER_PROCESS} x 1.{REDIS_CLIENTS_MARGIN_PERCENT}",
    )
    return {
        "maxclients": clients,
        "maxmemory_mb": memory,
        "maxmemory_policy": REDIS_POLICIES[name],
        "nofile": Figure(clients + REDIS_FILES, "maxclients {} + {}", int(clients), REDIS_FILES),
        "reserve_mb": Figure(reserved, "base {} + maxmemory {} x {} %", REDIS_BASE_MB, int(memory), REDIS_RESERVE_PERCENT[name]),
    }


def redis_worst_case(settings):
    memory, reserved = settings["maxmemory_mb"], settings["reserve_mb"]
    return Figure(memory + reserved, "maxmemory {} + reserve {}", int(memory), int(reserved))
