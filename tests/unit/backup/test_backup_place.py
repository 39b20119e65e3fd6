# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file or folder out of a backup: which path is meant, what is there, what takes its place, and what stays."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile

import pytest
from mainstay_backup import place, restore, tree
from mainstay_backup.settings import BackupError, Settings

PARTS = [
    {"name": "postgresql-shop", "kind": "postgresql", "app": "shop", "database": "shop", "owner": "shop"},
    {"name": "redis-shop-queue", "kind": "queue", "app": "shop", "user": "redis", "paths": ["/var/lib/redis/shop-queue"]},
    {"name": "files-shop", "kind": "folders", "app": "shop", "user": "shop", "paths": ["/srv/shop/shared", "/var/lib/shop"]},
    {"name": "files-other", "kind": "folders", "app": "other", "user": "other", "paths": ["/srv/other/shared"]},
    {"name": "postgresql-none", "kind": "postgresql", "app": "none", "database": "none", "owner": "none"},
]
SETTINGS = Settings(repository="/mnt/backups", host="web1", parts=PARTS, keep={})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("uploads/a.jpg", (["/srv/shop/shared", "/var/lib/shop"], "uploads/a.jpg")),
        ("./uploads//2026/", (["/srv/shop/shared", "/var/lib/shop"], "uploads/2026")),
        ("/srv/shop/shared/uploads/a.jpg", (["/srv/shop/shared"], "uploads/a.jpg")),
        ("/var/lib/shop/db.sqlite3", (["/var/lib/shop"], "db.sqlite3")),
        ("uploads/fünf & sechs.jpg", (["/srv/shop/shared", "/var/lib/shop"], "uploads/fünf & sechs.jpg")),
        ("../etc/passwd", "../etc/passwd leads out of its folder by .."),
        ("/srv/shop/shared/../../other/shared/a", "leads out of its folder by .."),
        ("/etc/passwd", "/etc/passwd is in no folder of shop's; name what is in /srv/shop/shared or /var/lib/shop"),
        ("/srv/other/shared/a", "is in no folder of shop's"),
        ("/srv/shop/shared2/a", "is in no folder of shop's"),
        ("/srv/shop/shared", "is all that there is; restore `files` instead"),
        (".", "is all that there is"),
        ("files-shop.tar", "is all that there is"),
        ("", "an empty path is all that there is"),
        ("postgresql-shop.dump", "is a database and no file; restore `database` instead"),
        ("/var/lib/postgresql/15/main/base", "is a database and no file"),
        ("redis-shop-queue.tar", "is Redis's and no file of the app's"),
        ("/var/lib/redis/shop-queue/appendonlydir/a.aof", "is Redis's and no file of the app's"),
        ("uploads/\x1b[2J", r"'uploads/\x1b[2J' cannot be told in words"),
        ("uploads/\udcff", r"'uploads/\udcff' cannot be told in words"),
    ],
)
def test_a_path_is_below_the_app_s_folders(path, found):
    if isinstance(found, str):
        with pytest.raises(BackupError) as refused:
            restore.named(SETTINGS, "shop", path)
        assert found in str(refused.value)
    else:
        assert restore.named(SETTINGS, "shop", path)[1:] == found


def test_an_app_without_files_on_this_host_is_told():
    with pytest.raises(BackupError, match="none has no files on web1"):
        restore.named(SETTINGS, "none", "a")


@pytest.fixture
def top(tmp_path):
    """A folder as it is in the backup."""
    top = tmp_path / "shared"
    (top / "uploads/2026").mkdir(parents=True)
    (top / "uploads/2026/a.jpg").write_bytes(b"a" * 100)
    (top / "uploads/2026/b.jpg").write_bytes(b"b" * 100)
    (top / "uploads/2026/to").symlink_to("/etc/shadow")
    (top / "uploads/2026/a.jpg").chmod(0o664)
    (top / "uploads/2026/closed").mkdir()
    (top / "uploads/2026/closed/c").write_text("c")
    (top / "uploads/2026/closed").chmod(0o555)
    (top / "uploads/2026").chmod(0o2770)
    (top / "old").symlink_to("uploads")
    os.utime(top / "uploads/2026/a.jpg", (1000000000, 1000000000))
    with sqlite3.connect(top / "a.db") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
    database.close()
    yield top
    (top / "uploads/2026/closed").chmod(0o755) if (top / "uploads/2026/closed").exists() else None


@pytest.fixture
def kept(top):
    stream = io.BytesIO()
    tree.pack([str(top)], stream)
    return stream.getvalue()


def _state(top):
    """All that there is: mode, and content or where it leads."""
    return {
        path[len(str(top)) :]: (
            os.lstat(path).st_mode,
            os.readlink(path) if os.path.islink(path) else "" if os.path.isdir(path) else tree.unstamped(open(path, "rb").read()),
        )
        for path in place.walk(str(top))
    }


