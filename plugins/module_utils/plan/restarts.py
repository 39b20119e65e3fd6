# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host starts anew because its plan has changed, as by another app or more users: told before anything does."""

from __future__ import annotations

# What a server reads at its start alone; None is all that the plan says. PostgreSQL: pg_settings.context is postmaster. MariaDB is told
# of the rest by SET GLOBAL, PgBouncer by a reload, Redis of nothing.
AT_START = {
    "postgresql": (
        "autovacuum_max_workers",
        "huge_pages",
        "max_connections",
        "max_worker_processes",
        "shared_buffers_mb",
        "superuser_reserved_connections",
        "wal_buffers_kb",
    ),
    "mariadb": ("aria_pagecache_buffer_size_mb", "nofile"),
    "pgbouncer": ("nofile",),
    "redis": None,
}
# Of a process, what its environment or its unit says at the start; systemd gives it limits of memory and tasks while it runs.
OF_A_PROCESS = ("concurrency", "instances", "max_overflow", "max_websockets", "node_heap_mb", "nofile", "pool_size", "threads", "workers")


def restarts(applied, planned, own=()):
    """Sentences, in the order of a run.

    :param applied: the numbers that the host has been given last; empty where it never was.
    :param planned: those of the plan now.
    :param own: names of settings of PostgreSQL that the inventory sets itself, whatever the plan says.
    """
    found = []
    for server in ("postgresql", "mariadb", "pgbouncer"):
        keys = [key for key in AT_START[server] if key.removesuffix("_mb").removesuffix("_kb") not in own]
        found += _told(server, "restarts, and who is connected connects anew", applied.get(server), planned.get(server), keys)
    for app, purposes in planned.get("redis", {}).items():
        for purpose, settings in purposes.items():
            before = applied.get("redis", {}).get(app, {}).get(purpose)
            found += _told(f"redis {app} {purpose}", "restarts", before, settings, AT_START["redis"])
    for app, processes in planned.get("processes", {}).items():
        for process, settings in processes.items():
            before = applied.get("processes", {}).get(app, {}).get(process)
            found += _told(f"{app}.{process}", "is deployed anew", before, settings, OF_A_PROCESS)
    return found


def _told(name, what, before, after, keys):
    """What becomes of one part that was there before and still is; nothing where no key of it has another value."""
    if not before or not after:
        return []
    changed = [key for key in keys or after if before.get(key) != after.get(key)]
    numbers = ", ".join(f"{key} {before.get(key)} -> {after.get(key)}" for key in changed)
    return [f"{name} {what} ({numbers})"] if changed else []
