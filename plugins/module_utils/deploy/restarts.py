# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host starts anew because its plan has changed, as by another app or more users: told before anything does."""

from __future__ import annotations

import functools

from ..stack.tiers import LOOPBACK
from .environment import process_environment
from .units import planned

# What a server reads at its start alone. PostgreSQL: pg_settings.context is postmaster. MariaDB is told of the rest by SET GLOBAL, PgBouncer
# by a reload; Redis, to which nobody may say CONFIG, of nothing.
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
}


def restarts(apps, applied, wanted, own=()):
    """Sentences, in the order of a run.

    :param apps: the declared apps, in normal form.
    :param applied: the numbers that the host has been given last; empty where it never was.
    :param wanted: those of the plan now.
    :param own: names of settings of PostgreSQL that the inventory sets itself, whatever the plan says.
    """
    found = []
    for server, names in AT_START.items():
        keys = [key for key in names if key.removesuffix("_mb").removesuffix("_kb") not in own]
        before, after = (there.get(server) for there in (applied, wanted))
        found += _told(server, "restarts, and who is connected connects anew", before, after, functools.partial(_picked, keys))
    for name, app in apps.items():
        for purpose in app["redis"]:
            before, after = (there.get("redis", {}).get(name, {}).get(purpose) for there in (applied, wanted))
            found += _told(f"redis {name} {purpose}", "restarts", before, after)
        for key, process in app["processes"].items():
            before, after = (there.get("processes", {}).get(name, {}).get(key) for there in (applied, wanted))
            found += _told(f"{name}.{key}", "is deployed anew", before, after, functools.partial(_of_a_process, app, process))
    return found


def _picked(keys, numbers):
    return {key: numbers.get(key) for key in keys}


def _of_a_process(app, process, numbers):
    """What a process is told at its start alone; systemd gives it limits of memory and tasks while it runs."""
    anywhere = {"bind_address": LOOPBACK, "proxies": []}
    return {**_picked(("instances", "nofile"), numbers), **process_environment(app, process, planned(process, numbers), anywhere)}


def _told(name, what, before, after, at_start=dict):
    """What becomes of one part that was there before and still is; nothing where all that it is told ``at_start`` has the same value."""
    if not before or not after:
        return []
    before, after = at_start(before), at_start(after)
    changed = [key for key in after if before.get(key) != after[key]]
    numbers = ", ".join(f"{key} {before.get(key)} -> {after[key]}" for key in changed)
    return [f"{name} {what} ({numbers})"] if changed else []
