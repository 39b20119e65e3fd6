# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action.packages import ActionModule

INSTALLED = "installed acl\ninstalled curl\nconfig-files nginx\n"


@pytest.fixture
def run(monkeypatch):
    def run(name, check=False, rc=1, stdout=INSTALLED):
        modules = []
        task = Task()
        task.args, task.check_mode, task.async_val = {"name": name}, check, 0
        action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None)
        answer = {"rc": rc, "stdout_lines": stdout.splitlines(), "stderr": "not found"}
        monkeypatch.setattr(action, "_low_level_execute_command", lambda command: answer)
        monkeypatch.setattr(action, "_execute_module", lambda **call: modules.append(call) or {"changed": True})
        return action.run(task_vars={}), modules
    return run


def test_nothing_missing_starts_no_module(run):
    result, modules = run(["acl", "curl"], rc=0)
    assert (result["changed"], result["missing"], modules) == (False, [], [])


def test_only_the_missing_packages_are_installed(run):
    result, modules = run(["acl", "nginx", "redis-server", "nginx"])
    assert result["missing"] == ["nginx", "redis-server"]
    assert modules[0]["module_args"]["name"] == ["nginx", "redis-server"]


def test_check_mode_predicts_without_a_module(run):
    result, modules = run(["acl", "nginx"], check=True)
    assert (result["changed"], result["diff"]["after"], modules) == (True, "nginx\n", [])


def test_a_host_without_dpkg_is_an_error(run):
    with pytest.raises(AnsibleActionFail, match="Debian"):
        run(["acl"], rc=127, stdout="")
