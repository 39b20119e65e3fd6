# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formulas of the capacity plan, one function each, with their constants and sources beside them.

Every formula that depends on a host's size takes its ``share``: the megabytes the plan may hand out above the smallest
settings. No formula ever falls when the share grows. That is what makes the plan monotone: a larger host affords a
larger share, so nothing on it can become smaller.

Results are :class:`Figure` (a whole number) or :class:`Choice` (anything else); both carry the reason they are what
they are. "Guide" in a comment is one of the deployment guides this collection started from.
"""

from __future__ import annotations

from collections import namedtuple


class Figure(int):
    """A planned number that can say why: the formula with its inputs, and the bound that decided."""

    def __new__(cls, value, reason, *inputs):
        figure = super().__new__(cls, value)
        figure.reason, figure.inputs = reason, inputs
        return figure

    @property
    def why(self):
        return self.reason.format(*(given() if callable(given) else given for given in self.inputs))


Choice = namedtuple("Choice", "value why")


def least(**bounds):
    """The smallest of some named bounds; each is a number, its arithmetic and its inputs, or None for no bound."""
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    decisive = min(bounds, key=lambda name: bounds[name][0])

    def listed():
        return "; ".join(f"{name} {text.format(*inputs)}" for name, (_value, text, *inputs) in bounds.items())

    return Figure(bounds[decisive][0], "{}; decided by {}", listed, decisive)


def clamp(value, low, high, formula):
    """A number kept between two bounds, and which of them decided."""
    if value < low:
        return Figure(low, "{} = {}, but at least {}; decided by the lower bound", formula, value, low)
    if high is not None and value > high:
        return Figure(high, "{} = {}, but at most {}; decided by the upper bound", formula, value, high)
    return Figure(value, "{}; decided by the formula", formula)


def ceiling_bound(ceiling):
    """The bound that keeps the sum of all connections possible, where one is needed at all."""
    return None if ceiling is None else (ceiling, "at most {} within max_connections", ceiling)


def steps(share, price, first=1):
    """The bound on what starts with some and gets one more for each time its price goes into the share."""
    number = first + share // price
    return number, "{} + share {} / {} = {}", first, share, price, number


def divide_up(number, divisor):
    return -(-number // divisor)


def round_down(number, step):
    return number - number % step


def first_true(predicate, low, high):
    """The smallest number for which a predicate holds that holds from there on; ``high`` if for none before it."""
    while low < high:
        middle = (low + high) // 2
        if predicate(middle):
            high = middle
        else:
            low = middle + 1
    return low


def power_of_two(number):
    """The next power of two that is not smaller."""
    return 1 << max(0, number - 1).bit_length()


# --- the host ------------------------------------------------------------------------------------------------------

# Operating system, journald, sshd, cron, kernel memory: 150 MB on a quiet Debian, and 10 % for what grows with the
# machine.
RESERVE_MB = 150
RESERVE_PERCENT = 10
# The on-host agent's own MemoryMax.
AGENT_MB = 48
# Swap catches what is idle and lets pressure be measured; it is never counted as memory (trellis 1 GB, debops 2 x RAM
# if small).
SWAP_MB = (1024, 2048)


def reserve(memory_mb):
    return clamp(
        divide_up(memory_mb * RESERVE_PERCENT, 100), RESERVE_MB, None, f"memory {memory_mb} MB x {RESERVE_PERCENT} %"
    )


def memory_for(needed_mb):
    """The smallest memory whose reserve leaves so much."""
    return max(needed_mb + RESERVE_MB, divide_up(needed_mb * 100, 100 - RESERVE_PERCENT))


def agent():
    return Figure(AGENT_MB, "the agent's own MemoryMax")


def swap(memory_mb):
    return clamp(memory_mb, *SWAP_MB, f"memory {memory_mb} MB")


# --- traffic -------------------------------------------------------------------------------------------------------

# 100 people online are 50 requests at once (guide).
IN_FLIGHT_PERCENT = 50
# A person's browser holds up to six connections, one WebSocket and one download.
CONNECTIONS_PER_USER = 8
# Twice the population: everybody may reconnect before the old connections are gone.
WEBSOCKETS_PER_USER = 2
# One event loop holds no more than this with its limit of 65536 files.
WEBSOCKETS_PER_PROCESS = 50000


def in_flight(users):
    return divide_up(users * IN_FLIGHT_PERCENT, 100)


def max_websockets(users):
    return Figure(WEBSOCKETS_PER_USER * users, "users {} x {}", users, WEBSOCKETS_PER_USER)


def process_websockets(users):
    return clamp(
        WEBSOCKETS_PER_USER * users,
        1,
        WEBSOCKETS_PER_PROCESS,
        f"users {users} x {WEBSOCKETS_PER_USER} (each instance can carry all while others are replaced)",
    )


# --- processes -----------------------------------------------------------------------------------------------------

# Smallest and comfortable MemoryMax of one process, in MB, by runtime and kind. Measured on Debian 12, private memory
# at rest: uvicorn + FastAPI + SQLAlchemy 79, Celery beat with SQLAlchemy 67, Celery parent 17 of 69 (the rest is shared
# with its children), a Celery child 37. Node needs room between its heap and its limit.
WEB_MEMORY_MB = {"python": (144, 304), "node": (192, 512), "container": (256, 512), "command": (128, 256)}
WORKER_MEMORY_MB = {"python": (88, 160), "node": (160, 320), "container": (192, 384), "command": (88, 160)}
CELERY_PARENT_MB = 72
CELERY_CHILD_MB = (56, 128)
# What a child is given where the user fixed the whole process' memory and the plan only counts the children.
CELERY_CHILD_TYPICAL_MB = 96
# A supervisor in front of several workers in one unit (uvicorn --workers, node cluster).
SUPERVISOR_MB = 32
# The kernel throttles a little before it kills: systemd calls MemoryHigh the main mechanism (85 to 90 %).
MEMORY_HIGH_PERCENT = 90
# V8's old space as a part of MemoryMax; the rest is buffers, code and stacks (60 to 75 %).
NODE_HEAP_PERCENT = 70
# The guides' figure, per service and set by systemd; limits.conf does not reach services.
NOFILE = 65536
TASKS_BASE = 64
TASKS_PER_WORKER = 64  # AnyIO's 40 threads, or libuv's and V8's
TASKS_PER_CHILD = 16

# What one command of a build may use, by runtime: at least that much, as npm and pip need it.
BUILD_MB = {"python": 256, "node": 512, "container": 256, "command": 256}

# One event loop per core (tiangolo's uvicorn-gunicorn image); two at least, so that one may hang, die or be replaced.
INSTANCES_LEAST = 2
# The share one more instance is worth, in its own sizes: one for itself, one for its second set during a deploy, two
# for the connections and buffers behind it.
INSTANCE_PRICE = 4
# 4 processes and 8 Celery children for 100 users (guide).
USERS_PER_WEB_PROCESS = 25
USERS_PER_CELERY_CHILD = 12
# The guide says cores x 2 to 3; the lower one, because web and database share the cores.
CELERY_CHILDREN_PER_CORE = 2


def grown(smallest, comfortable, share, divisor, step=8):
    """From the smallest to the comfortable size as the share grows."""
    return min(comfortable, smallest + round_down(share // divisor, step))


def memory_table(kind, runtime):
    return (WEB_MEMORY_MB if kind == "web" else WORKER_MEMORY_MB)[runtime]


def smallest_memory(process, children=1):
    """The least MemoryMax a process of this kind starts and works with, in MB."""
    if process.kind == "celery":
        return CELERY_PARENT_MB + children * CELERY_CHILD_MB[0]
    supervisor = SUPERVISOR_MB if process.workers > 1 else 0
    return supervisor + process.workers * memory_table(process.kind, process.runtime)[0]


def memory_max(process, children, share):
    """MemoryMax of one instance, in MB: the user's number, else what the share affords."""
    if process.memory_mb is not None:
        return Figure(process.memory_mb, "declared as memory")
    if process.kind == "celery":
        child = grown(*CELERY_CHILD_MB, share, 16)
        return Figure(
            CELERY_PARENT_MB + children * child,
            "parent {} + children {} x {} MB ({} to {} by the share {})",
            CELERY_PARENT_MB,
            int(children),
            child,
            *CELERY_CHILD_MB,
            share,
        )
    smallest, comfortable = memory_table(process.kind, process.runtime)
    supervisor = SUPERVISOR_MB if process.workers > 1 else 0
    worker = grown(smallest, comfortable, share, 8)
    return Figure(
        supervisor + process.workers * worker,
        "workers {} x {} MB ({} to {} by the share {}) + supervisor {}",
        process.workers,
        worker,
        smallest,
        comfortable,
        share,
        supervisor,
    )


