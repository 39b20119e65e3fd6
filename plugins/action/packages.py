# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Asks dpkg in one shell command what is missing; only then starts the apt module, and never in check mode."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec({
            "name": {"type": "list", "elements": "str", "required": True},
            "install_recommends": {"type": "bool", "default": False},
            "cache_valid_time": {"type": "int", "default": 3600},
        })[1]
        missing = self._missing(options["name"])
        result.update(changed=bool(missing), missing=missing)
        if not missing:
            return result
        if self._task.check_mode:
            result["diff"] = {"before": "", "after": "".join(f"{name}\n" for name in missing)}
            return result
        installed = self._execute_module(
            module_name="ansible.builtin.apt",
            module_args={
                "name": missing,
                "state": "present",
                "install_recommends": options["install_recommends"],
                "update_cache": True,
                "cache_valid_time": options["cache_valid_time"],
            },
            task_vars=task_vars,
        )
        return {**installed, "missing": missing}

    def _missing(self, names):
        query = "dpkg-query --show --showformat='${db:Status-Status} ${Package}\\n' "
        command = query + " ".join(map(shlex.quote, names))
        answer = self._low_level_execute_command(command)
        # dpkg-query ends with 1 when it does not know one of the names, and reports the others all the same.
        if answer["rc"] not in (0, 1):
            raise AnsibleActionFail(f"dpkg-query failed; the host must be a Debian or an Ubuntu: {answer['stderr'].strip()}")
        words = [line.split(" ", 1) for line in answer["stdout_lines"] if " " in line]
        present = {package for status, package in words if status == "installed"}
        return [name for name in dict.fromkeys(names) if name not in present]
