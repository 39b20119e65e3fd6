# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds of one release in a folder of the test; what runs there only leaves its name."""

from __future__ import annotations

import json
import os
import pwd
import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import runner, sealing
from ansible_collections.mainstay.vps.plugins.module_utils.release.builder import Builder
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """Builds in a folder of the test, with commands that only leave their names. What is sealed is written down; see test_sealing."""
    monkeypatch.setattr(runner, "RUN", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    (tmp_path / "shop").mkdir()
    sealed = []

    def folder(path, mode, uid=0, gid=0):
        os.makedirs(path, mode, exist_ok=True)

    class Seal:
        def __init__(self, owners, group, known, public, reader):
            self.said = (owners, public)

        def tree(self, path):
            sealed.append((os.path.relpath(path, tmp_path / "shop"), *self.said))

    monkeypatch.setattr(sealing, "folder", folder)
    monkeypatch.setattr(sealing, "Seal", Seal)

    def make(fails=(), **params):
        defaults = {
            "app": "shop",
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "build_user": "nobody",
            "public": [],
            "root": str(tmp_path / "shop"),
            "id": "new",
            "source": {"kind": "path", "path": "x"},
            "archive": os.devnull,
            "archive_bytes": 0,
            "packed": None,
            "authorization": None,
            "runtime": "command",
            "python": None,
            "node": None,
            "build": [],
            "migrate": None,
            "shared": [],
            "environment": {},
            "app_environment": {},
            "secrets": [],
            "memory_max_mb": 100,
            "timeout": 10,
            "minimum_free_mb": 1,
            "keep": 2,
            "image": None,
            "volumes": {},
        }
        made = Builder({**defaults, **params})
        made.ran, made.steps_run, made.sealed = [], [], sealed

        def run(step, environment, properties, user, stdin=None, directory=None):
            made.ran.append(step["name"])
            made.steps_run.append((step, {"environment": environment, "properties": properties, "user": user, "directory": directory}))
            if step["name"] in fails:
                raise StepFailed("failed", [])

        made.runner.run = run
        return made

    return make


def _shelve(builder, name, complete=True, environment=None):
    folder = os.path.join(builder.job.root, "releases", name)
    os.makedirs(folder)
    if complete:
        with open(f"{folder}/.complete", "w") as file:
            json.dump({"environment": environment}, file)
        when = 1_000_000_000 + len(os.listdir(f"{builder.job.root}/releases"))
        os.utime(f"{folder}/.complete", (when, when))


@pytest.fixture
def real(builder, monkeypatch):
    """The real run method, with systemd-run replaced by a look at what it would get."""

    def make(returncode=0, output="", **params):
        made = builder(**params)
        seen = {}

        def ended(argv, dummy):
            file = next(word for word in argv if word.startswith("--property=EnvironmentFile=")).rpartition("=")[2]
            seen.update(argv=argv, modes=[os.stat(path).st_mode & 0o777 for path in (file, argv[-1])])
            with open(file) as handle:
                seen["environment"] = handle.read()
            return returncode, output.encode()

        monkeypatch.setattr(runner, "ended", ended)
        del made.runner.run
        return made, seen

    return make


@pytest.fixture
def removed(monkeypatch):
    """The images that podman was told to remove."""
    names, run = [], subprocess.run

    def record(command, **options):
        if command[0] == "/usr/bin/podman":
            names.append(command[-1])
            return None
        return run(command, check=options.pop("check", False), **options)

    monkeypatch.setattr(subprocess, "run", record)
    return names


@pytest.fixture
def shelve():
    """Puts a release that was built before onto the shelf."""
    return _shelve