def _look(top, inner, kept, is_kept=False):
    return place.find([str(top)], inner, io.BytesIO(kept), is_kept)


def _restore(top, inner, kept):
    said = _look(top, inner, kept, True)
    if not said["same"]:
        place.Place(str(top), inner).swap()
    return said


BREAKS = {
    "a file that is gone": ("uploads/2026/a.jpg", "rm uploads/2026/a.jpg", False),
    "a file of another content and mode": ("uploads/2026/a.jpg", "echo x > uploads/2026/a.jpg; chmod 600 uploads/2026/a.jpg", False),
    "a file of another mode": ("uploads/2026/a.jpg", "chmod 600 uploads/2026/a.jpg", False),
    "a file in the place of which there is a folder": ("uploads/2026/a.jpg", "cd uploads/2026; rm a.jpg; mkdir -p a.jpg/x", True),
    "a file in the place of which there is a link": (
        "uploads/2026/a.jpg",
        "cd uploads/2026; mv a.jpg ../../../away; ln -s b.jpg a.jpg",
        False,
    ),
    "a link": ("uploads/2026/to", "ln -sf /etc/passwd uploads/2026/to", False),
    "a folder that is gone": ("uploads/2026", "chmod -R u+w uploads; rm -r uploads/2026", True),
    "a folder in which there is something else": ("uploads/2026", "rm uploads/2026/b.jpg; touch uploads/2026/c.jpg", True),
    "a folder in which there is one more": ("uploads/2026", "touch uploads/2026/c.jpg", True),
    "a folder of which a file has changed": ("uploads/2026", "tr a c < uploads/2026/a.jpg > x; cat x > uploads/2026/a.jpg; rm x", True),
    "a folder that nobody may write": (
        "uploads/2026/closed",
        "cd uploads/2026; chmod 755 closed; echo d > closed/c; chmod 555 closed",
        True,
    ),
    "a folder in the place of which there is a link": (
        "uploads/2026",
        "chmod -R u+w uploads; rm -r uploads/2026; mkdir ../elsewhere; ln -s ../elsewhere uploads/2026",
        True,
    ),
    "a database": ("a.db", "echo x > a.db", True),
    "a database that is gone": ("a.db", "rm a.db", True),
    "a database with a log of later": ("a.db", "echo x > a.db-wal", True),
}


@pytest.mark.parametrize(("inner", "breaks", "still"), BREAKS.values(), ids=BREAKS)
def test_it_comes_back_as_it_was_and_nothing_else_changes(top, kept, inner, breaks, still):
    (top / "beside").write_text("not in the backup")
    before = _state(top)
    subprocess.run(["sh", "-c", breaks], cwd=top, check=True)
    broken = _state(top)
    said = _look(top, inner, kept)
    assert (said["path"], said["same"], said["still"]) == (f"{top}/{inner}", False, still)
    assert _state(top) == broken, "who looks changes nothing"
    _restore(top, inner, kept)
    assert _state(top) == before
    assert not list(top.rglob(".mainstay*"))
    if "/" not in inner:
        (top / "a.db-wal").touch(), (top / "a.db-shm").write_text("of one who reads")
    again = _restore(top, inner, kept)
    assert (again["same"], again["there"]) == (True, True) and not list(top.rglob(".mainstay*"))


@pytest.mark.parametrize("inner", ["uploads/2026/a.jpg", "uploads/2026/closed"])
def test_a_link_in_the_place_of_what_is_made_beside_leads_nowhere(top, kept, tmp_path, inner):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    for name in (tree.STAGING, f"{tree.STAGING}.old"):
        (top / "uploads/2026" / name).symlink_to(tmp_path / "elsewhere")
    (top / inner).chmod(0o700)
    assert not _restore(top, inner, kept)["same"]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]
    assert _look(top, inner, kept)["same"]


def test_all_of_it_comes_back_with_its_modes_too(top, kept):
    before = _state(top)
    subprocess.run(["sh", "-c", "echo later > uploads/2026/a.jpg; chmod 700 uploads/2026"], cwd=top, check=True)
    tree.unpack([str(top)], io.BytesIO(kept))
    assert _state(top) == before and os.stat(top / "uploads/2026/a.jpg").st_mtime == 1000000000


def test_only_one_of_several_comes_back_with_its_time_and_the_folders_that_are_gone(top, kept):
    subprocess.run(["sh", "-c", "chmod -R u+w uploads; rm -r uploads a.db"], cwd=top, check=True)
    said = _restore(top, "uploads/2026/a.jpg", kept)
    assert said["still"], "rights of a folder are made when the app starts"
    assert sorted(_state(top)) == ["", "/old", "/uploads", "/uploads/2026", "/uploads/2026/a.jpg"]
    assert os.stat(top / "uploads/2026/a.jpg").st_mtime == 1000000000
    assert [stat.S_IMODE((top / path).stat().st_mode) for path in ("uploads/2026", "uploads/2026/a.jpg")] == [0o2770, 0o664]


