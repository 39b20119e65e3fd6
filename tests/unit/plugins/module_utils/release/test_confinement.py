# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import confinement
from ansible_collections.mainstay.vps.plugins.module_utils.stack import sandbox


def test_a_build_is_confined_and_its_environment_is_no_argument():
    places = ["/srv/shop/releases/1", "/srv/shop/environments/2"]
    properties = confinement.build("shop", "shop-build", "shop", places)
    argv = confinement.command_line("unit", places[0], "/run/x.env", "/run/x.sh", 512, 60, properties)
    assert argv[argv.index("--") + 1 :] == ["/bin/sh", "/run/x.sh"], (
        "systemd may be reloaded, and mistakes most of what a shell understands"
    )
    for wanted in (
        "User=shop-build",
        "Group=shop",
        "SupplementaryGroups=",
        "MemoryMax=512M",
        "RuntimeMaxSec=60",
        "ProtectSystem=strict",
        "ReadOnlyPaths=/run",
        "ProtectProc=invisible",
        "PrivateTmp=yes",
        "TemporaryFileSystem=/dev/shm:mode=1777,nosuid",
        "NoNewPrivileges=yes",
        "WorkingDirectory=/srv/shop/releases/1",
        "TemporaryFileSystem=/srv:ro",
        "BindPaths=/srv/shop/releases/1 /srv/shop/environments/2",
        "CacheDirectory=mainstay/shop",
        "EnvironmentFile=/run/x.env",
    ):
        assert f"--property={wanted}" in argv, wanted
    hidden = next(word for word in argv if "InaccessiblePaths=" in word).split("=")[-1].split()
    assert {"-/etc/mainstay", "-/var/lib/shop", "-/run/shop"} <= set(hidden), "the group is the app's, who may read them"
    assert not any("Environment=" in word or "setenv" in word for word in argv)


def test_a_migration_writes_what_the_app_writes_and_no_release():
    properties = confinement.migration("shop", "shop", "/srv/shop")
    assert {"User=shop", "ReadWritePaths=/srv/shop/shared -/run/shop", "StateDirectory=shop", "ProtectSystem=strict"} <= set(properties)
    assert sandbox.SHARED_MEMORY in properties, "what it leaves there would fill PostgreSQL's"


ENDED = f"\n{confinement.ENDED_WELL}\n"


@pytest.mark.parametrize(
    ("output", "returncode", "words", "result"),
    [
        (f"Running as unit: x.service\nhello{ENDED}Finished with result: success\n", 0, ["hello"], "success"),
        (
            "Running as unit: x.service; invocation ID: 12\nFinished with result: signal\nMemory peak: 1M (swap: 0B)\n",
            255,
            [],
            "signal",
        ),
        ("Failed to start\n", 1, ["Failed to start"], "exit-code"),
        (
            'npm error Missing: a\nnpm error Usage:\nnpm error npm ci\nnpm error Run "npm help ci" for more info\nnpm error A log\n',
            1,
            ["npm error Missing: a", "npm error A log"],
            "exit-code",
        ),
        (
            "hello\nFinished with result: success\nMain processes terminated with: code=killed/status=TERM\n",
            0,
            ["hello"],
            "stopped",
        ),
        (f"hello{ENDED}Finished with result: exit-code\n", 3, ["hello"], "exit-code"),
    ],
)
def test_a_command_ended_well_only_when_it_says_so(output, returncode, words, result):
    assert confinement.outcome(output, returncode) == (words, result)


def test_a_command_says_that_it_ended_well():
    def run(status):
        script = confinement.script(["sh", "-c", 'printf "$1"; exit $2', "sh", "it's $HOME", status])
        return subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False).stdout

    assert run("3") == "it's $HOME"
    assert confinement.outcome(run("0"), 0) == (["it's $HOME"], "success")


@pytest.mark.parametrize(
    ("returncode", "result", "words"),
    [
        (3, "exit-code", "failed with exit status 3"),
        (137, "exit-code", "backend_build_memory_mb"),
        (255, "oom-kill", "backend_build_memory_mb"),
        (255, "signal", "512 MB and probably needed more. backend_build_memory_mb: 1024 gives"),
        (255, "timeout", "within 60 s"),
        (0, "stopped", "shutdown"),
    ],
)
def test_a_failure_says_what_to_do(returncode, result, words):
    assert words in confinement.failure("'make'", returncode, result, 512, 60)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        # Recorded: uv 0.13.9 on Debian 12
        (["  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.14 and x==1 depends on Python>=3.14,"], True),
        (["error: No download found for request: cpython-3.9-linux-x86_64-gnu"], False),
    ],
)
def test_a_package_that_wants_another_python_is_told_how_it_gets_one(last, told):
    assert ('such as python: "3.14"' in confinement.failure("'install requirements.txt'", 1, "exit-code", 1024, 60, last)) is told


@pytest.mark.parametrize(
    ("last", "told"),
    [
        # Recorded: Vite in a build of pretalx on a host with cgroup v1, and Node at the end of its heap.
        (["vite v4.5.14 building for production...", "transforming...", "Killed"], True),
        (["subprocess.CalledProcessError: Command '['npm', 'run', 'build']' returned non-zero exit status 137."], True),
        (["FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"], True),
        (["Killed is a word of the page", "no such file: 137.txt"], False),
        ([], False),
    ],
)
def test_a_build_that_a_child_took_down_is_told_that_memory_ran_out(last, told):
    assert ("backend_build_memory_mb" in confinement.failure("'npm run build'", 1, "exit-code", 1024, 60, last)) is told
