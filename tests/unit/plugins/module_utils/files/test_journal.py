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
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.files import journal, nodes
from ansible_collections.mainstay.vps.plugins.module_utils.files.journal import Journal, Step
from ansible_collections.mainstay.vps.plugins.module_utils.files.owners import TransactionError
from ansible_collections.mainstay.vps.tests.unit import kills

ROLE = Path(__file__).parents[5] / "roles/system"


@pytest.fixture
def host(tmp_path):
    return kills.Box(tmp_path)


def failing_back(_step):
    raise OSError(errno.EROFS, "Read-only file system", "/etc/x")


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
    found = journal.recover(str(tmp_path))
    assert found == [{"id": "one", "outcome": outcome, "files": ["/etc/a", "/etc/b", "/etc/c"]}]
    assert tree(tmp_path) == files
    assert os.path.exists(tmp_path / "var/backups/mainstay/one") is backup
    assert journal.recover(str(tmp_path)) == []


def test_recovery_writes_nothing_where_nothing_was_begun(tmp_path):
    assert journal.recover(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_a_journal_that_was_never_written_means_nothing(tmp_path):
    unfinished(tmp_path, "forward")
    journals = tmp_path / "var/lib/mainstay/transactions"
    os.rename(journals / "one.json", journals / ".one.json.tmp")
    assert journal.recover(str(tmp_path)) == []
    assert tree(tmp_path)["a"] == "new a"
    assert journal.recover_locked(str(tmp_path)) == []
    assert os.listdir(journals) == []


def test_a_journal_tells_no_content(host, monkeypatch):
    written = []
    real = Journal.write

    def write(self, state):
        real(self, state)
        written.append(nodes.read(self.path))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", write)
        host.change("untested")
    assert written
    for data in written:
        assert b"new\\n" not in data
        assert json.loads(data)["version"] == 1


def test_an_obstacle_to_recovery_is_named(tmp_path, monkeypatch):
    unfinished(tmp_path, "back")
    monkeypatch.setattr(journal, "_back", failing_back)
    with pytest.raises(TransactionError, match="neither to its end nor back: .*Read-only file system"):
        journal.recover(str(tmp_path))
    assert os.path.exists(tmp_path / "var/lib/mainstay/transactions/one.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 2}', b'{"steps": [{"act": "x"}], "state": "clean"}'])
def test_a_journal_nobody_can_read_is_named_and_kept(tmp_path, data):
    unfinished(tmp_path, "forward")
    path = tmp_path / "var/lib/mainstay/transactions/one.json"
    path.write_bytes(data)
    with pytest.raises(TransactionError, match="one.json is no journal this version can read"):
        journal.recover(str(tmp_path))
    assert path.exists()
    assert tree(tmp_path)["a"] == "new a"


def test_transactions_wait_for_each_other(tmp_path):
    with journal.locked(str(tmp_path)):
        with (
            pytest.raises(TransactionError, match="another transaction has held .* for 0 s"),
            journal.locked(str(tmp_path), 0),
        ):
            pass
        with open(tmp_path / "transactions/lock", "rb") as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_host_recovers_with_the_files_that_it_is_given(tmp_path):
    unfinished(tmp_path / "root", "forward")
    (tmp_path / "own/files").mkdir(parents=True)
    for item in yaml.safe_load((ROLE / "vars/main.yml").read_text())["__system_recovery_files"]:
        if "file" in item:
            _folder, _recovery, below = item["dest"].partition("/recovery/")
            shutil.copy(item["file"].replace("{{ role_path }}", str(ROLE)), tmp_path / "own" / below)
    command = [sys.executable, "-I", str(tmp_path / "own"), "--root", str(tmp_path / "root")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "one: completed /etc/a /etc/b /etc/c\n"
    assert tree(tmp_path / "root") == {"a": "new a", "b": "new b", "c": "new c"}
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_the_command_fails_with_the_reason(tmp_path, monkeypatch, capsys):
    unfinished(tmp_path, "back")
    monkeypatch.setattr(journal, "_back", failing_back)
    assert journal.main(["--root", str(tmp_path)]) == 1
    assert "neither to its end nor back" in capsys.readouterr().err
