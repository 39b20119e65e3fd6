# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


def test_a_download_that_fails_names_its_address_and_no_secret(builder, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    made = builder(environment='{"no_proxy": "127.0.0.1"}')
    with pytest.raises(ReleaseError, match=r"http://127.0.0.1:1/x.tar.gz could not be fetched: .*refused.*reaches it") as caught:
        made.source._download("http://me:hunter2@127.0.0.1:1/x.tar.gz?token=hunter2", None)
    assert "hunter2" not in str(caught.value)


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


def test_a_copy_that_fails_leaves_no_image(builder, removed):
    made = builder(fails=[f"copy {IMAGE['image']}"], runtime="container", source=IMAGE, image="docker://x", archive=None)
    with pytest.raises(StepFailed):
        made.build()
    assert not os.path.exists(made.job.path) and removed == ["localhost/mainstay/shop:new"]
