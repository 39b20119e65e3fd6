# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Put the values into the one argument of the module that nothing logs; what remains are their names."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        variables = arguments.get("variables")
        if not isinstance(variables, dict):
            raise AnsibleActionFail("variables is no mapping; write the name of each variable and its value.")
        arguments.update(variables=dict.fromkeys(variables), _payload=pack(variables))
        result.update(self._execute_module("mainstay.vps.env_file", arguments, task_vars=task_vars or {}))
        return result


def pack(variables):
    return base64.b64encode(json.dumps(variables, default=str).encode()).decode()
