# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the host in one module run, looks at it from outside, and judges what was found."""

from __future__ import annotations

import base64
import json

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.derive.outside import visited_at
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.tiers import address_of
from ansible_collections.mainstay.vps.plugins.module_utils.verify import evidence, judge, wanted
from ansible_collections.mainstay.vps.plugins.plugin_utils import from_outside, secret_files

# What of the inventory decides how a host has to be.
VARIABLES = (
    "backup_repository",
    "certificates_acme_addresses",
    "firewall_backend",
    "firewall_rules",
    "logrotate_files",
    "monitoring_alerts",
    "monitoring_ping_url",
    "postgresql_pitr_repository",
    "system_security_upgrades",
)


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result, task_vars = super().run(tmp, task_vars), task_vars or {}
        options = self.validate_argument_spec(
            {
                "apps": {"type": "dict", "required": True},
                "plan": {"type": "dict", "required": True},
                "host": {"type": "dict", "required": True},
                "live": {"type": "dict", "default": {}},
                "limits": {"type": "dict", "default": {}},
                "waived": {"type": "dict", "default": {}},
                "alert": {"type": "bool", "default": False},
                "extra": {"type": "dict", "default": {}},
            }
        )[1]
        name = task_vars["inventory_hostname"]
        variables = {key: self._templar.template(task_vars[key]) for key in VARIABLES if key in task_vars}
        try:
            judge.check_options(options["limits"], options["waived"])
            want = wanted.wanted(options["apps"], options["plan"], name, options["host"], options["live"], variables)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        answer = self._execute_module(
            "mainstay.vps.host_evidence", module_args={"look": packed(wanted.look(want, options["alert"]))}, task_vars=task_vars
        )
        self._remove_tmp_path(self._connection._shell.tmpdir)
        if answer.get("failed") or "found" not in answer:
            return {**result, **answer}
        found = answer["found"]
        control = {
            "secrets": kept_secrets(options["apps"], secret_files.default_directory(task_vars)),
            "outside": from_outside.look(
                visited_at(task_vars["hostvars"][name]), address_of(options["plan"], name), found["addresses"], outside_ports(want)
            ),
            "resolved": {host: from_outside.resolve(host) for site in want["sites"] for host in site["names"]},
            **options["extra"],
        }
        items = judge.judge(want, found, options["host"], control, options["limits"], options["waived"])
        return {
            **result,
            "changed": False,
            "checks": items,
            "failures": [item for item in items if item["verdict"] == "failed"],
            "evidence": evidence.evidence(want, found, options["host"], control, items),
            "notes": found["notes"],
            "chaos": options["extra"].get("chaos") or {},
        }


def packed(look):
    """As one text, which the module keeps out of the log: a probe may hold a secret."""
    return base64.b64encode(json.dumps(look).encode()).decode()


def outside_ports(want):
    """The ports to try: what is declared, and what must not answer."""
    ends = {end for bounds in want["open"].values() for bound in bounds for end in bound}
    return sorted({*ends, *want["inner"]})


def kept_secrets(apps, directory):
    """How the control node keeps the secrets: how many, which are missing, and which others may read."""
    files = [secret_files.path(directory, name, secret) for name, app in normalise(apps).items() for secret in secret_files.names(app)]
    return {"directory": directory, "number": len(files), **secret_files.exposed(directory, files)}
