# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python

PARTS = ("packages", "units", "listeners", "packet_filters", "postgresql", "mariadb")
NAMES = {"type": "list", "elements": "str", "default": []}
OPTIONS = {**{part: {"type": "bool", "default": True} for part in PARTS}, "paths": NAMES, "wanted": NAMES}


class ActionModule(ActionBase):
    """Takes the snapshot of a host. It is the first that every run waits for, so it brings nothing of Ansible's along."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(OPTIONS)[1]
        found = bare_python.call(self, task_vars, "host.snapshot", "collect", want=options)
        return {**result, "changed": False, **found}
