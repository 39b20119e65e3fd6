# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees are taken over for real, against somebody who attacks meanwhile. Only root can do either."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import stat

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import sealing
from ansible_collections.mainstay.vps.plugins.module_utils.release.sealing import Seal, SealingError, opened
from ansible_collections.mainstay.vps.tests.unit.trees import deepen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")

BUILDER, GROUP, WEB, STRANGER = 54321, 54322, 33, 54323


@pytest.fixture
def tree(tmp_path):
    """A release as a builder leaves it."""
    root = tmp_path / "release"
    for folder in ("app", "web/dist/assets", "web/src", "empty"):
        (root / folder).mkdir(parents=True)
    for name, mode in (
        ("app/main.py", 0o666),
        ("run", 0o6777),
        ("web/dist/index.html", 0o600),
        ("web/dist/assets/a.js", 0o644),
        ("web/src/x.ts", 0o644),
    ):
        (root / name).write_text(name)
        (root / name).chmod(mode)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("root's")
    (root / "link").symlink_to(tmp_path / "victim/file")
    (root / "folder-link").symlink_to(tmp_path / "victim")
    own(root)
    return root


def own(root):
    for place, folders, files in os.walk(root):
        for name in ("", *folders, *files):
            os.chown(os.path.join(place, name), BUILDER, GROUP, follow_symlinks=False)


def everything(root):
    for place, folders, files in os.walk(root):
        yield place
        yield from (os.path.join(place, name) for name in (*files, *folders) if name in files or os.path.islink(os.path.join(place, name)))


def access(path):
    """The permissions that the list of a path gives to somebody by name."""
    try:
        data = os.getxattr(path, sealing.ACCESS)
    except OSError:
        return {}
    return {int.from_bytes(data[i + 4 : i + 8], "little"): data[i + 2] for i in range(4, len(data), 8) if data[i] == sealing.USER}


def test_a_sealed_tree_is_root_s_and_closed(tree):
    before = {path: os.lstat(path).st_mtime_ns for path in everything(tree)}
    Seal({BUILDER}, GROUP).tree(str(tree))
    for path in everything(tree):
        info = os.lstat(path)
        assert (info.st_uid, info.st_gid, info.st_mtime_ns) == (0, GROUP, before[path]), path
        if not os.path.islink(path):
            assert stat.S_IMODE(info.st_mode) == (0o750 if os.path.isdir(path) or path.endswith("run") else 0o640), path
    for victim in (tree.parent / "victim", tree.parent / "victim/file"):
        assert (victim.stat().st_uid, victim.stat().st_gid) == (0, 0), "a link is not followed"


def test_the_web_server_reads_what_is_public_and_nothing_else(tree):
    Seal({BUILDER}, GROUP, public=["web/dist/"], reader=WEB).tree(str(tree))
    granted = {os.path.relpath(path, tree): access(path).get(WEB) for path in everything(tree)}  # a link has what it leads to
    assert granted == {
        ".": 1, "web": 1, "web/dist": 5, "web/dist/assets": 5, "web/dist/index.html": 4, "web/dist/assets/a.js": 4,
        "app": None, "app/main.py": None, "run": None, "web/src": None, "web/src/x.ts": None, "empty": None,
        "link": None, "folder-link": None,
    }  # fmt: skip
    for name in ("web/dist/index.html", "web/dist"):
        assert os.stat(tree / name).st_mode & 0o7 == 0


def test_all_of_it_may_be_public(tree):
    Seal({BUILDER}, GROUP, public=["."], reader=WEB).tree(str(tree))
    assert access(tree / "app/main.py") == {WEB: 4} and access(tree) == {WEB: 5} and access(tree / "run") == {WEB: 5}


def test_what_the_builder_has_granted_is_taken_back(tree):
    with opened(str(tree / "app/main.py"), sealing.FILE) as descriptor:
        sealing._allow(descriptor, STRANGER, 6)
    Seal({BUILDER}, GROUP).tree(str(tree))
    assert access(tree / "app/main.py") == {}


