# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import watch
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python

OPTIONS = {
    "probes": {"type": "list", "elements": "dict", "required": True},
    "begin": {"type": "bool", "default": False},
    "since": {"type": "dict", "default": {}},
    "seconds": {"type": "float", "default": 3},
    "drains": {"type": "list", "elements": "dict", "default": []},
    "access_log": {"type": "path"},
    "max_error_rate": {"type": "float", "default": 0.05},
    "max_latency_ms": {"type": "int", "default": 2000},
}


class ActionModule(ActionBase):
    """Begins a watch with one shell command, and goes on with it on the host. The time between is taken here, by a clock that nobody sets."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(OPTIONS)[1]
        begin, since = options.pop("begin"), options.pop("since")
        if begin:
            units = sorted({item["name"] for item in options["probes"]})
            answer = self._low_level_execute_command(watch.mark_script(units, options["access_log"]))
            # Where systemd does not answer, the whole watch is still to come.
            since = {**watch.began(answer["stdout"]), "began": time.monotonic()} if answer["rc"] == 0 else {}
            return {**result, "changed": False, "since": since}
        elapsed = time.monotonic() - float(since["began"]) if since else 0.0
        found = bare_python.call(
            self,
            task_vars,
            "deploy.watch",
            "watch_log",
            position=since.get("position"),
            before=since.get("restarts"),
            elapsed=elapsed,
            **options,
        )
        result.update(changed=False, **found)
        if found["reasons"]:
            result.update(failed=True, msg="While it was watched: " + "; ".join(found["reasons"]))
        return result
