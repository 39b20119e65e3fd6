# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections to a database, and through PgBouncer."""

from __future__ import annotations

from .figures import Figure, ceiling_bound, clamp, divide_up, least, power_of_two, steps
from .rules_processes import in_flight

# PostgreSQL's own default, for an operator when all else is taken.
POSTGRESQL_RESERVED = 3
# MariaDB keeps one beyond max_connections for an administrator; it is counted all the same.
MARIADB_RESERVED = 1
# Not in any pool: a migration with its lock watcher; the agent, a backup and an operator's session
MIGRATION_CONNECTIONS = 2
MONITORING_CONNECTIONS = 3
# Of the exporter for Prometheus: as many as that of PostgreSQL holds, seen with 0.11 and 0.17; that of MariaDB opens one for each who asks.
EXPORTER_CONNECTIONS = 2
# Of each database on the server that no app declares: the pool that node-postgres and HikariCP open by default.
OTHER_CONNECTIONS = 10
# What ``mainstay run`` may need beside an app's processes.
COMMAND_CONNECTIONS = 2
# Bounds of max_connections; above the upper one a pooler serves better than more backends.
CONNECTIONS = (20, 500)
CONNECTIONS_MARGIN_PERCENT = 20
# From here on a pooler such as PgBouncer is worth its place.
POOLER_ADVISED = 200
# HikariCP, "About Pool Sizing": a database works on about cores x 2 + spindles queries at once.
# A connection is held while the app thinks, too: five held ones keep one busy.
HELD_PER_BUSY = 5
SPINDLES = 1
# 40 connections for 50 requests at once: not every request is in the database.
CONNECTIONS_PER_REQUEST_PERCENT = 80
# Smallest and largest pool + overflow of one web process; beyond 20 one process has no use for them (guide: 20).
POOL = (3, 20)
# A task holds one connection and may open a second one inside the first.
WORKER_POOL = 2
POOL_SHARE_MB = 64


def busy_connections(cpus):
    return 2 * cpus + SPINDLES


