# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import changes, changeset, rehearsal, transaction
from ansible_collections.mainstay.vps.plugins.module_utils.files.changes import Change, Entry
from ansible_collections.mainstay.vps.plugins.module_utils.files.diff import diff_of
from ansible_collections.mainstay.vps.plugins.module_utils.files.nodes import Node
from ansible_collections.mainstay.vps.plugins.module_utils.files.owners import TransactionError
from ansible_collections.mainstay.vps.tests.unit.kills import GROUP, OWNER


class Host:
    """A directory with ``conf`` in it, and transactions upon it."""

    def __init__(self, path):
        self.top, self.state, self.backups = f"{path}/etc", f"{path}/state", f"{path}/backups"
        os.mkdir(self.top)
        self.write("conf", "old\n")

    def path(self, name):
        return f"{self.top}/{name}"

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as handle:
            handle.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as handle:
            return handle.read()

    def entry(self, name, content=None, **fields):
        if content is not None:
            fields["content"] = content.encode()
        return Entry(f"files ({name})", self.path(name), **{"owner": OWNER, "group": GROUP, **fields})

    def run(self, *entries, **options):
        return changeset.run(entries, state_dir=self.state, backup_dir=self.backups, **options)

    def plan(self, *entries, **options):
        return changes.make_plan(entries, **options)

    def manifest(self):
        """Everything that tells two states apart, inodes and times of files included."""
        found = {}
        for directory, names, files in os.walk(self.top):
            for name in [*names, *files]:
                path = os.path.join(directory, name)
                info = os.lstat(path)
                kept = (info.st_mode, info.st_uid, info.st_gid)
                if not stat.S_ISDIR(info.st_mode):
                    kept += (info.st_ino, info.st_mtime_ns, info.st_size, info.st_nlink)
                found[path] = kept
        return found


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsal, "SCRATCH", f"{tmp_path}/scratch")
    return Host(tmp_path)


# --- what differs ---


def test_nothing_differs_nothing_is_written(host):
    before = host.manifest()
    result = host.run(host.entry("conf", "old\n"), host.entry("gone", state="absent"), validate=[["false"]])
    assert (result.changed_files, result.validated, result.backup) == ([], False, None)
    assert host.manifest() == before
    assert os.listdir(f"{host.state}/transactions") == ["lock"]
    assert not os.path.exists(host.backups)


def test_files_links_and_trees_arrive(host):
    result = host.run(
        host.entry("conf", "new\n", mode=0o600),
        host.entry("tree", state="directory", mode=0o750),
        host.entry("tree/a/b", "deep\n"),
        host.entry("tree/link", state="link", target="a/b"),
        host.entry("other/c", "x\n"),
    )
    assert result.changed_files == [host.path(name) for name in ("conf", "tree", "tree/a/b", "tree/link", "other/c")]
    assert host.read("tree/link") == "deep\n"
    modes = {name: stat.S_IMODE(os.stat(host.path(name)).st_mode) for name in ("conf", "tree", "tree/a", "tree/a/b", "other")}
    assert modes == {"conf": 0o600, "tree": 0o750, "tree/a": 0o755, "tree/a/b": 0o644, "other": 0o755}
    assert sorted(os.listdir(host.top)) == ["conf", "other", "tree"]


def test_a_tree_arrives_in_one_step(host):
    plan = host.plan(host.entry("tree/a/b", "x"), host.entry("tree", state="directory"), host.entry("tree/c", "y"))
    assert [(step.act, step.dest) for step in plan.steps] == [("place", host.path("tree"))]


def test_a_directory_goes_with_its_files_in_one_step(host):
    host.write("old/a/b", "x")
    host.write("old/a/c.old", "x")
    entries = [host.entry(name, state="absent") for name in ("old", "old/a", "old/a/b")]
    plan = host.plan(*entries, purge=[host.path("old/*/*.old")])
    assert [(step.act, step.dest) for step in plan.steps] == [("remove", host.path("old"))]
    result = host.run(*entries, purge=[host.path("old/*/*.old")])
    assert len(result.changed_files) == 4
    assert os.listdir(host.top) == ["conf"]
    assert os.path.exists(f"{result.backup}/files{host.path('old/a/c.old')}")


