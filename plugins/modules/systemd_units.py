#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Many systemd units in the states they should have
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Asks systemd for the states of all units, changes those that differ, and waits for the result, all in one shell command
    and without Python on the host.
  - Works in this order, whatever order the options have - reload systemd, stop, forget failures, disable, enable, restart,
    reload, start. The units of one step go to systemd together, which starts and stops them side by side.
  - The first step that fails is the last. The message then names the units that failed, and holds what systemd knows of
    them and the end of their journals.
  - In check mode it asks only. A unit that systemd does not know yet is foreseen to be enabled and started, and has nothing
    to be stopped or disabled.
notes:
  - This is an action plugin; the module of the same name holds its documentation.
  - Units are named in full, such as V(nginx.service).
options:
  daemon_reload:
    description: Whether systemd reads its unit files again first. It does not count as a change.
    type: bool
    default: false
  reset_failed:
    description: Patterns of units, such as V(shop-*), whose failures are forgotten, and their starts so far, which count towards
      C(StartLimitBurst). Only failures count as a change.
    type: list
    elements: str
    default: []
  stopped:
    description: Units that must not run.
    type: list
    elements: str
    default: []
  disabled:
    description: Units that must not start at boot.
    type: list
    elements: str
    default: []
  enabled:
    description: Units that must start at boot. One that cannot be enabled because others pull it in is well as it is.
    type: list
    elements: str
    default: []
  restarted:
    description: Units to restart, or to start where they do not run. Always a change.
    type: list
    elements: str
    default: []
  reloaded:
    description: Units to reload, to restart where they cannot reload, or to start where they do not run. Always a change.
    type: list
    elements: str
    default: []
  started:
    description: Units that must run.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Whether to wait until the units have started.
      - Without it systemd goes on with O(restarted), O(reloaded) and O(started) alone, and what becomes of them has to be seen later.
    type: bool
    default: true
  journal_lines:
    description:
      - Lines of its journal to show of each unit that failed.
      - V(0) shows none, for programs that may write secrets.
    type: int
    default: 20
attributes:
  check_mode:
    description: Can run in check mode and predict what would change.
    support: full
  diff_mode:
    description: Will return details on what has changed.
    support: full
  platform:
    description: The target must run systemd.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Run nginx and Redis, now and at every boot
  mainstay.vps.systemd_units:
    enabled: [nginx.service, redis-server@cache.service]
    started: [nginx.service, redis-server@cache.service]

- name: Restart the workers with their new unit files
  mainstay.vps.systemd_units:
    daemon_reload: true
    reset_failed: [shop-*]
    restarted: [shop-worker@1.service, shop-worker@2.service]
"""

RETURN = r"""
changes:
  description: The verbs of systemctl that were needed, in order, each with its units.
  returned: always
  type: list
  elements: str
  sample: [enable nginx.service, start nginx.service]
units:
  description: The units that failed.
  returned: failure
  type: list
  elements: dict
  contains:
    unit:
      description: Name of the unit.
      type: str
      sample: nginx.service
    facts:
      description: What systemd knows of it, by the names of its properties.
      type: dict
      sample: {ActiveState: failed, ExecMainStatus: "1", LoadState: loaded, Result: exit-code, SubState: failed, UnitFileState: enabled}
    journal:
      description: The end of its journal.
      type: list
      elements: str
      sample: []
"""
