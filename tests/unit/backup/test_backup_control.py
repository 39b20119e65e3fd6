# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets of the control node: what is sent is what is kept, and nothing else is kept."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files
from mainstay_backup import control
from mainstay_backup.settings import BackupError


class Repository:
    def __init__(self):
        self.kept = []

    def open(self):
        pass

    def keep_bytes(self, content, filename, tags):
        self.kept.append((content, filename, tags))
        return "abc"


def _sent(folder):
    archive = secret_files.packed(str(folder))
    return hashlib.sha256(archive).hexdigest().encode() + b"\n", archive


@pytest.fixture
def secrets(tmp_path):
    (tmp_path / "secrets/shop").mkdir(parents=True)
    (tmp_path / "secrets/shop/KEY.txt").write_text("hidden\n")
    return tmp_path / "secrets"


def test_what_is_sent_is_kept_as_it_is(secrets, tmp_path):
    told, archive = _sent(secrets)
    repository = Repository()
    assert control.keep(repository, io.BytesIO(told + archive)) == "abc"
    ((content, filename, tags),) = repository.kept
    assert (filename, tags) == ("secrets.tar", ("secrets",))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert tar.extractfile("secrets/shop/KEY.txt").read() == b"hidden\n"


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda told, archive: told + archive[:-512], "not come whole"),
        (lambda told, archive: told, "not come whole"),
        (lambda told, archive: b"", "not come whole"),
        (lambda told, archive: archive, "not come whole"),
        (lambda told, archive: told + archive + bytes(control.LARGEST), "larger than 16 MB"),
    ],
)
def test_what_is_not_whole_is_not_kept(secrets, cut, reason):
    repository = Repository()
    with pytest.raises(BackupError, match=reason):
        control.keep(repository, io.BytesIO(cut(*_sent(secrets))))
    assert repository.kept == []
