# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import releases
from ansible_collections.mainstay.vps.plugins.module_utils.releases import ReleaseError

DIGEST = "0123456789abcdef0123456789abcdef01234567"
CHECKSUM = "sha256:" + "a" * 64


@pytest.mark.parametrize(("name", "stays_behind"), [
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
])
def test_excluded(name, stays_behind):
    assert releases.excluded(name) is stays_behind


@pytest.mark.parametrize(("source", "words"), [
    (None, "mapping"),
    ({}, "Name exactly one of path, git, archive"),
    ({"path": "a", "git": "b"}, "exactly one"),
    ({"image": "a"}, "image cannot be used"),
    ({"path": ""}, "Write a text"),
    ({"git": "https://x/y.git"}, "Pin a tag"),
    ({"git": "https://x/y.git", "version": 1.0}, "in quotes"),
    ({"git": "https://x/y.git", "version": "--upload-pack=x"}, "Pin a tag"),
    ({"archive": "https://x/y.tar.gz"}, "sha256:"),
    ({"archive": "https://x/y.tar.gz", "checksum": "md5:abc"}, "sha256:"),
    ({"archive": "https://x/y.exe", "checksum": CHECKSUM}, "must end in"),
])
def test_sources_that_are_refused(source, words):
    with pytest.raises(ReleaseError, match="source") as refusal:
        releases.source_of(source)
    assert words in str(refusal.value)


def test_a_refusal_shows_no_credentials():
    with pytest.raises(ReleaseError) as refusal:
        releases.source_of({"git": "https://user:hidden@example.com/y.git"})
    assert "hidden" not in str(refusal.value) and "https://example.com/y.git" in str(refusal.value)


@pytest.mark.parametrize("source", [
    {"path": "../shop"},
    {"git": "git@example.com:shop.git", "version": "v1"},
    {"archive": "https://x/y.tar.xz?token=1", "checksum": CHECKSUM},
])
def test_sources_that_are_accepted(source):
    kind = next(iter(source))
    assert releases.source_of(source) == {**source, "kind": kind}
    assert releases.source_of({**source, "kind": kind})["kind"] == kind, "a normal form is accepted, too"


def test_the_id_is_the_source_and_names_another_recipe():
    assert releases.release_id(DIGEST) == "0123456789ab"
    built = releases.release_id(DIGEST, "python", ["npm run build"])
    assert built.startswith("0123456789ab-") and len(built) == 19
    others = {built, releases.release_id(DIGEST), releases.release_id(DIGEST, "node"), releases.release_id(DIGEST, "python", ["make"])}
    assert len(others) == 4


def _digest(*entries):
    digest = releases.TreeDigest()
    for kind, *rest in entries:
        getattr(digest, kind)(*rest)
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
    assert releases.commit_of(LISTING, version) == (digit * 40 if digit else None)


@pytest.mark.parametrize(("url", "bare", "header"), [
    ("https://example.com/a.git", "https://example.com/a.git", ""),
    ("https://me:s%40cret@example.com:8443/a.git", "https://example.com:8443/a.git", "Basic bWU6c0BjcmV0"),
    ("git@example.com:a.git", "git@example.com:a.git", ""),
    ("/srv/git/a", "/srv/git/a", ""),
])
def test_credentials_leave_the_url(url, bare, header):
    assert releases.split_credentials(url) == (bare, header)
    assert ("GIT_CONFIG_VALUE_0" in releases.git_credentials(header)) is bool(header)


@pytest.mark.parametrize(("keep", "protected", "gone"), [
    (5, [], []),
    (3, [], ["a", "b"]),
    (3, ["a"], ["b"]),
    (1, ["a", "c"], ["b", "d"]),
    (0, ["e"], ["a", "b", "c", "d"]),
])
def test_retention_never_removes_what_is_protected(keep, protected, gone):
    complete = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert releases.expired(complete, keep, set(protected)) == gone


