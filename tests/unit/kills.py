# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a transaction before each of its calls into the operating system that does something, and look at what is left.

A profile hook counts those calls in every process of the transaction and sends SIGKILL before the chosen one, so nothing
in the tested code knows of it. Five questions are asked:

``module``    the module is killed at each of its calls: is the set whole without recovery, once a helper has ended?
``meanwhile`` the module is killed at each call of its helper: is the set whole without recovery, once that has ended?
``helper``    the helper is killed, the module is not: is the set whole when the module answers, and as it says?
``both``      the helper and the module are killed: is the set whole after recovery?
``recovery``  as ``both``, and the recovery is killed as well: is the set whole after the next one?

The unit tests ask at a sample of the calls. The whole matrix: ``PYTHONPATH=.cache python tests/unit/kills.py``
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import datetime
import grp
import json
import os
import platform
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from unittest import mock

from ansible_collections.mainstay.vps.plugins.module_utils.files import changeset, journal, nodes, owners, rehearsal
from ansible_collections.mainstay.vps.plugins.module_utils.files.changes import Entry

OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
CALLS = ("posix", "fcntl", "_posixsubprocess")
# A kill before a question is the kill before the act that follows it.
QUESTIONS_ONLY = {
    "fspath",
    "fstat",
    "getegid",
    "geteuid",
    "getgroups",
    "getpid",
    "getsid",
    "listdir",
    "lstat",
    "readlink",
    "scandir",
    "stat",
}
MEMORY = "/dev/shm"  # no kill is waiting for a disk
QUESTIONS = ("module", "meanwhile", "helper", "both", "recovery")
ACCEPT, REFUSE = [["true"]], [["sh", "-c", "echo no such thing >&2; exit 1"]]
# name: (checkers, how a rehearsal may cover directories)
MODES = {
    "untested": ([], ()),
    "rehearsed": (ACCEPT, ("overlay", "copy")),
    "tried": (ACCEPT, ()),
    "refused": (REFUSE, ()),
}


class Box:
    """A small host in a temporary directory: a tree to change, the journal and the backups."""

    def __init__(self, path):
        self.tree, self.state, self.backups = f"{path}/host", f"{path}/state", f"{path}/backups"
        self.mark, self.scratch = f"{path}/killed", f"{path}/scratch"
        os.makedirs(f"{self.tree}/empty")
        os.makedirs(f"{self.tree}/gone-tree/below")
        os.mkdir(f"{self.tree}/directory", 0o755)
        for name, content in {
            "replaced": "old\n",
            "mode": "same\n",
            "gone": "x\n",
            "a.old": "x\n",
            "kept": "x\n",
            "gone-tree/below/file": "x\n",
        }.items():
            with open(f"{self.tree}/{name}", "w", encoding="utf-8") as handle:
                handle.write(content)
        os.symlink("replaced", f"{self.tree}/link")
        os.symlink("kept", f"{self.tree}/becomes-file")

    def entries(self):
        def entry(name, **fields):
            return Entry(name, f"{self.tree}/{name}", owner=OWNER, group=GROUP, **fields)

        return [
            entry("replaced", content=b"new\n"),
            entry("mode", content=b"same\n", mode=0o600),
            entry("created", content=b"new\n"),
            entry("link", state="link", target="created"),
            entry("becomes-file", content=b"new\n"),
            entry("directory", state="directory", mode=0o700),
            entry("tree", state="directory", mode=0o750),
            entry("tree/below/file", content=b"new\n"),
            entry("tree/link", state="link", target="below/file"),
            entry("gone", state="absent"),
            entry("empty", state="absent"),
            entry("gone-tree", state="absent"),
            entry("gone-tree/below", state="absent"),
            entry("gone-tree/below/file", state="absent"),
        ]

    def change(self, mode):
        checkers, covers = MODES[mode]
        with mock.patch.multiple(rehearsal, COVERS=covers, SCRATCH=self.scratch):
            return changeset.run(
                self.entries(),
                purge=[f"{self.tree}/*.old"],
                validate=checkers,
                state_dir=self.state,
                backup_dir=self.backups,
            )

    def look(self, leftovers=True):
        """Every path with its kind, permissions and content."""
        found = {}
        for directory, names, files in os.walk(self.tree):
            for name in [*names, *files]:
                path = os.path.join(directory, name)
                node = nodes.look(path)
                content = nodes.read(path) if node.kind == "file" else node.target
                if leftovers or "/.mainstay-" not in path:
                    mode = node.mode if node.kind != "link" else None
                    found[os.path.relpath(path, self.tree)] = (node.kind, mode, content)
        return found


