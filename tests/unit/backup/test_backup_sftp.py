# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository by SFTP: how it is reached, and what is said where it is not. scripts/prove_backups has the same with a real server."""

from __future__ import annotations

import argparse
import shlex
import subprocess

import pytest
from mainstay_backup import cli, records, restic, sftp
from mainstay_backup.settings import BackupError, Settings

LINE = "keep.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMKdlC8Xl1bF9WmVHpzJGgJo1c7QEMyYk4Zc8jQyTj5B"
UNKNOWN = "No ED25519 host key is known for keep.example.com and you have requested strict checking. Host key verification failed."
CHANGED = "Host key for keep.example.com has changed and you have requested strict checking. Host key verification failed."


def _settings(repository="sftp:keeper@keep.example.com:/backups"):
    return Settings(repository=repository, host="web", parts=[], keep={})


@pytest.mark.parametrize(
    ("repository", "end"),
    [
        ("sftp:keeper@keep.example.com:/backups", ["-s", "--", "keeper@keep.example.com", "sftp"]),
        ("sftp:keep:backups", ["-s", "--", "keep", "sftp"]),
        ("sftp://keeper@keep.example.com:2222//backups", ["-p", "2222", "-s", "--", "keeper@keep.example.com", "sftp"]),
        ("sftp://keeper@keep.example.com/backups", ["-s", "--", "keeper@keep.example.com", "sftp"]),
        ("sftp://keeper@[2001:db8::1]:2222//backups", ["-p", "2222", "-s", "--", "keeper@2001:db8::1", "sftp"]),
    ],
)
def test_ssh_is_asked_for_the_repository_s_server(repository, end):
    words = sftp.command(repository)
    assert words[-len(end) :] == end and "BatchMode=yes" in words and "StrictHostKeyChecking=yes" in words


def test_restic_takes_this_way_in_every_command():
    program = restic.Restic(_settings()).program
    assert program[:2] == ["/usr/bin/restic", "-o"]
    assert shlex.split(program[2].removeprefix("sftp.command=")) == sftp.command(_settings().repository)
    assert restic.Restic(_settings()).dump_command("1", "x")[:3] == program
    assert restic.Restic(_settings("/mnt/backups")).program == ["/usr/bin/restic"]


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (0, "", []),
        (255, UNKNOWN, ["the server's host key is not known", LINE, "SHA256:", "backup_host_keys"]),
        (255, CHANGED, ["another host key than the one that is known", LINE, "backup_host_keys"]),
        (255, "keeper@keep.example.com: Permission denied (publickey).", ["authorized_keys of keeper there: ssh-ed25519 OURS"]),
        (255, "ssh: connect to host keep.example.com port 22: Connection refused", ["cannot be reached", "Connection refused", "firewall"]),
    ],
    ids=["well", "unknown", "another", "refused", "off"],
)
def test_what_keeps_the_server_from_letting_in_is_told_with_its_remedy(monkeypatch, status, said, words):
    monkeypatch.setattr(sftp, "look", lambda _: (status, said))
    monkeypatch.setattr(sftp, "scan", lambda _: LINE)
    monkeypatch.setattr(sftp, "public_key", lambda: "ssh-ed25519 OURS")
    found = sftp.remedy(_settings())
    assert all(word in found for word in words) and bool(found) == bool(words)


def test_where_the_server_lets_in_the_reason_is_restic_s(monkeypatch):
    monkeypatch.setattr(sftp, "look", lambda _: (0, ""))
    assert restic.Restic(_settings()).why(BackupError("no room")) == "the repository cannot be opened: no room"


def test_a_host_makes_its_key_once_and_only_where_it_needs_one(tmp_path):
    key = tmp_path / "ssh_key"
    sftp.make_key(str(key))
    text = key.read_text()
    sftp.make_key(str(key))
    assert key.read_text() == text and key.stat().st_mode & 0o777 == 0o600
    assert sftp.public_key(str(key)).startswith("ssh-ed25519 ")


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(sftp, "command", lambda _: ["/bin/sleep", "30"])
    monkeypatch.setattr(sftp, "PATIENCE", 0.1)
    assert sftp.look(_settings()) == (255, "it does not answer")


def test_restic_by_hand_gets_the_repository_and_its_keys_by_the_environment(tmp_path, monkeypatch):
    config = tmp_path / "config.json"
    config.write_text(
        '{"repository": "s3:https://s3.example.com/x", "host": "web", "parts": [], "keep": {}, "environment": {"AWS_X": "secret"}}'
    )
    called = {}

    def become(_program, words, env):
        called.update(words=words, env=env)
        raise SystemExit

    monkeypatch.setattr(cli.os, "execve", become)
    monkeypatch.setattr(cli.os, "umask", lambda _mask: None)  # the test's own process goes on
    with pytest.raises(SystemExit):
        cli.main(["--config", str(config), "restic", "snapshots", "--path", "/x.tar"])
    assert called["words"] == ["/usr/bin/restic", "snapshots", "--path", "/x.tar"]
    assert called["env"]["AWS_X"] == "secret" and called["env"]["RESTIC_REPOSITORY"] == "s3:https://s3.example.com/x"


def test_a_new_host_is_told_the_backups_of_the_one_before(tmp_path):
    class Repository:
        settings = Settings(repository="/mnt/backups", host="web", parts=[], keep={}, state=str(tmp_path))

        def open(self):
            pass

        def snapshots(self):
            return [{"short_id": "1a", "tags": ["run=20261129T163920Z", "record"]}]

    assert cli.run(argparse.Namespace(command="open"), Repository.settings, Repository()) == 0
    assert records.read(Repository.settings, "status.json")["runs"] == [{"id": "20261129T163920Z", "snapshot": "1a"}]


def test_the_options_are_ones_that_ssh_knows():
    words = sftp.command("sftp:keep:backups")[1:]
    shown = subprocess.run(["ssh", "-G", *words], capture_output=True, text=True, check=True).stdout.lower().splitlines()
    assert {"batchmode yes", "connecttimeout 30", "serveraliveinterval 15", "stricthostkeychecking true"} <= set(shown)
