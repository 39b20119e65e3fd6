# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real shell on real files: the locks and the log of deploys lie in a temporary folder."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action import deploy_lock

STRANGER = {"by": "eve@elsewhere", "host": "elsewhere", "pid": 7, "started": "1", "since": 1.0, "release": "xyz"}
# A run of this machine that has ended: no process has this number.
DEAD = {**STRANGER, "host": socket.gethostname(), "pid": 2**22 + 1}
RUNNING = {**DEAD, "pid": 1, "started": deploy_lock.started(1)}


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(deploy_lock, "LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(deploy_lock, "AUDIT", str(tmp_path / "state/deploys.jsonl"))
    (tmp_path / "locks").mkdir()
    return tmp_path / "locks"


@pytest.fixture
def run(locks):
    def run(check=False, **args):
        task = Task()
        task.args, task.check_mode, task.async_val = args, check, 0
        action = deploy_lock.ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None)

        def shell(command):
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
            return {"rc": done.returncode, "stdout": done.stdout, "stdout_lines": done.stdout.splitlines(), "stderr": done.stderr}

        action._low_level_execute_command = shell
        return action.run(task_vars={})

    return run


def _names(locks):
    return sorted(path.name for path in locks.iterdir())


def test_a_lock_says_who_took_it_and_a_run_may_take_its_own_again(run, locks):
    for _turn in range(2):
        assert run(apps={"shop": "abc", "job": "def"})["changed"]
    held = json.loads((locks / "shop.deploy").read_text())
    assert (held["release"], held["pid"], held["host"]) == ("abc", os.getppid(), socket.gethostname())
    assert _names(locks) == ["job.deploy", "shop.deploy"]
    assert (locks / "job.deploy").stat().st_mtime == pytest.approx(time.time() + 1800, abs=5)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (json.dumps(STRANGER), "eve@elsewhere (process 7) has been deploying release xyz since 00:00:01 UTC. Wait"),
        (json.dumps(RUNNING), "(process 1) has been deploying"),
        ("half a lo", "'half a lo'"),
        ("", "somebody"),
    ],
)
def test_a_lock_of_somebody_else_is_refused_and_all_are_given_up(run, locks, held, words):
    (locks / "shop.deploy").write_text(held + "\n")
    os.utime(locks / "shop.deploy", (time.time() + 100,) * 2)
    with pytest.raises(AnsibleActionFail) as refused:
        run(apps={"job": "def", "shop": "abc"})
    assert words in str(refused.value) and re.search("in (100|99) s it no longer", str(refused.value)) and "remove" in str(refused.value)
    assert _names(locks) == ["shop.deploy"] and (locks / "shop.deploy").read_text() == held + "\n"


@pytest.mark.parametrize(("held", "age"), [(DEAD, -100), (STRANGER, 1), ({**RUNNING, "started": "0"}, -100)])
def test_a_lock_whose_run_is_over_is_taken_over(run, locks, held, age):
    (locks / "shop.deploy").write_text(json.dumps(held) + "\n")
    os.utime(locks / "shop.deploy", (time.time() - age,) * 2)
    run(apps={"shop": "abc"})
    assert json.loads((locks / "shop.deploy").read_text())["release"] == "abc"


def test_giving_back_writes_down_what_happened(run, locks, tmp_path):
    run(apps={"shop": "abc"})
    run(apps={"shop": {"from": "old", "to": "abc", "result": "succeeded"}}, state="absent")
    (line,) = (tmp_path / "state/deploys.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["app"], entry["from"], entry["to"], entry["result"]) == ("shop", "old", "abc", "succeeded")
    assert entry["seconds"] >= 0 and entry["by"].endswith(f"@{socket.gethostname()}")
    assert _names(locks) == [] and not (tmp_path / "state/deploys.jsonl").stat().st_mode & 0o007


def test_what_is_no_deploy_is_told_as_what_it_is_and_leaves_no_line(run, locks, tmp_path):
    """`mainstay rollback` goes by the last line of an app."""
    run(apps={"shop": ""}, doing="putting its data back")
    text = (locks / "shop.deploy").read_text()
    assert " has been putting its data back since " in deploy_lock.refusal("shop", 5, text)
    assert run(apps={"shop": {}}, state="absent")["deploys"] == []
    assert _names(locks) == [] and not (tmp_path / "state/deploys.jsonl").exists()


def test_somebody_else_s_lock_is_not_given_back(run, locks, tmp_path):
    (locks / "shop.deploy").write_text(json.dumps(STRANGER) + "\n")
    os.utime(locks / "shop.deploy", (time.time() + 100,) * 2)
    run(apps={"shop": {"result": "failed"}, "job": {"result": "failed"}}, state="absent")
    assert _names(locks) == ["shop.deploy"] and not (tmp_path / "state").exists()


def test_check_mode_takes_nothing(run, locks):
    assert run(check=True, apps={"shop": "abc"})["changed"]
    assert not run(apps={})["changed"]
    assert _names(locks) == []


def test_a_run_waits_until_nobody_else_deploys(run, locks, monkeypatch):
    lock = locks / "shop.deploy"
    lock.write_text(json.dumps(RUNNING) + "\n")
    os.utime(lock, (time.time() + 100,) * 2)
    with pytest.raises(AnsibleActionFail, match=r"has been deploying release xyz .* This run has waited for 0 s"):
        run(apps={"shop": ""}, state="free")
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            lock.unlink()

    monkeypatch.setattr(deploy_lock.time, "sleep", sleep)
    assert run(apps={"shop": "", "job": ""}, state="free", wait=60)["changed"] is False
    assert waits == [deploy_lock.PAUSE] * 3 and _names(locks) == []


@pytest.mark.parametrize("held", [json.dumps(DEAD), json.dumps({**STRANGER, "release": "old"})])
def test_a_lock_that_does_not_count_is_not_waited_for(run, locks, held):
    (locks / "shop.deploy").write_text(held + "\n")
    left = 100 if "old" not in held else -1
    os.utime(locks / "shop.deploy", (time.time() + left,) * 2)
    assert run(apps={"shop": ""}, state="free")["changed"] is False


def test_what_was_deployed_is_told(run, locks):
    run(apps={"shop": "abc"})
    steps = {"build": 6.1, "migrate": 0, "start": 4.0, "watch": 3.1}
    told = run(apps={"shop": {"from": "", "to": "abc", "result": "succeeded", "steps": steps}}, state="absent")["deploys"]
    assert re.fullmatch(r"shop: nothing -> abc succeeded in [0-9.]+ s \(build 6.1, start 4, watch 3.1\)", told[0])
