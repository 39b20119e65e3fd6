# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a tree over from the user who built it, through descriptors that follow no link.

A folder is root's before its entries are looked at, so nobody else can exchange one of them from then on. A file is root's
before it is asked whether somebody still has it open for writing; of one that is, a copy takes the place: what a process
wrote through an old descriptor, or a second name, would otherwise become part of the release.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import struct
import subprocess

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
COPY = ".mainstay-copy"
# The kernel's layout of an access list (include/uapi/linux/posix_acl_xattr.h): version 2, then tag, permissions and id of each entry.
ACCESS, INHERITED = "system.posix_acl_access", "system.posix_acl_default"
OWNER, USER, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NOBODY = 0xFFFFFFFF


class SealingError(Exception):
    """A tree that cannot be taken over; the message says what is in the way."""


@contextlib.contextmanager
def opened(name, flags=FOLDER, parent=None):
    """A descriptor of a folder or file, itself and no link to it."""
    descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def folder(path, mode, uid=0, gid=0):
    """Have a folder of this owner and mode; everything above it is root's. What an app has put in its place is refused."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    try:
        with opened(path) as descriptor:
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise SealingError(f"{path} is no folder. See who has put it there, and move it away.") from None


def remove(path):
    """Remove a tree, or nothing where there is none, however deep a build has made it: shutil ends at some hundred folders in each other.
    Neither follows a link, whoever exchanges folders for links meanwhile."""
    done = subprocess.run(["/usr/bin/rm", "--recursive", "--force", "--", path], stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise OSError(f"{path} cannot be removed: {done.stderr[-300:].decode(errors='replace').strip()}")


class Seal:
    """Makes a tree root's, readable for a group and no longer writable for anybody else.

    ``owners`` are those who may have made it. ``known`` are files that are root's already, as :func:`link_tree` leaves them; any
    other file of somebody else's is refused. ``public`` are folders, relative to the tree, that ``reader`` may read, too.
    """

    def __init__(self, owners, group, known=frozenset(), public=(), reader=None):
        self.owners, self.group, self.known, self.reader = frozenset(owners), group, known, reader
        self.public = [os.path.normpath(folder) for folder in public] if reader is not None else []
        self.taken = set()

    def tree(self, path):
        with opened(path) as descriptor:
            self._folder(descriptor, "")

    def _folder(self, descriptor, below):
        self._take(descriptor, 0o750)
        self._let_in(descriptor, below, 5)
        for name in os.listdir(descriptor):
            self._entry(descriptor, name, f"{below}/{name}".lstrip("/"))

    def _entry(self, parent, name, below):
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            with opened(name, parent=parent) as descriptor:
                self._folder(descriptor, below)
        elif stat.S_ISREG(info.st_mode):
            self._file(parent, name, below)
        elif stat.S_ISLNK(info.st_mode):
            os.chown(name, 0, self.group, dir_fd=parent, follow_symlinks=False)
        else:
            os.unlink(name, dir_fd=parent)  # a socket, a pipe: what used it has ended

    def _file(self, parent, name, below):
        with opened(name, FILE, parent) as descriptor:
            info = os.fstat(descriptor)
            if (info.st_dev, info.st_ino) in self.known:
                return
            mode = 0o750 if info.st_mode & 0o111 else 0o640
            # A file may have several names, as npm's esbuild has: under the second it is root's already, and who may read it is said.
            if (info.st_dev, info.st_ino) not in self.taken:
                if info.st_uid not in self.owners:
                    raise SealingError(f"{below} belongs to user {info.st_uid}, who has not built it.")
                self._take(descriptor, mode)
                self.taken.add((info.st_dev, info.st_ino))
            if _is_written(descriptor):
                self._replace(parent, name, below, descriptor, mode)
            else:
                self._let_in(descriptor, below, mode >> 3 & 5)

    def _take(self, descriptor, mode):
        for granted in (ACCESS, INHERITED):
            with contextlib.suppress(OSError):
                os.removexattr(descriptor, granted)
        os.fchown(descriptor, 0, self.group)
        os.fchmod(descriptor, mode)

    def _replace(self, parent, name, below, source, mode):
        with opened(COPY, NEW_FILE, parent) as copy:
            with open(source, "rb", closefd=False) as reading, open(copy, "wb", closefd=False) as writing:
                shutil.copyfileobj(reading, writing)
            self._take(copy, mode)
            self._let_in(copy, below, mode >> 3 & 5)
        os.rename(COPY, name, src_dir_fd=parent, dst_dir_fd=parent)

    def _let_in(self, descriptor, below, permissions):
        """Let the reader into what is public, and through what leads there."""
        if any(item in (".", below) or below.startswith(f"{item}/") for item in self.public):
            _allow(descriptor, self.reader, permissions)
        elif any(not below or item.startswith(f"{below}/") for item in self.public):
            _allow(descriptor, self.reader, 1)


def _is_written(descriptor):
    """Whether somebody has this very file open for writing, or mapped so. The kernel gives a read lease on no such file."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return True  # or a file system without leases, on which nobody can tell
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _allow(descriptor, uid, permissions):
    """Give one more user access, as ``setfacl --modify u:UID:…`` does."""
    mode = os.fstat(descriptor).st_mode
    entries = (
        (OWNER, mode >> 6 & 7, NOBODY),
        (USER, permissions, uid),
        (GROUP, mode >> 3 & 7, NOBODY),
        (MASK, mode >> 3 & 7, NOBODY),
        (OTHER, 0, NOBODY),
    )
    os.setxattr(descriptor, ACCESS, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))


def link_tree(model, parent, name, uid, gid):
    """Make a second tree of the same files, which are root's, in folders that are ``uid``'s from the end on.

    ``model`` and ``parent`` are descriptors. Who builds on may add and replace files there, and cannot write into those that
    other trees have, too. Returns what identifies those files: device and inode.
    """
    files = set()
    os.mkdir(name, 0o700, dir_fd=parent)
    with opened(name, parent=parent) as copy:
        for entry in os.listdir(model):
            info = os.stat(entry, dir_fd=model, follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                with opened(entry, parent=model) as below:
                    files |= link_tree(below, copy, entry, uid, gid)
            elif stat.S_ISLNK(info.st_mode):
                os.symlink(os.readlink(entry, dir_fd=model), entry, dir_fd=copy)
                os.chown(entry, uid, gid, dir_fd=copy, follow_symlinks=False)
            else:
                os.link(entry, entry, src_dir_fd=model, dst_dir_fd=copy, follow_symlinks=False)
                files.add((info.st_dev, info.st_ino))
        os.fchown(copy, uid, gid)
        os.fchmod(copy, 0o750)
    return files
