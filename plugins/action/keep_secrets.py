# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files

COMMAND = "/usr/local/sbin/mainstay-backup secrets"


class ActionModule(ActionBase):
    """No module runs: its arguments would be a file on the host. What is kept goes through standard input, into restic's."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec({"directory": {"type": "path"}})[1]
        directory = options["directory"] or secret_files.default_directory(task_vars or {})
        if not os.path.isdir(directory):
            raise AnsibleActionFail(
                f"mainstay_backup_secrets: there is no folder {directory}. site.yml makes it; else leave the variable out."
            )
        if self._task.check_mode:
            return {**result, "changed": True}
        archive = secret_files.packed(directory)
        # A connection that breaks ends the input like one that was whole: the host compares.
        told = hashlib.sha256(archive).hexdigest().encode() + b"\n"
        answer = self._low_level_execute_command(COMMAND, in_data=told + archive)
        if answer["rc"] != 0:
            raise AnsibleActionFail(f"The secrets are not kept: {(answer['stderr'] or answer['stdout']).strip()}")
        return {**result, "changed": True, "snapshot": answer["stdout"].strip()}
