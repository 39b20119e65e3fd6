# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.probe import declared, repeat
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python

PROBE = {
    "kind": {"type": "str", "choices": list(declared.KINDS), "default": "http"},
    "name": {"type": "str"},
    "url": {"type": "str"},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int"},
    "path": {"type": "str"},
    "method": {"type": "str", "default": "GET"},
    "headers": {"type": "dict", "default": {}},
    "host_header": {"type": "str"},
    "connect_to": {"type": "str"},
    "follow_redirects": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "str"},
    "status": {"type": "list", "elements": "str"},
    "json": {"type": "dict", "default": {}},
    "header_regex": {"type": "dict", "default": {}},
    "body_regex": {"type": "str"},
    "send": {"type": "str"},
    "max_latency_ms": {"type": "float"},
    "timeout": {"type": "float", "default": 5},
    "interval": {"type": "float", "default": 1},
    "healthy_threshold": {"type": "int", "default": 1},
    "unhealthy_threshold": {"type": "int", "default": 0},
    "deadline": {"type": "float", "default": 30},
    "start_delay": {"type": "float", "default": 0},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "database": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "tls_expiry_days": {"type": "int"},
    "unit": {"type": "str"},
    "any_address": {"type": "bool", "default": False},
}
OPTIONS = {
    **PROBE,
    "probes": {"type": "list", "elements": "dict", "options": PROBE},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):
    """Probes from the host. A deploy's visitors wait for it, so it brings nothing of Ansible's along."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(OPTIONS)[1]
        many = options["probes"] is not None
        single = {key: options[key] for key in PROBE}
        beside = sorted(key for key, option in PROBE.items() if many and single[key] != option.get("default"))
        if beside:
            raise AnsibleActionFail(f"probes takes no {beside[0]} beside it: write it into each probe")
        specs = options["probes"] if many else [single]
        try:
            for spec in specs:
                declared.normalise(spec)
        except declared.ProbeError as error:
            raise AnsibleActionFail(str(error), result={"healthy": False}) from None
        began = time.monotonic()
        found = bare_python.call(self, task_vars, "deploy.starting", "wait", specs=specs) if specs else []
        secrets = {secret for spec in specs for secret in declared.secrets(spec)}
        results = remove_values(found, secrets)
        sick = [item for item in results if not item["healthy"]]
        result.update({"results": results} if many else results[0])
        result.update(changed=False, healthy=not sick, seconds=round(time.monotonic() - began, 1))
        if sick and options["fail"]:
            result.update(failed=True, msg="\n".join(map(repeat.explain, sick)))
        return result
