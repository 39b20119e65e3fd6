# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


def test_a_release_that_is_still_its_builder_s_is_not_complete(builder, shelve, monkeypatch):
    made = builder()
    shelve(made, "new")
    assert made.shelf.has(".complete") and made.shelf.releases()["new"]
    monkeypatch.setattr(made.job, "build_user", pwd.getpwuid(os.getuid()).pw_name)
    assert not made.shelf.has(".complete") and made.shelf.releases() == {"new": None}


def test_retention(builder, shelve):
    made = builder(keep=2)
    for name in ("a", "b", "c", "d", "e"):
        shelve(made, name, environment=f"env-{name}")
        os.makedirs(f"{made.job.root}/environments/env-{name}")
    os.makedirs(f"{made.job.root}/cache/environments")
    shelve(made, "half", complete=False)
    shelve(made, "new")
    os.symlink("releases/a", f"{made.job.root}/current")
    os.symlink("releases/c", f"{made.job.root}/previous")
    assert sorted(made.shelf.prune()) == ["b", "d", "half"]
    assert sorted(os.listdir(f"{made.job.root}/releases")) == ["a", "c", "e", "new"]
    assert sorted(os.listdir(f"{made.job.root}/environments")) == ["env-a", "env-c", "env-e"]
    assert not os.path.exists(f"{made.job.root}/cache"), "an earlier version kept its caches there"


def test_space_is_checked_before(builder):
    builder().shelf.check_space()
    with pytest.raises(ReleaseError, match="MB free and a release needs 99999999 MB.*backend_keep_releases"):
        builder(minimum_free_mb=99999999).shelf.check_space()
    with pytest.raises(ReleaseError, match="a release needs"):
        builder(archive_bytes=1 << 60).shelf.check_space()


def test_an_image_goes_with_itsshelve(builder, shelve, removed):
    made = builder(keep=1)
    os.mkdir(f"{made.job.root}/environments")
    for name in ("a", "b", "c"):
        shelve(made, name)
        open(f"{made.job.root}/releases/{name}/container.env", "w").close()
    shelve(made, "new")
    os.symlink("releases/c", f"{made.job.root}/current")
    assert sorted(made.shelf.prune()) == ["a", "b"]
    assert sorted(removed) == ["localhost/mainstay/shop:a", "localhost/mainstay/shop:b"]