@pytest.mark.parametrize("value", ['a$b', '"quoted"', "back\\slash", "two\nlines", "`cmd`", " spaces ", "#no comment", "it's", "é✓", "", "${X}", "%i"])
def test_environment_files_read_as_a_shell_reads_them(value):
    line = releases.env_line("NAME", value)
    shown = subprocess.run(["sh", "-c", f'{line}\nprintf "%s" "$NAME"'], capture_output=True, check=True, encoding="utf-8")
    assert shown.stdout == value


@pytest.mark.parametrize("value", ["a\rb", "a\0b", "\x1b[0m", "\x7f"])
def test_what_systemd_would_drop_is_refused(value):
    with pytest.raises(ReleaseError, match="NAME.*control character"):
        releases.env_line("NAME", value)


def test_secrets_are_masked_wherever_they_stand():
    text = "cannot reach postgresql://shop:pa%2Fss@127.0.0.1:5432/shop with longsecret, http://u:x@h"
    masked = releases.mask(text, ["longsecret", "ab"])
    assert masked == "cannot reach postgresql://shop:********@127.0.0.1:5432/shop with ********, http://u:********@h"


def test_a_build_is_confined_and_its_environment_is_no_argument():
    argv = releases.confined("unit", "shop", "/srv/shop/releases/1", ["/srv/shop/releases/1", "/srv/shop/cache"], "/run/x.env",
                             ["sh", "-c", "echo $HOME $$"], 512, 60)
    assert argv[-3:] == ["sh", "-c", "echo $$HOME $$$$"], "systemd leaves the variables to the shell"
    for wanted in ("User=shop", "MemoryMax=512M", "RuntimeMaxSec=60", "ProtectSystem=strict", "PrivateTmp=yes", "NoNewPrivileges=yes",
                   "WorkingDirectory=/srv/shop/releases/1", "ReadWritePaths=/srv/shop/releases/1 /srv/shop/cache", "EnvironmentFile=/run/x.env"):
        assert f"--property={wanted}" in argv, wanted
    assert not any("Environment=" in word or "setenv" in word for word in argv)


ENDED = f"\n{releases.ENDED_WELL}\n"


@pytest.mark.parametrize(("output", "returncode", "words", "result"), [
    (f"Running as unit: x.service\nhello{ENDED}Finished with result: success\n", 0, ["hello"], "success"),
    ("Running as unit: x.service; invocation ID: 12\nFinished with result: signal\nService runtime: 1s\nMemory peak: 1M (swap: 0B)\n", 255, [], "signal"),
    ("Failed to start\n", 1, ["Failed to start"], "exit-code"),
    ("hello\nFinished with result: success\nMain processes terminated with: code=killed/status=TERM\n", 0, ["hello"], "stopped"),
    (f"hello{ENDED}Finished with result: exit-code\n", 3, ["hello"], "exit-code"),
])
def test_a_command_ended_well_only_when_it_says_so(output, returncode, words, result):
    assert releases.outcome(output, returncode) == (words, result)


def test_a_confined_command_says_that_it_ended_well():
    argv = releases.confined("unit", "shop", "/", ["/"], "/x", ["sh", "-c", "printf hello; $0 $1", "exit", "3"], 1, 1)
    command = [word.replace("$$", "$") for word in argv[argv.index("--") + 1:]]
    assert releases.ENDED_WELL not in subprocess.run(command, capture_output=True, text=True, check=False).stdout
    command[-1] = "0"
    assert releases.outcome(subprocess.run(command, capture_output=True, text=True, check=True).stdout, 0) == (["hello"], "success")


@pytest.mark.parametrize(("returncode", "result", "words"), [
    (3, "exit-code", "failed with exit status 3"),
    (137, "exit-code", "backend_build_memory_mb"),
    (255, "oom-kill", "backend_build_memory_mb"),
    (255, "signal", "512 MB"),
    (255, "timeout", "within 60 s"),
    (0, "stopped", "shutdown"),
])
def test_a_failure_says_what_to_do(returncode, result, words):
    assert words in releases.failure("'make'", returncode, result, 512, 60)