def test_a_link_is_replaced_and_never_written_through(host):
    os.symlink("conf", host.path("link"))
    host.run(host.entry("link", "new\n"))
    assert host.read("conf") == "old\n"
    assert not os.path.islink(host.path("link"))


def test_purge_takes_files_and_links_but_no_directory(host):
    for name in ("a.old", "kept.old", "dir.old/x"):
        host.write(name, "x")
    os.symlink("nowhere", host.path("dead.old"))
    result = host.run(host.entry("kept.old", "x"), purge=[host.path("*.old")])
    assert result.changed_files == [host.path("a.old"), host.path("dead.old")]
    assert sorted(os.listdir(host.top)) == ["conf", "dir.old", "kept.old"]


def test_a_moved_directory_is_followed_when_the_link_is_ours(host):
    os.mkdir(host.path("moved"), 0o755)
    os.symlink("moved", host.path("data"))
    assert host.run(host.entry("data", state="directory", mode=0o700)).changed_files == [host.path("data")]
    assert stat.S_IMODE(os.stat(host.path("moved")).st_mode) == 0o700
    assert os.path.islink(host.path("data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_moved_directory_is_not_followed_when_the_link_is_another_users(host):
    os.mkdir(host.path("precious"), 0o700)
    os.symlink("precious", host.path("data"))
    os.lchown(host.path("data"), 12345, 12345)
    with pytest.raises(TransactionError, match="is a symbolic link on the host, but a directory is due"):
        host.run(host.entry("data", state="directory", owner="12345"))
    assert os.stat(host.path("precious")).st_uid == 0


# name: (what is there, the entry, the words that must help)
OBSTACLES = {
    "directory for a file": (
        lambda h: os.mkdir(h.path("x")),
        lambda h: h.entry("x", "y"),
        "is a directory on the host, but a file",
    ),
    "directory for a link": (
        lambda h: os.mkdir(h.path("x")),
        lambda h: h.entry("x", state="link", target="y"),
        "but a symbolic link is due",
    ),
    "pipe for a file": (lambda h: os.mkfifo(h.path("x")), lambda h: h.entry("x", "y"), "is a device, socket or pipe"),
    "pipe to remove": (lambda h: os.mkfifo(h.path("x")), lambda h: h.entry("x", state="absent"), "only files, links"),
    "file for a directory": (
        lambda h: None,
        lambda h: h.entry("conf", state="directory"),
        "is a file on the host, but a",
    ),
    "file above": (lambda h: None, lambda h: h.entry("conf/x", "y"), "conf is not a directory. Move it away first"),
    "dead link above": (lambda h: os.symlink("no", h.path("x")), lambda h: h.entry("x/y", "z"), "x is not a directory"),
    "full directory": (
        lambda h: [h.write(f"x/{name}", "y") for name in "abcd"],
        lambda h: h.entry("x", state="absent"),
        r"holds 4 more \(a, b, c, …\)",
    ),
    "no such owner": (lambda h: None, lambda h: h.entry("x", "y", owner="no-one"), "owner 'no-one' does not exist"),
    "no such group": (lambda h: None, lambda h: h.entry("x", "y", group="no-one"), "group 'no-one' does not exist"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_stands_in_the_way_is_named_and_left_alone(host, name):
    prepare, entry, words = OBSTACLES[name]
    prepare(host)
    before = host.manifest()
    with pytest.raises(TransactionError, match=words):
        host.run(entry(host), host.entry("conf", "new\n"))
    assert host.manifest() == before


def test_every_obstacle_is_told_at_once(host):
    with pytest.raises(TransactionError) as problem:
        host.run(host.entry("a", "x", owner="no-one"), host.entry("conf", state="directory"))
    assert len(str(problem.value).splitlines()) == 2


def test_two_names_of_one_file_are_refused(host):
    os.symlink(".", host.path("again"))
    with pytest.raises(TransactionError, match="is the same file as files"):
        host.run(host.entry("conf", "a"), host.entry("again/conf", "b"))


def test_a_mount_point_is_refused(host, monkeypatch):
    monkeypatch.setattr(changes, "mountpoints", lambda: [host.path("conf")])
    for entry in (host.entry("conf", "new\n"), host.entry("conf", state="absent")):
        with pytest.raises(TransactionError, match="is a mount point, which no rename can replace"):
            host.run(entry)


# --- check mode ---


def test_check_mode_predicts_and_writes_nothing(host):
    entries = [host.entry("conf", "new\n"), host.entry("tree/x", "y"), host.entry("gone", state="absent")]
    before = host.manifest()
    predicted = host.run(*entries, check=True, diff=True)
    assert host.manifest() == before
    assert not os.path.exists(host.state)
    applied = host.run(*entries, diff=True)
    assert (predicted.changed_files, predicted.diff) == (applied.changed_files, applied.diff)


def test_check_mode_notes_accounts_that_do_not_exist_yet(host):
    result = host.run(host.entry("conf", "old\n", owner="no-one", group="no-one"), check=True, diff=True)
    assert result.changed_files == [host.path("conf")]
    assert result.notes == ["the owner no-one does not exist yet", "the group no-one does not exist yet"]
    assert "(does not exist yet)" in result.diff[0]["after"]


def test_a_checker_that_is_not_installed_is_noted(host):
    result = host.run(host.entry("conf", "new\n"), validate=[["no-such-program", "-t"], ["true"]])
    assert result.notes == ["not tested with no-such-program -t: no-such-program is not installed"]
    assert not result.validated
    assert host.read("conf") == "new\n"


def test_an_unfinished_transaction_is_noted_in_check_mode(host):
    os.makedirs(f"{host.state}/transactions")
    with open(f"{host.state}/transactions/one.json", "w", encoding="utf-8") as handle:
        json.dump({"version": 1, "state": "clean", "backup": None, "steps": []}, handle)
    assert "unfinished" in host.run(host.entry("conf", "new\n"), check=True).notes[0]
    assert host.run(host.entry("conf", "new\n")).recovered[0]["id"] == "one"


# --- the test of the set ---

SEES_THE_NEW_SET = """
[ "$(cat {top}/conf)" = new ] && [ "$(cat {top}/tree/a/x)" = y ] && [ ! -e {top}/gone ] && [ -L {top}/link ] &&
[ "$(stat -c %a {top}/d)" = 700 ] && [ ! -e {top}/old ] && ls -A {top} | grep -qv mainstay
"""
COVERS = [("overlay",), ("copy",), ()]


def whole_set(host):
    for name in ("gone", "old/x"):
        host.write(name, "x")
    os.mkdir(host.path("d"), 0o755)
    return [
        host.entry("conf", "new\n"),
        host.entry("tree/a/x", "y\n"),
        host.entry("gone", state="absent"),
        host.entry("link", state="link", target="conf"),
        host.entry("d", state="directory", mode=0o700),
        host.entry("old", state="absent"),
        host.entry("old/x", state="absent"),
    ]


@pytest.mark.parametrize("covers", COVERS)
def test_the_checker_sees_the_whole_new_set(host, covers, monkeypatch):
    monkeypatch.setattr(rehearsal, "COVERS", covers)
    script = SEES_THE_NEW_SET.format(top=host.top)
    result = host.run(*whole_set(host), validate=[["sh", "-c", script]])
    assert result.refusal is None
    assert result.validated
    assert host.read("tree/a/x") == "y\n"


@pytest.mark.parametrize("covers", COVERS)
def test_a_refused_set_leaves_everything_as_it_was(host, covers, monkeypatch):
    monkeypatch.setattr(rehearsal, "COVERS", covers)
    entries = whole_set(host)
    before = host.manifest()
    result = host.run(*entries, validate=[["true"], ["sh", "-c", "echo out; echo wrong >&2; exit 3"]])
    assert (result.refusal.rc, result.refusal.output) == (3, "out\nwrong")
    assert result.refusal.command.startswith("sh -c")
    assert not result.validated
    assert result.backup is None
    assert host.manifest() == before
    assert os.listdir(f"{host.state}/transactions") == ["lock"]
    assert not os.path.exists(host.backups) or os.listdir(host.backups) == []


def test_the_checker_may_be_part_of_the_set(host):
    checker = host.entry("check", "#!/bin/sh\nexit 1\n", mode=0o755)
    assert host.run(checker, validate=[[checker.dest]]).refusal.rc == 1
    assert not os.path.exists(checker.dest)


def test_what_a_sensitive_file_holds_is_masked_in_the_refusal(host):
    entry = host.entry("secret", "password tr0ub4dor\n", sensitive=True)
    result = host.run(entry, validate=[["sh", "-c", "grep -H pass $0; exit 1", entry.dest]])
    assert result.refusal.output == f"{entry.dest}:password ********"


# --- backups ---


def test_the_backup_holds_what_was_there(host):
    host.write("gone", "bye\n", mode=0o600)
    result = host.run(host.entry("conf", "new\n"), host.entry("gone", state="absent"), host.entry("created", "x"))
    assert stat.S_IMODE(os.stat(result.backup).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(host.backups).st_mode) == 0o700
    kept = f"{result.backup}/files{host.top}"
    assert sorted(os.listdir(kept)) == ["conf", "gone"]
    with open(f"{kept}/gone", encoding="utf-8") as handle:
        assert handle.read() == "bye\n"
    assert stat.S_IMODE(os.stat(f"{kept}/gone").st_mode) == 0o600
    with open(f"{result.backup}/manifest.json", encoding="utf-8") as handle:
        assert json.load(handle)["changes"][host.path("created")] == "absent -> file"


def test_no_backup_when_nothing_was_there_or_none_is_wanted(host):
    assert host.run(host.entry("created", "x")).backup is None
    assert host.run(host.entry("conf", "new\n"), backup=False).backup is None
    assert not os.path.exists(host.backups)


def test_only_the_last_backups_are_kept(host, monkeypatch):
    monkeypatch.setattr(transaction, "KEPT_BACKUPS", 2)
    os.makedirs(f"{host.backups}/not-ours")
    os.mkdir(f"{host.backups}/20200101T000000Z-00000000")
    made = [host.run(host.entry("conf", f"{number}\n")).backup for number in range(2)]
    assert sorted(os.listdir(host.backups)) == sorted([*map(os.path.basename, made), "not-ours"])


# --- the diff ---


def changed(before, after, **fields):
    return Change("/etc/x", before, after, **fields)


def file(content, mode=0o644):
    return Node("file", mode, os.geteuid(), os.getegid(), content=content)


HEADERS = {"before_header": "/etc/x", "after_header": "/etc/x"}
ABSENT = Node("absent")
# name: (change, the items)
DIFFS = {
    "text": (changed(file(b"a\n"), file(b"b\n")), [{**HEADERS, "before": "a\n", "after": "b\n"}]),
    "created": (changed(ABSENT, file(b"b\n")), [{**HEADERS, "before": "", "after": "b\n"}]),
    "removed": (changed(file(b"a\n"), ABSENT), [{**HEADERS, "before": "a\n", "after": ""}]),
    "removed private": (
        changed(file(b"a\n", 0o640), ABSENT),
        [{**HEADERS, "before": "(content hidden, before the change)\n", "after": ""}],
    ),
    "binary": (changed(file(b"a"), file(b"\0")), [{**HEADERS, "before": "a", "src_binary": 1}]),
    "large": (
        changed(file(b"a" * 104_449), file(b"b")),
        [{**HEADERS, "dst_larger": 104_448, "after": "b"}],
    ),
    "sensitive": (
        changed(file(b"a"), file(b"b"), sensitive=True),
        [
            {
                **HEADERS,
                "before": "(content hidden, before the change)\n",
                "after": "(content hidden, after the change)\n",
            }
        ],
    ),
    "link": (
        changed(Node("link", target="a"), Node("link", target="b")),
        [{**HEADERS, "before": "symbolic link to a\n", "after": "symbolic link to b\n"}],
    ),
    "file to link": (
        changed(file(b"a\n"), Node("link", target="b")),
        [{**HEADERS, "before": "a\n", "after": "symbolic link to b\n"}],
    ),
    "directory": (changed(ABSENT, Node("directory", 0o755)), [{**HEADERS, "before": "", "after": "directory\n"}]),
}


@pytest.mark.parametrize("name", DIFFS)
def test_the_diff(name):
    change, items = DIFFS[name]
    assert diff_of(change) == items


@pytest.mark.parametrize("sensitive", [False, True])
def test_the_diff_of_a_mode(sensitive):
    (item,) = diff_of(changed(file(b"a"), file(b"a", 0o600), sensitive=sensitive))
    assert item["before_header"] == "/etc/x (attributes)"
    assert item["before"].startswith("mode: 0644\nowner: ")
    assert item["after"].startswith("mode: 0600\n")
