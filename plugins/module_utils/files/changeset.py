# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declared set of files to what it changes on this host: the comparison, the diff, and the run as a whole."""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import errno
import fnmatch
import glob
import grp
import os
import pwd
import stat
import time
import uuid

from .journal import STATE_DIR, Step, locked, pending, recover_locked
from .nodes import Node, equal, look, read
from .owners import TransactionError, as_owner_of, stranger
from .rehearsal import COMMAND_NOT_FOUND, Verdict, find_program, mask, mountpoints, rehearse, run_checkers
from .transaction import BACKUP_DIR, transact

DIFF_LIMIT = 104_448
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
        name = _name(owner[0], pwd.getpwuid)
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


# --- the diff -------------------------------------------------------------------------------------------------------


def diff_of(change):
    """The difference of one path in the form Ansible prints; of a sensitive file only that there is one."""
    path, before, after = change.path, change.before, change.after
    items = []
    if "file" in (before.kind, after.kind):
        # Nobody declared a purged file sensitive; its own mode says who may read it.
        hidden = change.sensitive or (after.kind == "absent" and not before.mode & stat.S_IROTH)
        texts = _hidden_diff(change) if hidden else _text_diff(change)
    else:
        texts = {"before": _describe(before), "after": _describe(after)}
    if texts.get("before", 0) != texts.get("after", 1):
        items.append({"before_header": path, "after_header": path, **texts})
    if before.kind == after.kind and _attributes(before) != _attributes(after):
        header = f"{path} (attributes)"
        items.append(
            {
                "before_header": header,
                "after_header": header,
                "before": _attributes(before),
                "after": _attributes(after),
            }
        )
    return items


def brief_diff(changes, patterns):
    """For each pattern a line that says how many of its files change; what nobody reads at every run, such as the lines of a program."""
    items = []
    for pattern in patterns:
        counts = collections.Counter(
            "new" if change.before.kind == "absent" else "gone" if change.after.kind == "absent" else "changed"
            for change in changes
            if fnmatch.fnmatchcase(change.path, pattern)
        )
        told = ", ".join(f"{counts[what]} {what}" for what in ("new", "changed", "gone") if counts[what])
        items += [{"prepared": f"{pattern}: {told}; -v shows the lines\n"}] if told else []
    return items


def _describe(node):
    return "" if node.kind == "absent" else f"{KINDS[node.kind]}{' to ' + node.target if node.target else ''}\n"


def _attributes(node):
    mode = "" if node.kind == "link" else f"mode: {node.mode:04o}\n"
    return f"{mode}owner: {_name(node.uid, pwd.getpwuid)}\ngroup: {_name(node.gid, grp.getgrgid)}\n"


def _name(number, find):
    try:
        return find(number)[0]
    except (KeyError, OverflowError):
        return str(number) if number >= 0 else "(does not exist yet)"


def _data(change, node):
    return read(change.path) if node.content is None else node.content


def _hidden_diff(change):
    def text(node, side):
        return f"(content hidden, {side} the change)\n" if node.kind == "file" else _describe(node)

    if change.before.kind == change.after.kind and _data(change, change.before) == _data(change, change.after):
        return {"before": "", "after": ""}
    return {"before": text(change.before, "before"), "after": text(change.after, "after")}


def _text_diff(change):
    texts = {}
    for side, name, node in (("before", "dst", change.before), ("after", "src", change.after)):
        if node.kind != "file":
            texts[side] = _describe(node)
            continue
        data = _data(change, node)
        if len(data) > DIFF_LIMIT:
            texts[f"{name}_larger"] = DIFF_LIMIT
        elif b"\0" in data:
            texts[f"{name}_binary"] = 1
        else:
            texts[side] = data.decode("utf-8", "replace")
    return texts


# --- the whole ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Result:
    """What happened, or in check mode would happen."""

    changed_files: list = dataclasses.field(default_factory=list)
    diff: list = dataclasses.field(default_factory=list)
    backup: str | None = None
    validated: bool = False
    notes: list = dataclasses.field(default_factory=list)
    recovered: list = dataclasses.field(default_factory=list)
    refusal: Verdict | None = None


