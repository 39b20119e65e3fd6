# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import rehearsal
from ansible_collections.mainstay.vps.plugins.module_utils.files.journal import Step
from ansible_collections.mainstay.vps.plugins.module_utils.files.nodes import Node
from ansible_collections.mainstay.vps.plugins.module_utils.files.rehearsal import (
    mask,
    mountpoints,
    rehearse,
    run_checkers,
    tops,
)

# --- the checkers ---


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([], ("passed", "", 0, "")),
        ([["true"], ["true"]], ("passed", "", 0, "")),
        (
            [["true"], ["sh", "-c", "echo a; echo b >&2; exit 7"], ["true"]],
            ("failed", "sh -c echo a; echo b >&2; exit 7", 7, "a\nb"),
        ),
        (
            [["sh", "-c", "echo $LC_ALL $(pwd); cat; exit 1"]],
            ("failed", "sh -c echo $LC_ALL $(pwd); cat; exit 1", 1, "C /"),
        ),
    ],
)
def test_checkers_run_until_one_fails(commands, expected):
    verdict = run_checkers(commands, 60)
    assert (verdict.outcome, verdict.command, verdict.rc, verdict.output) == expected


def test_a_program_that_does_not_exist_is_told_apart():
    assert run_checkers([["/no/such/program"]], 60).rc == rehearsal.COMMAND_NOT_FOUND