@pytest.mark.parametrize(("names", "installer", "expected"), [
    (["requirements.lock", "requirements.txt", "uv.lock", "pyproject.toml"], "uv", "requirements.lock"),
    (["requirements.txt", "uv.lock", "pyproject.toml"], "uv", "uv.lock"),
    (["requirements.txt", "uv.lock", "pyproject.toml"], "pip", "requirements.txt"),
    (["uv.lock"], "uv", None),
    (["pyproject.toml", "uv.lock"], "pip", "pyproject.toml"),
    (["main.py"], "uv", None),
])
def test_the_strictest_requirements_win(names, installer, expected):
    assert releases.python_requirements(names, installer) == expected


def test_an_environment_is_shared_only_when_its_text_says_all():
    name = releases.environment_digest("fastapi==1\n", "3.11", "uv")
    assert name == releases.environment_digest("fastapi==1\n", "3.11", "uv")
    assert len({name, releases.environment_digest("fastapi==2\n", "3.11", "uv"), releases.environment_digest("fastapi==1\n", "3.13", "uv"),
                releases.environment_digest("fastapi==1\n", "3.11", "pip")}) == 4
    for content in ("-r base.txt\n", "fastapi\n -e .\n", "./wheels/x.whl\n", "x @ file:///srv/x\n", "--constraint c.txt",
                    'source = { path = "lib/x" }', 'source = { editable = "../x" }'):
        assert releases.environment_digest(content, "3.11", "uv") is None, content
    assert releases.environment_digest('source = { editable = "." }\nx @ https://example.com/x.whl\n', "3.11", "uv")


@pytest.mark.parametrize(("requirements", "content", "installer", "hashes"), [
    ("requirements.lock", "a==1 --hash=sha256:1", "uv", True),
    ("requirements.lock", "a==1", "uv", False),
    ("requirements.txt", "a==1 \\\n --hash=sha256:1", "pip", True),
    ("requirements.txt", "a", "pip", False),
])
def test_hashes_are_required_where_they_are_given(requirements, content, installer, hashes):
    steps = releases.python_steps(requirements, content, "/env", installer)
    assert steps[-1]["name"] == f"install {requirements}"
    assert ("--require-hashes" in steps[-1]["arguments"]) is hashes
    assert not any(step["private"] for step in steps), "what installs packages sees no secret"


def test_uv_lock_is_installed_with_hashes():
    steps = releases.python_steps("uv.lock", "", "/env", "uv")
    assert "--require-hashes" in steps[-1]["script"] and "--frozen" in steps[-2]["script"]


@pytest.mark.parametrize(("requirements", "content", "count"), [
    ("requirements.lock", "[build-system]", 0), ("pyproject.toml", "", 1), ("uv.lock", "[build-system]", 1), ("uv.lock", "", 0), (None, "", 0)])
def test_the_project_is_installed_where_its_metadata_is_all_there_is(requirements, content, count):
    assert len(releases.project_steps(requirements, content, "uv")) == len(releases.project_steps(requirements, content, "pip")) == count


def test_node():
    before, after = releases.node_steps(["package.json", "package-lock.json"])
    assert before[0]["script"].startswith("npm ci --include=dev") and "prune --omit=dev" in after[0]["script"]
    assert releases.node_steps(["package.json"])[0][0]["script"].startswith("npm install")
    assert releases.node_steps(["index.js"]) == ([], [])
    with pytest.raises(ReleaseError, match="pnpm-lock.yaml.*package-lock.json"):
        releases.node_steps(["package.json", "pnpm-lock.yaml"])


def test_mirrors_for_pip_are_mirrors_for_uv():
    environment = releases.build_environment("/srv/shop", "/srv/shop/releases/1", {"PIP_INDEX_URL": "https://mirror/simple", "SSL_CERT_FILE": "/own"})
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert environment["SSL_CERT_FILE"] == "/own" and environment["PIP_CERT"] == releases.CERTIFICATES
    assert environment["PATH"].startswith("/srv/shop/releases/1/.venv/bin:")
