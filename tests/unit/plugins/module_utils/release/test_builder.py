# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import shlex
import subprocess
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity, runner, sealing
from ansible_collections.mainstay.vps.plugins.module_utils.release.builder import Builder
from ansible_collections.mainstay.vps.plugins.module_utils.release.recipes import Step
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


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
            "authorization": None,
            "runtime": "command",
            "python": None,
            "node": None,
            "build": [],
            "migrate": None,
            "shared": [],
            "environment": "{}",
            "app_environment": "{}",
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


def _release(builder, name, complete=True, environment=None):
    folder = os.path.join(builder.job.root, "releases", name)
    os.makedirs(folder)
    if complete:
        with open(f"{folder}/.complete", "w") as file:
            json.dump({"environment": environment}, file)
        when = 1_000_000_000 + len(os.listdir(f"{builder.job.root}/releases"))
        os.utime(f"{folder}/.complete", (when, when))


def test_a_release_is_complete_at_the_very_end(builder):
    made = builder(build=["make"], shared=["logs"], public=["dist"])
    made.build()
    assert made.ran == ["unpack", "empty the shared folders", "make", "link the shared folders", "finish"]
    assert {options["user"] for _step, options in made.steps_run} == {"nobody"}
    assert made.sealed == [("releases/new", {pwd.getpwnam("nobody").pw_uid}, ["dist"])]
    assert made.shelf.has(".complete")
    with open(f"{made.job.path}/.complete") as file:
        assert json.load(file) == {"id": "new", "source": {"kind": "path", "path": "x"}, "environment": None}
    system = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    assert os.readlink(f"{made.job.path}/.built-on") == (system["ID"] + system["VERSION_ID"]).replace('"', "")


@pytest.mark.parametrize("step", ["unpack", "make", "finish"])
def test_a_release_that_fails_leaves_nothing(builder, step):
    made = builder(fails=[step], build=["make"])
    with pytest.raises(StepFailed):
        made.build()
    assert not os.path.exists(made.job.path)


def test_a_release_that_is_still_its_builder_s_is_not_complete(builder, monkeypatch):
    made = builder()
    _release(made, "new")
    assert made.shelf.has(".complete") and made.shelf.releases()["new"]
    monkeypatch.setattr(made.job, "build_user", pwd.getpwuid(os.getuid()).pw_name)
    assert not made.shelf.has(".complete") and made.shelf.releases() == {"new": None}


def test_half_a_release_is_built_anew(builder):
    made = builder()
    _release(made, "new", complete=False)
    open(f"{made.job.path}/rest", "w").close()
    made.build()
    assert made.shelf.has(".complete") and not os.path.exists(f"{made.job.path}/rest")


def test_a_release_in_use_is_never_removed(builder):
    made = builder()
    _release(made, "new", complete=False)
    os.symlink("releases/new", f"{made.job.root}/current")
    with pytest.raises(ReleaseError, match="in use"):
        made.build()
    assert os.path.isdir(made.job.path)


def test_retention(builder):
    made = builder(keep=2)
    for name in ("a", "b", "c", "d", "e"):
        _release(made, name, environment=f"env-{name}")
        os.makedirs(f"{made.job.root}/environments/env-{name}")
    os.makedirs(f"{made.job.root}/cache/environments")
    _release(made, "half", complete=False)
    _release(made, "new")
    os.symlink("releases/a", f"{made.job.root}/current")
    os.symlink("releases/c", f"{made.job.root}/previous")
    assert sorted(made.shelf.prune()) == ["b", "d", "half"]
    assert sorted(os.listdir(f"{made.job.root}/releases")) == ["a", "c", "e", "new"]
    assert sorted(os.listdir(f"{made.job.root}/environments")) == ["env-a", "env-c", "env-e"]
    assert not os.path.exists(f"{made.job.root}/cache"), "an earlier version kept its caches there"


def test_space_is_checked_before(builder):
    builder().shelf.check_space()
    with pytest.raises(ReleaseError, match="MB free and a release needs 99999999 MB.*backend_keep_releases"):
        builder(minimum_free_mb=99999999).shelf.check_space()
    with pytest.raises(ReleaseError, match="a release needs"):
        builder(archive_bytes=1 << 60).shelf.check_space()