def test_a_file_of_somebody_else_is_refused(tree, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("root's")
    os.link(secret, tree / "app/stolen")
    with pytest.raises(SealingError, match="app/stolen belongs to user 0"):
        Seal({BUILDER}, GROUP).tree(str(tree))
    assert (os.stat(secret).st_gid, secret.read_text()) == (0, "root's")


def test_sockets_and_pipes_go(tree):
    os.mkfifo(tree / "app/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "s"))
        own(tree)
        Seal({BUILDER}, GROUP).tree(str(tree))
    assert not os.path.lexists(tree / "app/pipe") and not os.path.lexists(tree / "s")


@pytest.mark.parametrize("held", ["descriptor", "mapping"])
def test_who_still_has_a_file_open_writes_into_another_one(tree, held):
    path = tree / "app/main.py"
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
        if held == "mapping":
            file.close()
        else:
            mapping.close()
        Seal({BUILDER}, GROUP, public=["app"], reader=WEB).tree(str(tree))
        if held == "mapping":
            mapping[:4] = b"evil"
            mapping.close()
        else:
            file.write(b"evil")
    assert path.read_text() == "app/main.py"
    assert (path.stat().st_uid, path.stat().st_mode & 0o777, access(path)) == (0, 0o640, {WEB: 4})
    assert not os.path.lexists(tree / "app" / sealing.COPY)


@pytest.mark.parametrize("held", [False, True], ids=["at rest", "open for writing"])
def test_a_file_may_have_several_names_in_the_tree(tree, held):
    """esbuild links its program to a second name when npm installs it; one name may be public and the other not."""
    page = tree / "web/dist/index.html"
    for name in ("app/first.html", "web/src/last.html"):
        os.link(page, tree / name)
    with open(page, "a") if held else contextlib.nullcontext() as descriptor:
        Seal({BUILDER}, GROUP, public=["web/dist"], reader=WEB).tree(str(tree))
        if held:
            descriptor.write("afterwards")
    for path in (page, tree / "app/first.html", tree / "web/src/last.html"):
        info = path.stat()
        assert (info.st_uid, info.st_gid, path.read_text()) == (0, GROUP, "web/dist/index.html"), path
        assert not info.st_mode & 0o027, path
    assert access(page) == {WEB: 4}


def test_a_second_name_of_a_file_is_closed_with_it(tree, tmp_path):
    kept = tmp_path / "kept"
    os.link(tree / "app/main.py", kept)
    Seal({BUILDER}, GROUP).tree(str(tree))
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (0, 0o640)


class Attacker:
    """A process of the builder's that puts a link in the place of a folder at the moment it is told."""

    def __init__(self, root):
        self.parent = os.open(root, os.O_RDONLY)
        (asked, self.asking), (self.answered, answering) = os.pipe(), os.pipe()
        self.child = os.fork()
        if not self.child:
            os.close(self.asking)
            os.setgid(GROUP)
            os.setuid(BUILDER)
            while os.read(asked, 1):
                for first, second in (("empty", "aside"), ("trap", "empty")):
                    with contextlib.suppress(OSError):
                        os.rename(first, second, src_dir_fd=self.parent, dst_dir_fd=self.parent)
                os.write(answering, b"x")
            os._exit(0)
        os.close(asked)
        os.close(answering)

    def strike(self):
        os.write(self.asking, b"x")
        os.read(self.answered, 1)

    def end(self):
        os.close(self.asking)
        os.waitpid(self.child, 0)


def test_nobody_exchanges_what_is_taken_over(tree, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (tree / "trap").symlink_to(outside)
    own(tree)
    attacker, stat_of = Attacker(tree), os.stat

    def look(*arguments, **options):
        info = stat_of(*arguments, **options)
        if arguments[0] == "empty":
            attacker.strike()
        return info

    monkeypatch.setattr(sealing.os, "stat", look)
    with contextlib.suppress(OSError, SealingError):
        Seal({BUILDER}, GROUP).tree(str(tree))
    monkeypatch.setattr(sealing.os, "stat", stat_of)
    attacker.end()
    for path in (outside, outside / "below"):
        assert (path.stat().st_uid, path.stat().st_gid) == (0, 0), path


def test_a_second_tree_shares_files_and_not_folders(tree, tmp_path):
    Seal({BUILDER}, GROUP).tree(str(tree))
    home = tmp_path / "next"
    home.mkdir()
    with opened(str(tree)) as model, opened(str(home)) as parent:
        known = sealing.link_tree(model, parent, "copy", BUILDER, GROUP)
    copy = home / "copy"
    assert (copy / "app/main.py").stat().st_ino == (tree / "app/main.py").stat().st_ino
    assert (copy.stat().st_uid, (copy / "app").stat().st_uid, (copy / "app/main.py").stat().st_uid) == (
        BUILDER,
        BUILDER,
        0,
    )
    assert os.readlink(copy / "link") == str(tmp_path / "victim/file")
    (copy / "app/own.py").write_text("mine")
    own(copy / "app/own.py")
    os.chown(copy / "app/own.py", BUILDER, GROUP)
    Seal({BUILDER}, GROUP, known).tree(str(copy))
    assert (copy / "app").stat().st_uid == 0


def test_a_folder_is_had_once_and_for_all(tmp_path):
    place = tmp_path / "srv"
    sealing.folder(str(place), 0o755)
    sealing.folder(str(place), 0o750, BUILDER, GROUP)
    assert (place.stat().st_uid, place.stat().st_mode & 0o777) == (BUILDER, 0o750)
    (tmp_path / "victim").mkdir()
    (tmp_path / "trap").symlink_to(tmp_path / "victim")
    with pytest.raises(SealingError, match="trap is no folder"):
        sealing.folder(str(tmp_path / "trap"), 0o700, BUILDER)
    assert (tmp_path / "victim").stat().st_uid == 0


def test_a_file_system_without_leases_gets_copies(tree, monkeypatch):
    def refuse(*_arguments):
        raise OSError(22, "no leases here")

    monkeypatch.setattr(sealing.fcntl, "fcntl", refuse)
    inode = (tree / "app/main.py").stat().st_ino
    Seal({BUILDER}, GROUP).tree(str(tree))
    assert (tree / "app/main.py").stat().st_ino != inode and (tree / "app/main.py").read_text() == "app/main.py"


def test_a_tree_goes_however_deep_it_is(tmp_path):
    """A hostile build leaves one on which shutil, which calls itself for each folder, ends; its app could never be deployed again."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("")
    place = tmp_path / "release"
    place.mkdir()
    (place / "link").symlink_to(tmp_path / "kept")
    os.close(deepen(place, 3000))
    sealing.remove(str(place))
    sealing.remove(str(place))
    assert not place.exists() and (tmp_path / "kept/file").exists()