def memory_high(limit_mb):
    return Figure(limit_mb * MEMORY_HIGH_PERCENT // 100, "memory_max {} x {} %", int(limit_mb), MEMORY_HIGH_PERCENT)


def build_memory(runtimes, second_set_mb):
    """MemoryMax of one command of a build or a migration: it runs before the second set starts, and takes its place."""
    smallest = max((BUILD_MB[runtime] for runtime in runtimes), default=BUILD_MB["command"])
    return clamp(second_set_mb, smallest, None, f"the place of the second set of web processes {int(second_set_mb)}")


def builds_in_the_sum(build_mb, share):
    """Whether a build has a place of its own where no second set starts: as a second set, from half its size on."""
    return share >= build_mb // 2


def node_heap(limit_mb, workers):
    return Figure(
        limit_mb * NODE_HEAP_PERCENT // 100 // workers,
        "memory_max {} x {} % / workers {}",
        int(limit_mb),
        NODE_HEAP_PERCENT,
        workers,
    )


def tasks_max(process, children):
    if process.kind == "celery":
        return Figure(
            TASKS_BASE + TASKS_PER_CHILD * children, "{} + {} x children {}", TASKS_BASE, TASKS_PER_CHILD, int(children)
        )
    return Figure(
        TASKS_BASE + TASKS_PER_WORKER * process.workers,
        "{} + {} x workers {}",
        TASKS_BASE,
        TASKS_PER_WORKER,
        process.workers,
    )


def nofile():
    return Figure(NOFILE, "room for {} WebSockets, pools and logs", WEBSOCKETS_PER_PROCESS)


def web_instances(process, cpus, units, users, backends, ceiling, share):
    """How many instances of a web process one host runs."""
    if process.instances != "auto":
        return Figure(process.instances, "declared as instances")
    cores = max(INSTANCES_LEAST, divide_up(cpus, units * process.workers))
    served = USERS_PER_WEB_PROCESS * process.workers * backends
    people = max(INSTANCES_LEAST, divide_up(users, served))
    price = INSTANCE_PRICE * smallest_memory(process)
    return least(
        cpus=(
            cores,
            "max({}, {} / web units {} / workers {}) = {}",
            INSTANCES_LEAST,
            cpus,
            units,
            process.workers,
            cores,
        ),
        users=(people, "max({}, {} / {}) = {}", INSTANCES_LEAST, users, served, people),
        ports=(process.port_room, "room for {}", process.port_room),
        connections=ceiling_bound(ceiling),
        memory=steps(share, price),
    )


def celery_children(process, cpus, units, users, backends, ceiling, share):
    """The concurrency of one Celery worker."""
    if process.workers > 1:
        return Figure(process.workers, "declared as workers")
    cores = max(1, CELERY_CHILDREN_PER_CORE * cpus // units)
    people = max(1, divide_up(users, USERS_PER_CELERY_CHILD * backends))
    if process.memory_mb is None:
        price = 2 * CELERY_CHILD_MB[0]
        memory = steps(share, price)
    else:
        declared, child = process.memory_mb, CELERY_CHILD_TYPICAL_MB
        room = max(1, (declared - CELERY_PARENT_MB) // child)
        memory = (room, "(memory {} - parent {}) / {} = {}", declared, CELERY_PARENT_MB, child, room)
    return least(
        cpus=(cores, "max(1, {} x {} / Celery units {}) = {}", CELERY_CHILDREN_PER_CORE, cpus, units, cores),
        users=(people, "{} / {} / hosts {} = {}", users, USERS_PER_CELERY_CHILD, backends, people),
        connections=ceiling_bound(ceiling),
        memory=memory,
    )


# --- connections ---------------------------------------------------------------------------------------------------

# PostgreSQL's own default, for an operator when all else is taken.
POSTGRESQL_RESERVED = 3
# MariaDB keeps one beyond max_connections for an administrator; it is counted all the same.
MARIADB_RESERVED = 1
# Not in any pool: a migration with its lock watcher; the agent, a backup and an operator's session
MIGRATION_CONNECTIONS = 2
MONITORING_CONNECTIONS = 3
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
    return size, Figure(
        max(0, total - declared_size), "{} - size {}, at least 0 ({})", int(total), declared_size, total.why
    )


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


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

# Private memory of a backend beyond shared_buffers and work_mem; measured on PostgreSQL 15: 1.3 MB after pgbench, 3.6
# MB after joins over the catalogue with sorts; page tables and sockets come on top.
BACKEND_MB = 5
# Postmaster and the permanent helpers, measured together: 10.4 MB private.
POSTGRESQL_BASE_MB = 12
# Shared memory beside the buffers: shared_memory_size is 38 MB for 32, 143 for 128, 1074 for 1024 MB of buffers.
SHARED_BASE_MB = 8
SHARED_PART = 16
# Percent of the share. The PostgreSQL manual (shared_buffers) and pgtune give a quarter of a server of its own, and more than 40 %
# is seldom of use. Beside other tiers the kernel's file cache is everybody's: only what the database keeps itself is sure. The
# lower bound is for hosts of 1 GB.
SHARED_BUFFERS_PERCENT = 40
SHARED_BUFFERS_PERCENT_ALONE = 25
SHARED_BUFFERS_MB = 32
# A quarter for sorts and hashes. A query may hold one sort (1 x) and one hash (hash_mem_multiplier 2 x): pgtune's
# divisor 3.
WORK_MEM_NODES = 3
# pgtune has a floor of 4 MB that overcommits small hosts; PostgreSQL's own floor is 64 kB. The cap keeps one query
# harmless.
WORK_MEM_KB = (512, 256 * 1024)
WORK_MEM_STEP_KB = 64
# pgtune RAM/16, for one session (a migration's CREATE INDEX). Each autovacuum worker has a quarter of it: 64 MB
# remember eleven million dead rows, and pgtune's full size for each would take more than shared_buffers.
MAINTENANCE_MB = (8, 1024)
AUTOVACUUM_MB = (4, 256)
# PostgreSQL's default of three from four cores on, pgtune's four and five on large machines.
AUTOVACUUM_WORKERS = ((5, 32), (4, 16), (3, 4), (2, 2))
# The share each parallel or autovacuum worker beyond the first is worth.
HELPER_SHARE_MB = 128
HUGE_PAGES_FROM_MB = 2048
# PostgreSQL's default of max_files_per_process.
FILES_PER_BACKEND = 1000
WAL_MB = (1024, 4096)
# pgtune: 3 % of shared_buffers, at most one WAL segment.
WAL_BUFFERS_KB = (64, 16384)


def shared_buffers(share, alone):
    percent = SHARED_BUFFERS_PERCENT_ALONE if alone else SHARED_BUFFERS_PERCENT
    return clamp(round_down(share * percent // 100, 8), SHARED_BUFFERS_MB, None, f"share {share} x {percent} %")


def work_mem(share, connections, parallel):
    budget = share * 1024 // 4
    slots = (connections + parallel) * WORK_MEM_NODES
    return clamp(
        round_down(budget // slots, WORK_MEM_STEP_KB),
        *WORK_MEM_KB,
        f"share {share} MB / 4 / ((connections {connections} + parallel workers {parallel}) x {WORK_MEM_NODES})",
    )


def maintenance_work_mem(share):
    return clamp(share // 16, *MAINTENANCE_MB, f"share {share} / 16")


def autovacuum_work_mem(maintenance):
    return clamp(maintenance // 4, *AUTOVACUUM_MB, f"maintenance_work_mem {int(maintenance)} / 4")


def effective_cache_size(share, buffers):
    return clamp(share * 3 // 4, buffers + buffers // 2, None, f"share {share} x 3 / 4")


def max_wal_size(share):
    return clamp(round_down(2 * share, 64), *WAL_MB, f"share {share} x 2")


def wal_buffers(buffers):
    return clamp(round_down(buffers * 1024 * 3 // 100, 8), *WAL_BUFFERS_KB, f"shared_buffers {int(buffers)} MB x 3 %")


def parallel_workers(cpus, share):
    """Parallel query needs a core to spare: none on one core, one on two or three, pgtune's rule from four on."""
    cores = cpus if cpus >= 4 else int(cpus > 1)
    return least(cpus=(cores, "{} = {}", cpus, cores), memory=steps(share, HELPER_SHARE_MB, 0))


def parallel_workers_per_gather(cpus, parallel):
    return least(
        cpus=(cpus // 2, "{} / 2", cpus),
        pgtune=(4, "at most 4"),
        workers=(parallel, "max_parallel_workers {}", int(parallel)),
    )


def autovacuum_workers(cpus, share):
    cores = next((number for number, least_cpus in AUTOVACUUM_WORKERS if cpus >= least_cpus), 1)
    return least(cpus=(cores, "{} = {}", cpus, cores), memory=steps(share, HELPER_SHARE_MB))


def postgresql_worst_case(settings):
    """Everything PostgreSQL can hold at once: all sessions and parallel workers at their limit, and maintenance."""
    buffers, work_mem_kb = settings["shared_buffers_mb"], settings["work_mem_kb"]
    cleaners, cleaning = settings["autovacuum_max_workers"], settings["autovacuum_work_mem_mb"]
    maintenance = settings["maintenance_work_mem_mb"]
    sessions = settings["max_connections"] + settings["max_parallel_workers"]
    shared = buffers + SHARED_BASE_MB + buffers // SHARED_PART
    queries = divide_up(sessions * WORK_MEM_NODES * work_mem_kb, 1024)
    return Figure(
        POSTGRESQL_BASE_MB + shared + (sessions + cleaners) * BACKEND_MB + queries + maintenance + cleaners * cleaning,
        "base {} + shared {} + backends {} x {} + queries {} x {} x {} kB + maintenance {} + autovacuum {} x {}",
        POSTGRESQL_BASE_MB,
        shared,
        sessions + cleaners,
        BACKEND_MB,
        sessions,
        WORK_MEM_NODES,
        int(work_mem_kb),
        int(maintenance),
        int(cleaners),
        int(cleaning),
    )


def postgresql(share, cpus, limit, connections_at_most, alone):
    """PostgreSQL's settings under their own names, units behind them.

    ``work_mem`` divides by the most connections and workers this stack can ever plan, not by today's, so that a host
    which grows and runs more of them keeps its ``work_mem``.
    """
    buffers = shared_buffers(share, alone)
    maintenance = maintenance_work_mem(share)
    parallel = parallel_workers(cpus, share)
    wal = max_wal_size(share)
    return {
        "autovacuum_max_workers": autovacuum_workers(cpus, share),
        "autovacuum_work_mem_mb": autovacuum_work_mem(maintenance),
        "checkpoint_completion_target": Choice(0.9, "spread checkpoints (pgtune)"),
        "default_statistics_target": Figure(100, "PostgreSQL's default (pgtune web)"),
        "effective_cache_size_mb": effective_cache_size(share, buffers),
        "effective_io_concurrency": Figure(200, "solid-state disk (pgtune)"),
        "hash_mem_multiplier": Choice(2.0, "the worst case counts on it; the default differs between versions"),
        "huge_pages": Choice(
            "try" if buffers >= HUGE_PAGES_FROM_MB else "off",
            f"shared_buffers {int(buffers)} MB, huge pages pay from {HUGE_PAGES_FROM_MB} MB on (pgtune)",
        ),
        "jit": Choice(False, "costs short queries more than it gives (pgtune web)"),
        "maintenance_work_mem_mb": maintenance,
        "max_connections": limit,
        "max_parallel_maintenance_workers": parallel_workers_per_gather(cpus, parallel),
        "max_parallel_workers": parallel,
        "max_parallel_workers_per_gather": parallel_workers_per_gather(cpus, parallel),
        "max_wal_size_mb": wal,
        "max_worker_processes": clamp(cpus, 8, None, f"cpus {cpus}"),
        "min_wal_size_mb": Figure(wal // 4, "max_wal_size {} / 4 (pgtune web)", int(wal)),
        "random_page_cost": Choice(1.1, "solid-state disk (pgtune)"),
        "shared_buffers_mb": buffers,
        "superuser_reserved_connections": Figure(POSTGRESQL_RESERVED, "PostgreSQL's default"),
        "wal_buffers_kb": wal_buffers(buffers),
        "work_mem_kb": work_mem(share, connections_at_most, max(cpus, parallel)),
    }


def postgresql_files(settings):
    return settings["max_connections"] * FILES_PER_BACKEND


# --- MariaDB -------------------------------------------------------------------------------------------------------

# Server without its buffers, performance_schema off (its own default, and Debian's); measured on MariaDB 11.8 with a
# full buffer pool: 45 MB private beyond the buffers, and 30 MB of programs and libraries.
MARIADB_BASE_MB = 80
BUFFER_POOL_MB = 64
# Percona: the buffer pool takes 5 % more than its size.
BUFFER_POOL_OVERHEAD_PERCENT = 5
SORT_BUFFER_KB = 1024
JOIN_BUFFER_KB = 256
# Sort 1 MB, join 256 kB, read buffers 384 kB, stack and network buffers 384 kB. Measured on MariaDB 11.8 with temporary
# tables of at most 1 MB: 0.3 MB idle, 1.7 MB sorting into one, of the 3 MB that are counted then.
MARIADB_SESSION_MB = 2
TMP_TABLE_MB = (1, 64)
INNODB_LOG_MB = (48, 1024)
# Temporary tables that have left the memory are Aria's, and so are the system's: MariaDB's own 128 MB at the most.
ARIA_PAGECACHE_MB = (8, 128)
# For MyISAM, which nothing here uses.
KEY_BUFFER_MB = 1
# Tables open at once: one in each session that uses it. MariaDB's default at the most.
TABLES_OPEN = (400, 2000)
# Measured on MariaDB 11.8: 12 kB for each open table, and 20 kB for each definition.
OPEN_TABLE_KB = 16
# An Aria table needs two files, and the cache is kept in up to eight parts (sql/mysqld.cc: table_cache_instances).
FILES_PER_OPEN_TABLE = 2
TABLE_CACHE_PARTS = 8
# Logs, sockets and what MariaDB opens of its own.
MARIADB_FILES = 64


def mariadb(share, _cpus, limit, connections_at_most, _alone):
    """MariaDB's settings under their own names, units behind them; ``nofile`` is the limit of its unit."""
    pool = clamp(round_down(share // 2, 8), BUFFER_POOL_MB, None, f"share {share} / 2")
    tables = clamp(
        share // 8 // connections_at_most, *TMP_TABLE_MB, f"share {share} / 8 / connections {connections_at_most}"
    )
    tables_open = clamp(share, *TABLES_OPEN, f"share {share}")
    return {
        "aria_pagecache_buffer_size_mb": clamp(share // 32, *ARIA_PAGECACHE_MB, f"share {share} / 32"),
        "innodb_buffer_pool_size_mb": pool,
        "innodb_io_capacity": Figure(1000, "solid-state disk"),
        "innodb_log_buffer_size_mb": Figure(16, "MariaDB's default"),
        "innodb_log_file_size_mb": clamp(pool // 4, *INNODB_LOG_MB, f"innodb_buffer_pool_size {int(pool)} / 4"),
        "join_buffer_size_kb": Figure(JOIN_BUFFER_KB, "MariaDB's default"),
        "key_buffer_size_mb": Figure(KEY_BUFFER_MB, "only MyISAM tables use it"),
        "max_connections": limit,
        "max_heap_table_size_mb": Figure(tables, "equal to tmp_table_size; the smaller of the two counts"),
        "nofile": Figure(
            power_of_two(MARIADB_FILES + limit + tables_open * FILES_PER_OPEN_TABLE * TABLE_CACHE_PARTS),
            "own {} + connections {} + open tables {} x files {} x parts of the cache {}, next power of two: it needs a "
            "restart, and so should not follow every change",
            MARIADB_FILES,
            int(limit),
            int(tables_open),
            FILES_PER_OPEN_TABLE,
            TABLE_CACHE_PARTS,
        ),
        "sort_buffer_size_kb": Figure(SORT_BUFFER_KB, "held by every session that sorts; half of MariaDB's default"),
        "table_open_cache": tables_open,
        "thread_cache_size": Figure(limit, "max_connections"),
        "tmp_table_size_mb": tables,
    }


def mariadb_worst_case(settings):
    pool, sessions, tables, tables_open = (
        settings[name]
        for name in ("innodb_buffer_pool_size_mb", "max_connections", "tmp_table_size_mb", "table_open_cache")
    )
    caches = [
        settings[name]
        for name in ("innodb_log_buffer_size_mb", "aria_pagecache_buffer_size_mb", "key_buffer_size_mb")
    ]
    return Figure(
        MARIADB_BASE_MB
        + divide_up(pool * (100 + BUFFER_POOL_OVERHEAD_PERCENT), 100)
        + sum(caches)
        + divide_up(tables_open * OPEN_TABLE_KB, 1024)
        + sessions * (MARIADB_SESSION_MB + tables),
        "base {} + buffer pool {} x 1.05 + log {} + Aria {} + keys {} + open tables {} x {} kB + sessions {} x ({} + {})",
        MARIADB_BASE_MB,
        int(pool),
        *map(int, caches),
        int(tables_open),
        OPEN_TABLE_KB,
        int(sessions),
        MARIADB_SESSION_MB,
        int(tables),
    )


def mariadb_files(settings):
    return settings["nofile"]


# --- Redis ---------------------------------------------------------------------------------------------------------

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
        "reserve_mb": Figure(
            reserved, "base {} + maxmemory {} x {} %", REDIS_BASE_MB, int(memory), REDIS_RESERVE_PERCENT[name]
        ),
    }


def redis_worst_case(settings):
    memory, reserved = settings["maxmemory_mb"], settings["reserve_mb"]
    return Figure(memory + reserved, "maxmemory {} + reserve {}", int(memory), int(reserved))


# --- nginx ---------------------------------------------------------------------------------------------------------

# Measured on nginx 1.22: 5 MB private for master and two workers with 4096 connections each, before anybody comes.
NGINX_MASTER_MB = 3
NGINX_WORKER_MB = 2
NGINX_WORKERS = 16
# The share each worker beyond the first is worth.
NGINX_SHARE_MB = 128
# One connection and its two events (ngx_connection_t, ngx_event_t).
NGINX_CONNECTION_BYTES = 424
# A client's connection with its TLS state, 14 kB idle and 26 with 8 kB of headers (measured on nginx 1.22, private memory of the
# workers); its socket comes on top.
NGINX_CLIENT_KB = 24
# A reload's new workers run beside those that still serve.
NGINX_SETS = 2
# What is held beyond all people's connections, twice: by monitors, crawlers, and those who mean harm.
NGINX_STRANGERS = 1024
# The guide's 4096 is the floor from a share on for which the memory of as many clients is small.
WORKER_CONNECTIONS = (2048, 65536)
WORKER_CONNECTIONS_GUIDE, WORKER_CONNECTIONS_SHARE_MB = 4096, 512
# One address, or one IPv6 network of a customer, has this part of the connections: twenty of them together do not close a site.
# With HTTP/2 a browser holds one or two, so an office behind one address has room for some dozens of people.
NGINX_SOURCES = 20
CONNECTIONS_PER_SOURCE = (64, 4096)
# A proxied client is two connections: its own and the one to the app.
CONNECTIONS_PER_CLIENT = 2
# Logs, temporary and static files, and two descriptors for a proxied request.
RLIMIT_PER_CONNECTION = 2
RLIMIT_BASE = 1024
KEEPALIVE = (16, 64)


def nginx(users, cpus, share):
    wanted = power_of_two(users * CONNECTIONS_PER_USER * CONNECTIONS_PER_CLIENT)
    least_connections, most_connections = WORKER_CONNECTIONS
    if share >= WORKER_CONNECTIONS_SHARE_MB:
        least_connections = WORKER_CONNECTIONS_GUIDE
    connections = clamp(
        wanted,
        least_connections,
        most_connections,
        f"users {users} x {CONNECTIONS_PER_USER} x {CONNECTIONS_PER_CLIENT}, next power of two",
    )
    workers = least(
        cpus=(cpus, "{}", cpus),
        nginx=(NGINX_WORKERS, "at most {}", NGINX_WORKERS),
        memory=steps(share, NGINX_SHARE_MB),
    )
    people = 2 * users * CONNECTIONS_PER_USER
    clients = least(
        slots=(
            workers * connections // CONNECTIONS_PER_CLIENT,
            "workers {} x worker_connections {} / {}",
            int(workers),
            int(connections),
            CONNECTIONS_PER_CLIENT,
        ),
        people=(people + NGINX_STRANGERS, "2 x users {} x {} + {}", users, CONNECTIONS_PER_USER, NGINX_STRANGERS),
    )
    return {
        "connections_per_source": clamp(
            clients // NGINX_SOURCES, *CONNECTIONS_PER_SOURCE, f"max_clients {int(clients)} / {NGINX_SOURCES}"
        ),
        "keepalive_connections": clamp(
            divide_up(in_flight(users), workers),
            *KEEPALIVE,
            f"requests at once {in_flight(users)} / workers {int(workers)}",
        ),
        "keepalive_requests": Figure(1000, "nginx' default"),
        "keepalive_timeout_s": Figure(20, "idle clients give their slot back (h5bp)"),
        "max_clients": clients,
        "max_websockets": max_websockets(users),
        "worker_connections": connections,
        "worker_processes": workers,
        "worker_rlimit_nofile": Figure(
            RLIMIT_PER_CONNECTION * connections + RLIMIT_BASE,
            "{} x worker_connections {} + {}",
            RLIMIT_PER_CONNECTION,
            int(connections),
            RLIMIT_BASE,
        ),
    }


def nginx_memory(settings):
    slots = divide_up(settings["worker_connections"] * NGINX_CONNECTION_BYTES, 1024 * 1024)
    clients = divide_up(settings["max_clients"] * NGINX_CLIENT_KB, 1024)
    return Figure(
        NGINX_MASTER_MB + NGINX_SETS * settings["worker_processes"] * (NGINX_WORKER_MB + slots) + clients,
        "master {} + {} x workers {} x ({} + connection slots {}) + clients {} x {} kB",
        NGINX_MASTER_MB,
        NGINX_SETS,
        int(settings["worker_processes"]),
        NGINX_WORKER_MB,
        slots,
        int(settings["max_clients"]),
        NGINX_CLIENT_KB,
    )


# --- limits of services --------------------------------------------------------------------------------------------

# Threads and helpers beside those that serve: logger, checkpointer, signal handlers, a reload's second set of workers.
SERVICE_TASKS = 32


def service_limits(service, settings, part):
    """MemoryMax and TasksMax of a server that apps share: what is counted for it, so that it takes nothing from the others when one
    app drives it to its limit."""
    tasks = {
        "mariadb": lambda: settings["max_connections"],
        "nginx": lambda: 2 * settings["worker_processes"],
        "pgbouncer": lambda: 0,
        "postgresql": lambda: settings["max_connections"] + settings["max_worker_processes"],
    }[service]()
    return {
        "memory_max_mb": Figure(part, "its part of the memory"),
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
        "fs.file-max": clamp(
            power_of_two(2 * files), FILES_LEAST, None, f"2 x all file limits of the host {files}, next power of two"
        ),
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
