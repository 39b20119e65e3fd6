# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker shows that it stays up."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.tests.unit.backends import model_of
from ansible_collections.mainstay.vps.tests.unit.declarations import broken

SYSTEMCTL = """#!/bin/sh
case $2 in
    --property=ActiveState) echo {state} ;;
    --property=MainPID) echo {pid} ;;
    --property=ControlGroup) cut -d: -f3 /proc/{pid}/cgroup | head -n 1 ;;
    *) echo {entered} ;;
esac
"""
# As ss says it of a worker of the example on Debian 12.
SS = """#!/bin/sh
echo '0      0        127.0.0.1:51822   127.0.0.1:6380  users:(("celery",pid={pid},fd=29))     '
"""


@pytest.mark.parametrize(
    ("state", "age", "program", "stays"),
    [
        ("active", 1, "exec sleep 60", False),
        ("active", 4, "exec sleep 60", False),
        ("active", 6, "exec sleep 60", True),
        ("active", None, "while :; do :; done", False),  # as old as it is: the kernel counts what it has run
        ("active", 11, "while :; do :; done", True),
        ("activating", 11, "exec sleep 60", False),
        ("failed", 6, "exec true", False),
    ],
)
def test_a_process_stays_up_for_five_seconds_and_sleeps_for_one_of_them(tmp_path, state, age, program, stays):
    done = _stays_up(tmp_path, state, age, program)
    assert (done.returncode == 0, done.stdout) == (stays, f"it is {state}\n"), done.stderr


@pytest.mark.parametrize(
    ("age", "connected", "stays"), [(4, True, False), (6, True, True), (6, False, False), (60, False, False), (60, True, True)]
)
def test_what_needs_a_broker_has_to_be_connected(tmp_path, age, connected, stays):
    done = _stays_up(tmp_path, "active", age, "exec sleep 60", "broker", connected=connected)
    assert (done.returncode == 0, "its broker does not answer" in done.stdout) == (stays, not connected), done.stderr


def test_only_a_celery_worker_with_a_queue_here_needs_a_broker():
    processes = model_of()["apps"]["shop"]["processes"]
    commands = {process["name"]: probe["command"] for process in processes for probe in process["probes"] if probe["kind"] == "command"}
    assert {name: command[4:] for name, command in commands.items()} == {"beat": [], "mailer": [], "worker": ["broker"]}
    elsewhere = broken(("shop", "redis"), ["cache"])
    worker = next(item for item in model_of(apps=elsewhere)["apps"]["shop"]["processes"] if item["name"] == "worker")
    assert worker["probes"][0]["command"][4:] == []


def _stays_up(tmp_path, state, age, program, *arguments, connected=False):
    began = time.monotonic()
    with subprocess.Popen(["sh", "-c", program]) as process:
        try:
            time.sleep(1.2 if age else 5.1)
            entered = time.monotonic() - age if age else began
            (tmp_path / "systemctl").write_text(SYSTEMCTL.format(state=state, pid=process.pid, entered=int(entered * 1000000)))
            (tmp_path / "systemctl").chmod(0o755)
            (tmp_path / "ss").write_text(SS.format(pid=process.pid if connected else 2**22))
            (tmp_path / "ss").chmod(0o755)
            environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
            command = ["sh", "-c", model.STAYS_UP, "shop-worker@1.service", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        finally:
            process.kill()
