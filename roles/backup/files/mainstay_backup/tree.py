# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders into a tar stream and back. Runs as the user whose folders they are, never as root where another one may write.

A SQLite database goes in as its own online backup, whole while the app writes to it. Links are kept as links and never followed.
Standard library and nothing of this package: it is started as a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse

SQLITE = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")
STAGING = ".mainstay-restoring"
DEEP = 200  # folders in each other; each takes a descriptor and some of the stack
LOCKED = 60  # seconds for which a database may be closed to all readers
CLOSED = (5, 6)  # SQLITE_BUSY and SQLITE_LOCKED, without what extends them
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Digest:
    """Files, bytes, and one checksum over all names and contents in their order."""

    def __init__(self):
        self.files, self.bytes, self.whole = 0, 0, hashlib.sha256()

    def add(self, name, size, content):
        self.files, self.bytes = self.files + 1, self.bytes + size
        self.whole.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))

    def report(self):
        return {"files": self.files, "bytes": self.bytes, "sha256": self.whole.hexdigest()}


class Exactly:
    """As many bytes as the header promises: what was appended meanwhile is left out, what was cut off is filled with zeros."""

    def __init__(self, file, size):
        self.file, self.left, self.hash = file, size, hashlib.sha256()

    def read(self, size):
        data = self.file.read(min(size, self.left))
        if not data and self.left:
            data = b"\0" * min(size, self.left)
        self.left -= len(data)
        self.hash.update(data)
        return data


class Holes:
    """What is written, with holes where it is nothing but zeros: a file that says it is a terabyte and holds nothing fills no disk."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.seek(len(data), os.SEEK_CUR) if data == bytes(len(data)) else self.file.write(data)

    def end(self):
        self.file.truncate()
        self.file.flush()


def pack(tops, stream, steady=None, without=(), as_is=False):
    """Write the folders to the stream, but for those of `without`; the report. With `as_is` a database goes in as the files that it has.

    :raises RuntimeError: when the file `steady` changes meanwhile, or something cannot be read.
    """
    digest, before = Digest(), content(steady)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for top in tops:
            try:
                folder = os.open(top, READ | os.O_DIRECTORY)
            except FileNotFoundError:
                continue
            _pack_folder(archive, digest, folder, top, without, as_is)
    if content(steady) != before:
        raise RuntimeError(f"{steady} has changed meanwhile")
    return digest.report()


def content(path):
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return b""


def _pack_folder(archive, digest, folder, path, without, as_is):
    try:
        found = os.fstat(folder)
        if os.geteuid() == 0 and found.st_uid != 0:
            raise RuntimeError(f"{path} is not root's: its own user has to read it")
        if path.count("/") > DEEP:
            raise RuntimeError(f"{path[:60]}… holds more than {DEEP} folders in each other; remove those")
        archive.addfile(_header(found, path, tarfile.DIRTYPE))
        names = sorted(os.listdir(folder))
        databases = set() if as_is else {name for name in names if is_database(name, folder)}
        for name in names:
            if not any(name.endswith(suffix) and name[: -len(suffix)] in databases for suffix in BESIDE):
                pack_entry(archive, digest, folder, name, f"{path}/{name}", name in databases, without, as_is)
    finally:
        os.close(folder)


def pack_entry(archive, digest, folder, name, path, as_database=False, without=(), as_is=False):
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            header = _header(found, path, tarfile.SYMTYPE)
            header.linkname = os.readlink(name, dir_fd=folder)
            archive.addfile(header)
        elif stat.S_ISDIR(found.st_mode):
            if name != STAGING and path not in without:
                _pack_folder(archive, digest, os.open(name, READ | os.O_DIRECTORY, dir_fd=folder), path, without, as_is)
        elif stat.S_ISREG(found.st_mode):
            descriptor = os.open(name, READ, dir_fd=folder)
            with open(descriptor, "rb") as file:
                if as_database:
                    with tempfile.NamedTemporaryFile() as copy:
                        copy_database(path, copy.name)
                        _pack_file(archive, digest, copy, path, os.fstat(file.fileno()))
                else:
                    _pack_file(archive, digest, file, path, os.fstat(file.fileno()))
    except FileNotFoundError:
        return  # gone since the folder was read
    except PermissionError:
        raise RuntimeError(f"{path} may not be read by its folder's user") from None


def _pack_file(archive, digest, file, path, found):
    header = _header(found, path, tarfile.REGTYPE)
    header.size = os.fstat(file.fileno()).st_size
    exact = Exactly(file, header.size)
    archive.addfile(header, exact)
    digest.add(header.name, header.size, exact.hash.hexdigest())


def _header(found, path, kind):
    header = tarfile.TarInfo(path.lstrip("/"))
    header.type, header.mode, header.mtime = kind, stat.S_IMODE(found.st_mode), int(found.st_mtime)
    header.uid, header.gid = found.st_uid, found.st_gid
    return header


def is_database(name, folder=None):
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError:
        return False  # a link, a socket, or gone; what may not be read is told when it is packed
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and os.pread(descriptor, len(SQLITE), 0) == SQLITE
    finally:
        os.close(descriptor)


def copy_database(path, target):
    """SQLite's own online backup, and its own word that the copy is whole."""
    source = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=rw", uri=True, timeout=LOCKED)
    copy, deadline = sqlite3.connect(target), time.monotonic() + LOCKED

    def is_late(status, *_pages):
        """The copy is one step, which is tried again for ever while somebody keeps the database locked."""
        if status & 0xFF in CLOSED and time.monotonic() > deadline:
            raise RuntimeError(f"{path} is locked by the app for over {LOCKED} seconds")

    try:
        source.backup(copy, progress=is_late)
        said = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise RuntimeError(f"{path} is damaged: {said}")
    finally:
        copy.close()
        source.close()


