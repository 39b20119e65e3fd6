#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: capacity_plan
short_description: The capacity plan of all hosts, or why there is none
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Makes the plan that P(mainstay.vps.pool_sizer#filter) makes, for the hosts of the play, out of their tiers (the inventory's groups) and
    their snapshots C(mainstay_host).
  - Refuses first what cannot be meant - no app, a variable that begins with C(mainstay_) and that nothing reads, an app whose name is that
    of a user, a group or a packaged unit of a host, a host in no tier, servers and firewalls that somebody has set up before and
    that C(mainstay_adopt) does not name, a port that an app has which is no longer declared. The task fails with one sentence that says
    what to change.
notes:
  - This is an action plugin; the module of the same name holds its documentation. It runs on the control node, and changes nothing.
options:
  apps:
    description: The declared apps, a mapping as in C(mainstay_apps).
    type: raw
    required: true
  users:
    description: People online at once, a whole number.
    type: raw
    default: 100
  removed:
    description: An app that is no longer declared and that this run takes off the hosts before anything starts; its ports count as free,
      and RV(undeclared) leaves it out.
    type: str
    default: ''
  sources:
    description: Whether to resolve the sources of the apps, too, and to refuse those that cannot be had.
    type: bool
    default: false
  prepares:
    description: Whether the run prepares the hosts, too, and starts their servers; units that somebody has masked are then refused.
    type: bool
    default: false
attributes:
  check_mode:
    description: Does the same.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Make the capacity plan
  mainstay.vps.capacity_plan:
    apps: "{{ mainstay_apps }}"
    users: 200
  run_once: true
  register: mainstay_plan
"""

RETURN = r"""
hosts:
  description: The numbers of each host, by name.
  returned: always
  type: dict
  sample:
    web1:
      cpus: 2
connections:
  description: The connections to each database.
  returned: always
  type: dict
  sample: {}
users:
  description: People online at once.
  returned: always
  type: int
  sample: 100
explain:
  description: One line for every number, with the formula, its inputs and the bound that decided.
  returned: always
  type: list
  elements: str
  sample: []
releases:
  description: The id of the release that each app is to run, by name; none where O(sources) is V(false).
  returned: always
  type: dict
  sample:
    shop: 3f9a1c20d4be
restarts:
  description: What each host starts anew because the plan has changed since it was given one, by name; without the hosts that have nothing.
  returned: always
  type: dict
  sample:
    web1: ["postgresql restarts, and who is connected connects anew (shared_buffers_mb 376 -> 280)"]
undeclared:
  description: One line for whatever is on the hosts and no longer declared, with what removes it.
  returned: always
  type: list
  elements: str
  sample: []
advice:
  description: What is possible and not advised.
  returned: always
  type: list
  elements: str
  sample: []
"""
