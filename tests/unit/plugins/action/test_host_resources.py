# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_resources as a task, on this machine."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.mainstay.vps.plugins.action import host_resources as action
from ansible_collections.mainstay.vps.plugins.modules import host_resources
from run_action import run_action


@pytest.mark.parametrize("check", [False, True])
def test_it_returns_what_it_documents(tmp_path, check):
    (tmp_path / "a").write_text("")
    result = run_action(action, {"paths": [f"{tmp_path}/*"]}, check)
    assert result["changed"] is False
    assert set(result) - {"changed"} == set(yaml.safe_load(host_resources.RETURN))
    assert f"{tmp_path}/a" in result["paths"]
    assert result["kernel"] == os.uname().release
    assert 0 < result["memory_mb"] <= result["memory"]["total_mb"]


def test_options_that_do_not_exist():
    with pytest.raises(AnsibleActionFail, match="gather"):
        run_action(action, {"gather": True})


def test_the_documentation_and_the_code_name_the_same_options():
    documented = yaml.safe_load(host_resources.DOCUMENTATION)["options"]
    assert {name: (option["type"], option.get("default")) for name, option in documented.items()} == {
        name: (option["type"], option["default"]) for name, option in action.OPTIONS.items()
    }


def test_no_key_means_something_else_to_ansible():
    """A result's `failed`, `skipped`, … are about the task: a list of failed units there would fail it."""
    reserved = {
        "failed",
        "skipped",
        "unreachable",
        "msg",
        "warnings",
        "deprecations",
        "exception",
        "ansible_facts",
        "rc",
        "diff",
    }
    assert not reserved & set(yaml.safe_load(host_resources.RETURN))
