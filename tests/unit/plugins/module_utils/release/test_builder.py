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

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


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


def test_half_a_release_is_built_anew(builder, shelve):
    made = builder()
    shelve(made, "new", complete=False)
    open(f"{made.job.path}/rest", "w").close()
    made.build()
    assert made.shelf.has(".complete") and not os.path.exists(f"{made.job.path}/rest")


def test_a_release_in_use_is_never_removed(builder, shelve):
    made = builder()
    shelve(made, "new", complete=False)
    os.symlink("releases/new", f"{made.job.root}/current")
    with pytest.raises(ReleaseError, match="in use"):
        made.build()
    assert os.path.isdir(made.job.path)


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


def test_a_migration_runs_in_the_new_image(builder, shelve):
    made = builder(
        runtime="container",
        migrate="shop migrate 'a b;' $X",
        volumes={"uploads": "/app/uploads"},
        app_environment={"DATABASE_URL": "secret", "PGOPTIONS": "mine"},
    )
    shelve(made, "new")
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


def test_an_app_in_a_folder_of_its_source_is_built_and_migrated_there(builder, tmp_path):
    made = builder(source={"kind": "path", "path": "x", "directory": "backend/api"}, migrate="migrate", build=["make"])
    made.source.opened_places = lambda: contextlib.nullcontext([])  # what is unpacked is not there in this test
    made.source.names = lambda: ([], set())
    made.build()
    made.migrate()
    place = str(tmp_path / "shop/releases/new")
    where = {step["name"]: options["directory"] for step, options in made.steps_run}
    assert where == {"unpack": place, "make": f"{place}/backend/api", "finish": place, "migrate": f"{place}/backend/api"}
