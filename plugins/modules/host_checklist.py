#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_checklist
short_description: The checklists before and after a launch, of each day, each week and an emergency, as assertions with evidence
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Compares a host with what is declared and planned for it, and returns a verdict for each item of the checklists, what was seen, why it
    failed, and what helps.
  - One module run gathers what the host knows of itself, while the control node tries its ports and resolves its names; the verdicts are
    made on the control node, out of what was gathered alone.
  - Nothing is changed. Of a secret only its length, and what is wrong with it, leaves the host.
options:
  apps:
    description: The declared apps, as in C(mainstay_apps).
    type: dict
    required: true
  plan:
    description: The capacity plan, as M(mainstay.vps.capacity_plan) returns it.
    type: dict
    required: true
  host:
    description: The host's snapshot, as M(mainstay.vps.host_resources) returns it with all its options.
    type: dict
    required: true
  live:
    description: The numbers of the instances that serve, by app and process.
    type: dict
    default: {}
  limits:
    description:
      - Numbers to compare with, in place of the collection's own. Their names and defaults are in docs/verification.md.
    type: dict
    default: {}
  waived:
    description: Items that somebody does without, each with the reason, which the report repeats. They do not count as failed.
    type: dict
    default: {}
  alert:
    description: Whether to send a test alert through every channel of the host. It reaches people, so it is not sent by itself.
    type: bool
    default: false
  extra:
    description: What other tasks have found, for the items C(load), C(stability) and C(drift).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode and only reads anyway, but for a test alert, which is left out there.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to compare.
    support: none
  platform:
    description: The target is Debian or Ubuntu with systemd.
    support: full
    platforms: debian
seealso:
  - module: mainstay.vps.health_probe
  - module: mainstay.vps.host_resources
  - module: mainstay.vps.http_load
"""

EXAMPLES = r"""
- name: Read the host
  mainstay.vps.host_resources:
  register: mainstay_host

- name: Go through the checklists
  mainstay.vps.host_checklist:
    apps: "{{ mainstay_apps }}"
    plan: "{{ mainstay_plan }}"
    host: "{{ mainstay_host }}"
    limits: {certificate_days: 21}
    waived: {backup: the data is a copy}
  register: checked

- name: Refuse a host that is not what it should be
  ansible.builtin.assert:
    that: checked.failures | length == 0
    fail_msg: "{{ checked.failures | map(attribute='reason') | join('; ') }}"
"""

RETURN = r"""
checks:
  description: Every item of the checklists.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Its name, as O(waived) takes it.
      type: str
      returned: always
    title:
      description: What it demands.
      type: str
      returned: always
    requirements:
      description: Numbers of the guides' demands that it answers to.
      type: list
      elements: str
      returned: always
    checklists:
      description: Where it belongs - V(pre-launch), V(post-launch), V(daily), V(periodic), V(emergency).
      type: list
      elements: str
      returned: always
    verdict:
      description: V(ok), V(failed) or V(skipped).
      type: str
      returned: always
    seen:
      description: What was seen.
      type: str
      returned: always
    reason:
      description: Why it failed or was skipped.
      type: str
      returned: always
    remedy:
      description: What helps.
      type: str
      returned: always
    host:
      description: The host.
      type: str
      returned: always
  sample:
    - id: firewall
      title: The firewall runs and comes back with the host
      requirements: [S0-33, S4-21]
      checklists: [pre-launch]
      verdict: ok
      seen: nftables.service is active, enabled
      reason: ""
      remedy: ""
      host: web1
failures:
  description: Those of RV(checks) that failed.
  returned: always
  type: list
  elements: dict
  sample: []
evidence:
  description: What an auditor asks for - versions, plan, exposure of the units, open ports, certificates, backups, incidents and deploys.
  returned: always
  type: dict
  sample:
    host: web1
    versions: {nginx: 1.22.1-9+deb12u1}
notes:
  description: What could not be asked, and why.
  returned: always
  type: list
  elements: str
  sample: []
"""
