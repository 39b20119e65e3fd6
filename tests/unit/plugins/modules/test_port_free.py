# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""port_free as a module, against processes of this machine."""

from __future__ import annotations

import getpass
import os
import socket

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import ports
from ansible_collections.mainstay.vps.plugins.modules import port_free
from run_module import run_module

KEYS = {"changed", "free", "ports", "holders", "stopped", "waited_ms", "diff"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="stopping needs root")


@pytest.fixture
def run(tmp_path):
    return lambda check=False, **options: run_module(port_free, options, tmp_path, check)


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_free_port(run, free_port):
    result = run(port=free_port)
    assert set(result) >= KEYS
    assert (result["failed"], result["changed"], result["free"], result["holders"]) == (False, False, True, [])
    assert result["ports"] == {str(free_port): "free"}


def test_somebody_elses_port_fails_and_names_him(run, stray, free_port):
    process, port = stray("--password=hunter2")
    result = run(ports=[port, free_port])
    assert set(result) >= KEYS
    assert (result["failed"], result["free"], result["changed"]) == (True, False, False)
    assert result["ports"] == {str(port): "foreign", str(free_port): "free"}
    assert f"Port {port}/tcp is held by " in result["msg"]
    assert f"(pid {process.pid}, user {getpass.getuser()}" in result["msg"]
    assert "hunter2" not in result["_text"]
    assert process.poll() is None


def test_report_does_not_fail(run, stray):
    process, port = stray("--password=hunter2")
    result = run(port=port, state="report", stop_with="signal")
    assert (result["failed"], result["free"], result["stopped"]) == (False, False, [])
    assert result["holders"][0]["pid"] == process.pid
    assert process.poll() is None


def test_an_allowed_user(run, stray):
    _process, port = stray("--password=hunter2")
    result = run(port=port, allowed_users=[getpass.getuser()], stop_with="signal")
    assert (result["changed"], result["free"], result["ports"]) == (False, True, {str(port): "allowed"})


@needs_root
def test_a_signal_predicted_and_sent(run, stray):
    process, port = stray("--password=hunter2")
    predicted = run(check=True, port=port, stop_with="signal")
    assert (predicted["changed"], predicted["free"], predicted["ports"]) == (True, True, {str(port): "stopped"})
    assert process.poll() is None
    result = run(port=port, stop_with="signal")
    assert (result["changed"], result["ports"]) == (True, predicted["ports"])
    assert result["diff"] == predicted["diff"]
    assert f"pid {process.pid}" in result["diff"]["before"]
    assert result["diff"]["after"] == ""
    assert process.wait(5) == -15
    assert run(port=port, stop_with="signal")["changed"] is False


@needs_root
def test_force_only_when_told(run, stray):
    process, port = stray("stubborn")
    result = run(port=port, stop_with="signal", grace=0.3)
    assert result["failed"]
    assert "Still held 0.3 s after asking to stop" in result["msg"]
    assert process.poll() is None
    result = run(port=port, stop_with="signal", grace=0.3, kill=True)
    assert (result["changed"], result["waited_ms"] >= 300) == (True, True)
    assert process.wait(5) == -9


def test_the_modules_own_ancestors_are_never_stopped(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = run(port=server.getsockname()[1], stop_with="signal", protect=[])
    assert result["failed"]
    assert "It is protected" in result["msg"] or "become: true" in result["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the following is required: port, ports"),
        ({"port": 1, "ports": [2]}, "mutually exclusive"),
        ({"port": 0}, "0 is no port"),
        ({"ports": [80, 70000]}, "70000 is no port"),
        ({"ports": []}, "ports is empty"),
    ],
)
def test_options_that_make_no_sense(run, options, message):
    result = run(**options)
    assert result["failed"]
    assert message in result["msg"]


def test_the_documented_protection_is_the_real_one():
    import yaml

    assert yaml.safe_load(port_free.DOCUMENTATION)["options"]["protect"]["default"] == ports.PROTECT
