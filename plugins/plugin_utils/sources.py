# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's side of a release: what a source is, decided once in a run, and packed once for all hosts."""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import json
import os
import re
import subprocess
import tarfile
from contextlib import contextmanager

from ansible import constants
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity, recipes_node, recipes_python
from ansible_collections.mainstay.vps.plugins.module_utils.stack import containers
from ansible_collections.mainstay.vps.plugins.module_utils.stack import source as stack_source
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError
from ansible_collections.mainstay.vps.plugins.module_utils.text import mask
from ansible_collections.mainstay.vps.plugins.plugin_utils import images, left_out

GIT_TIMEOUT = 60
PIECE = 1 << 20  # bytes of a file that are in memory at once
# A folder's own repository says what git runs and asks when it looks at it, and what lies in a folder may pose as one. Whoever wrote the
# source is no user of the control node, so that its repository is read and nothing of it is obeyed.
NOTHING_OF_ITS_OWN = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "safe.bareRepository=explicit")


def control_node(variables):
    """Of the control node: where a relative path of the declaration begins (``bases``: beside the inventory, else beside the playbook),
    and what is the inventory itself."""
    folders = (variables.get("inventory_dir"), variables.get("playbook_dir"), os.getcwd())
    return {"bases": [folder for folder in folders if folder], "inventory": left_out.inventory_places(variables)}


def releases(apps, variables):
    """The id of the release that each declared app is to run, by name; what cannot be resolved is refused."""
    node = control_node(variables)
    return {name: _release(name, app, node) for name, app in normalise(apps).items()}


def _release(name, app, node):
    try:
        found = resolve(app["source"], **node)
        digest = found["digest"]
        if found.get("root"):
            _refuse_what_is_not_read(app, found)
    except ReleaseError as error:
        raise ReleaseError(f"mainstay_apps.{name}.{error}") from error
    version = app["python"] or app["node"]
    return identity.release_id(digest, app["runtime"], app["build"], app["public"], app["directory"], app["shared"], version)


def _refuse_what_is_not_read(app, found):
    """Refuse a folder whose lock a host could not read, before anything changes there; what a host fetches it looks at itself."""
    *above, own = found["folders"]
    above = {name for folder in above for name in folder}
    try:
        if app["runtime"] == "python":
            project = os.path.join(app["directory"], "pyproject.toml")
            recipes_python.python_requirements(own, "uv", above, left_out.said(found["root"], project) if "pyproject.toml" in own else "")
        elif app["runtime"] == "node":
            recipes_node.node_steps(own, above)
    except ReleaseError as error:
        raise ReleaseError(f"source: {error}") from None


def _folders(names, directory):
    """The entries of each folder from the top of a source to the one that the app is in, out of the names of all its files."""
    parts = directory.split("/") if directory else []
    ways = ["".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)]
    return [sorted({name[len(way) :].partition("/")[0] for name in names if name.startswith(way)}) for way in ways]


def locate(path, bases, what="source.path"):
    """The absolute path of something on the control node."""
    tried = [os.path.normpath(os.path.join(base, os.path.expanduser(path))) for base in bases]
    for candidate in tried:
        if os.path.exists(candidate):
            return candidate
    raise ReleaseError(f"{what}: {path!r} cannot be used. There is no {' and no '.join(dict.fromkeys(tried))} on the control node.")


def _git(arguments, url=None):
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    if url:
        url, authorization = stack_source.split_credentials(url)
        environment.update(identity.git_credentials(authorization))
    argv = ["git", *(url if word is None else word for word in arguments)]
    return subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_TIMEOUT, check=False)


