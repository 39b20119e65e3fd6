# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a transaction: what is to be done, written before it is done, and how that comes to its end after any cut.

``transaction`` says in which order things happen. The host has a copy of this file, which settles at boot what was cut off
(``python3 /usr/local/lib/mainstay/recovery``).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import glob
import json
import os
import shutil
import sys
import time

from .nodes import Node, is_same, look, read, remove, set_attributes, set_owner, sync_directory, write_file
from .owners import TransactionError, as_owner_of

STATE_DIR = "/var/lib/mainstay"
LOCK_WAIT = 120


@dataclasses.dataclass
class Step:
    """One atomic act of the commit; everything but ``nodes`` is in the journal."""

    act: str  # place | attributes | remove
    dest: str
    new: str | None = None
    old: str | None = None
    before: list | None = None
    after: list | None = None
    nodes: list = dataclasses.field(default_factory=list)  # place: [(path below dest, Node)]

    def to_dict(self):
        data = dataclasses.asdict(dataclasses.replace(self, nodes=[]))
        del data["nodes"]
        return data

    def below(self, root):
        """The same step on a file system that begins at ``root``."""
        return dataclasses.replace(self, dest=root + self.dest, new=self.new and root + self.new, old=self.old and root + self.old)


def stage(step, sync=True):
    """Build what the step will put in place, under its temporary name."""
    with as_owner_of(step.dest):
        _stage(step, sync)


def _stage(step, sync):
    directories = []
    for below, node in step.nodes:
        path = step.new + below
        if node.kind == "directory":
            os.mkdir(path, 0o700)
            directories.append((path, node))
        elif node.kind == "link":
            os.symlink(node.target, path)
            set_owner(path, node.uid, node.gid, follow=False)
        else:
            write_file(path, node, step.dest if step.old and not os.path.islink(step.dest) else None, sync)
    for path, node in reversed(directories):
        set_attributes(path, node.mode, node.uid, node.gid)
        if sync:
            sync_directory(path)


def forward(step):
    with as_owner_of(step.dest):
        _forward(step)


def _forward(step):
    if step.act == "place":
        if os.path.lexists(step.new):
            os.rename(step.new, step.dest)
    elif step.act == "attributes":
        set_attributes(step.dest, *step.after)
    elif look(step.dest).kind == "directory":
        if not os.path.lexists(step.old):
            os.rename(step.dest, step.old)
    elif os.path.lexists(step.old) and os.path.lexists(step.dest) and is_same(step.old, step.dest):
        os.unlink(step.dest)


def _back(step):
    with as_owner_of(step.dest):
        _undo(step)


def _undo(step):
    if step.act == "attributes":
        set_attributes(step.dest, *step.before)
    elif step.act == "place" and os.path.lexists(step.new):
        pass  # the destination was never touched
    elif step.old:
        # Renaming one of two names of the same file does nothing: where a removal did not happen, the second name
        # stays until the clean-up.
        if os.path.lexists(step.old):
            os.rename(step.old, step.dest)
    elif os.path.lexists(step.dest):
        os.rename(step.dest, step.new)


def _clean(step):
    with as_owner_of(step.dest):
        for path in (step.new, step.old):
            if path:
                remove(path)


def sync_parents(steps):
    for path in sorted({os.path.dirname(step.dest) for step in steps}):
        with as_owner_of(f"{path}/"):
            if os.path.isdir(path):
                sync_directory(path)


class Journal:
    """The written intention of one transaction; see the module's notes for its three states.

    The paths it records are the host's own; ``root`` is where that host's file system begins for whoever settles it.
    """

    def __init__(self, path, steps, state="clean", backup=None, root=""):
        self.path, self.recorded, self.state, self.backup, self.root = path, steps, state, backup, root
        self.steps = [step.below(root) for step in steps] if root else steps

    @classmethod
    def open(cls, path, root=""):
        try:
            data = json.loads(read(path))
            return cls(path, [Step(**step) for step in data["steps"]], data["state"], data["backup"], root)
        except (ValueError, KeyError, TypeError) as problem:
            raise TransactionError(
                f"{path} is no journal this version can read ({problem}). It says which files a transaction was about: "
                "see that they are as they should be, then remove it."
            ) from problem

    def write(self, state):
        """Turn to a state, durably, in one rename."""
        self.state = state
        steps = [step.to_dict() for step in self.recorded]
        data = {"version": 1, "state": state, "backup": self.backup, "steps": steps}
        directory, name = os.path.split(self.path)
        temporary = f"{directory}/.{name}.tmp"
        remove(temporary)
        write_file(temporary, Node("file", 0o600, content=json.dumps(data).encode()))
        os.rename(temporary, self.path)
        sync_directory(directory)

    def close(self):
        """Nothing is left to do."""
        remove(self.path)


