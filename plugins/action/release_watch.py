# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import watch


class ActionModule(ActionBase):
    """Begins a watch with one shell command; the module goes on with it. The time between is taken here, by a clock that nobody sets."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = dict(self._task.args)
        if boolean(options.get("begin", False)):
            units = sorted({item["name"] for item in options["probes"]})
            answer = self._low_level_execute_command(watch.mark_script(units, options.get("access_log")))
            # Where systemd does not answer, the whole watch is still to come.
            since = {**watch.began(answer["stdout"]), "began": time.monotonic()} if answer["rc"] == 0 else {}
            return {**result, "changed": False, "since": since}
        since = options.get("since") or {}
        if since:
            since = {**since, "elapsed": time.monotonic() - float(since["began"])}
        result.update(
            self._execute_module(module_name="mainstay.vps.release_watch", module_args={**options, "since": since}, task_vars=task_vars)
        )
        return result
