# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files changes as one: staged, tested as a set, committed, or left byte for byte as it was.

The order of things on the host, and why a kill at any point ends in the old or the new set:

1. A lock, so that transactions follow each other; then whatever an earlier one left unfinished is settled.
2. What differs (``changes``). Nothing differs, nothing is written.
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
itself killed, the module settles the journal. Do both die (power cut, killed control group), ``journal.recover`` settles
it: at the start of the next transaction, at boot before the services start, and when a journal appears and stays.
Exchanging whole directories with ``renameat2`` would need no journal, but it replaces the directory itself: watches, open
handles and bind mounts would keep the old one, and what others wrote meanwhile would be lost.

Temporary names begin with a dot and end in ``.dpkg-new`` or ``.dpkg-old``: no include pattern of a daemon matches them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal

from .journal import STATE_DIR, Journal, forward, settle, stage, sync_parents
from .nodes import Node, copy_node, equal, keep_second_name, look, read, write_file
from .owners import TransactionError, as_owner_of, stranger

BACKUP_DIR = "/var/backups/mainstay"
KEPT_BACKUPS = 20


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
                    keep_second_name(step.dest, step.old)
        sync_parents(steps)
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
    write_file(f"{directory}/manifest.json", Node("file", 0o600, content=f"{manifest}\n".encode()))
    return directory


def _keep(path, copy):
    """Copy a file or link to the backup; what lies in somebody else's folder is read with his rights."""
    if stranger(path) is None:
        copy_node(path, copy)
        return
    node = look(path)
    if node.kind == "link":
        os.symlink(node.target, copy)
    else:
        write_file(copy, dataclasses.replace(node, content=read(path)))


def _forget_old_backups(backup_dir):
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(backup_dir) if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", name)]
        for name in sorted(names)[:-KEPT_BACKUPS]:
            shutil.rmtree(os.path.join(backup_dir, name), ignore_errors=True)