def web_pool(users, web_processes, all_web_processes, database_cpus, ceiling, share):
    """Pool and overflow together of one web process, before they are split.

    ``all_web_processes`` is None behind a pooler: what the database can work on at once bounds the pooler's pool.
    """
    low, high = POOL
    requests = max(low, divide_up(in_flight(users) * CONNECTIONS_PER_REQUEST_PERCENT, 100 * web_processes))
    busy = max(low, HELD_PER_BUSY * busy_connections(database_cpus) // (all_web_processes or 1))
    return least(
        requests=(
            requests,
            "{} x {} % / processes {} = {}",
            in_flight(users),
            CONNECTIONS_PER_REQUEST_PERCENT,
            web_processes,
            requests,
        ),
        database=None
        if all_web_processes is None
        else (
            busy,
            "{} x ({} cores x 2 + {}) / processes {} = {}",
            HELD_PER_BUSY,
            database_cpus,
            SPINDLES,
            all_web_processes,
            busy,
        ),
        process=(high, "at most {}", high),
        connections=ceiling_bound(ceiling),
        memory=steps(share, POOL_SHARE_MB, low),
    )


def threads_of(connections):
    """How many threads so many connections serve, when not every request is in the database."""
    return divide_up(connections * 100, CONNECTIONS_PER_REQUEST_PERCENT)


def thread_pool(threads):
    """Pool and overflow together of a web process that has so many threads: an app without a pool, as Django, may hold one in each."""
    return clamp(int(threads), POOL[0], None, f"threads {int(threads)}")


def worker_pool():
    return Figure(WORKER_POOL, "a task's connection and one inside it")


def split_pool(declared_size, declared_overflow, total):
    """Pool size and overflow: half and half, around what the user fixed."""
    if declared_size == "auto" and declared_overflow == "auto":
        size = divide_up(total, 2)
        return (
            Figure(size, "half of {}, rounded up ({})", int(total), total.why),
            Figure(total - size, "the other half of {}", int(total)),
        )
    if declared_size == "auto":
        return (
            Figure(
                max(1, total - declared_overflow),
                "{} - overflow {}, at least 1 ({})",
                int(total),
                declared_overflow,
                total.why,
            ),
            Figure(declared_overflow, "declared as pool.overflow"),
        )
    size = Figure(declared_size, "declared as pool.size")
    if declared_overflow != "auto":
        return size, Figure(declared_overflow, "declared as pool.overflow")
    if declared_size == 0:
        return size, Figure(0, "no pool, no overflow")
    return size, Figure(max(0, total - declared_size), "{} - size {}, at least 0 ({})", int(total), declared_size, total.why)


def role_limit(parts, second):
    """What one app may take of ``max_connections``; the rest stays for the others."""
    return Figure(
        parts + second + MIGRATION_CONNECTIONS + COMMAND_CONNECTIONS,
        "its processes {} + its second set {} + migration {} + a command {}",
        int(parts),
        int(second),
        MIGRATION_CONNECTIONS,
        COMMAND_CONNECTIONS,
    )


def connections_limit(needed, reserved, ceiling):
    """``max_connections``: what is needed and a margin, within bounds."""
    wanted = divide_up((needed + reserved) * (100 + CONNECTIONS_MARGIN_PERCENT), 100)
    return clamp(
        wanted,
        CONNECTIONS[0],
        ceiling,
        f"(needed {int(needed)} + reserved {reserved}) x 1.{CONNECTIONS_MARGIN_PERCENT}",
    )


# --- PgBouncer -----------------------------------------------------------------------------------------------------

# In transaction pooling a connection is held from a transaction's first statement to its last: while one is busy,
# another waits for its app between two statements.
SERVERS_PER_BUSY = 2
# Least connections to PostgreSQL for each app, so that one slow statement does not stop all others.
SERVER_POOL = 3
# Least max_client_conn: PgBouncer's own default.
PGBOUNCER_CLIENTS = 100
# Measured on PgBouncer 1.18: 9 MB resident without clients, 7 of them programs and libraries; 4.5 kB for each of 800
# busy clients. From 1.21 on a client that prepares statements may keep a buffer of 16 kB more (pgbouncer.org, config).
PGBOUNCER_BASE_MB = 12
PGBOUNCER_CLIENT_KB = 24
# Logs, sockets it listens on, name lookups.
PGBOUNCER_FILES = 64


def server_pool(cpus, apps, clients, ceiling, share):
    """The connections to PostgreSQL that the processes of one app share."""
    busy = max(SERVER_POOL, SERVERS_PER_BUSY * busy_connections(cpus) // apps)
    return least(
        database=(
            busy,
            "max({}, {} x ({} cores x 2 + {}) / apps {}) = {}",
            SERVER_POOL,
            SERVERS_PER_BUSY,
            cpus,
            SPINDLES,
            apps,
            busy,
        ),
        clients=(max(1, clients), "the most any app has, {}", clients),
        connections=ceiling_bound(ceiling),
        memory=steps(share, POOL_SHARE_MB, SERVER_POOL),
    )


def pgbouncer(needed, size, apps):
    """PgBouncer's settings under their own names; ``nofile`` is the limit of its unit."""
    clients = clamp(
        divide_up(needed * (100 + CONNECTIONS_MARGIN_PERCENT), 100),
        PGBOUNCER_CLIENTS,
        None,
        f"needed {int(needed)} x 1.{CONNECTIONS_MARGIN_PERCENT}",
    )
    return {
        "default_pool_size": size,
        "max_client_conn": clients,
        "max_db_connections": Figure(size, "default_pool_size: each database has one user"),
        "nofile": Figure(
            power_of_two(clients + size * apps + PGBOUNCER_FILES),
            "max_client_conn {} + default_pool_size {} x apps {} + {}, next power of two: it needs a restart, and so should "
            "not follow every change",
            int(clients),
            int(size),
            apps,
            PGBOUNCER_FILES,
        ),
    }


def pgbouncer_memory(settings):
    return Figure(
        PGBOUNCER_BASE_MB + divide_up(settings["max_client_conn"] * PGBOUNCER_CLIENT_KB, 1024),
        "base {} + max_client_conn {} x {} kB",
        PGBOUNCER_BASE_MB,
        int(settings["max_client_conn"]),
        PGBOUNCER_CLIENT_KB,
    )
