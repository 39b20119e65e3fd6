# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity, runner
from ansible_collections.mainstay.vps.plugins.module_utils.release.recipes import Step
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


def test_secrets_reach_the_app_s_own_commands_and_no_argument(real):
    made, seen = real(
        output="\nmainstay: ended well\n",
        app_environment={"KEY": "hidden-value", "PATH": "/own", "OTHER": "other-value"},
        secrets=["KEY"],
    )
    made.job.private["PYTHONPATH"] = f"{made.job.root}/current/src"
    made.runner.app_step(Step("migrate", "migrate"))
    assert 'KEY="hidden-value"' in seen["environment"] and seen["modes"] == [0o600, 0o640]
    assert f'PYTHONPATH="{made.job.path}/src"' in seen["environment"] and 'PATH="/own"' not in seen["environment"]
    assert "hidden-value" not in " ".join(seen["argv"])
    assert 'HOME="/var/lib/shop"' in seen["environment"], "as its processes, which find there what it has written"
    assert "/var/cache/mainstay" not in seen["environment"], "what builds keep is closed to it"
    assert not os.listdir(runner.RUN), "the files are gone"


def test_a_build_sees_the_variables_it_declares_and_no_other(real):
    made, seen = real(output="\nmainstay: ended well\n", app_environment={"KEY": "hidden-value", "OTHER": "other-value"})
    step = Step("make", "make", env=made.job.declared({"command": "make", "env": {"TOKEN": "$KEY", "COST": "5$$"}}))
    made.runner.build_step(step)
    assert 'TOKEN="hidden-value"' in seen["environment"] and 'COST="5\\$"' in seen["environment"]
    assert "other-value" not in seen["environment"] and "hidden-value" not in " ".join(seen["argv"])
    made.runner.build_step(Step("install", "pip"))
    assert "hidden-value" not in seen["environment"]


@pytest.mark.parametrize(("unpacks", "word"), [(False, "yes"), (True, "no")])
def test_tar_may_open_files_as_it_does(real, unpacks, word):
    made, seen = real(output="\nmainstay: ended well\n")
    made.runner.build_step(Step("unpack", "tar", unpacks=unpacks))
    assert [item for item in seen["argv"] if "RestrictSUIDSGID" in item][-1] == f"--property=RestrictSUIDSGID={word}"


def test_a_failing_command_s_last_words_are_answered_with_what_helps(real):
    made, _seen = real(returncode=1, output="KeyError: 'SHOP_KEY'\n")
    with pytest.raises(StepFailed, match=r"exit status 1: it asks for the variable SHOP_KEY, and a build sees those it names alone"):
        made.runner.build_step(Step("make", "make"))
    with pytest.raises(StepFailed, match=r"exit status 1: it asks for the variable SHOP_KEY: give it in env"):
        made.runner.app_step(Step("migrate", "migrate"))


def test_a_failing_command_s_last_words_hold_no_secret(real):
    made, _seen = real(
        returncode=3,
        output="one\n" * 50 + "key hidden-value\nFinished with result: exit-code\n",
        app_environment={"KEY": "hidden-value"},
        secrets=["KEY"],
    )
    with pytest.raises(StepFailed, match="'make' failed with exit status 3") as failure:
        made.runner.build_step(Step("make", "make"))
    assert failure.value.output[-1] == "key ********" and len(failure.value.output) == runner.TAIL


@pytest.mark.parametrize(
    ("script", "status", "end"),
    [
        ("echo one; echo two >&2; exit 3", 3, b"one\ntwo\n"),
        ("yes | head -c 5000000; echo last", 0, b"y\nlast\n"),
        ("exec >&- 2>&-; sleep 0.3; exit 4", 4, b""),
        ("sleep 20 & echo said", 0, b"said\n"),
        ("yes & echo $! >pid; exit 5", 5, b""),
        ("kill -KILL $$", -9, b""),
    ],
)
def test_of_what_a_command_writes_the_end_is_kept_and_nobody_waits_for_more(tmp_path, monkeypatch, script, status, end):
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    found, said = runner.ended(["/bin/sh", "-c", script], subprocess.DEVNULL)
    assert found == status and said.endswith(end) and len(said) <= runner.END
    assert time.monotonic() - began < 10
    if (tmp_path / "pid").exists():
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_one_build_at_a_time(builder, monkeypatch):
    monkeypatch.setattr(runner, "LOCK_PATIENCE", 0)
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: None)
    builder()
    for name in ("shop@1", "shop-admin@1"):
        os.mkdir(f"{runner.RUN}/{name}")
    open(f"{runner.RUN}/shop@1.json", "w").close()
    with runner.locked("shop"):
        assert sorted(os.listdir(runner.RUN)) == ["shop-admin@1", "shop.lock"]
        with pytest.raises(ReleaseError, match="another run"), runner.locked("shop"):
            pass
        with runner.locked("other"):
            assert "other.lock" in os.listdir(runner.RUN)


@pytest.mark.parametrize(("counts", "after"), [(100, 900 + runner.LOCK_SPARE), (7200, 7200)])
def test_the_lock_of_the_deploy_outlasts_a_step(builder, tmp_path, monkeypatch, counts, after):
    monkeypatch.setattr(identity, "LOCKS", str(tmp_path))
    lock = tmp_path / "shop.deploy"
    lock.write_text("")
    os.utime(lock, (time.time() + counts,) * 2)
    builder().runner.outlast(900)
    assert lock.stat().st_mtime == pytest.approx(time.time() + after, abs=5)


def test_without_a_deploy_there_is_no_lock(builder, tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "LOCKS", str(tmp_path))
    builder().runner.outlast(900)
    assert not list(tmp_path.glob("*.deploy"))
