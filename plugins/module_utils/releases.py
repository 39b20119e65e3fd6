# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what identifies one, where it comes from, what its environment file says, and which ones may go."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from urllib.parse import unquote, urlsplit, urlunsplit

from . import containers
from .text import printable

COMPLETE = ".complete"
MIGRATED = ".migrated"
LOCKS = "/run/lock/mainstay"
FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")

# Never part of a release: history, and what a build makes anew on the host.
EXCLUDED_NAMES = frozenset(
    (
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".DS_Store",
    )
)
EXCLUDED_SUFFIXES = (".pyc", ".pyo")

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
SUPPORTED = ("path", "git", "archive", "package", "image")


class ReleaseError(ValueError):
    """A release that cannot be made; the message says what to change."""


# --- identity ---------------------------------------------------------------------------------------------------------


def excluded(name):
    """Whether a path relative to the source stays behind."""
    return name.endswith(EXCLUDED_SUFFIXES) or not EXCLUDED_NAMES.isdisjoint(name.split("/"))


def source_of(source):
    """The source with its kind: exactly one of the supported ones, with what belongs to it."""
    if not isinstance(source, dict):
        raise ReleaseError(f"source: {source!r} cannot be used. Write a mapping such as {{path: ../shop}}.")
    kinds = [key for key in source if key in SUPPORTED]
    if len(kinds) != 1:
        raise ReleaseError(
            f"source: {', '.join(kinds) or 'nothing'} cannot be used. Name exactly one of {', '.join(SUPPORTED)}."
        )
    kind, version, checksum = kinds[0], source.get("version"), source.get("checksum")
    if not isinstance(source[kind], str) or not source[kind]:
        raise ReleaseError(f"source.{kind}: {source[kind]!r} cannot be used. Write a text.")
    shown = split_credentials(source[kind])[0]
    if kind == "git" and (not isinstance(version, str) or not version or version.startswith("-")):
        raise ReleaseError(
            f"source.version: {version!r} cannot be used for {shown}. Pin a tag, a branch or a commit, in quotes."
        )
    if kind == "archive" and not (isinstance(checksum, str) and CHECKSUM.fullmatch(checksum)):
        raise ReleaseError(f"source.checksum: {checksum!r} cannot be used. Give sha256:<64 hexadecimal digits>.")
    if kind == "archive" and not source[kind].split("?")[0].endswith(ARCHIVE_SUFFIXES):
        raise ReleaseError(
            f"source.archive: {shown!r} cannot be used. Its name must end in {', '.join(ARCHIVE_SUFFIXES)}."
        )
    if kind == "image" and not containers.usable(source[kind]):
        raise ReleaseError(
            f"source.image: {source[kind]!r} cannot be used. Name registry, repository and tag or digest, or a file that docker "
            "save wrote."
        )
    return {**source, "kind": kind}


def is_url(text):
    return re.match(r"[a-z]+://", text) is not None


def build_item(item):
    """A command of a build with the variables it declares; a mere text declares none."""
    return {"command": item, "env": {}} if isinstance(item, str) else {"env": {}, **item}


def release_id(digest, runtime="python", build=(), public=()):
    """Twelve digits of what the source is; a recipe that makes something else of it adds six of the recipe.

    ``public`` are the folders nginx may read: who may read what is part of a sealed release.
    """
    if runtime in ("python", "container") and not build and not public:
        return digest[:12]
    recipe = json.dumps([runtime, *map(build_item, build), sorted(public)], sort_keys=True)
    return f"{digest[:12]}-{hashlib.sha256(recipe.encode()).hexdigest()[:6]}"


class TreeDigest:
    """The digest of a tree: sorted relative names, executable bits, contents and link targets."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def _entry(self, kind, name, content):
        for part in (kind, name.encode(errors="surrogateescape"), content):
            self._hash.update(b"%d:" % len(part) + part)

    def file(self, name, executable, content):
        self._entry(b"x" if executable else b"f", name, content)

    def link(self, name, target):
        self._entry(b"l", name, target.encode(errors="surrogateescape"))

    def hexdigest(self):
        return self._hash.hexdigest()


def modified(digest):
    """A time for all files of a release: the same for the same content, another one for another content.

    A constant would let a web server call a changed file of the same size unchanged.
    """
    return 1_000_000_000 + int(digest[:7], 16)


def commit_of(listing, version):
    """The commit a version means, out of what ``git ls-remote`` lists; an annotated tag means the commit behind it."""
    found = {}
    for line in listing.splitlines():
        commit, tab, ref = line.partition("\t")
        if tab and FULL_COMMIT.fullmatch(commit):
            found[ref] = commit
    for ref in (f"refs/tags/{version}^{{}}", f"refs/tags/{version}", f"refs/heads/{version}", version):
        if ref in found:
            return found[ref]
    return None


def git_patterns(version):
    return [f"refs/tags/{version}", f"refs/tags/{version}^{{}}", f"refs/heads/{version}", version]


def split_credentials(url):
    """A web URL without its credentials, and the header that carries them; lists and logs show the first only."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.username:
        return url, ""
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, "Basic " + base64.b64encode(credentials.encode()).decode()


def git_credentials(authorization):
    """The environment that gives git the credentials of a URL."""
    if not authorization:
        return {}
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {authorization}",
    }


# --- retention --------------------------------------------------------------------------------------------------------


def expired(complete, keep, protected):
    """The releases beyond the newest ``keep``, oldest first; those in ``protected`` stay whatever their age.

    ``complete`` maps each complete release to the time it was completed.
    """
    newest = sorted(complete, key=lambda name: (complete[name], name), reverse=True)
    return [name for name in reversed(newest[keep:]) if name not in protected]


# --- environment files ------------------------------------------------------------------------------------------------


def env_line(name, value):
    """One line of an environment file as systemd and a POSIX shell read it alike."""
    text = str(value)
    bad = sorted(
        {character for character in text if character < " " and character not in "\t\n"} | ({"\x7f"} & set(text))
    )
    if bad:
        raise ReleaseError(
            f"{name}: its value holds the control character {bad[0]!r}, which systemd drops silently. "
            "Remove it, or encode the value (base64)."
        )
    return '{}="{}"'.format(name, re.sub(r'(["\\`$])', r"\\\1", text))


def env_text(variables):
    return "".join(env_line(name, variables[name]) + "\n" for name in sorted(variables))


def mask(text, secrets):
    """The text as it may be shown: without any of the secrets or the password of any URL, and without what a terminal obeys."""
    for secret in sorted((item for item in secrets if len(item) >= 6), key=len, reverse=True):
        text = text.replace(secret, "********")
    return printable(re.sub(r"(\w://[^\s:/@]*:)[^\s/@]+@", r"\1********@", text))
