#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
short_description: One deploy of an app at a time
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Takes a lock for each of the apps on the host, all or none, or gives them back. Where another run holds one, the message
    says who, for how long, and what to do.
  - A lock whose run has ended is taken over, which is known of runs of the same machine only. Any other one counts until the
    time that the file was last modified at, which lies O(max_age) ahead when the lock is taken.
  - The agent of the host leaves an app alone while its lock counts.
  - Giving a lock back writes a line about the deploy to C(/var/lib/mainstay/deploys.jsonl) - when, who, what, from, to, how
    long, and how it ended.
notes:
  - This is an action plugin; the module of the same name holds its documentation.
options:
  apps:
    description:
      - The apps. With O(state=present) each with the release that is on its way; with O(state=absent) each with a mapping that
        goes into its line, such as C({from, to, result}), or an empty one for none.
    type: dict
    required: true
  state:
    description:
      - Whether to hold the locks. Only locks of this very run are given back.
      - V(free) takes none and waits until no other run holds one, for O(wait) seconds at most. What a run has read of the host
        before it waited would be out of date.
    type: str
    choices: [present, absent, free]
    default: present
  max_age:
    description: Seconds that the lock counts, unless it is given back, taken again, or prolonged by M(mainstay.vps.release) before a step.
    type: int
    default: 1800
  wait:
    description: Seconds that O(state=free) waits for another run.
    type: int
    default: 0
  doing:
    description: What the run does, where it is no deploy, as others are told who come meanwhile, such as V(putting its data back).
    type: str
    default: ""
attributes:
  check_mode:
    description: Takes no lock and says that it would.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Take the lock
  mainstay.vps.deploy_lock:
    apps: {shop: 3f9a1c20d4be}

- name: Give it back
  mainstay.vps.deploy_lock:
    apps: {shop: {from: 0c1d2e3f4a5b, to: 3f9a1c20d4be, result: succeeded}}
    state: absent

- name: Wait until nobody else deploys it
  mainstay.vps.deploy_lock:
    apps: {shop: ""}
    state: free
    wait: 300
"""

RETURN = r"""
deploys:
  description: One sentence for each deploy that ended - the app, from which release to which, how long, and the time its steps took.
  returned: with O(state=absent)
  type: list
  elements: str
  sample: ["shop: 0c1d2e3f4a5b -> 3f9a1c20d4be succeeded in 14.2 s (build 6.1, migrate 0.8, start 4, watch 3.1)"]
"""