def settle(journal):
    """Bring a journal to its end, whatever point it was left at. Returns ``completed`` or ``restored``.

    A step that cannot go forward turns the whole set back. Raises OSError when even that fails; the journal then stays.
    """
    outcome = "completed" if journal.state == "forward" else "restored"
    if journal.state == "forward":
        try:
            for step in journal.steps:
                forward(step)
            sync_parents(journal.steps)
        except OSError as problem:
            journal.write("back")
            settle(journal)
            raise TransactionError(f"{problem.filename or 'a file'}: {problem.strerror}") from problem
        journal.backup = None  # it belongs to the host now
        journal.write("clean")
    elif journal.state == "back":
        for step in reversed(journal.steps):
            _back(step)
        sync_parents(journal.steps)
        journal.write("clean")
    for step in journal.steps:
        _clean(step)
    if journal.backup:
        shutil.rmtree(journal.root + journal.backup, ignore_errors=True)
    journal.close()
    return outcome


def pending(state_dir=STATE_DIR):
    """The journals of unfinished transactions, oldest first."""
    return sorted(glob.glob(f"{glob.escape(state_dir)}/transactions/*.json"))


@contextlib.contextmanager
def locked(state_dir=STATE_DIR, wait=LOCK_WAIT):
    """Hold the host's transaction lock; children that inherit it hold it until they end."""
    directory = os.path.join(state_dir, "transactions")
    os.makedirs(state_dir, 0o755, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    handle = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransactionError(
                        f"another transaction has held {directory}/lock for {wait} s. Wait for that run, or end it."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def recover(root="/", state_dir=STATE_DIR, wait=LOCK_WAIT):
    """Settle every unfinished transaction below ``root``; the host has then the old or the new set, never a mix.

    Returns a list of ``{id, outcome, files}``. Does nothing, and writes nothing, when there is none.
    """
    root = root.rstrip("/")
    if not pending(root + state_dir):
        return []
    with locked(root + state_dir, wait):
        return recover_locked(root, state_dir)


def recover_locked(root="", state_dir=STATE_DIR):
    """As :func:`recover`, for a caller who holds the lock."""
    for path in glob.glob(f"{glob.escape(root + state_dir)}/transactions/.*.tmp"):
        remove(path)
    settled = []
    for path in pending(root + state_dir):
        journal = Journal.open(path, root)
        try:
            outcome = settle(journal)
        except TransactionError:
            outcome = "restored"
        except OSError as problem:
            raise TransactionError(
                f"the unfinished transaction {path} can be brought neither to its end nor back: {problem}. "
                "Remove what stands in the way (read-only file system, immutable file, full disk), then run again."
            ) from problem
        files = [step.dest for step in journal.recorded]
        settled.append({"id": os.path.basename(path)[: -len(".json")], "outcome": outcome, "files": files})
    return settled


def main(arguments=None):
    """Settle unfinished transactions, one line for each."""
    parser = argparse.ArgumentParser(description="Settle unfinished transactions of mainstay.vps.config_set.")
    parser.add_argument("--root", default="/", help="where the host's file system begins (default: /)")
    parser.add_argument("--wait", type=int, default=LOCK_WAIT, help="seconds to wait for a running transaction")
    options = parser.parse_args(arguments)
    try:
        for item in recover(options.root, wait=options.wait):
            sys.stdout.write(f"{item['id']}: {item['outcome']} {' '.join(item['files'])}\n")
    except (TransactionError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0
