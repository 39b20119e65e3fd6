# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an action as Ansible does, on a host that is this machine."""

from __future__ import annotations

import subprocess
from unittest import mock


def run_action(action, arguments, check=False, path=None):
    """What the action of a module returns; ``path`` is where the host looks for programs first."""

    def shell(command, in_data=None):
        found_first = f"PATH={path}:$PATH; " if path else ""
        done = subprocess.run(["sh", "-c", f"{found_first}{command}"], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    task = mock.MagicMock(async_val=0, check_mode=check, args=arguments)
    made = action.ActionModule(task, mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), mock.MagicMock(template=str), None)
    made._low_level_execute_command, made._compute_environment_string = shell, lambda: ""
    return made.run(task_vars={})
