# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import transaction
from ansible_collections.mainstay.vps.plugins.module_utils.files.transaction import (
    Journal,
    Node,
    Step,
    TransactionError,
)
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
    assert not transaction.pending(host.state)
    assert os.listdir(host.backups) == []


def test_a_set_that_cannot_be_put_back_says_so_and_stays_in_the_journal(host, monkeypatch):
    before = host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing("tree"))
        patch.setattr(transaction, "_back", failing_back)
        with pytest.raises(TransactionError, match="could not be put back: .*/transactions/.* says how"):
            host.change("untested")
    assert len(transaction.pending(host.state)) == 1
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
    assert not transaction.pending(host.state)


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


# --- the journal and recovery ---


def unfinished(root, state, name="one"):
    """A journal as a power cut leaves it, on a host whose file system begins at ``root``."""
    directory = f"{root}/var/lib/mainstay/transactions"
    os.makedirs(directory)
    os.makedirs(f"{root}/etc", exist_ok=True)
    for path, text in (("a", "new a"), (".b.old", "old b"), (".a.old", "old a"), ("b", "new b"), (".c.new", "new c")):
        with open(f"{root}/etc/{path}", "w", encoding="utf-8") as handle:
            handle.write(text)
    steps = [
        Step("place", "/etc/a", "/etc/.a.new", "/etc/.a.old"),
        Step("place", "/etc/b", "/etc/.b.new", "/etc/.b.old"),
        Step("place", "/etc/c", "/etc/.c.new"),
    ]
    Journal(f"{directory}/{name}.json", steps, backup="/var/backups/mainstay/one").write(state)
    os.makedirs(f"{root}/var/backups/mainstay/one")


def tree(root):
    found = {}
    for name in os.listdir(f"{root}/etc"):
        with open(f"{root}/etc/{name}", encoding="utf-8") as handle:
            found[name] = handle.read()
    return found


@pytest.mark.parametrize(
    ("state", "outcome", "files", "backup"),
    [
        ("forward", "completed", {"a": "new a", "b": "new b", "c": "new c"}, True),
        ("back", "restored", {"a": "old a", "b": "old b"}, False),
        ("clean", "restored", {"a": "new a", "b": "new b"}, False),
    ],
)
def test_recovery_ends_what_was_begun_below_any_root(tmp_path, state, outcome, files, backup):
    unfinished(tmp_path, state)
    found = transaction.recover(str(tmp_path))
    assert found == [{"id": "one", "outcome": outcome, "files": ["/etc/a", "/etc/b", "/etc/c"]}]
    assert tree(tmp_path) == files
    assert os.path.exists(tmp_path / "var/backups/mainstay/one") is backup
    assert transaction.recover(str(tmp_path)) == []


def test_recovery_writes_nothing_where_nothing_was_begun(tmp_path):
    assert transaction.recover(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_a_journal_that_was_never_written_means_nothing(tmp_path):
    unfinished(tmp_path, "forward")
    journals = tmp_path / "var/lib/mainstay/transactions"
    os.rename(journals / "one.json", journals / ".one.json.tmp")
    assert transaction.recover(str(tmp_path)) == []
    assert tree(tmp_path)["a"] == "new a"
    assert transaction.recover_locked(str(tmp_path)) == []
    assert os.listdir(journals) == []


def test_a_journal_tells_no_content(host, monkeypatch):
    written = []
    real = Journal.write

    def write(journal, state):
        real(journal, state)
        written.append(transaction.read(journal.path))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", write)
        host.change("untested")
    assert written
    for data in written:
        assert b"new\\n" not in data
        assert json.loads(data)["version"] == 1


def test_an_obstacle_to_recovery_is_named(tmp_path, monkeypatch):
    unfinished(tmp_path, "back")
    monkeypatch.setattr(transaction, "_back", failing_back)
    with pytest.raises(TransactionError, match="neither to its end nor back: .*Read-only file system"):
        transaction.recover(str(tmp_path))
    assert os.path.exists(tmp_path / "var/lib/mainstay/transactions/one.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 2}', b'{"steps": [{"act": "x"}], "state": "clean"}'])
def test_a_journal_nobody_can_read_is_named_and_kept(tmp_path, data):
    unfinished(tmp_path, "forward")
    path = tmp_path / "var/lib/mainstay/transactions/one.json"
    path.write_bytes(data)
    with pytest.raises(TransactionError, match="one.json is no journal this version can read"):
        transaction.recover(str(tmp_path))
    assert path.exists()
    assert tree(tmp_path)["a"] == "new a"


def test_transactions_wait_for_each_other(tmp_path):
    with transaction.locked(str(tmp_path)):
        with (
            pytest.raises(TransactionError, match="another transaction has held .* for 0 s"),
            transaction.locked(str(tmp_path), 0),
        ):
            pass
        with open(tmp_path / "transactions/lock", "rb") as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_host_recovers_with_this_one_file_alone(tmp_path):
    unfinished(tmp_path / "root", "forward")
    script = shutil.copy(transaction.__file__, tmp_path / "transaction.py")
    command = [sys.executable, "-I", script, "recover", "--root", str(tmp_path / "root")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "one: completed /etc/a /etc/b /etc/c\n"
    assert tree(tmp_path / "root") == {"a": "new a", "b": "new b", "c": "new c"}
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_the_command_fails_with_the_reason(tmp_path, monkeypatch, capsys):
    unfinished(tmp_path, "back")
    monkeypatch.setattr(transaction, "_back", failing_back)
    assert transaction.main(["recover", "--root", str(tmp_path)]) == 1
    assert "neither to its end nor back" in capsys.readouterr().err


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
