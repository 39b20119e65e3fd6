# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files changes as one: staged, tested as a set, committed, or left byte for byte as it was.

The order of things on the host, and why a kill at any point ends in the old or the new set:

1. A lock, so that transactions follow each other; then whatever an earlier one left unfinished is settled.
2. The plan (``changeset``): what differs. Nothing differs, nothing is written.
3. The rehearsal (``rehearsal``): the checkers see the new set at its real paths in a private mount namespace, nobody
   else does. Where no namespace can be had, the trial below replaces it.
4. The journal, ``<state>/transactions/<id>.json``: every step with its temporary names, synced before anything
   else. Then each new file is written beside its destination, complete with owner, mode and content, and synced; each
   old file gets a second name (a hard link). No destination is touched: state ``clean``, "only leftovers to remove".
5. The commit: the journal turns to ``forward`` (synced), then one rename for each step, then ``clean`` again, then the
   leftovers go. A step that fails turns the journal to ``back`` and every step is undone from the second names: the
   same inodes return. A trial writes ``back`` first, renames, runs the checkers on the real files, then ``forward``.

The renames of N files are not atomic by themselves, so step 5 runs in a helper process of its own session that ignores
the signals of a closing connection: killing the module does not stop it, and it ends within milliseconds. Is the helper
itself killed, the module settles the journal. Do both die (power cut, killed control group), :func:`recover` settles
it: at the start of the next transaction, and whenever the host calls it (``python3 transaction.py recover``, at boot
before the services start, and when a journal appears and stays). Exchanging whole directories with ``renameat2`` would
need no journal, but it replaces the directory itself: watches, open handles and bind mounts would keep the old one, and
what others wrote meanwhile would be lost.

Temporary names begin with a dot and end in ``.dpkg-new`` or ``.dpkg-old``: no include pattern of a daemon matches them.
This file uses the standard library only, and nothing else of the collection: the host keeps a copy for its recovery.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import fcntl
import glob
import json
import os
import pwd
import re
import shutil
import signal
import stat
import sys
import time

STATE_DIR = "/var/lib/mainstay"
BACKUP_DIR = "/var/backups/mainstay"
KEPT_BACKUPS = 20
LOCK_WAIT = 120


class TransactionError(Exception):
    """The set could not be changed; the message says why, and what is left to do."""


# --- whose folder ---------------------------------------------------------------------------------------------------


def stranger(path):
    """The user, as (uid, gid), who could put something else in the place of a path: the first owner on the way there who is
    neither root nor this user. None where there is no such owner.

    Raises :class:`TransactionError` for a link on the way that is somebody else's: it may lead anywhere.
    """
    trusted = (0, os.geteuid())
    left, place, hops = [part for part in os.fspath(path).split("/")[:-1] if part], "/", 0
    while left:
        place = os.path.join(place, left.pop(0))
        try:
            info = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(info.st_mode):
            hops += 1
            if info.st_uid not in trusted or hops > 40:
                raise TransactionError(f"{path}: {place} is a link of somebody else's. Name the place it is to lead to.")
            target = os.readlink(place)
            left = [part for part in target.split("/") if part] + left
            place = "/" if target.startswith("/") else os.path.dirname(place)
        elif info.st_uid not in trusted:
            return info.st_uid, info.st_gid
    return None


@contextlib.contextmanager
def as_owner_of(path):
    """Act on a path as the user whose folder it lies in: then whatever he puts in its place is reached with his rights only."""
    owner = stranger(path) if os.geteuid() == 0 else None
    if owner is None:
        yield
        return
    uid, gid = owner
    groups = os.getgroups()
    os.setgroups(_groups_of(uid, gid))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _groups_of(uid, gid):
    with contextlib.suppress(KeyError):
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return [gid]


# --- nodes and steps ------------------------------------------------------------------------------------------------


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


# --- files ----------------------------------------------------------------------------------------------------------


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


def _sync_directory(path):
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_owner(path_or_handle, uid, gid, follow=True):
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


