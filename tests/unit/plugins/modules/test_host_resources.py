# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_resources as a module, on this machine."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.modules import host_resources
from run_module import run_module


@pytest.mark.parametrize("check", [False, True])
def test_it_returns_what_it_documents(tmp_path, check):
    (tmp_path / "a").write_text("")
    result = run_module(host_resources, {"paths": [f"{tmp_path}/*"]}, tmp_path, check)
    assert (result["failed"], result["changed"]) == (False, False)
    assert set(result) - {"failed", "changed", "invocation", "_text"} == set(yaml.safe_load(host_resources.RETURN))
    assert f"{tmp_path}/a" in result["paths"]
    assert result["kernel"] == os.uname().release
    assert 0 < result["memory_mb"] <= result["memory"]["total_mb"]


def test_options_that_do_not_exist(tmp_path):
    assert run_module(host_resources, {"gather": True}, tmp_path)["failed"]


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
