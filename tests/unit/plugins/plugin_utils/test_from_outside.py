# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the control node sees it, and how the control node keeps its secrets."""

from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.mainstay.vps.plugins.plugin_utils import from_outside, secret_files


@pytest.fixture
def listening(monkeypatch):
    """A port that answers; for once a loopback address counts as one of another host."""
    monkeypatch.setattr(from_outside, "is_loopback", lambda address: address == "127.0.0.9")
    with socket.create_server(("0.0.0.0", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        closed = other.getsockname()[1]
        other.close()
        yield listener.getsockname()[1], closed


def test_what_answers_is_told_from_what_does_not(listening):
    open_port, closed = listening
    found = from_outside.look("127.0.0.1", None, [], sorted(listening))
    assert (found["address"], found["open"], found["closed"]) == ("127.0.0.1", [open_port], [closed])


def test_a_host_behind_a_tunnel_is_asked_at_its_own_address(listening):
    found = from_outside.look("127.0.0.9", "127.0.0.1", [], sorted(listening))
    assert (found["address"], found["addresses"]) == ("127.0.0.1", [])


def test_a_host_that_cannot_be_seen_is_no_closed_one():
    found = from_outside.look("127.0.0.1", None, [], [1])
    assert (found["address"], found["reason"]) == ("", "the control node reaches 127.0.0.1 by 127.0.0.1 alone")


def test_a_name_without_an_address_has_none():
    assert from_outside.resolve("no-such-host.invalid") == []


@pytest.mark.parametrize(
    "place, mode, told",
    [
        ("shop/A.txt", 0o600, {}),
        ("shop/A.txt", 0o640, {"shop/A.txt": "0640"}),
        ("shop/A.txt", 0o604, {"shop/A.txt": "0604"}),
        ("shop", 0o755, {"shop": "0755"}),
        (".", 0o755, {}),
        (".", 0o775, {".": "0775"}),
    ],
)
def test_secrets_that_others_may_read_are_found(tmp_path, place, mode, told):
    (tmp_path / "shop").mkdir(mode=0o700)
    (tmp_path / "shop/A.txt").touch(mode=0o600)
    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path / place, mode)
    files = [str(tmp_path / "shop/A.txt"), str(tmp_path / "shop/B.txt")]
    found = secret_files.exposed(str(tmp_path), files)
    assert found == {
        "missing": [files[1]],
        "open": {str(tmp_path / name) if name != "." else str(tmp_path): bits for name, bits in told.items()},
    }
