# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkers of a set of files, and a place where they see the new set before anybody else does.

A child process in a mount namespace of its own covers each affected directory with an overlay (where the kernel has
none, with a copy), changes the files there, and runs the checkers on the real paths. Nothing of it reaches the host's
own view, and nothing is left when the child ends, however it ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import time

from ..text import MASK
from .journal import forward, stage
from .nodes import read, remove
from .transaction import in_child

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How a directory may be covered, in the order tried. What is larger than the limits is not copied: a trial is cheaper.
COVERS = ("overlay", "copy")
COPY_LIMIT_BYTES = 32 * 1024 * 1024
COPY_LIMIT_FILES = 5000
# Where the tmpfs of a rehearsal is mounted, in its own namespace: one empty directory serves them all.
SCRATCH = "/run/mainstay-rehearsal"
OUTPUT_LIMIT = 20_000
COMMAND_NOT_FOUND = 127
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1


@dataclasses.dataclass
class Verdict:
    """What the checkers said: ``passed``, ``failed`` or (no private place to test in) ``unavailable``."""

    outcome: str
    command: str = ""
    rc: int = 0
    output: str = ""


def find_program(name):
    """The path of a program as a checker's environment finds it, or None."""
    return shutil.which(name, path=SEARCH_PATH)


def run_checkers(commands, timeout):
    """Run each command (a list of arguments) until one fails; each has ``timeout`` seconds, whatever becomes of us."""
    environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C", "LANGUAGE": "C"}
    for command in commands:
        # A memory file and not a pipe: a checker that leaves a process behind cannot keep us waiting for its end.
        with open(os.memfd_create("checker"), "w+b") as output:
            started = time.monotonic()
            rc = subprocess.run(
                ["timeout", "--signal=KILL", str(timeout), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
                check=False,
            ).returncode
            output.seek(0)
            text = output.read().decode("utf-8", "replace").strip()[-OUTPUT_LIMIT:]
        if rc in KILLED and time.monotonic() - started >= timeout:
            text = f"{text}\nno verdict after {timeout} s (validate_timeout)".strip()
        if rc:
            return Verdict("failed", " ".join(command), rc, text)
    return Verdict("passed")


_WORD = re.compile(r"[^\s\"'`=:;,/@?&()<>\[\]{}|#]{4,}")
_VALUE = re.compile(r"[^\s\"'`;,]{4,}")
_SETTING = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:\s]\s*([^=\s].*)$")


def _tokens(text):
    """What a quotation of a text may consist of: whole lines, what a line sets, values and words."""
    found = set(_WORD.findall(text)) | set(_VALUE.findall(text))
    found |= {part for value in _VALUE.findall(text) for part in value.split("=", 1)[1:]}
    for line in text.splitlines():
        setting = _SETTING.match(line)
        found.add(setting[2].strip() if setting else line.strip())
    return found


def mask(text, secrets, public=()):
    """Hide in a checker's words whatever they quote from the secrets (texts of sensitive files).

    Hidden is every line, value and word of four or more characters that stands in a secret, and longer ones in part.
    What is no secret stays readable: the names of settings (the first word of ``name value`` and ``name=value``), short
    numbers, and the texts in ``public`` (paths, commands, what the template itself says).
    """
    known = {token for words in public for token in _tokens(words)}
    known |= {found[1] for words in secrets for line in words.splitlines() if (found := _SETTING.match(line))}

    def secret(token):
        if token in known or len(token) < 4 or (token.isdigit() and len(token) < 6):
            return False
        words = _WORD.findall(token)
        return not words or any(word not in known for word in words)

    hidden = {token for words in secrets for token in _tokens(words) if secret(token)}
    for token in sorted(hidden, key=len, reverse=True):
        if not _WORD.fullmatch(token):
            text = text.replace(token, MASK)

    def hide(match):
        word = match[0]
        part = word not in known and len(word) >= 8 and any(word in token for token in hidden)
        return MASK if word in hidden or part or any(len(token) >= 8 and token in word for token in hidden) else word

    return _WORD.sub(hide, text)


class _Kernel:
    """The three system calls the standard library has no name for."""

    def __init__(self):
        import ctypes

        self._errno = ctypes.get_errno
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ulong = ctypes.c_ulong

    def _check(self, result, what):
        if result != 0:
            raise OSError(self._errno(), os.strerror(self._errno()), what)

    def die_with_parent(self):
        self._check(self._libc.prctl(PR_SET_PDEATHSIG, self._ulong(signal.SIGKILL), 0, 0, 0), "prctl")

    def private_mounts(self):
        self._check(self._libc.unshare(CLONE_NEWNS), "unshare")
        self.mount(None, "/", None, MS_REC | MS_PRIVATE)

    def mount(self, source, target, kind, flags=0, options=None):
        words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
        self._check(self._libc.mount(words[0], words[1], words[2], self._ulong(flags), words[3]), f"mount {target}")