def test_checkers_find_the_programs_of_the_administrator(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "/usr/sbin" in run_checkers([["sh", "-c", "echo $PATH; exit 1"]], 60).output


@pytest.mark.parametrize("script", ["echo first; sleep 30", "echo first; sleep 30 & wait", "trap '' TERM; echo first; sleep 30"])
def test_a_checker_that_hangs_is_ended(script):
    started = time.monotonic()
    verdict = run_checkers([["sh", "-c", script]], 1)
    assert verdict.output == "first\nno verdict after 1 s (validate_timeout)"
    assert time.monotonic() - started < 20


def test_a_process_left_behind_keeps_nobody_waiting():
    started = time.monotonic()
    assert run_checkers([["sh", "-c", "setsid sleep 5 & echo x"]], 60).outcome == "passed"
    assert time.monotonic() - started < 4


def test_endless_words_are_cut():
    assert len(run_checkers([["sh", "-c", "yes x | head -c 100000; exit 1"]], 60).output) == rehearsal.OUTPUT_LIMIT


# --- masking ---

ENV = """DATABASE_URL=postgresql://shop:s3cr3tpart@127.0.0.1:5432/shop
export TOKEN='abc/def+ghi=='
PORT=8000
PIN=1234567
"""
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nab12\n-----END PRIVATE KEY-----\n"
# (what the checker says, the sensitive text, what is public, what may be seen)
MASKS = [
    ("all is well", ENV, "", "all is well"),
    ("bad line: TOKEN='abc/def+ghi=='", ENV, "", "bad line: TOKEN=********"),
    ("bad value abc/def+ghi== in line 2", ENV, "", "bad value ******** in line 2"),
    ("cannot connect as shop with s3cr3tpart", ENV, "", "cannot connect as ******** with ********"),
    ("unknown setting DATABASE_URL", ENV, "", "unknown setting DATABASE_URL"),
    ("port 8000 is taken", ENV, "", "port 8000 is taken"),
    ("pin 1234567", ENV, "", "pin ********"),
    ("bad PEM: MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", KEY, "", "bad PEM: ********"),
    ("cut short: MIIEvQIBADANBg", KEY, "", "cut short: ********"),
    ("glued: xMIIEvQIBADANBgkqhkiG9w0BAQEFAASCx", KEY, "", "glued: ********"),
    ("ab12 at the end", KEY, "", "******** at the end"),
    (
        "directory /var/lib/x: no",
        "directory /var/lib/x\npassword hunter22\n",
        "directory /var/lib/x\npassword {{ p }}",
        "directory /var/lib/x: no",
    ),
    ("'password hunter22' is bad", "directory /var/lib/x\npassword hunter22\n", "", "'password ********' is bad"),
    ("phrase correct horse", "correct horse battery\n", "", "phrase correct ********"),
    ("whatever abcd", "", "", "whatever abcd"),
]


@pytest.mark.parametrize(("said", "secret", "public", "seen"), MASKS)
def test_what_a_checker_quotes_from_a_secret_is_masked(said, secret, public, seen):
    assert mask(said, [secret], [public]) == seen


# --- which directories to cover ---


def test_the_directories_to_cover_are_few(tmp_path):
    for name in ("a/b/c", "d", "m/below"):
        os.makedirs(tmp_path / name)
    os.symlink("a", tmp_path / "link")
    steps = [
        Step("place", f"{tmp_path}/a/x"),
        Step("place", f"{tmp_path}/a/b/c/x"),
        Step("remove", f"{tmp_path}/link/b/y"),
        Step("place", f"{tmp_path}/d/new"),
        Step("attributes", f"{tmp_path}/m"),
        Step("place", f"{tmp_path}/m/below/x"),
    ]
    assert tops(steps, []) == [f"{tmp_path}/{name}" for name in ("a", "d", "m")]
    mounted = [f"{tmp_path}/m/below", "/", f"{tmp_path}/a"]
    assert tops(steps, mounted) == [f"{tmp_path}/{name}" for name in ("a", "d", "m", "m/below")]


def test_mount_points_are_read_with_their_escapes(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text("22 1 0:21 / / rw - ext4 /dev/x rw\n23 22 0:22 / /with\\040space\\134 rw shared:1 - tmpfs tmpfs rw\n")
    assert mountpoints(table) == ["/", "/with space\\"]
    assert mountpoints(tmp_path / "none") == []


# --- the rehearsal ---


def place(path, text):
    content = text.encode()
    node = Node("file", 0o644, os.geteuid(), os.getegid(), len(content), content=content)
    return Step("place", path, new=f"{path}.new", nodes=[("", node)])


@pytest.fixture
def namespaces(tmp_path_factory, monkeypatch):
    """Skips where this machine makes no mount namespace."""
    monkeypatch.setattr(rehearsal, "SCRATCH", str(tmp_path_factory.mktemp("scratch")))
    verdict = rehearse([place("/etc/mainstay-test", "x")], [["true"]], 60)
    if verdict.outcome != "passed":
        pytest.skip(f"no mount namespaces here: {verdict.output}")


@pytest.mark.parametrize("cover", ["overlay", "copy"])
def test_a_rehearsal_leaves_no_trace(namespaces, tmp_path, monkeypatch, cover):
    monkeypatch.setattr(rehearsal, "COVERS", (cover,))
    (tmp_path / "kept").write_text("x")
    verdict = rehearse([place(f"{tmp_path}/new", "y")], [["sh", "-c", f"cat {tmp_path}/new {tmp_path}/kept; exit 1"]], 60)
    assert (verdict.outcome, verdict.output) == ("failed", "yx")
    assert os.listdir(tmp_path) == ["kept"]
    # Only what lies here: others mount and unmount on this machine, too, such as who builds an image beside the test.
    assert [mount for mount in mountpoints() if mount.startswith((str(tmp_path), rehearsal.SCRATCH))] == []


def test_what_is_mounted_below_stays_visible(namespaces):
    verdict = rehearse([place("/dev/mainstay-test", "y")], [["sh", "-c", "stat -f -c %T /dev/shm; ls /dev/null; exit 1"]], 60)
    assert verdict.output == "tmpfs\n/dev/null"


def test_the_permissions_of_a_covered_directory_are_kept(namespaces, tmp_path):
    os.chmod(tmp_path, 0o1731)
    verdict = rehearse([place(f"{tmp_path}/x", "y")], [["sh", "-c", f"stat -c %a {tmp_path}; exit 1"]], 60)
    assert verdict.output == "1731"


@pytest.mark.parametrize("limit", ["COPY_LIMIT_BYTES", "COPY_LIMIT_FILES"])
def test_a_large_directory_is_not_copied(namespaces, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(rehearsal, "COVERS", ("copy",))
    monkeypatch.setattr(rehearsal, limit, 1)
    for name in "ab":
        (tmp_path / name).write_text("more")
    verdict = rehearse([place(f"{tmp_path}/new", "y")], [["true"]], 60)
    assert verdict.outcome == "unavailable"
    assert "larger than" in verdict.output


def test_the_root_directory_is_never_covered(namespaces):
    assert rehearse([place("/mainstay-test", "y")], [["true"]], 60).outcome == "unavailable"
