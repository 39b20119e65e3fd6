# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file or folder out of the stream of its part, in its place. As the user whose folders they are, as tree.py.

It is made beside its place, in the folder that gives it what that folder gives, such as the rights of a web server. Started as a file.
"""

from __future__ import annotations

import difflib
import json
import os
import stat
import sys
import tarfile

sys.dont_write_bytecode = True  # its user has no place for it, and a checkout wants none
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from mainstay_backup import tree

NEAR = 1000  # names of a folder among which the likeliest are sought
SHOWN = 5
LONGEST = 500  # characters of what is told


class Place:
    """A path below a folder: what a stream has at it or near it, and what is there now."""

    def __init__(self, top, inner, is_kept=False):
        self.top, self.path, self.is_kept = top, f"{top}/{inner}", is_kept
        self.entries = self.files = self.bytes = self.databases = 0
        self.is_same, self.refusal, self.nearest, self.names, self.folders = True, "", "", [], []
        # What is moved is the path, or the first folder on its way that is not there any more.
        self.moved = top
        for name in inner.split("/"):
            self.beside, self.moved = self.moved, f"{self.moved}/{name}"
            if self.moved == self.path or not os.path.lexists(self.moved):
                break
            if not stat.S_ISDIR(os.lstat(self.moved).st_mode):
                self.refusal = f"{self.moved} is a link or a file now, and no folder; name what it leads to, or move it away"
                break
        self.staging = f"{self.beside}/{tree.STAGING}"

    def see(self, archive, member):
        path = f"/{member.name}"
        if self.refusal or not f"{path}/".startswith(f"{self.top}/"):
            return
        if f"{path}/".startswith(f"{self.path}/"):
            self.take(archive, member, path)
        elif f"{self.path}/".startswith(f"{path}/"):
            if member.issym():
                self.refusal = f"{path} is a link in the backup, to {member.linkname}; name what it leads to"
            self.nearest, self.names = path, []
            if f"{path}/".startswith(f"{self.moved}/"):
                self.folders.append((path, member))
        elif os.path.dirname(path) == self.nearest and len(self.names) < NEAR:
            self.names.append(os.path.basename(path))

    def take(self, archive, member, path):
        if self.is_kept and not self.entries:
            os.mkdir(self.staging, 0o700)
            for folder, _member in self.folders:
                os.mkdir(self.staged(folder), 0o700)
        same, head = tree.put(archive, member, self.staged(path) if self.is_kept else None, path)
        self.is_same, self.entries, self.databases = self.is_same and same, self.entries + 1, self.databases + (head == tree.SQLITE)
        if member.isdir():
            self.folders.append((path, member))
        elif member.isreg():
            self.files, self.bytes = self.files + 1, self.bytes + member.size

    def staged(self, path):
        return f"{self.staging}/{path[len(self.beside) + 1 :]}"

    def report(self):
        """What was found, when the stream has ended; whether the app has to stand still: of a folder it makes the rights when it starts."""
        entries = databases = 0
        for path in walk(self.path):
            of = next((path.removesuffix(suffix) for suffix in tree.BESIDE if path.endswith(suffix)), "")
            if not of or not tree.is_database(of):
                entries, databases = entries + 1, databases + tree.is_database(path)
            elif not path.endswith("-shm") and os.path.getsize(path):
                self.is_same = False  # it holds what is not in the database's file yet
        is_folder = any(path == self.moved for path, _member in self.folders) or os.path.isdir(self.path)
        return {
            "path": self.path,
            "files": self.files,
            "bytes": self.bytes,
            "there": os.path.lexists(self.path),
            "same": self.is_same and entries == self.entries,
            "still": bool(self.databases or databases or is_folder),
        }

    def absent(self):
        if not self.nearest:
            return f"no folder {self.top}"
        likely = difflib.get_close_matches(self.path[len(self.nearest) + 1 :].split("/")[0], self.names, SHOWN, 0.5)
        shown = ", ".join(sorted(likely or self.names[:SHOWN])) or "nothing"
        return f"no {self.path}; {self.nearest} has {shown}{' and others' if len(self.names) > SHOWN else ''} there"

    def keep(self, stream):
        """What is there now, a database with its log, into a stream."""
        folder, name = os.open(self.beside, tree.READ | os.O_DIRECTORY), os.path.basename(self.path)
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for suffix in ("", *(suffix for suffix in tree.BESIDE if tree.is_database(self.path))):
                tree.pack_entry(archive, tree.Digest(), folder, f"{name}{suffix}", f"{self.path}{suffix}", as_is=True)
        os.close(folder)

    def swap(self):
        """Into its place."""
        new, old = self.staged(self.moved), f"{self.staging}.old"
        if not os.path.lexists(new):
            raise RuntimeError(f"{self.beside} has changed meanwhile; run it again")
        if tree.is_database(self.moved) or tree.is_database(new):
            for suffix in tree.BESIDE:  # of the one before; first, as its log would be read into the other
                if os.path.lexists(f"{self.moved}{suffix}"):
                    os.unlink(f"{self.moved}{suffix}")
        if not os.path.lexists(self.moved) or not (_is_folder(new) or _is_folder(self.moved)):
            _move(new, self.moved)
        else:
            tree.clear(old)
            _move(self.moved, old)
            try:
                _move(new, self.moved)
            except OSError:
                _move(old, self.moved)
                raise
            tree.clear(old)
        tree.clear(self.staging)


def walk(path):
    """All that a backup would have of a path; of a file also what a database has beside it."""
    if not _is_folder(path):
        yield from (
            path + suffix for suffix in ("", *tree.BESIDE) if os.path.lexists(path + suffix) and not (suffix and not tree.is_database(path))
        )
        return
    yield path
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name != tree.STAGING]
        for name in names + files:
            mode = os.lstat(f"{folder}/{name}").st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                yield f"{folder}/{name}"


def _is_folder(path):
    return os.path.isdir(path) and not os.path.islink(path)


def _move(source, target):
    """Also a folder that its owner may not write."""
    mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        os.chmod(source, stat.S_IMODE(mode) | 0o700)
    os.rename(source, target)
    if stat.S_ISDIR(mode):
        os.chmod(target, stat.S_IMODE(mode))


def find(tops, inner, stream, is_kept):
    """What the stream has of a path that is sought below each of the folders; with `is_kept` it lies beside its place then."""
    places = [Place(top, inner, is_kept) for top in tops if os.path.isdir(top)]
    if not places:
        return {"refused": f"{', '.join(tops)}: there is no such folder now; run site.yml, which makes it"}
    is_whole = False
    for place in places if is_kept else ():
        tree.clear(place.staging)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                for place in places:
                    place.see(archive, member)
        found = [place for place in places if place.entries]
        if len(found) > 1:
            return {"refused": f"there are {' and '.join(place.path for place in found)}; name one of them"}
        if not found:
            refusal = next((place.refusal for place in places if place.refusal), "")
            return {"refused": refusal} if refusal else {"absent": max(places, key=lambda place: len(place.nearest)).absent()}
        (place,) = found
        said = place.report()
        if is_kept and not said["same"]:
            tree.settle([(place.staged(path), member) for path, member in place.folders])
            is_whole = True
        return said
    finally:
        for place in places if is_kept and not is_whole else ():
            tree.clear(place.staging)


def main(words):
    """look|fetch|keep|swap|drop REPORT PATH FOLDER...: of look and fetch the report goes to the descriptor REPORT."""
    verb, report, inner, *tops = words
    if verb in ("look", "fetch"):
        said = find(tops, inner, sys.stdin.buffer, verb == "fetch")
        os.write(
            int(report),
            json.dumps(
                {key: value[:LONGEST] if isinstance(value, str) and key != "path" else value for key, value in said.items()}
            ).encode(),
        )
        while sys.stdin.buffer.read(1 << 20):
            pass  # who writes it has to come to its end
        return
    place = Place(tops[0], inner)
    if place.refusal:
        raise RuntimeError(place.refusal)
    if verb == "keep":
        file = tree.Holes(sys.stdout.buffer)
        place.keep(file)
        file.end()
    elif verb == "swap":
        place.swap()
    else:
        tree.clear(place.staging)


if __name__ == "__main__":
    tree.begin(main)
