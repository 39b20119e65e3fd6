# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import source as stack_source
from ansible_collections.mainstay.vps.plugins.module_utils.stack import variables
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError, ReleaseError
from ansible_collections.mainstay.vps.plugins.module_utils.text import mask

DIGEST = "0123456789abcdef0123456789abcdef01234567"
CHECKSUM = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "stays_behind"),
    [
        ("app/main.py", False),
        (".git/config", True),
        ("sub/.git", True),
        (".gitignore", False),
        (".venv/bin/python", True),
        ("web/node_modules/x/index.js", True),
        ("app/__pycache__/main.cpython-311.pyc", True),
        ("old.pyc", True),
        ("venv-notes.txt", False),
        (".env.example", False),
    ],
)
def test_excluded(name, stays_behind):
    assert identity.excluded(name) is stays_behind


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "rite a mapping"),
        ({}, "Name exactly one of path, git, archive"),
        ({"path": "a", "git": "b"}, "exactly one"),
        ({"image": "a"}, "Name registry, repository and tag"),
        ({"path": ""}, "Write a text"),
        ({"path": "a", "version": "1"}, "remove it"),
        ({"git": "https://x/y.git"}, "Pin a tag"),
        ({"git": "https://x/y.git", "version": 1.0}, "in quotes"),
        ({"path": "a", "kind": "git"}, "exactly one"),
        ({"git": "https://x/y.git", "version": "--upload-pack=x"}, "Pin a tag"),
        ({"archive": "https://x/y.tar.gz"}, "sha256:"),
        ({"archive": "https://x/y.tar.gz", "checksum": "md5:abc"}, "sha256:"),
        ({"archive": "https://x/y.exe", "checksum": CHECKSUM}, "must end in"),
    ],
)
def test_sources_that_are_refused(source, words):
    with pytest.raises(DeclarationError, match="source") as refusal:
        stack_source.source_of(source)
    assert words in str(refusal.value)


def test_a_refusal_shows_no_credentials():
    with pytest.raises(DeclarationError) as refusal:
        stack_source.source_of({"git": "https://user:hidden@example.com/y.git"})
    assert "hidden" not in str(refusal.value) and "https://example.com/y.git" in str(refusal.value)


@pytest.mark.parametrize(
    "source",
    [
        {"path": "../shop"},
        {"git": "git@example.com:shop.git", "version": "v1"},
        {"archive": "https://x/y.tar.xz?token=1", "checksum": CHECKSUM},
    ],
)
def test_sources_that_are_accepted(source):
    kind = next(iter(source))
    assert stack_source.source_of(source) == {**source, "kind": kind}
    assert stack_source.source_of({**source, "kind": kind})["kind"] == kind, "a normal form is accepted, too"


def test_the_id_is_the_source_and_names_another_recipe():
    assert identity.release_id(DIGEST) == identity.release_id(DIGEST, "container") == "0123456789ab"
    built = identity.release_id(DIGEST, "python", ["npm run build"])
    assert built.startswith("0123456789ab-") and len(built) == 19
    others = {
        built,
        identity.release_id(DIGEST),
        identity.release_id(DIGEST, "node"),
        identity.release_id(DIGEST, "python", ["make"]),
    }
    assert len(others) == 4
    assert identity.release_id(DIGEST, "node", version="22") != identity.release_id(DIGEST, "node")
    linked = identity.release_id("a" * 64, shared=["uploads"])
    assert linked != identity.release_id("a" * 64) and linked != identity.release_id("a" * 64, directory="uploads")


@pytest.mark.parametrize(
    ("built_on", "expected"),
    [
        ({}, "abc"),  # it is not there yet, or an earlier version has built it
        ({"abc": "debian13", "def": "debian12"}, "abc"),
        ({"abc": "debian12"}, "abc-debian13"),
        ({"abc": "debian12", "abc-debian13": "debian13"}, "abc-debian13"),
        ({"abc-debian13": "debian13"}, "abc-debian13"),  # the one from before the upgrade is gone, and nothing is built again
        ({"abc": "debian13", "abc-debian12": "debian12"}, "abc"),
    ],
)
def test_what_another_system_has_built_is_built_anew_beside_it(built_on, expected):
    assert identity.on_system("abc", "debian13", built_on) == expected