def _write_file(path, node, labels_from=None, sync=True):
    """Write a file that does not exist yet, with its owner and mode before anybody can open it by its final name."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(node.content)
        while view:
            view = view[os.write(handle, view) :]
        if labels_from:
            _copy_labels(labels_from, handle)
        _set_owner(handle, node.uid, node.gid)
        os.fchmod(handle, node.mode)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def _set_attributes(path, mode, uid, gid):
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _set_owner(handle, uid, gid)
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


def _keep_second_name(path, second):
    """Give the file a second name beside it; where the file system has no hard links, a copy serves."""
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV):
            raise
        _copy_node(path, second)


def _copy_node(path, copy):
    """Copy a file or link with owner, mode, times and extended attributes."""
    shutil.copy2(path, copy, follow_symlinks=False)
    info = os.lstat(path)
    _set_owner(copy, info.st_uid, info.st_gid, follow=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(copy, stat.S_IMODE(info.st_mode))


def _same(path, other):
    """The same file under two names, or a faithful copy of it."""
    if os.path.samestat(os.lstat(path), os.lstat(other)):
        return True
    first, second = look(path), look(other)
    return first == second and (first.kind == "link" or read(path) == read(other))


# --- steps: stage once; forward, back and clean as often as it takes -------------------------------------------------


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
            _set_owner(path, node.uid, node.gid, follow=False)
        else:
            _write_file(path, node, step.dest if step.old and not os.path.islink(step.dest) else None, sync)
    for path, node in reversed(directories):
        _set_attributes(path, node.mode, node.uid, node.gid)
        if sync:
            _sync_directory(path)


def forward(step):
    with as_owner_of(step.dest):
        _forward(step)


def _forward(step):
    if step.act == "place":
        if os.path.lexists(step.new):
            os.rename(step.new, step.dest)
    elif step.act == "attributes":
        _set_attributes(step.dest, *step.after)
    elif look(step.dest).kind == "directory":
        if not os.path.lexists(step.old):
            os.rename(step.dest, step.old)
    elif os.path.lexists(step.old) and os.path.lexists(step.dest) and _same(step.old, step.dest):
        os.unlink(step.dest)


def _back(step):
    with as_owner_of(step.dest):
        _undo(step)


def _undo(step):
    if step.act == "attributes":
        _set_attributes(step.dest, *step.before)
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


def _sync_parents(steps):
    for path in sorted({os.path.dirname(step.dest) for step in steps}):
        with as_owner_of(f"{path}/"):
            if os.path.isdir(path):
                _sync_directory(path)


# --- the journal ----------------------------------------------------------------------------------------------------


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
        _write_file(temporary, Node("file", 0o600, content=json.dumps(data).encode()))
        os.rename(temporary, self.path)
        _sync_directory(directory)

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
            _sync_parents(journal.steps)
        except OSError as problem:
            journal.write("back")
            settle(journal)
            raise TransactionError(f"{problem.filename or 'a file'}: {problem.strerror}") from problem
        journal.backup = None  # it belongs to the host now
        journal.write("clean")
    elif journal.state == "back":
        for step in reversed(journal.steps):
            _back(step)
        _sync_parents(journal.steps)
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


# --- the commit -----------------------------------------------------------------------------------------------------


def in_child(function, detached=False):
    """What a function returns (as JSON carries it) when it runs in a child process; None when the child was killed.

    A detached child has a session of its own, ignores the signals of a closing connection, and outlives this process.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            if detached:
                _detach()
            answer = json.dumps(function())
            with contextlib.suppress(BrokenPipeError), open(writing, "w", encoding="utf-8") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def _detach():
    """Leave the session, the terminal and the connection behind."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN, a handler is not handed on to the checkers
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def transact(steps, identifier, test=None, kept=None, state_dir=STATE_DIR, backup_dir=BACKUP_DIR):
    """Do the steps, all or none; the caller holds the lock. Returns the backup (or None) and the test's answer.

    ``test`` is a function that judges the files in place (a dict with ``passed``); without one they are trusted.
    ``kept`` names the paths to back up, with what becomes of them. Raises :class:`TransactionError`.
    """
    path = os.path.join(state_dir, "transactions", f"{identifier}.json")
    journal = Journal(path, steps, backup=os.path.join(backup_dir, identifier) if kept else None)
    try:
        journal.write("clean")
        for step in steps:
            if step.act == "place":
                stage(step)
            if step.old and look(step.dest).kind != "directory":
                with as_owner_of(step.dest):
                    _keep_second_name(step.dest, step.old)
        _sync_parents(steps)
        backup = _back_up(kept, journal.backup) if kept else None
    except BaseException:
        settle(journal)
        raise
    answer = in_child(lambda: _commit(journal, test), detached=True)
    if answer is None:
        answer = _settle_for_helper(journal)
    if answer.get("error") and os.path.exists(journal.path):
        raise TransactionError(f"{answer['error']}. The set could not be put back: {path} says how, and the next run tries again.")
    if answer.get("error"):
        raise TransactionError(f"{answer['error']}; every file is as it was.")
    if not answer["passed"]:
        return None, answer
    _forget_old_backups(backup_dir)
    return backup, answer


def _commit(journal, test):
    """Put the staged set in place, on trial when there is a test. Runs in the helper; failures are in its answer."""
    answer = {"passed": True}
    try:
        if test:
            journal.write("back")
            try:
                for step in journal.steps:
                    forward(step)
                answer = test()
            except BaseException:
                settle(journal)
                raise
        if answer["passed"]:
            journal.write("forward")
        settle(journal)
    except (OSError, TransactionError) as problem:
        return {"error": _words(problem)}
    return answer


def _words(problem):
    if isinstance(problem, OSError):
        return f"{problem.filename or 'a file'}: {problem.strerror}"
    return str(problem)


def _settle_for_helper(journal):
    """The helper was killed: end what it began, and find out from the files which end it was."""
    try:
        if os.path.exists(journal.path):
            settle(Journal.open(journal.path))
    except (OSError, TransactionError) as problem:
        return {"error": _words(problem)}
    if all(_in_place(step) for step in journal.steps):
        return {"passed": True}
    return {"error": "the commit was killed"}


def _in_place(step):
    """The step has been done, and not undone."""
    if step.act == "remove":
        return look(step.dest).kind == "absent"
    if step.act == "attributes":
        return look(step.dest).attributes == tuple(step.after)
    found, wanted = look(step.dest), step.nodes[0][1]
    return found.kind == "directory" == wanted.kind or equal(step.dest, found, wanted)


def _back_up(kept, directory):
    """Copy what is about to be replaced or removed, below ``files/``, with a manifest of the whole change."""
    os.makedirs(os.path.dirname(directory), 0o700, exist_ok=True)
    os.mkdir(directory, 0o700)
    for path in kept:
        if look(path).kind in ("file", "link"):
            copy = f"{directory}/files{path}"
            os.makedirs(os.path.dirname(copy), 0o700, exist_ok=True)
            _keep(path, copy)
    manifest = json.dumps({"version": 1, "changes": kept}, indent=1, sort_keys=True)
    _write_file(f"{directory}/manifest.json", Node("file", 0o600, content=f"{manifest}\n".encode()))
    return directory


def _keep(path, copy):
    """Copy a file or link to the backup; what lies in somebody else's folder is read with his rights."""
    if stranger(path) is None:
        _copy_node(path, copy)
        return
    node = look(path)
    if node.kind == "link":
        os.symlink(node.target, copy)
    else:
        _write_file(copy, dataclasses.replace(node, content=read(path)))


def _forget_old_backups(backup_dir):
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(backup_dir) if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", name)]
        for name in sorted(names)[:-KEPT_BACKUPS]:
            shutil.rmtree(os.path.join(backup_dir, name), ignore_errors=True)


# --- on the host ----------------------------------------------------------------------------------------------------


def main(arguments=None):
    """``python3 transaction.py recover [--root /]``: settle unfinished transactions, one line for each."""
    parser = argparse.ArgumentParser(description="Settle unfinished transactions of mainstay.vps.config_set.")
    parser.add_argument("command", choices=["recover"])
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


if __name__ == "__main__":
    raise SystemExit(main())
