# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of an app need: memory, instances, tasks and files."""

from __future__ import annotations

from .figures import Figure, ceiling_bound, clamp, divide_up, least, round_down, steps

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
# MemorySwapMax as a part of MemoryMax. What is idle may leave the memory; one that leaks meets its end before it has filled everybody's
# swap, in which it would only be slow.
MEMORY_SWAP_PERCENT = 25
# V8's old space as a part of MemoryMax; the rest is buffers, code and stacks (60 to 75 %).
NODE_HEAP_PERCENT = 70
# The guides' figure, per service and set by systemd; limits.conf does not reach services.
NOFILE = 65536
TASKS_BASE = 64
TASKS_PER_WORKER = 64  # AnyIO's 40 threads, or libuv's and V8's
TASKS_PER_CHILD = 16
# Django behind gunicorn: 27 MB private with one thread, 54 with 8 and 121 with 32, all of them busy with answers of 1.5 MB.
THREAD_MB = 3
# The most that the plan chooses: beyond it Python's threads wait for one another more than they wait for anything else.
THREADS_MOST = 32

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
    return supervisor + process.workers * (memory_table(process.kind, process.runtime)[0] + further_threads(process.threads))


def further_threads(threads):
    """The memory of the threads of one worker beside its first, in MB; one that the plan chooses begins with a single one."""
    return THREAD_MB * (threads - 1) if threads not in (None, "auto") else 0


def chosen_threads(process, users, slots, connections):
    """The threads of one worker where the plan chooses them; ``connections`` is how many its pool serves, None without a database."""
    requests = max(1, divide_up(in_flight(users), slots))
    memory = None
    if process.memory_mb is not None:
        each = (process.memory_mb - SUPERVISOR_MB * (process.workers > 1)) // process.workers
        smallest = memory_table(process.kind, process.runtime)[0]
        room = 1 + max(0, each - smallest) // THREAD_MB
        memory = (room, "1 + (memory {} for each worker - {}) / {} = {}", each, smallest, THREAD_MB, room)
    return least(
        requests=(requests, "requests at once {} / servers {} = {}", in_flight(users), slots, requests),
        process=(THREADS_MOST, "at most {}", THREADS_MOST),
        connections=None if connections is None else (max(1, connections), "its pool serves {}", connections),
        memory=memory,
    )


def memory_max(process, children, threads, share):
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
    if further_threads(threads):
        return Figure(
            supervisor + process.workers * (worker + further_threads(threads)),
            "workers {} x ({} MB ({} to {} by the share {}) + further threads {} x {} MB) + supervisor {}",
            process.workers,
            worker,
            smallest,
            comfortable,
            share,
            int(threads) - 1,
            THREAD_MB,
            supervisor,
        )
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


def tasks_max(process, children, threads=None):
    if process.kind == "celery":
        return Figure(TASKS_BASE + TASKS_PER_CHILD * children, "{} + {} x children {}", TASKS_BASE, TASKS_PER_CHILD, int(children))
    if threads and threads > TASKS_PER_WORKER // 2:
        each = TASKS_PER_WORKER + threads
        return Figure(TASKS_BASE + each * process.workers, "{} + {} x workers {}", TASKS_BASE, each, process.workers)
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
    if not process.keeps_nothing:
        return Figure(1, "without a database or Redis an app may keep its state in files, or in memory; more only when declared")
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
