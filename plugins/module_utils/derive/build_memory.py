# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that a command of a build may use: its place in the plan, or what the host has free."""

from __future__ import annotations

# Where no plan tells.
DEFAULT_MB = 1024


def build_memory(plan, hostname, host):
    """MemoryMax of one command of a build or a migration, in MB.

    What runs rarely fills its limits, and a build for a minute may have what is left, but for the plan's reserve: where it is wrong in that, the
    kernel takes the build first.

    :param host: what ``host_resources`` found.
    """
    planned = plan.get("hosts", {}).get(hostname, {})
    if "build_memory_mb" not in planned:
        return DEFAULT_MB
    free = host.get("memory", {}).get("available_mb", 0) - planned["memory"]["reserve_mb"]
    return max(planned["build_memory_mb"], free)
