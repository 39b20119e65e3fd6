# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of files in folders of somebody who is not root, and who wants root to write elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import changeset, owners
from ansible_collections.mainstay.vps.plugins.module_utils.files.changes import Entry
from ansible_collections.mainstay.vps.plugins.module_utils.files.nodes import look, read
from ansible_collections.mainstay.vps.plugins.module_utils.files.owners import TransactionError, stranger

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for others")

UID, GID, OTHER = 54321, 54322, 54323


@pytest.fixture
def home(tmp_path):
    """The folder of a user, and one of root's that he would like to have changed."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)  # he has to get there
    (tmp_path / "home/own").mkdir(parents=True)
    (tmp_path / "victim").mkdir(mode=0o755)
    (tmp_path / "victim/conf").write_text("root's\n")
    (tmp_path / "victim/conf").chmod(0o600)
    for name in ("home", "home/own"):
        os.chown(tmp_path / name, UID, GID)
    return tmp_path / "home"


@pytest.fixture
def run(tmp_path):
    def run(*entries, **options):
        return changeset.run(entries, state_dir=f"{tmp_path}/state", backup_dir=f"{tmp_path}/backups", **options)

    return run


def entry(path, **fields):
    return Entry(f"files ({path})", str(path), **{"owner": str(UID), "group": str(GID), "content": b"new\n", **fields})


def trap(home):
    os.rename(home / "own", home / "aside")
    (home / "own").symlink_to("../victim")
    os.lchown(home / "own", UID, GID)


def test_whose_folder_it_is(home):
    assert stranger(str(home.parent / "victim/conf")) is None
    assert stranger(str(home)) is None, "it lies in a folder of root's"
    assert stranger(str(home / "x")) == (UID, GID) == stranger(str(home / "own/missing/x"))
    (home.parent / "link").symlink_to(home)
    assert stranger(str(home.parent / "link/x")) == (UID, GID), "a link of root's is followed"
    trap(home)
    assert stranger(str(home / "own/conf")) == (UID, GID)
    (home.parent / "theirs").symlink_to("victim")
    os.lchown(home.parent / "theirs", UID, GID)
    with pytest.raises(TransactionError, match="theirs is a link of somebody else's"):
        stranger(str(home.parent / "theirs/conf"))


def test_files_in_his_folder_are_made_with_his_rights(home, run):
    assert run(entry(home / "own/conf"), entry(home / "new/deep/conf")).changed_files
    for path in (home / "own/conf", home / "new/deep/conf"):
        assert (path.read_text(), path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (
            "new\n",
            UID,
            GID,
            0o644,
        )
    assert not run(entry(home / "own/conf"), entry(home / "new/deep/conf")).changed_files
    run(entry(home / "own/conf", content=b"newer\n"))
    assert (home / "own/conf").read_text() == "newer\n"
    (backup,) = os.listdir(home.parent / "backups")
    assert (home.parent / f"backups/{backup}/files{home}/own/conf").read_text() == "new\n"
    assert run(entry(home / "own/conf", state="absent", content=None)).changed_files and not (home / "own/conf").exists()
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.parametrize("fields", [{"owner": "root"}, {"owner": str(OTHER)}, {"state": "directory", "owner": "root", "content": None}])
def test_what_is_to_be_somebody_else_s_is_refused(home, run, fields):
    with pytest.raises(TransactionError, match=rf"own/conf\): lies in a folder of {UID}'s.*Declare owner: {UID}"):
        run(entry(home / "own/conf", **fields))
    assert os.listdir(home / "own") == []


def test_his_link_leads_no_further_than_he_could_go(home, run):
    trap(home)
    victim = home.parent / "victim/conf"
    for arguments in (
        {"content": b"new\n"},
        {"state": "absent", "content": None},
        {"state": "directory", "mode": 0o755, "content": None},
    ):
        with pytest.raises(TransactionError):
            run(entry(home / "own/conf", **arguments))
    with pytest.raises(TransactionError):
        run(entry(home / "own/other"))
    assert (victim.read_text(), victim.stat().st_uid, os.listdir(victim.parent)) == ("root's\n", 0, ["conf"])
    with pytest.raises(PermissionError):
        read(str(home / "own/conf"))


def test_nobody_wins_a_race_against_a_transaction(home, run):
    """Two hundred transactions, while he exchanges his folder for a link and back as fast as he can."""
    (home / "trap").symlink_to("../victim")
    os.lchown(home / "trap", UID, GID)
    attacker = os.fork()
    if not attacker:
        os.setgid(GID)
        os.setuid(UID)
        while True:
            for first, second in (("own", "aside"), ("trap", "own"), ("own", "trap"), ("aside", "own")):
                with contextlib.suppress(OSError):
                    os.rename(home / first, home / second)
    done = 0
    try:
        for turn in range(200):
            with contextlib.suppress(TransactionError, OSError):
                run(entry(home / "own/conf", content=b"%d\n" % turn), entry(home / "own/more/conf"), backup=False)
                done += 1
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
    victim = home.parent / "victim"
    assert ((victim / "conf").read_text(), os.listdir(victim), victim.stat().st_uid) == ("root's\n", ["conf"], 0)
    assert done, "some met a folder"
    assert look(str(victim / "conf")).uid == 0 and (os.geteuid(), os.getegid()) == (0, 0)


def test_a_user_who_is_not_root_acts_as_himself(home, monkeypatch):
    monkeypatch.setattr(owners.os, "geteuid", lambda: UID)
    assert stranger(str(home / "own/x")) is None
    with owners.as_owner_of(str(home / "own/x")):
        assert os.getegid() == 0
