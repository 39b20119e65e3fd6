#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_evidence
short_description: What the checklists have to know of a host
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Gathers in one run what M(mainstay.vps.host_checklist) judges, which calls it.
  - Reads files, asks systemd, the journal and the command C(mainstay), makes the probes, and looks at the certificates that are served.
  - Of a secret only its length, and what is wrong with it, is returned. Nothing is changed.
options:
  look:
    description:
      - Where to look - C(apps), C(units), C(timers), C(probes), C(sites), C(beats), and whether to send an C(alert_test) - as JSON in base64.
      - A probe may hold a secret, such as a header; as one text all of it is kept out of the log without masking names in what is found.
    type: str
    required: true
notes:
  - A source that is missing never makes the module fail.
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
  - module: mainstay.vps.host_checklist
"""

EXAMPLES = r"""
- name: See whether the timers wait for their time
  mainstay.vps.host_evidence:
    look: "{{ {'timers': ['logrotate.timer', 'apt-daily.timer']} | to_json | b64encode }}"
  register: seen
"""

RETURN = r"""
found:
  description: What was found, by kind.
  returned: always
  type: dict
  sample:
    now: 1795891529
    timers:
      logrotate.timer: {ActiveState: active, UnitFileState: enabled}
    notes: []
"""

import base64
import json

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.verify import gather


def main():
    module = AnsibleModule(argument_spec={"look": {"type": "str", "required": True, "no_log": True}}, supports_check_mode=True)
    try:
        want = dict(json.loads(base64.b64decode(module.params["look"])))
    except (ValueError, TypeError) as error:
        module.fail_json(msg=f"look: it is no mapping as JSON in base64 ({type(error).__name__})")
    if module.check_mode:
        want["alert_test"] = False
    module.exit_json(changed=False, found=gather.collect(want))


if __name__ == "__main__":
    main()
