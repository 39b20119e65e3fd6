# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what identifies one, where it comes from, what its environment file says, and which ones may go."""

from __future__ import annotations

import hashlib
import json
import re

from ..stack.source import build_item

COMPLETE = ".complete"
MIGRATED = ".migrated"
# A link of a release to the name of the system it was built on, which is no path: its target is read without opening anything.
BUILT_ON = ".built-on"
LOCKS = "/run/lock/mainstay"
FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

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


def excluded(name):
    """Whether a path relative to the source stays behind."""
    return name.endswith(EXCLUDED_SUFFIXES) or not EXCLUDED_NAMES.isdisjoint(name.split("/"))


def release_id(digest, runtime="python", build=(), public=(), directory="", shared=(), version=None):
    """Twelve digits of what the source is; a recipe that makes something else of it adds six of the recipe.

    ``public`` are the folders nginx may read, ``shared`` those that are links out of it: both are part of a sealed release.
    ``version`` is that of an interpreter of its own.
    """
    if runtime in ("python", "container") and not (build or public or directory or shared or version):
        return digest[:12]
    recipe = json.dumps(
        [
            f"{runtime} {version}" if version else runtime,
            *map(build_item, build),
            sorted(public),
            *([directory] if directory or shared else []),
            *shared,
        ],
        sort_keys=True,
    )
    return f"{digest[:12]}-{hashlib.sha256(recipe.encode()).hexdigest()[:6]}"


def on_system(release, system, built_on):
    """The id under which a host runs a release: another one where it was built on the system that the host was before an upgrade.

    Interpreters and libraries are the system's, so what was built with them is built anew beside it. ``built_on`` maps the ids of the
    releases on the host to the system each was built on.
    """
    rebuilt = f"{release}-{system}"
    return rebuilt if rebuilt in built_on or built_on.get(release, system) != system else release


class TreeDigest:
    """The digest of a tree: sorted relative names, executable bits, contents and link targets."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def _parts(self, *parts):
        for part in parts:
            self._hash.update(b"%d:" % len(part) + part)

    def file(self, name, executable, size):
        """A file; its content, of ``size`` bytes, follows in pieces by :meth:`content`."""
        self._parts(b"x" if executable else b"f", name.encode(errors="surrogateescape"))
        self._hash.update(b"%d:" % size)

    def content(self, piece):
        self._hash.update(piece)

    def link(self, name, target):
        self._parts(b"l", name.encode(errors="surrogateescape"), target.encode(errors="surrogateescape"))

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