def _digest(*entries):
    digest = identity.TreeDigest()
    for kind, *rest in entries:
        *rest, content = rest if kind == "file" else (*rest, None)
        getattr(digest, kind)(*rest, *([] if content is None else [len(content)]))
        digest.content(content or b"")
    return digest.hexdigest()


def test_the_digest_sees_names_modes_contents_and_targets():
    digests = {
        _digest(("file", "a", False, b"x")),
        _digest(("file", "b", False, b"x")),
        _digest(("file", "a", True, b"x")),
        _digest(("file", "a", False, b"y")),
        _digest(("link", "a", "x")),
        _digest(("link", "a", "y")),
        _digest(("file", "a", False, b"x"), ("file", "b", False, b"")),
        _digest(("file", "ax", False, b"")),
        _digest(("file", "a", False, b""), ("file", "b", False, b"x")),
    }
    assert len(digests) == 9


LISTING = (
    "1111111111111111111111111111111111111111\trefs/heads/main\n"
    "2222222222222222222222222222222222222222\trefs/tags/v1\n"
    "3333333333333333333333333333333333333333\trefs/tags/v1^{}\n"
    "4444444444444444444444444444444444444444\trefs/heads/v2\n"
    "5555555555555555555555555555555555555555\trefs/tags/v2\n"
    "6666666666666666666666666666666666666666\trefs/heads/feature/main\n"
)


@pytest.mark.parametrize(("version", "digit"), [("main", "1"), ("v1", "3"), ("v2", "5"), ("feature/main", "6"), ("v3", None)])
def test_a_version_means_a_tag_before_a_branch_and_the_commit_behind_a_tag(version, digit):
    assert identity.commit_of(LISTING, version) == (digit * 40 if digit else None)


@pytest.mark.parametrize(
    ("url", "bare", "header"),
    [
        ("https://example.com/a.git", "https://example.com/a.git", ""),
        ("https://me:s%40cret@example.com:8443/a.git", "https://example.com:8443/a.git", "Basic bWU6c0BjcmV0"),
        ("git@example.com:a.git", "git@example.com:a.git", ""),
        ("/srv/git/a", "/srv/git/a", ""),
    ],
)
def test_credentials_leave_the_url(url, bare, header):
    assert stack_source.split_credentials(url) == (bare, header)
    assert ("GIT_CONFIG_VALUE_0" in identity.git_credentials(header)) is bool(header)


@pytest.mark.parametrize(
    ("keep", "protected", "gone"),
    [
        (5, [], []),
        (3, [], ["a", "b"]),
        (3, ["a"], ["b"]),
        (1, ["a", "c"], ["b", "d"]),
        (0, ["e"], ["a", "b", "c", "d"]),
    ],
)
def test_retention_never_removes_what_is_protected(keep, protected, gone):
    complete = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert identity.expired(complete, keep, set(protected)) == gone


@pytest.mark.parametrize(
    "value",
    [
        "a$b",
        '"quoted"',
        "back\\slash",
        "two\nlines",
        "`cmd`",
        " spaces ",
        "#no comment",
        "it's",
        "é✓",
        "",
        "${X}",
        "%i",
    ],
)
def test_environment_files_read_as_a_shell_reads_them(value):
    line = variables.env_line("NAME", value)
    shown = subprocess.run(["sh", "-c", f'{line}\nprintf "%s" "$NAME"'], capture_output=True, check=True, encoding="utf-8")
    assert shown.stdout == value


@pytest.mark.parametrize("value", ["a\rb", "a\0b", "\x1b[0m", "\x7f"])
def test_what_systemd_would_drop_is_refused(value):
    with pytest.raises(ReleaseError, match="NAME.*control character"):
        variables.env_line("NAME", value)


def test_secrets_are_masked_wherever_they_stand():
    text = "cannot reach postgresql://shop:pa%2Fss@127.0.0.1:5432/shop with longsecret, http://u:x@h"
    masked = mask(text, ["longsecret", "ab"])
    assert masked == "cannot reach postgresql://shop:********@127.0.0.1:5432/shop with ********, http://u:********@h"
