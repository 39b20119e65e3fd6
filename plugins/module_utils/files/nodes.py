# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, directories and links, as found or as wanted: looked at, compared, written beside their places, copied."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import stat

from .owners import as_owner_of


@dataclasses.dataclass
class Node:
    """One file, directory or symbolic link, as found or as wanted."""

    kind: str
    mode: int = 0
    uid: int = -1
    gid: int = -1
    size: int = 0
    target: str | None = None
    content: bytes | None = None

    @property
    def attributes(self):
        return (self.mode, self.uid, self.gid)


def look(path):
    """What is at a path: kind ``absent``, ``file``, ``directory``, ``link`` or ``other``, with its attributes."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    with as_owner_of(path):
        try:
            info = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return Node("absent")
        kind = kinds.get(stat.S_IFMT(info.st_mode), "other")
        target = os.readlink(path) if kind == "link" else None
    return Node(kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_size, target)


def read(path):
    with as_owner_of(path), open(path, "rb") as handle:
        return handle.read()


def equal(path, found, wanted):
    """What is at a path (a file or link, as looked at) is what is wanted."""
    if found.kind != wanted.kind or found.attributes[1:] != wanted.attributes[1:]:
        return False
    if wanted.kind == "link":
        return found.target == wanted.target
    return found.mode == wanted.mode and found.size == wanted.size and read(path) == wanted.content


def sync_directory(path):
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_owner(path_or_handle, uid, gid, follow=True):
    """Change the owner where it differs: a user who is not root may do everything but that."""
    info = os.stat(path_or_handle) if follow else os.lstat(path_or_handle)
    uid, gid = (info.st_uid if uid < 0 else uid), (info.st_gid if gid < 0 else gid)
    if (info.st_uid, info.st_gid) == (uid, gid):
        return
    if follow:
        os.chown(path_or_handle, uid, gid)
    else:
        os.lchown(path_or_handle, uid, gid)


def _copy_labels(source, handle):
    """Carry the security label, access list and user attributes of the replaced file over to the new one."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            if name in ("security.selinux", "security.SMACK64", "system.posix_acl_access") or name.startswith("user."):
                with contextlib.suppress(OSError):
                    os.setxattr(handle, name, os.getxattr(source, name))


def write_file(path, node, labels_from=None, sync=True):
    """Write a file that does not exist yet, with its owner and mode before anybody can open it by its final name."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(node.content)
        while view:
            view = view[os.write(handle, view) :]
        if labels_from:
            _copy_labels(labels_from, handle)
        set_owner(handle, node.uid, node.gid)
        os.fchmod(handle, node.mode)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def set_attributes(path, mode, uid, gid):
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        set_owner(handle, uid, gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def remove(path):
    """Remove whatever is at a path; nothing there is fine."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def keep_second_name(path, second):
    """Give the file a second name beside it; where the file system has no hard links, a copy serves."""
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV):
            raise
        copy_node(path, second)


def copy_node(path, copy):
    """Copy a file or link with owner, mode, times and extended attributes."""
    shutil.copy2(path, copy, follow_symlinks=False)
    info = os.lstat(path)
    set_owner(copy, info.st_uid, info.st_gid, follow=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(copy, stat.S_IMODE(info.st_mode))


def is_same(path, other):
    """The same file under two names, or a faithful copy of it."""
    if os.path.samestat(os.lstat(path), os.lstat(other)):
        return True
    first, second = look(path), look(other)
    return first == second and (first.kind == "link" or read(path) == read(other))
