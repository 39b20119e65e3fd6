# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declared set of files changes on this host: each path, as it is and as it has to be, and the steps from the one to the other."""

from __future__ import annotations

import base64
import dataclasses
import glob
import grp
import os
import pwd

from .journal import Step
from .nodes import Node, equal, look
from .owners import TransactionError, as_owner_of, stranger
from .rehearsal import mountpoints

KINDS = {"file": "file", "directory": "directory", "link": "symbolic link", "other": "device, socket or pipe"}


@dataclasses.dataclass
class Entry:
    """One path of the set: what it has to be."""

    label: str
    dest: str
    state: str = "file"
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    sensitive: bool = False
    target: str | None = None
    content: bytes | None = None
    public: str = ""  # of a sensitive file: text that may be quoted, such as its template

    def to_dict(self):
        """The entry as JSON can carry it."""
        encoded = None if self.content is None else base64.b64encode(self.content).decode()
        return {**dataclasses.asdict(self), "content": encoded}

    @classmethod
    def from_dict(cls, data):
        """The entry that :meth:`to_dict` described."""
        content = data["content"]
        return cls(**{**data, "content": None if content is None else base64.b64decode(content)})

    @property
    def real(self):
        """The path with every link above the last name resolved: what makes two destinations the same file."""
        return os.path.join(os.path.realpath(os.path.dirname(self.dest)), os.path.basename(self.dest))


@dataclasses.dataclass
class Change:
    """One path that differs: what was there and what will be (kind ``absent`` when it goes)."""

    path: str
    before: Node
    after: Node
    sensitive: bool = False


@dataclasses.dataclass
class Plan:
    """Everything a transaction would do."""

    changes: list = dataclasses.field(default_factory=list)
    steps: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    unfinished: bool = False  # the host lacks accounts or directories that an earlier task of this run would make


def make_plan(entries, purge=(), check=False, identifier="plan"):
    """Compare the set with the host. Raises :class:`TransactionError` with every problem that stands in the way."""
    return _Planner(entries, purge, check, identifier).make()


