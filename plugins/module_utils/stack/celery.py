# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command of Celery's says of the process that it starts."""

from __future__ import annotations

import re

# A module may be called so, too: -A beat.
_SUBCOMMAND = r"\bcelery\b.*(?<!-A)(?<!--app)\s"
# Beat, alone or within a worker: each of them sends every task.
BEAT = re.compile(rf"{_SUBCOMMAND}(?:beat|--beat|-B)(?:\s|$)")
BEAT_ALONE = re.compile(rf"{_SUBCOMMAND}beat(?:\s|$)")
WORKER = re.compile(rf"{_SUBCOMMAND}worker(?:\s|$)")
_CONCURRENCY = re.compile(r"\s(?:-c[\s=]?|--concurrency[\s=])(\d+)(?=\s|$)")
# Pools without a process for each task.
_LIGHT_POOL = re.compile(r"\s(?:-P[\s=]?|--pool[\s=])(?!prefork|processes)\S")


def is_beat(command):
    return bool(BEAT.search(command or ""))


def is_beat_alone(command):
    """Whether it is beat and nothing else; within a worker it is one thread of many."""
    return bool(BEAT_ALONE.search(command or ""))


def is_worker(command):
    """Whether it runs tasks in children of its own, as many as it is told."""
    return bool(WORKER.search(command or "")) and not _LIGHT_POOL.search(command)


def children(command):
    """The number of children that stands in a command of a worker's; None where it does not."""
    found = _CONCURRENCY.findall(command or "") if is_worker(command) else []
    return int(found[-1]) if found else None
