# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `mainstay`: watches the declared processes of this host, heals what hangs, and tells what it saw.

systemd restarts what crashes; the agent finds what systemd cannot see. One direction of data:

config (agent.json) → watch (the state of one process) → guards and limits (may we act?) → actuator (systemctl, through a
small privileged helper) → records (incidents, state.json) → cli (reads the records).

Standard library only, Python 3.10 or newer.
"""

from __future__ import annotations

__version__ = "0.1.0"
