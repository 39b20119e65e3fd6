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

# What is dropped never answers, and a run waits for nothing longer than a connection takes.
CLOSED_SECONDS = 2


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
                "quic": {"type": "list", "elements": "int", "default": []},
                "closed": {"type": "list", "elements": "int", "default": []},
                "timeout": {"type": "float", "default": 5},
            }
        )[1]
        wanted = [
            *(("tcp", port, True) for port in options["ports"]),
            *(("quic", port, True) for port in options["quic"]),
            *(("tcp", port, False) for port in options["closed"]),
        ]
        answers = repeat.run_all([self._probe(options, *question) for question in wanted])
        wrong = [(*question, answer) for question, answer in zip(wanted, answers) if answer["healthy"] != question[-1]]
        result.update(
            changed=False,
            unreachable_ports=[port for _kind, port, is_open, _answer in wrong if is_open],
            open_ports=[port for _kind, port, is_open, _answer in wrong if not is_open],
        )
        if wrong:
            result.update(failed=True, msg="\n".join(self._told(is_open, answer) for _kind, _port, is_open, answer in wrong))
        return result

    @staticmethod
    def _probe(options, kind, port, is_open):
        timeout = options["timeout"] if is_open else min(options["timeout"], CLOSED_SECONDS)
        return {
            "name": f"{options['address']} {port}/{'udp' if kind == 'quic' else 'tcp'}",
            "kind": kind,
            "host": options["address"],
            "port": port,
            "timeout": timeout,
            "deadline": timeout,
            "interval": 1,
        }

    @staticmethod
    def _told(is_open, answer):
        if not is_open:
            return (
                f"{answer['name']} answers the control node, and nothing but the firewall was to keep others out. Put it into effect again: "
                "site.yml --tags firewall."
            )
        return (
            f"{answer['name']} is open on the host and the control node cannot connect to it: {'; '.join(answer['reasons'])}. "
            f"Perhaps {REMEDIES.get(answer['cause'], 'the network between them is to blame')}."
        )