@pytest.mark.parametrize(
    ("own", "options"),
    [
        ({}, "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"),
        ({"PGOPTIONS": "-c search_path=x"}, "-c search_path=x"),
    ],
)
def test_a_migration_may_take_longer_than_a_request(builder, own, options):
    made = builder()
    made.build()
    made.job.params["migrate"], made.job.private = "migrate", own
    made.migrate()
    assert made.steps_run[-1][1]["environment"]["PGOPTIONS"] == options


def test_a_marker_is_written_over_what_a_crash_left(builder):
    made = builder()
    made.build()
    open(f"{made.job.path}/.migrated.new", "w").close()
    made.job.params["migrate"] = "migrate"
    made.migrate()
    assert made.shelf.has(".migrated") and not os.path.exists(f"{made.job.path}/.migrated.new")


@pytest.fixture
def real(builder, monkeypatch):
    """The real run method, with systemd-run replaced by a look at what it would get."""

    def make(returncode=0, output="", **params):
        made = builder(**params)
        seen = {}

        def run(argv, **dummy):
            file = next(word for word in argv if word.startswith("--property=EnvironmentFile=")).rpartition("=")[2]
            seen.update(argv=argv, modes=[os.stat(path).st_mode & 0o777 for path in (file, argv[-1])])
            with open(file) as handle:
                seen["environment"] = handle.read()
            return subprocess.CompletedProcess(argv, returncode, output.encode())

        monkeypatch.setattr(subprocess, "run", run)
        del made.runner.run
        return made, seen

    return make


def test_secrets_reach_the_app_s_own_commands_and_no_argument(real):
    made, seen = real(
        output="\nmainstay: ended well\n",
        app_environment='{"KEY": "hidden-value", "PATH": "/own", "OTHER": "other-value"}',
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
    made, seen = real(output="\nmainstay: ended well\n", app_environment='{"KEY": "hidden-value", "OTHER": "other-value"}')
    step = Step("make", "make", env=made.job.declared({"command": "make", "env": {"TOKEN": "$KEY", "COST": "5$$"}}))
    made.runner.build_step(step)
    assert 'TOKEN="hidden-value"' in seen["environment"] and 'COST="5\\$"' in seen["environment"]
    assert "other-value" not in seen["environment"] and "hidden-value" not in " ".join(seen["argv"])
    made.runner.build_step(Step("install", "pip"))
    assert "hidden-value" not in seen["environment"]


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
        app_environment='{"KEY": "hidden-value"}',
        secrets=["KEY"],
    )
    with pytest.raises(StepFailed, match="'make' failed with exit status 3") as failure:
        made.runner.build_step(Step("make", "make"))
    assert failure.value.output[-1] == "key ********" and len(failure.value.output) == runner.TAIL


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