@contextlib.contextmanager
def box():
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as path:
        yield Box(path)


def ends():
    """The tree before and after the change."""
    with box() as host:
        before = host.look()
        host.change("untested")
        return before, host.look()


def arm(question, number, mark):
    """From here on, this process and its children die before the numbered call of the asked-for process."""
    main = os.getpid()
    counted = {}

    def count(frame, event, function):
        if event != "c_call" or getattr(function, "__module__", None) not in CALLS or function.__name__ in QUESTIONS_ONLY:
            return
        pid = os.getpid()
        helper = pid != main and os.getsid(0) == pid
        if not (pid == main if question == "module" else helper):
            return
        counted[pid] = counted.get(pid, 0) + 1
        if counted[pid] == number:
            with open(mark, "w", encoding="utf-8"):
                pass
            if question in ("both", "meanwhile"):
                os.kill(main, signal.SIGKILL)
            if question != "meanwhile":
                os.kill(pid, signal.SIGKILL)

    sys.setprofile(count)


def in_process(function, question, number, mark):
    """Run a function in a process that is killed at the numbered call. Returns its exit status, below 0 for a signal."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            arm(question, number, mark)
            function()
            status = 0
        except owners.TransactionError:
            status = 1
        finally:
            sys.setprofile(None)
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(mode, question, number, before, after):
    """One cell of the matrix. Returns what was found before any recovery (old, new or mix); None past the last call."""
    with box() as host:
        killed = "both" if question == "recovery" else question
        status = in_process(lambda: _change(host, mode), killed, number, host.mark)
        with journal.locked(host.state):
            pass  # every process of the transaction holds the lock as long as it lives: now none is left
        if not os.path.exists(host.mark):
            return None
        where = f"{mode}, {question}, call {number}"
        found = host.look(leftovers=False)
        state = "old" if found == before else "new" if found == after else "mix"
        if question == "helper":
            assert status in (0, 1), f"{where}: the module ended with {status}"
            assert host.look() == (after if status == 0 else before), f"{where}: the answer and the files disagree"
            assert not journal.pending(host.state), where
        if question == "recovery":
            call = 1
            while in_process(lambda: recover(host), "module", call, host.mark) < 0:
                call += 1
        recover(host)
        end = host.look()
        assert end in ((before,) if mode == "refused" else (before, after)), f"{where}: a mix is left"
        if question in ("module", "meanwhile"):
            assert state != "mix", f"{where}: the helper left a mix"
            assert end == (before if state == "old" else after), f"{where}: recovery changed what the helper had ended"
        assert not journal.pending(host.state), where
        return state


def recover(host):
    return journal.recover(state_dir=host.state)


def _change(host, mode):
    """The transaction; a refusal is a status of its own."""
    if host.change(mode).refusal:
        raise owners.TransactionError("refused")


def matrix(mode, question, stride=1, offset=1):
    """Kill at every stride-th call until the transaction ends unharmed. Returns how often each state was found."""
    before, after = ends()
    found = {"old": 0, "new": 0, "mix": 0}
    number = offset
    while (state := kill_at(mode, question, number, before, after)) is not None:
        found[state] += 1
        number += stride
    return {"calls": number - stride, "kills": sum(found.values()), **found}


# After a kill, recovery is killed at each of its own calls: every third kill is enough to begin from.
STRIDES = {"recovery": 3}


def cell(place):
    """One cell of the long form: what was found, or what broke."""
    mode, question = place
    try:
        return {"mode": mode, "question": question, **matrix(mode, question, STRIDES.get(question, 1)), "failed": None}
    except AssertionError as problem:
        return {"mode": mode, "question": question, "failed": str(problem)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", help="JSON file to write")
    options = parser.parse_args()
    started = time.monotonic()
    places = [(mode, question) for mode in MODES for question in QUESTIONS]
    rows = []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as workers:
        for row in workers.map(cell, places):
            rows.append(row)
            print(*(f"{key} {value}" for key, value in row.items()), sep="  ", flush=True)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True, capture_output=True, check=False)
    figures = {
        "cells": rows,
        "kills": sum(row.get("kills", 0) for row in rows),
        "failed": sum(row["failed"] is not None for row in rows),
        "seconds": round(time.monotonic() - started),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": git.stdout.strip(),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
    }
    if options.output:
        with open(options.output, "w", encoding="utf-8") as handle:
            handle.write(json.dumps(figures, indent=2) + "\n")
    print(f"{figures['kills']} kills in {figures['seconds']} s, {figures['failed']} cells failed")
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