def mountpoints(path="/proc/self/mountinfo"):
    """Every mount point the process sees, in the order mounted."""
    try:
        lines = read(path).split(b"\n")
    except OSError:
        return []
    points = [line.split(b" ")[4] for line in lines if line.count(b" ") > 4]
    return [os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda digits: bytes([int(digits[1], 8)]), point)) for point in points]


def tops(steps, mounts):
    """The directories a rehearsal has to cover: few, and each as deep as possible."""
    found = set()
    for step in steps:
        path = step.dest if step.act == "attributes" else os.path.dirname(step.dest)
        while not os.path.isdir(path):
            path = os.path.dirname(path)
        found.add(os.path.realpath(path))
    kept = []
    for path in sorted(found):
        if not any(_covers(above, path, mounts) for above in kept):
            kept.append(path)
    return kept


def _below(path, above):
    return path == above or path.startswith(f"{above}/")


def _covers(above, path, mounts):
    """Covering ``above`` covers ``path``: it is below, and no other file system begins in between."""
    return _below(path, above) and not any(point != above and _below(point, above) and _below(path, point) for point in mounts)


def _small_enough(path):
    size = count = 0
    for directory, names, files in os.walk(path):
        count += len(names) + len(files)
        for name in files:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(directory, name)).st_size
        if size > COPY_LIMIT_BYTES or count > COPY_LIMIT_FILES:
            return False
    return True


def _cover(kernel, top, base, mounts):
    """Cover one directory, for this namespace, with a place that can be written without anybody noticing."""
    for name in ("lower", "upper", "work", "real", "copy"):
        os.makedirs(os.path.join(base, name))
    kernel.mount(top, f"{base}/lower", None, MS_BIND)
    kernel.mount(top, f"{base}/real", None, MS_BIND | MS_REC)
    info = os.stat(top)
    reason = OSError(errno.ENOSYS, "no way to cover a directory", top)
    for cover in COVERS:
        try:
            if cover == "overlay":
                os.chown(f"{base}/upper", info.st_uid, info.st_gid)
                os.chmod(f"{base}/upper", stat.S_IMODE(info.st_mode))
                options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
                kernel.mount("overlay", top, "overlay", 0, options)
            else:
                if not _small_enough(f"{base}/lower"):
                    limit = f"larger than {COPY_LIMIT_BYTES >> 20} MiB or {COPY_LIMIT_FILES} files"
                    raise OSError(errno.EFBIG, limit, top)
                subprocess.run(["cp", "-a", "--", f"{base}/lower/.", f"{base}/copy"], check=True, capture_output=True)
                kernel.mount(f"{base}/copy", top, None, MS_BIND)
            break
        except (OSError, subprocess.CalledProcessError) as problem:
            reason = problem
    else:
        raise reason
    # What was mounted below would be hidden now.
    for point in sorted({point for point in mounts if point.startswith(f"{top}/")}):
        if os.path.lexists(point):
            kernel.mount(f"{base}/real{point[len(top) :]}", point, None, MS_BIND)


def _rehearse_here(steps, commands, timeout):
    kernel = _Kernel()
    kernel.die_with_parent()
    kernel.private_mounts()
    os.makedirs(SCRATCH, 0o700, exist_ok=True)
    kernel.mount("tmpfs", SCRATCH, "tmpfs", 0, "mode=0700")
    mounts = mountpoints()
    for number, top in enumerate(tops(steps, mounts)):
        if top == "/":
            raise OSError(errno.EBUSY, "cannot be covered", top)
        _cover(kernel, top, f"{SCRATCH}/{number}", mounts)
    for step in steps:
        if step.act == "remove":
            remove(step.dest)
            continue
        if step.act == "place":
            stage(step, sync=False)
        forward(step)
    return run_checkers(commands, timeout)


def rehearse(steps, commands, timeout):
    """Run the checkers on the staged set. ``unavailable`` means the host was not touched and nothing was tested."""

    def judge():
        try:
            return dataclasses.asdict(_rehearse_here(steps, commands, timeout))
        except (OSError, ImportError, subprocess.CalledProcessError) as problem:
            return {"outcome": "unavailable", "output": f"{type(problem).__name__}: {problem}"}

    answer = in_child(judge)
    return Verdict(**answer) if answer else Verdict("unavailable", output="the rehearsal ended without a word")
