# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.probe import repeat

# What a person checks for each outcome of a connection.
REMEDIES = {
    "timeout": "something on the way drops it: look at the provider's firewall or security group, and at those between here and there",
    "refused": "another machine answers at that address, or something on the way refuses it",
    "network": "there is no way to that address from here",
    "dns": "the name is not known here",
}


class ActionModule(ActionBase):
    """Connects from the control node itself, without a process for it: a run that finds everything open takes no time for it."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            {
                "address": {"type": "str", "required": True},
                "ports": {"type": "list", "elements": "int", "required": True},
                "timeout": {"type": "float", "default": 5},
            }
        )[1]
        asked = [
            {
                "name": f"{options['address']} {port}/tcp",
                "kind": "tcp",
                "host": options["address"],
                "port": port,
                "timeout": options["timeout"],
                "deadline": options["timeout"],
                "interval": 1,
            }
            for port in options["ports"]
        ]
        answers = repeat.run_all(asked)
        closed = [answer for answer in answers if not answer["healthy"]]
        result.update(changed=False, unreachable_ports=[port for port, answer in zip(options["ports"], answers) if not answer["healthy"]])
        if closed:
            lines = [
                f"{answer['name']} is open on the host and the control node cannot connect to it: {'; '.join(answer['reasons'])}. "
                f"Perhaps {REMEDIES.get(answer['cause'], 'the network between them is to blame')}."
                for answer in closed
            ]
            result.update(failed=True, msg="\n".join(lines))
        return result
