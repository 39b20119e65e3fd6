# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import journal, transaction
from ansible_collections.mainstay.vps.plugins.module_utils.files.journal import Step
from ansible_collections.mainstay.vps.plugins.module_utils.files.nodes import Node
from ansible_collections.mainstay.vps.plugins.module_utils.files.owners import TransactionError
from ansible_collections.mainstay.vps.tests.unit import kills


@pytest.fixture
def host(tmp_path):
    return kills.Box(tmp_path)


def failing(name, number=1):
    """os.rename, but the numbered call for a path of this name fails as a full disk would."""
    real, calls = os.rename, []

    def rename(source, target):
        if os.path.basename(target) == name:
            calls.append(target)
            if len(calls) == number:
                raise OSError(errno.ENOSPC, "No space left on device", target)
        real(source, target)

    return rename


# --- a step fails ---


@pytest.mark.parametrize("name", ["replaced", "mode", "created", "link", "becomes-file", "tree"])
@pytest.mark.parametrize("mode", ["untested", "tried"])
def test_a_step_that_fails_takes_the_others_back(host, monkeypatch, mode, name):
    before = host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing(name))
        with pytest.raises(TransactionError, match=f"{name}: No space left on device; every file is as it was"):
            host.change(mode)
    assert host.look() == before
    assert not journal.pending(host.state)
    assert os.listdir(host.backups) == []


def test_a_set_that_cannot_be_put_back_says_so_and_stays_in_the_journal(host, monkeypatch):
    before = host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing("tree"))
        patch.setattr(journal, "_back", failing_back)
        with pytest.raises(TransactionError, match="could not be put back: .*/transactions/.* says how"):
            host.change("untested")
    assert len(journal.pending(host.state)) == 1
    assert [item["outcome"] for item in kills.recover(host)] == ["restored"]
    assert host.look() == before


def failing_back(_step):
    raise OSError(errno.EROFS, "Read-only file system", "/etc/x")


def test_a_file_that_cannot_be_staged_changes_nothing(host, monkeypatch):
    before = host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "symlink", lambda *_: failing_back(None))
        with pytest.raises(TransactionError, match="Read-only file system; every file is as it was"):
            host.change("untested")
    assert host.look() == before
    assert not journal.pending(host.state)


def test_without_hard_links_a_copy_serves(host, monkeypatch):
    def link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    _before, after = kills.ends()
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        host.change("untested")
    assert host.look() == after


@pytest.mark.parametrize("mode", ["refused"])
def test_without_hard_links_a_refused_set_is_put_back(host, monkeypatch, mode):
    def link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    before = host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        assert host.change(mode).refusal
    assert host.look() == before


# --- what goes along with a file ---


def test_attributes_of_the_replaced_file_are_carried_over(host):
    path = f"{host.tree}/replaced"
    try:
        os.setxattr(path, "user.mainstay", b"kept")
    except OSError:
        pytest.skip("no extended attributes here")
    host.change("untested")
    assert os.getxattr(path, "user.mainstay") == b"kept"


def test_owner_and_mode_are_there_before_the_content_has_its_name(host, monkeypatch):
    seen = {}
    real = os.rename

    def rename(source, target):
        seen[os.path.basename(target)] = (os.path.basename(source), os.lstat(source).st_mode & 0o777)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        patch.setattr(transaction, "in_child", lambda function, detached: function())
        host.change("untested")
    source, mode = seen["mode"]
    assert mode == 0o600
    assert source.startswith(".mainstay-")
    assert source.endswith(".dpkg-new")


# --- children ---


@pytest.mark.parametrize("detached", [False, True])
def test_a_child_answers_or_says_nothing(detached):
    assert transaction.in_child(lambda: {"a": [1]}, detached) == {"a": [1]}
    assert transaction.in_child(lambda: os.kill(os.getpid(), 9), detached) is None


def test_a_detached_child_has_left_everything_behind():
    answer = transaction.in_child(
        lambda: {
            "session": os.getsid(0) == os.getpid(),
            "files": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        },
        detached=True,
    )
    assert answer == {"session": True, "files": ["/dev/null"] * 3}


def test_the_first_node_of_a_place_is_what_it_places():
    assert Step("place", "/x", nodes=[("", Node("file"))]).to_dict() == {
        "act": "place",
        "dest": "/x",
        "new": None,
        "old": None,
        "before": None,
        "after": None,
    }