def test_a_download_that_fails_names_its_address_and_no_secret(builder, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    made = builder(environment='{"no_proxy": "127.0.0.1"}')
    with pytest.raises(ReleaseError, match=r"http://127.0.0.1:1/x.tar.gz could not be fetched: .*refused.*reaches it") as caught:
        made.source._download("http://me:hunter2@127.0.0.1:1/x.tar.gz?token=hunter2", None)
    assert "hunter2" not in str(caught.value)


# --- containers ---


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


IMAGE = {"kind": "image", "image": "registry.example.com/team/shop:1"}


@pytest.mark.parametrize(
    ("params", "place"),
    [
        (
            {"image": "docker://registry.example.com/team/shop@sha256:1", "archive": None},
            "docker://registry.example.com/team/shop@sha256:1",
        ),
        ({"image": "docker-archive", "archive": "/tmp/source.tar"}, "docker-archive:/tmp/source.tar"),
    ],
)
def test_an_image_gets_the_name_of_its_release(builder, removed, params, place):
    made = builder(runtime="container", source=IMAGE, **params)
    made.build()
    assert made.ran == [f"copy {IMAGE['image']}"]
    step, options = made.steps_run[0]
    assert step["arguments"] == [place, "containers-storage:localhost/mainstay/shop:new"] and options["user"] is None
    with open(f"{made.job.path}/container.env") as file:
        assert file.read() == f"MAINSTAY_IMAGE=localhost/mainstay/shop:new\nMAINSTAY_USER={os.getuid()}:{os.getgid()}\n"
    assert made.shelf.has(".complete") and not removed


def test_a_login_goes_to_the_host_for_one_copy(builder, tmp_path):
    made = builder(runtime="container", source=IMAGE, image="docker://x", archive=None, authorization="Basic c2VjcmV0")
    seen = []

    def run(step, *dummy):
        with open(step["arguments"][0].removeprefix("--authfile=")) as file:
            seen.append((json.load(file), os.fstat(file.fileno()).st_mode & 0o777))

    made.runner.run = run
    made.build()
    assert seen == [({"auths": {"registry.example.com": {"auth": "c2VjcmV0"}}}, 0o600)]
    assert not os.listdir(tmp_path / "run")


def test_an_image_goes_with_its_release(builder, removed):
    made = builder(keep=1)
    os.mkdir(f"{made.job.root}/environments")
    for name in ("a", "b", "c"):
        _release(made, name)
        open(f"{made.job.root}/releases/{name}/container.env", "w").close()
    _release(made, "new")
    os.symlink("releases/c", f"{made.job.root}/current")
    assert sorted(made.shelf.prune()) == ["a", "b"]
    assert sorted(removed) == ["localhost/mainstay/shop:a", "localhost/mainstay/shop:b"]


def test_a_copy_that_fails_leaves_no_image(builder, removed):
    made = builder(fails=[f"copy {IMAGE['image']}"], runtime="container", source=IMAGE, image="docker://x", archive=None)
    with pytest.raises(StepFailed):
        made.build()
    assert not os.path.exists(made.job.path) and removed == ["localhost/mainstay/shop:new"]


def test_a_migration_runs_in_the_new_image(builder):
    made = builder(
        runtime="container",
        migrate="shop migrate 'a b;' $X",
        volumes={"uploads": "/app/uploads"},
        app_environment=json.dumps({"DATABASE_URL": "secret", "PGOPTIONS": "mine"}),
    )
    _release(made, "new")
    made.migrate()
    step, options = made.steps_run[0]
    words = shlex.split(step["script"])
    # No shell of the host's, where root would run the second half.
    assert words[-5:] == ["localhost/mainstay/shop:new", "shop", "migrate", "a b;", "$X"] and "'$X'" in step["script"]
    assert {
        "--env=DATABASE_URL",
        "--env=PGOPTIONS",
        f"--volume={made.job.root}/volumes/uploads:/app/uploads:rw,nosuid,nodev,noexec",
    } <= set(words)
    assert options["user"] is None and options["environment"]["PGOPTIONS"] == "mine" and "secret" not in step["script"]
    assert made.shelf.has(".migrated")


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


def test_an_app_in_a_folder_of_its_source_is_built_and_migrated_there(builder, tmp_path):
    made = builder(source={"kind": "path", "path": "x", "directory": "backend/api"}, migrate="migrate", build=["make"])
    made.source.opened_places = lambda: contextlib.nullcontext([])  # what is unpacked is not there in this test
    made.source.names = lambda: ([], set())
    made.build()
    made.migrate()
    place = str(tmp_path / "shop/releases/new")
    where = {step["name"]: options["directory"] for step, options in made.steps_run}
    assert where == {"unpack": place, "make": f"{place}/backend/api", "finish": place, "migrate": f"{place}/backend/api"}


@pytest.mark.parametrize("kind", ["missing", "link", "file"])
def test_a_folder_that_the_source_has_not_is_refused(builder, tmp_path, kind):
    made = builder(source={"kind": "path", "path": "x", "directory": "backend"})
    os.makedirs(made.job.path)
    if kind == "link":
        os.symlink("/etc", f"{made.job.path}/backend")
    elif kind == "file":
        open(f"{made.job.path}/backend", "w").close()
    with pytest.raises(ReleaseError, match="source.directory: 'backend' is no folder of the source"):
        made.source.names()
