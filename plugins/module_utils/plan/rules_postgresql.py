# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of PostgreSQL, and the memory it may take with them."""

from __future__ import annotations

from .figures import Choice, Figure, clamp, divide_up, least, round_down, steps
from .rules_connections import POSTGRESQL_RESERVED

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