@pytest.mark.parametrize(
    ("inner", "breaks", "key", "said"),
    [
        ("uploads/2026/a.jpeg", "", "absent", "no {top}/uploads/2026/a.jpeg; {top}/uploads/2026 has a.jpg, b.jpg"),
        ("upload/a.jpg", "", "absent", "{top} has uploads there"),
        ("uploads/2026/closed/zzz", "", "absent", "{top}/uploads/2026/closed has c there"),
        ("uploads/2026/a.jpg/x", "", "refused", "{top}/uploads/2026/a.jpg is a link or a file now"),
        ("uploads/2026/a.jpg/x", "rm uploads/2026/a.jpg", "absent", "{top}/uploads/2026/a.jpg has nothing there"),
        ("old/2026/a.jpg", "", "refused", "{top}/old is a link or a file now"),
        ("old/2026/a.jpg", "rm old", "refused", "{top}/old is a link in the backup, to uploads; name what it leads to"),
        ("uploads/2026/a.jpg", "mv uploads x; ln -s x uploads", "refused", "{top}/uploads is a link or a file now"),
        ("uploads/2026/a.jpg", "mv uploads x; touch uploads", "refused", "{top}/uploads is a link or a file now"),
    ],
)
def test_what_is_not_there_or_behind_a_link_is_refused_and_nothing_changes(top, kept, inner, breaks, key, said):
    subprocess.run(["sh", "-c", breaks], cwd=top, check=True)
    before = _state(top)
    for is_kept in (False, True):
        assert said.format(top=top) in _look(top, inner, kept, is_kept)[key]
    assert _state(top) == before and not list(top.rglob(".mainstay*"))
    (top / "x/2026/closed").chmod(0o755) if (top / "x").exists() else None


def test_what_two_folders_have_is_to_be_named_whole(top, kept, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.db").write_text("another")
    stream = io.BytesIO()
    tree.pack([str(top), str(other)], stream)
    for is_kept in (False, True):
        said = place.find([str(top), str(other)], "a.db", io.BytesIO(stream.getvalue()), is_kept)
        assert said == {"refused": f"there are {top}/a.db and {other}/a.db; name one of them"}
    said = place.find([str(top), str(other)], "uploads/2026/a.jpg", io.BytesIO(stream.getvalue()), False)
    assert said["path"] == f"{top}/uploads/2026/a.jpg" and said["same"]


def test_a_stream_that_is_cut_off_changes_nothing(top, kept):
    (top / "uploads/2026/b.jpg").unlink()
    before = _state(top)
    with pytest.raises(tarfile.TarError):
        _look(top, "uploads", kept[: kept.index(b"b" * 100) + 50], True)
    assert _state(top) == before and not list(top.rglob(".mainstay*"))


def test_what_was_there_is_kept_also_of_a_database_that_is_damaged_and_of_its_log(top):
    (top / "a.db").write_bytes(tree.SQLITE + b"\xff" * 100)
    (top / "a.db-wal").write_bytes(b"log")
    (top / "data").mkdir()
    for name in ("a.db", "a.db-wal"):
        shutil.copy(top / name, top / "data" / name)
    for write in (
        place.Place(str(top), "a.db").keep,
        place.Place(str(top), "data").keep,
        lambda stream: tree.pack([str(top)], stream, as_is=True),
    ):
        stream = io.BytesIO()
        write(stream)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as archive:
            found = {member.name.rsplit("/", 1)[-1]: archive.extractfile(member).read() for member in archive if member.isreg()}
        assert found["a.db"] == tree.SQLITE + b"\xff" * 100 and found["a.db-wal"] == b"log"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"path": "/a", "files": 1, "bytes": 2, "there": True, "same": False, "still": False}, {"path": "/a", "files": 1}),
        ({"path": "/etc/passwd", "files": 1, "bytes": 2, "there": True, "same": False, "still": False}, None),
        ({"refused": "no\x1b[2J"}, {"refused": "no [2J"}),
        ({"path": "/a", "files": "x"}, None),
        ({}, None),
    ],
)
def test_root_believes_of_what_is_told_only_what_was_asked(tmp_path, said, found):
    with open(tmp_path / "report", "w+b") as file:
        file.write(json.dumps(said).encode())
        if found is None:
            with pytest.raises(BackupError, match="reported nothing"):
                restore._told(file, ["/a"])
        else:
            assert found.items() <= restore._told(file, ["/a"]).items()


def test_it_runs_as_a_file_apart_from_its_caller(top, kept, tmp_path):
    with open(tmp_path / "report", "w+b") as report:
        subprocess.run(
            [*restore.PLACE, "look", str(report.fileno()), "a.db", str(top)], input=kept, pass_fds=(report.fileno(),), env={}, check=True
        )
        report.seek(0)
        assert json.loads(report.read())["same"]
    assert sys.executable == restore.PLACE[0]
