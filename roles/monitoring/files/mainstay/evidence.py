# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit looked like before we touched it."""

from __future__ import annotations

import os

from .core.text import read
from .units import SystemdError

MAX_PROCESSES = 20
STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for I/O",
    "T": "stopped by a signal",
    "t": "being traced",
    "Z": "ended",
}


def collect(systemd, unit, lines, proc="/proc"):
    found = {}
    try:
        state = systemd.show([unit])[unit]
        found["unit"] = {
            "state": state.words,
            "result": state.result,
            "restarts": state.restarts,
            "memory_mb": state.memory_mb,
            "memory_max_mb": state.memory_max_mb,
        }
        found["processes"] = [entry for pid in tree(state.main_pid, proc) if (entry := describe(pid, proc))]
    except (SystemdError, KeyError) as error:
        found["unit"] = {"error": str(error)}
    try:
        found["journal"] = systemd.journal(unit, lines) if lines else []
    except SystemdError as error:
        found["journal"] = [str(error)]
    return found


def tree(pid, proc="/proc"):
    """A process and its descendants."""
    found = [pid] if pid else []
    for parent in found:
        try:
            threads = os.listdir(f"{proc}/{parent}/task")
        except OSError:
            continue
        for thread in threads:
            found += [int(child) for child in read(f"{proc}/{parent}/task/{thread}/children").split()]
        if len(found) >= MAX_PROCESSES:
            break
    return found[:MAX_PROCESSES]


def describe(pid, proc="/proc"):
    """Name, state and size of a process; not its command line, which may hold a secret."""
    name, rest = read(f"{proc}/{pid}/stat").rpartition(")")[::2]
    words = rest.split()
    if len(words) < 22:
        return None
    return {
        "pid": pid,
        "name": name.partition("(")[2],
        "state": STATES.get(words[0], words[0]),
        "wchan": read(f"{proc}/{pid}/wchan").strip("0\n"),
        "threads": int(words[17]),
        "rss_mb": int(words[21]) * os.sysconf("SC_PAGE_SIZE") >> 20,
    }