def run(
    entries,
    purge=(),
    validate=(),
    timeout=60,
    backup=True,
    check=False,
    diff=False,
    brief=(),
    state_dir=STATE_DIR,
    backup_dir=BACKUP_DIR,
):
    """Bring the host to the set, or leave it as it is. Raises :class:`TransactionError` when the set cannot be applied.

    A checker's refusal is not raised but returned as ``refusal``. Of files that match a pattern in ``brief`` the diff says only how many change.
    """
    identifier = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    result = Result()
    with contextlib.ExitStack() as stack:
        try:
            if check:
                result.notes += [f"unfinished and would be settled first: {path}" for path in pending(state_dir)]
            else:
                stack.enter_context(locked(state_dir))
                result.recovered = recover_locked(state_dir=state_dir)
            plan = make_plan(entries, purge, check, identifier)
            result.changed_files = [change.path for change in plan.changes]
            if check:
                result.notes += plan.notes
            if diff:
                shown = [change for change in plan.changes if not any(fnmatch.fnmatchcase(change.path, pattern) for pattern in brief)]
                result.diff = [item for change in shown for item in diff_of(change)] + brief_diff(plan.changes, brief)
            if not plan.steps:
                return result
            trial = _rehearse(result, plan, entries, validate, timeout, check)
            if check or result.refusal:
                return result

            def test():
                verdict = run_checkers(trial, timeout)
                return {"passed": verdict.outcome == "passed", "verdict": dataclasses.asdict(verdict)}

            kept = {change.path: f"{change.before.kind} -> {change.after.kind}" for change in plan.changes}
            if not backup or not any(change.before.kind in ("file", "link") for change in plan.changes):
                kept = None
            result.backup, answer = transact(plan.steps, identifier, test if trial else None, kept, state_dir, backup_dir)
        except OSError as problem:
            raise TransactionError(_explain(problem)) from problem
    if not answer["passed"]:
        _refuse(result, Verdict(**answer["verdict"]), entries)
    elif trial:
        result.validated = trial == list(validate)
    return result


def _explain(problem):
    text = f"{problem.filename or 'the host'}: {problem.strerror or problem}"
    if problem.errno in (errno.EPERM, errno.EACCES) and os.geteuid() != 0:
        text += ". Only root may do this: run with become: true, or name an owner, group and state_dir of this user"
    return f"{text}; every file is as it was."


def _rehearse(result, plan, entries, commands, timeout, check):
    """Test the set where nobody sees it. Returns the commands to try on the real files where that is impossible."""
    brought = {entry.dest for entry in entries if entry.state in ("file", "link")}
    runnable = []
    for command in commands:
        if find_program(command[0]) or command[0] in brought:
            runnable.append(command)
        else:
            result.notes.append(f"not tested with {' '.join(command)}: {command[0]} is not installed")
    if not runnable:
        return []
    verdict = rehearse(plan.steps, runnable, timeout)
    if verdict.outcome == "unavailable" and not check:
        return runnable
    if verdict.outcome == "unavailable":
        result.notes.append(f"not tested: a private view of the files cannot be made here ({verdict.output})")
    elif verdict.outcome == "passed":
        result.validated = runnable == list(commands)
    elif check and (plan.unfinished or verdict.rc == COMMAND_NOT_FOUND):
        words = mask(verdict.output, *_secrets(entries, verdict))
        result.notes.append(f"{verdict.command} cannot judge the set on this unfinished host: {words}")
    else:
        _refuse(result, verdict, entries)
    return []


def _secrets(entries, verdict):
    """The texts to hide in a checker's words, and those to leave readable."""
    sensitive = [entry for entry in entries if entry.sensitive]
    secrets = [entry.content.decode("utf-8", "replace") for entry in sensitive if entry.content]
    return secrets, [verdict.command, *(entry.public for entry in sensitive), *(entry.dest for entry in entries)]


def _refuse(result, verdict, entries):
    result.refusal = dataclasses.replace(verdict, output=mask(verdict.output, *_secrets(entries, verdict)))