class _Planner:
    """Compares a set with the host. One object, one plan."""

    def __init__(self, entries, patterns, check, identifier):
        self.entries, self.patterns, self.check, self.identifier = entries, patterns, check, identifier
        self.plan = Plan()
        self.problems = []
        self.changes = {}
        self.new_directories = {}
        self.attributes, self.places, self.removals = [], [], []
        self.mountpoints = set(mountpoints())
        self.accounts = {}

    def make(self):
        self._refuse_aliases()
        by_depth = sorted(self.entries, key=lambda entry: entry.dest.count("/"))
        for entry in by_depth:
            if entry.state == "directory":
                self._directory(entry)
        for entry in self.entries:
            if entry.state in ("file", "link"):
                self._place(entry)
        self._purge()
        for entry in reversed(by_depth):
            if entry.state == "absent":
                self._absent(entry)
        if self.problems:
            raise TransactionError("\n".join(self.problems))
        order = {entry.dest: number for number, entry in enumerate(self.entries)}
        self.plan.changes = [self.changes[path] for path in sorted(self.changes, key=lambda path: (order.get(path, len(order)), path))]
        self.plan.steps = [*self.attributes, *self._trees(), *self.places, *self._removals()]
        for number, step in enumerate(self.plan.steps):
            name = f"{os.path.dirname(step.dest).rstrip('/')}/.mainstay-{self.identifier}-{number}"
            if step.act == "place":
                step.new = f"{name}.dpkg-new"
            if step.act in ("place", "remove") and os.path.lexists(step.dest):
                step.old = f"{name}.dpkg-old"
        return self.plan

    def _problem(self, entry, text):
        self.problems.append(f"{entry.label}: {text}")

    def _unfinished(self, text):
        self.plan.unfinished = True
        if text not in self.plan.notes:
            self.plan.notes.append(text)

    def _change(self, entry, before, after):
        self.changes[entry.dest] = Change(entry.dest, before, after, entry.sensitive)

    def _refuse_aliases(self):
        seen = {}
        for entry in self.entries:
            if entry.real in seen:
                self._problem(entry, f"is the same file as {seen[entry.real]} ({entry.real}). Keep one of the two.")
            seen[entry.real] = entry.label

    def _account(self, entry, kind, name):
        """The number of an owner or group; an unknown one is a problem, in check mode a note."""
        if (kind, name) not in self.accounts:
            number = -1
            try:
                number = pwd.getpwnam(name).pw_uid if kind == "owner" else grp.getgrnam(name).gr_gid
            except KeyError:
                if name.isdigit():
                    number = int(name)
                elif self.check:
                    self._unfinished(f"the {kind} {name} does not exist yet")
                else:
                    self._problem(
                        entry,
                        f"the {kind} {name!r} does not exist on the host. Create it in an earlier task, or correct the name.",
                    )
            self.accounts[kind, name] = number
        return self.accounts[kind, name]

    def _wanted(self, entry):
        uid, gid = self._account(entry, "owner", entry.owner), self._account(entry, "group", entry.group)
        size = len(entry.content or b"")
        self._refuse_strangers(entry, uid)
        return Node(entry.state, entry.mode, uid, gid, size, target=entry.target, content=entry.content)

    def _refuse_strangers(self, entry, uid):
        """What lies in somebody's folder has to be his: he could put something else in its place whenever he likes."""
        owner = stranger(entry.dest)
        if owner is None or uid in (-1, owner[0]):
            return
        name = name_of(owner[0], pwd.getpwuid)
        self._problem(
            entry,
            f"lies in a folder of {name}'s, who could exchange it, and is to belong to {entry.owner}. Declare owner: {name}, "
            "or a folder that is root's.",
        )

    def _directory(self, entry):
        wanted, found, path = self._wanted(entry), look(entry.dest), entry.dest
        is_safe = os.geteuid() != 0 or stranger(path) is None
        if found.kind == "link" and is_safe and os.path.isdir(path) and found.uid in (0, os.geteuid()):
            # An operator moved the data and left a link. Only root's own links are followed: anybody else's could point
            # the change of owner at a directory that is none of their business.
            path = os.path.realpath(path)
            found = look(path)
        if found.kind == "absent":
            if self._parents(entry):
                self.new_directories[entry.dest] = wanted
                self._change(entry, found, wanted)
        elif found.kind != "directory":
            self._problem(entry, f"is a {KINDS[found.kind]} on the host, but a directory is due. Move it away first.")
        elif found.attributes != wanted.attributes:
            self._change(entry, found, wanted)
            before, after = list(found.attributes), list(wanted.attributes)
            self.attributes.append(Step("attributes", path, before=before, after=after))

    def _parents(self, entry):
        """True when the directory above exists or will. A missing one nobody declared is made, 0755, of whose folder it lies in.

        Declared directories come first, the shallow before the deep, so what is missing here is not declared.
        """
        missing, parent = [], os.path.dirname(entry.dest)
        while parent not in self.new_directories and not os.path.lexists(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        if parent not in self.new_directories and not os.path.isdir(parent):
            self._problem(entry, f"{parent} is not a directory. Move it away first.")
            return False
        if missing and os.path.dirname(missing[-1]) == "/etc":
            self._unfinished(f"the directory {missing[-1]} does not exist yet")  # it comes with its package
        for path in missing:
            self.new_directories[path] = Node("directory", 0o755, *(stranger(path) or (os.geteuid(), os.getegid())))
        return True

    def _place(self, entry):
        wanted, found = self._wanted(entry), look(entry.dest)
        if found.kind in ("directory", "other"):
            self._problem(entry, f"is a {KINDS[found.kind]} on the host, but a {KINDS[entry.state]} is due. Move it away first.")
        elif found.kind == "absent":
            if self._parents(entry):
                self._change(entry, found, wanted)
                if os.path.dirname(entry.dest) not in self.new_directories:
                    self.places.append(Step("place", entry.dest, nodes=[("", wanted)]))
        elif not equal(entry.dest, found, wanted) and self._replaceable(entry):
            self._change(entry, found, wanted)
            self.places.append(Step("place", entry.dest, nodes=[("", wanted)]))

    def _replaceable(self, entry):
        if entry.real not in self.mountpoints:
            return True
        self._problem(
            entry,
            "is a mount point, which no rename can replace (a container's engine mounts /etc/hosts and "
            "/etc/resolv.conf, for example). Change it where it is mounted from, or leave it out of the set.",
        )
        return False

    def _remove(self, entry, found):
        if self._replaceable(entry):
            self._change(entry, found, Node("absent"))
            self.removals.append(entry.dest)

    def _removals(self):
        """A directory goes with everything in it, in one rename: each of its files is declared absent or purged."""
        gone = set(self.removals)

        def above(path):
            return path != "/" and (os.path.dirname(path) in gone or above(os.path.dirname(path)))

        return [Step("remove", path) for path in sorted(gone) if not above(path)]

    def _purge(self):
        kept = {entry.real for entry in self.entries}
        for path in sorted({path for pattern in self.patterns for path in glob.glob(pattern)}):
            found, entry = look(path), Entry(f"purge ({path})", path, "absent")
            if found.kind in ("file", "link") and entry.real not in kept:
                self._remove(entry, found)

    def _absent(self, entry):
        found, path = look(entry.dest), entry.dest
        if found.kind == "other":
            self._problem(entry, "is a device, socket or pipe; only files, links and empty directories can be removed.")
        elif found.kind == "directory":
            with as_owner_of(path):
                left = sorted(name for name in os.listdir(path) if f"{path}/{name}" not in self.changes)
            if left:
                self._problem(
                    entry,
                    f"is a directory that holds {len(left)} more ({', '.join(left[:3])}{', …' if left[3:] else ''}). "
                    "Only empty directories are removed: declare what is in it absent, too, or purge it.",
                )
            else:
                self._remove(entry, found)
        elif found.kind != "absent":
            self._remove(entry, found)

    def _trees(self):
        """New directories with everything in them: built aside, each tree arrives with one rename."""
        steps = {}
        for path, node in sorted(self.new_directories.items()):
            top = path
            while os.path.dirname(top) in self.new_directories:
                top = os.path.dirname(top)
            steps.setdefault(top, Step("place", top)).nodes.append((path[len(top) :], node))
        for entry in self.entries:
            parent = os.path.dirname(entry.dest)
            if entry.state in ("file", "link") and parent in self.new_directories:
                top = next(top for top in steps if parent == top or parent.startswith(f"{top}/"))
                steps[top].nodes.append((entry.dest[len(top) :], self.changes[entry.dest].after))
        return list(steps.values())


def name_of(number, find):
    try:
        return find(number)[0]
    except (KeyError, OverflowError):
        return str(number) if number >= 0 else "(does not exist yet)"
