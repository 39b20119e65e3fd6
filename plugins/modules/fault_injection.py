#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: fault_injection
short_description: Break processes and servers on purpose, and measure how they heal
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Breaks what the agent of this collection watches, one unit after the other, waits until it works again, and asks the sites all
    the while as a visitor would.
  - A unit is broken only while it works and the agent says so. B(Requests and tasks that are under way are lost), and sites may
    not answer for some seconds.
  - Before each fault a timer of systemd is set that ends it, should this module not be there any more to do so. What nothing has
    healed is ended here.
  - Nothing is broken where the agent does not run or is told to leave everything alone.
options:
  sites:
    description: Probes of kind V(http), as for M(mainstay.vps.health_probe), that are asked four times a second.
    type: list
    elements: dict
    default: []
  units:
    description: Beginnings of the names of the units that are broken, such as C(shop-web); all that the agent watches where there
      are none. Of several instances of a process one is broken.
    type: list
    elements: str
    default: []
  faults:
    description:
      - V(kill) sends SIGKILL to the main process of a unit, V(freeze) SIGSTOP to all of its processes.
      - The agent restarts only so many units in a row (C(monitoring_restart_global)); one less are frozen, web processes first.
    type: list
    elements: str
    choices: [kill, freeze]
    default: [kill, freeze]
  detection_s:
    description: Seconds within which a fault has to be noticed.
    type: float
    default: 30
  recovery_s:
    description: Seconds within which a unit has to work again.
    type: float
    default: 60
  availability_percent:
    description: What has to be left of a day in which each of the faults happens once.
    type: float
    default: 99.5
  fail:
    description: Whether to fail where a limit is not held.
    type: bool
    default: true
attributes:
  check_mode:
    description: Breaks nothing in check mode.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
seealso:
  - module: mainstay.vps.health_probe
  - module: mainstay.vps.http_load
"""

EXAMPLES = r"""
- name: See how the host heals
  mainstay.vps.fault_injection:
    sites:
      - {name: shop, url: https://shop.example.com/health, connect_to: "127.0.0.1:443"}

- name: Kill the web process alone
  mainstay.vps.fault_injection:
    units: [shop-web]
    faults: [kill]
"""

RETURN = r"""
experiments:
  description: What was broken, in order.
  returned: when something was
  type: list
  elements: dict
  contains:
    unit:
      description: Which unit.
      type: str
    fault:
      description: What was done to it.
      type: str
    began:
      description: When, in seconds since the first.
      type: float
    detection_s:
      description: Seconds until the agent or systemd noticed; null where nobody did.
      type: float
    recovery_s:
      description: Seconds until it worked again; null where it had to be helped.
      type: float
    problem:
      description: What is wrong with that; empty where nothing is.
      type: str
down_s:
  description: How long each site did not answer, in seconds.
  returned: when something was broken
  type: dict
availability_percent:
  description: What is left of a day in which each of these faults happens once.
  returned: when something was broken
  type: float
left_out:
  description: Units that were not frozen because the agent would not have restarted so many.
  returned: when something was broken
  type: list
  elements: str
latency_ms:
  description: For each site the mean and the highest time of its answers in ms, with the second since the beginning.
  returned: when something was broken
  type: dict
memory_mb:
  description: Memory of the host in use, in MB, with the seconds since the beginning.
  returned: when something was broken
  type: list
  elements: list
seconds:
  description: How long all of it took.
  returned: when something was broken
  type: float
problems:
  description: Each limit that was not held.
  returned: when something was broken
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mainstay.vps.plugins.module_utils.verify import chaos


def main():
    module = AnsibleModule(
        argument_spec={
            "sites": {"type": "list", "elements": "dict", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "faults": {"type": "list", "elements": "str", "choices": list(chaos.FAULTS), "default": list(chaos.FAULTS)},
            **{name: {"type": "float", "default": default} for name, default in chaos.LIMITS.items()},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="nothing is broken in check mode")
    try:
        config = chaos.load_config()
        reason = chaos.is_away(time.time())
        if reason:
            raise ValueError(f"{reason}. Nothing was broken.")
        if not any(chaos.targets(config, options["units"])):
            raise ValueError(f"units: the agent watches none whose name begins with {', '.join(options['units'])}. Nothing was broken.")
        limits = {name: options[name] for name in chaos.LIMITS}
        result = chaos.run(chaos.Host(), config, options["sites"], options["faults"], options["units"], limits)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if result["problems"] and options["fail"]:
        module.fail_json(msg="; ".join(result["problems"]), **result)
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