def _known_to_git(root):
    """The files below a folder that git tracks or would track, or None where git does not say."""
    settings = [word for setting in ("safe.directory=*", *NOTHING_OF_ITS_OWN) for word in ("-c", setting)]
    try:
        listed = _git(["-C", root, *settings, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return names if listed.returncode == 0 and names else None


def _below(root, folder=""):
    """All files below a folder, with paths relative to the root; links are not followed."""
    for entry in os.scandir(os.path.join(root, folder)):
        name = os.path.join(folder, entry.name)
        if identity.excluded(name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(root, name)
        else:
            yield name


def listing(root, inventory=()):
    """``(names, left out)``: the names that make a release, sorted by their bytes, and what stays behind because it is confidential."""
    names, real = set(), functools.cache(os.path.realpath)
    for name in _known_to_git(root) or _below(root):
        path = os.path.join(root, name)
        # git knows what its index says, also of a folder that is a link by now, and leads to what is not of the source.
        if identity.excluded(name) or real(os.path.dirname(path)) != os.path.join(real(root), os.path.dirname(name)).rstrip("/"):
            continue
        if os.path.isdir(path) and not os.path.islink(path):  # a submodule
            names.update(_below(root, name))
        elif os.path.islink(path) or os.path.isfile(path):
            names.add(name)
    kept, stays = left_out.sort_out(root, names, inventory)
    if not kept:
        raise ReleaseError(f"source.path: {root!r} cannot be used. It holds no file that belongs to a release.")
    return kept, stays


class _Content:
    """What a file of a source holds, for its digest and its archive at once, in pieces: nothing bounds its size."""

    def __init__(self, file, digest):
        self._file, self._digest = file, digest

    def read(self, size):
        piece = self._file.read(size)
        self._digest.content(piece)
        return piece


def read_tree(root, names, archive=None, modified=0):
    """The digest of files of a folder; with an open tar archive, the same bytes go into it."""
    digest, folders = identity.TreeDigest(), set()
    for name in names:
        path = os.path.join(root, name)
        if archive:
            _add_folders(archive, folders, os.path.dirname(name), modified)
        if os.path.islink(path):
            target = os.readlink(path)
            digest.link(name, target)
            if archive:
                _add(archive, name, tarfile.SYMTYPE, 0o777, modified, target=target)
            continue
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            executable, content = bool(info.st_mode & 0o100), _Content(file, digest)
            digest.file(name, executable, info.st_size)
            if archive:
                _add(archive, name, tarfile.REGTYPE, 0o755 if executable else 0o644, modified, content, info.st_size)
            else:
                while content.read(PIECE):
                    pass
    return digest.hexdigest()


def _add_folders(archive, known, folder, modified):
    if folder and folder not in known:
        _add_folders(archive, known, os.path.dirname(folder), modified)
        known.add(folder)
        _add(archive, folder, tarfile.DIRTYPE, 0o755, modified)


def _add(archive, name, kind, mode, modified, content=None, size=0, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime, entry.size, entry.linkname = kind, mode, modified, size, target
    archive.addfile(entry, content)


def pack(root, names, destination, expected):
    """Pack files of a folder so that the same content gives the same bytes; refuse one that has changed in this run."""
    modified = identity.modified(expected)
    with (
        open(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, 0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        found = read_tree(root, names, archive, modified)
    if found != expected:
        raise ReleaseError(f"source.path: {root!r} changed while it was deployed. Run again when nothing writes to it.")


def _commit(url, version):
    if identity.FULL_COMMIT.fullmatch(version):
        return version
    shown = stack_source.split_credentials(url)[0]
    try:
        listed = _git(["ls-remote", "--", None, *identity.git_patterns(version)], url)
    except FileNotFoundError:
        raise ReleaseError(
            f"source.version: {version!r} cannot be resolved without git on the control node. Install git there, or give the full commit."
        ) from None
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"source.git: {shown!r} did not answer within {GIT_TIMEOUT} s.") from None
    if listed.returncode:
        words = mask(listed.stderr.decode(errors="replace").strip(), [])
        raise ReleaseError(f"source.git: {shown!r} cannot be read from the control node: {words}")
    commit = identity.commit_of(listed.stdout.decode(errors="replace"), version)
    if not commit:
        raise ReleaseError(f"source.version: {version!r} is no tag and no branch of {shown}. Give one that exists, or a full commit.")
    return commit


def _look(source, bases, inventory):
    """What the source is at this moment: its digest, and what a host needs to fetch it."""
    if source["kind"] == "path":
        root = locate(source["path"], bases)
        if not os.path.isdir(root):
            raise ReleaseError(f"source.path: {root!r} cannot be used. It is a file; name a folder, or declare it as an archive.")
        names, stays = listing(root, inventory)
        folders = _folders(names, source.get("directory", ""))
        return {"digest": read_tree(root, names), "root": root, "inventory": inventory, "left_out": stays, "folders": folders}
    if source["kind"] == "git":
        commit = _commit(source["git"], source["version"])
        return {"digest": commit, "commit": commit}
    if source["kind"] == "package":
        return {"digest": hashlib.sha256("\n".join([source["package"], *source.get("requirements", [])]).encode()).hexdigest()}
    if source["kind"] == "image":
        return _image(source["image"], bases)
    digest = stack_source.CHECKSUM.fullmatch(source["checksum"])[1]
    if stack_source.is_url(source["archive"]):
        return {"digest": digest}
    archive = locate(source["archive"], bases, "source.archive")
    with open(archive, "rb") as file:
        found = hashlib.sha256()
        while piece := file.read(PIECE):
            found.update(piece)
        found = found.hexdigest()
    if found != digest:
        raise ReleaseError(f"source.checksum: sha256:{digest} cannot be used. {archive} has sha256:{found}.")
    return {"digest": digest, "archive": archive}


def _image(image, bases):
    """An image, and where a host copies it from, in skopeo's words: a registry, or the file that is sent to it."""
    if containers.is_archive(image):
        archive = locate(image, bases, "source.image")
        kind, digest = images.in_archive(archive)
        return {"digest": digest, "image": kind, "archive": archive}
    digest = images.in_registry(image)
    name = re.sub(r"(:[^/:@]*)?(@.*)?$", "", image)
    return {"digest": digest.partition(":")[2], "image": f"docker://{name}@{digest}"}


@contextmanager
def _remembered(key, suffix):
    """A file of this run alone, shared by all its worker processes; one of them at a time."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, f"mainstay-release-{name}{suffix}")
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def resolve(source, bases, inventory=()):
    """What the source is, looked at once in a run: every host and every batch of hosts gets the same answer."""
    source = stack_source.source_of(source)
    with _remembered([source, bases], ".json") as path:
        if not os.path.exists(path):
            found = _look(source, bases, list(inventory))
            with open(f"{path}.new", "w") as file:
                json.dump(found, file)
            os.rename(f"{path}.new", path)
        with open(path) as file:
            return {**json.load(file), "source": source}


def archive_for(resolved):
    """The file on the control node that goes to a host, or None where the host fetches for itself."""
    if resolved.get("archive"):
        return resolved["archive"]
    if not resolved.get("root"):
        return None
    with _remembered([resolved["root"], resolved["digest"]], ".tar.gz") as path:
        if not os.path.exists(path):
            names, _stays = listing(resolved["root"], resolved["inventory"])
            pack(resolved["root"], names, f"{path}.new", resolved["digest"])
            os.rename(f"{path}.new", path)
        return path