def verify(stream):
    """The report of a stream, from what is really in it."""
    digest = Digest()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isreg():
                hashed, file = hashlib.sha256(), archive.extractfile(member)
                while data := file.read(1 << 20):
                    hashed.update(data)
                digest.add(member.name, member.size, hashed.hexdigest())
    return digest.report()


def unpack(tops, stream):
    """Put the folders back: first all of it beside what is there, then in its place."""
    for top in tops:
        clear(f"{top}/{STAGING}")
    there = [top for top in tops if os.path.isdir(top)]
    found, folders = set(), []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = f"/{member.name}"
                top = next((top for top in tops if path == top or path.startswith(f"{top}/")), None)
                if top is None or ".." in path.split("/"):
                    raise RuntimeError(f"{path} is in none of the folders")
                if top not in there:
                    raise RuntimeError(f"{top} is not there; run site.yml, which makes it, and restore again")
                found.add(top)
                if path == top:
                    os.makedirs(f"{top}/{STAGING}", 0o700)
                    continue
                put(archive, member, f"{top}/{STAGING}/{path[len(top) + 1 :]}")
                if member.isdir():
                    folders.append((path, member))
    except BaseException:  # also of one that is interrupted nothing is left on the disk
        for top in tops:
            clear(f"{top}/{STAGING}")
        raise
    for top in sorted(found):
        _take_place(top)
    settle(folders)


def _take_place(top):
    for entry in os.scandir(top):
        if entry.name != STAGING:
            clear(entry.path)
    for name in os.listdir(f"{top}/{STAGING}"):
        os.rename(f"{top}/{STAGING}/{name}", f"{top}/{name}")
    os.rmdir(f"{top}/{STAGING}")


def put(archive, member, target=None, live=None):
    """Put a member at `target`; whether what is at `live` is the same, and how its content begins. A folder is its owner's alone until
    it is settled."""
    try:
        found = os.lstat(live) if live else None
    except OSError:
        found = None
    if member.isdir():
        os.mkdir(target, 0o700) if target else None
        return found is not None and stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == member.mode, b""
    if member.issym():
        os.symlink(member.linkname, target) if target else None
        return found is not None and stat.S_ISLNK(found.st_mode) and os.readlink(live) == member.linkname, b""
    if not member.isreg():
        raise RuntimeError(f"/{member.name} is no file, folder or link")
    head, same = b"", found is not None and (found.st_mode, found.st_size) == (stat.S_IFREG | member.mode, member.size)
    with contextlib.ExitStack() as files:
        content = archive.extractfile(member)
        there = files.enter_context(open(os.open(live, READ), "rb")) if same else None
        new = files.enter_context(open(target, "xb")) if target else None
        holes = Holes(new) if new else None
        while data := content.read(1 << 20):
            same = same and unstamped(there.read(len(data)), not head) == unstamped(data, not head)
            head = head or data[: len(SQLITE)]
            holes.write(data) if holes else None
        if new:
            holes.end()
            os.fchmod(new.fileno(), member.mode)
            os.utime(new.fileno(), (member.mtime, member.mtime))
    return same, head


def unstamped(data, is_head=True):
    """The first page of a SQLite database without its counters, which an online backup counts on: change, schema, and what wrote it."""
    if not is_head or not data.startswith(SQLITE):
        return data
    return data[:24] + data[28:40] + data[44:92] + data[100:]


def settle(folders):
    """Modes and times of folders, when everything is in them."""
    for path, member in reversed(folders):
        os.chmod(path, member.mode)
        os.utime(path, (member.mtime, member.mtime))


def clear(path):
    """Remove what is at a path, also folders that their owner may not write; a link leads nowhere."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    # Python's own ways end where folders lie some hundred deep in each other.
    for command in (["chmod", "--recursive", "u+rwX"], ["rm", "--recursive", "--force"]):
        subprocess.run([*command, "--", path], stderr=subprocess.DEVNULL, check=False)


def main(words):
    """VERB REPORT STEADY WITHOUT FOLDER...: the report goes to the descriptor REPORT; WITHOUT are paths with colons between them."""
    verb, report, steady, without, *tops = words
    if verb == "pack":
        said = pack(tops, sys.stdout.buffer, steady, without.split(":"))
    elif verb == "aside":
        file = Holes(sys.stdout.buffer)
        said = pack(tops, file, steady, without.split(":"), as_is=True)
        file.end()
    elif verb == "verify":
        said = verify(sys.stdin.buffer)
    else:
        said = unpack(tops, sys.stdin.buffer)
    if said:
        os.write(int(report), json.dumps(said).encode())


def begin(program):
    """A program that an app's user runs: its failure is one line."""
    try:
        program(sys.argv[1:])
    except (OSError, RuntimeError, RecursionError, sqlite3.Error, tarfile.TarError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    begin(main)
