# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that the agent takes: it refuses others when it reads its configuration, and a run before it writes them."""

from __future__ import annotations

# By setting; the variables of the role monitoring have these names after its prefix.
LIMITS = {
    "interval": (1, 300),
    "retry_interval": (0.5, 300),
    "timeout": (0.1, 60),
    "failures": (1, 100),
    "successes": (1, 100),
    "start_grace": (0, 3600),
    "stop_grace": (0, 600),
    "boot_grace": (0, 3600),
    "cooldown": (0, 86400),
    "cooldown_max": (0, 86400),
    "stable_after": (1, 86400),
    "restart_window": (1, 86400),
    "restart_burst": (0, 1000),
    "restart_daily": (0, 1000),
    "restart_global": (0, 1000),
    "incidents_max_mb": (1, 100),
    "evidence_lines": (0, 500),
    "busy_limit": (0, 3600),
    "queue_stuck_after": (60, 86400),
    "reports_keep": (1, 1000),
}
