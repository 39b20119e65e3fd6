# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import http.server
import json
import os
import threading

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release.runner import StepFailed
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


def test_a_download_that_fails_names_its_address_and_no_secret(builder, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    made = builder(environment={"no_proxy": "127.0.0.1"})
    with pytest.raises(ReleaseError, match=r"http://127.0.0.1:1/x.tar.gz could not be fetched: .*refused.*reaches it") as caught:
        made.source._download("http://127.0.0.1:1/x.tar.gz?token=hunter2", None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("host", "login"), [("", "Basic eDp5"), ("127.0.0.2", None)])
def test_a_login_follows_no_redirection_to_another_host(builder, monkeypatch, tmp_path, host, login):
    monkeypatch.setattr(os, "environ", {**os.environ, "no_proxy": "*"})
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers["Authorization"]))
            self.send_response(302 if self.path == "/old" else 200)
            self.send_header("Location", f"http://{host}:{self.server.server_port}/new" if host else "/new")
            self.end_headers()
            self.wfile.write(b"content")

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("", 0), Handler) as server, open(tmp_path / "file", "w+b") as file:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        builder(authorization="Basic eDp5").source._download(f"http://127.0.0.1:{server.server_port}/old", file)
        server.shutdown()
        file.seek(0)
        assert file.read() == b"content"
    assert seen == [("/old", "Basic eDp5"), ("/new", login)]


@pytest.mark.parametrize("comes_along", [True, False])
def test_what_the_control_node_has_packed_is_unpacked(builder, tmp_path, comes_along):
    (tmp_path / "sent").write_bytes(b"packed")
    made = builder(packed=base64.b64encode(b"packed").decode(), archive=None) if comes_along else builder(archive=str(tmp_path / "sent"))
    seen = []
    made.runner.run = lambda step, env, properties, user, stdin=None, directory=None: seen.append(stdin and stdin.read())
    made.source.fetch()
    assert seen == [b"packed"]


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
