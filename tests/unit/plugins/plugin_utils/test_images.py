# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a file holds, and which one a tag means, asked of a registry that this test plays."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError
from ansible_collections.mainstay.vps.plugins.plugin_utils import images, sources

IMAGE, OTHER = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


# --- files ---


@pytest.fixture
def archive(tmp_path):
    def write(**files):
        path = tmp_path / "box.tar"
        with tarfile.open(path, "w") as tar:
            for name, content in files.items():
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                entry = tarfile.TarInfo(name.replace("_", "."))
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"manifest_json": [{"Config": f"{IMAGE}.json"}]}, ("docker-archive", IMAGE)),
        ({"manifest_json": [{"Config": f"blobs/sha256/{IMAGE}"}]}, ("docker-archive", IMAGE)),
        ({"index_json": {"manifests": [{"digest": f"sha256:{IMAGE}"}]}}, ("oci-archive", IMAGE)),
        (
            # Docker writes both since version 25; the image's own digest is in the older one.
            {
                "index_json": {"manifests": [{"digest": f"sha256:{OTHER}"}]},
                "manifest_json": [{"Config": f"blobs/sha256/{IMAGE}"}],
            },
            ("docker-archive", IMAGE),
        ),
    ],
)
def test_a_file_is_the_image_in_it(archive, files, found):
    assert images.in_archive(archive(**files)) == found


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"manifest_json": [{"Config": IMAGE}, {"Config": OTHER}]}, "It holds 2 images"),
        ({"manifest_json": b"{"}, "It is no image"),
        ({"app_py": b"print()"}, "It is no image"),
        ({"manifest_json": [7]}, "It is no image"),
        ({"manifest_json": [{"Config": "latest"}]}, "It is no image"),
        ({"index_json": []}, "It is no image"),
        ({"manifest_json": b"[" * 100000}, "It is no image"),
        ({"manifest_json": b" " * (images.LARGEST + 1) + b"[]"}, "It is no image"),
    ],
)
def test_a_file_that_is_no_image_is_refused(archive, files, words):
    with pytest.raises(ReleaseError, match=f"source.image: .*box.tar cannot be used. {words}"):
        images.in_archive(archive(**files))


def _header(kind, size):
    """The beginning of an entry of which the archive has as much to say, in zeros."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("begins", "repeated", "times"),
    [
        *((_header(kind, 64 << 20), bytes(1 << 20), 64) for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)),
        (b"", _header(tarfile.REGTYPE, 0) * 1000, 30),
    ],
)
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path, begins, repeated, times):
    path = tmp_path / "box.tar.gz"
    with gzip.open(path, "wb", 1) as packed:
        packed.write(begins)
        for _time in range(times):
            packed.write(repeated)
    tracemalloc.start()
    try:
        with pytest.raises(ReleaseError, match="It is no image"):
            images.in_archive(str(path))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "box.tar").write_text("no tar")
    with pytest.raises(ReleaseError, match="It is no image"):
        images.in_archive(str(tmp_path / "box.tar"))


# --- registries ---


class Registry(BaseHTTPRequestHandler):
    """Knows team/box:1; asks for a token as docker.io does, or for a password as a small registry does."""

    scheme, tags, login, asked = "Bearer", {}, "", []

    def do_HEAD(self):
        self.asked.append(self.path)
        given = self.headers.get("Authorization") or ""
        wanted = "Bearer a-token" if self.scheme == "Bearer" else self.login
        if wanted and given != wanted:
            realm = f"http://127.0.0.1:{self.server.server_port}/token" if self.scheme == "Bearer" else "basic-realm"
            self.answer(401, {"WWW-Authenticate": f'{self.scheme} realm="{realm}",service="here"'})
        elif self.path.rpartition("/")[2] not in self.tags:
            self.answer(404, {})
        else:
            self.answer(200, {"Docker-Content-Digest": self.tags[self.path.rpartition("/")[2]]})

    def do_GET(self):
        self.asked.append(self.path)
        if self.login and self.headers.get("Authorization") != self.login:
            self.answer(401, {})
        else:
            self.answer(200, {}, b'{"token": "a-token"}')

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def registry():
    class Handler(Registry):
        tags, asked = {"1": f"sha256:{IMAGE}"}, []

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        Handler.name = f"127.0.0.1:{server.server_port}"
        yield Handler
        server.shutdown()


def _log_in(tmp_path, registry, key=None):
    secret = base64.b64encode(b"me:secret").decode()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {key or registry.name: {"auth": secret}}}))
    registry.login = f"Basic {secret}"


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_tag_is_what_the_registry_says_at_this_moment(registry, scheme):
    registry.scheme = scheme
    image = f"{registry.name}/team/box:1"
    assert images.in_registry(image) == f"sha256:{IMAGE}"
    registry.tags["1"] = f"sha256:{OTHER}"
    assert images.in_registry(image) == f"sha256:{OTHER}"
    assert registry.asked[0] == "/v2/team/box/manifests/1"


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_the_login_of_the_control_node_opens_a_private_registry(registry, tmp_path, scheme):
    registry.scheme, registry.login = scheme, "Basic nobody"
    with pytest.raises(ReleaseError, match=r"cannot be found from the control node: HTTP Error 401.*docker login"):
        images.in_registry(f"{registry.name}/team/box:1")
    _log_in(tmp_path, registry)
    assert images.in_registry(f"{registry.name}/team/box:1") == f"sha256:{IMAGE}"


def test_a_login_to_docker_s_own_registry_has_another_name(registry, tmp_path):
    _log_in(tmp_path, registry, "https://index.docker.io/v1/")
    assert images.login("docker.io/team/box:1") == registry.login
    assert images.login("ghcr.io/team/box:1") == ""


def test_a_digest_is_asked_of_nobody(registry):
    assert images.in_registry(f"{registry.name}/team/box:1@sha256:{OTHER}") == f"sha256:{OTHER}"
    assert not registry.asked


@pytest.mark.parametrize(
    ("tag", "digest", "words"),
    [("2", f"sha256:{IMAGE}", "HTTP Error 404"), ("1", "", "names no digest"), ("1", "md5:1", "names no digest")],
)
def test_what_the_registry_does_not_know_is_refused(registry, tag, digest, words):
    registry.tags["1"] = digest
    with pytest.raises(ReleaseError, match=words):
        images.in_registry(f"{registry.name}/team/box:{tag}")


# --- what a host gets ---


def test_a_host_copies_by_digest_whatever_the_tag_means_later(registry, monkeypatch, tmp_path):
    monkeypatch.setattr(sources.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    found = sources.resolve({"image": f"{registry.name}/team/box:1"}, [])
    assert (found["digest"], found["image"]) == (IMAGE, f"docker://{registry.name}/team/box@sha256:{IMAGE}")
    assert sources.archive_for(found) is None


def test_a_file_is_sent(archive, monkeypatch, tmp_path):
    monkeypatch.setattr(sources.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    path = archive(manifest_json=[{"Config": f"{IMAGE}.json"}])
    found = sources.resolve({"image": "box.tar"}, [str(tmp_path)])
    assert (found["digest"], found["image"], sources.archive_for(found)) == (IMAGE, "docker-archive", path)
