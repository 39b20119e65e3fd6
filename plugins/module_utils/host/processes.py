# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process is, read from /proc: its program, user, unit and command line, without its secrets."""

from __future__ import annotations

import os
import re
import time
from collections import namedtuple

from ..text import MASK, printable, read

Process = namedtuple("Process", "pid ppid name user cmdline unit since start exe", defaults=("",))


def process(pid, proc_root="/proc", host=None):
    """What is known about a process, or None when it is gone."""
    cgroup_root, boot = host or host_facts(proc_root)
    folder = f"{proc_root}/{pid}"
    stat = _stat(pid, proc_root)
    if stat is None:
        return None
    name, ppid, start = printable(stat[0]), *stat[1:]
    uid = re.search(r"^Uid:\s+\d+\s+(\d+)", read(f"{folder}/status"), re.MULTILINE)
    return Process(
        pid=pid,
        ppid=ppid,
        name=name,
        user=user_name(int(uid[1])) if uid else "",
        cmdline=mask_command(_words(read(f"{folder}/cmdline"))),
        unit=unit_of(read(f"{folder}/cgroup"), cgroup_root),
        since=since(start, boot),
        start=start,
        exe=_program(folder),
    )


def _program(folder):
    """The path of a program of this host's that a process runs; a container has other files by the same names."""
    try:
        path = os.readlink(f"{folder}/exe").removesuffix(" (deleted)")
        running, here = os.stat(f"{folder}/exe"), os.stat(path)
    except OSError:
        return ""
    # After an upgrade the old program runs on until it is restarted: the same path then leads to another file of root's.
    is_known = os.path.samestat(running, here) or (running.st_nlink == 0 and running.st_uid == 0 and running.st_dev == here.st_dev)
    return path if is_known else ""


def _words(raw):
    """Arguments from /proc/pid/cmdline; a process that renamed itself has one text, padded with NULs or blanks."""
    words = raw.rstrip("\0 ").split("\0")
    return [] if words == [""] else words


def _stat(pid, proc_root):
    """(name, parent, start in clock ticks since boot) or None."""
    text = read(f"{proc_root}/{pid}/stat")
    if ")" not in text:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return text[text.index("(") + 1 : text.rindex(")")], int(fields[1]), int(fields[19])


def start_ticks(pid, proc_root="/proc"):
    """When a process started, in clock ticks since boot: pid and start name one process for ever. None: gone."""
    stat = _stat(pid, proc_root)
    return stat[2] if stat else None


def ancestors(pid, proc_root="/proc"):
    """A process, its parent, its parent's parent, …"""
    line = []
    while pid and pid not in line:
        line.append(pid)
        stat = _stat(pid, proc_root)
        pid = stat[1] if stat else 0
    return line


def send_signal(pid, start, number, proc_root="/proc"):
    """Signal a process if it is still the one that started at `start`. False: that one is gone.

    The pid may go to another process between looking and signalling; a descriptor of the process (Linux 5.3) cannot.
    """
    import signal

    descriptor = None
    try:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        except (AttributeError, OSError):
            descriptor = None
        if start_ticks(pid, proc_root) != start:
            return False
        if descriptor is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)


def host_facts(proc_root):
    """What all processes have in common: where the cgroups of this system begin, and when it started."""
    boot = re.search(r"^btime (\d+)", read(f"{proc_root}/stat"), re.MULTILINE)
    return cgroup_root(proc_root), int(boot[1]) if boot else None


def since(start, boot):
    if boot is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(boot + start // os.sysconf("SC_CLK_TCK")))


def user_name(uid):
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# --- systemd units -----------------------------------------------------------------------------------------------


def systemd_path(cgroup_text):
    """The path in systemd's own hierarchy, from /proc/<pid>/cgroup (version 1, 2 or both).

    Where there are both, systemd keeps a process in the same group of each, or it keeps to one, and in the other all stay where it began.
    """
    paths = {}
    for line in cgroup_text.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        paths["name=systemd" if "name=systemd" in controllers else number] = path
    return max(paths.get("name=systemd", ""), paths.get("0", ""), key=len)


def cgroup_root(proc_root):
    """Where the cgroups of this system begin: not at / inside a container that sees the host's tree."""
    path = systemd_path(read(f"{proc_root}/1/cgroup"))
    return path[: -len("/init.scope")] if path.endswith("/init.scope") else ""


def unit_of(cgroup_text, root=""):
    """The system's unit a process belongs to: nginx.service, session-3.scope, user@1000.service; empty if none."""
    path = systemd_path(cgroup_text)
    if root and (path + "/").startswith(root + "/"):
        path = path[len(root) :]
    for part in path.split("/"):
        if part.endswith((".service", ".scope", ".socket", ".mount", ".swap")):
            return part
    return ""


# --- secrets in command lines ------------------------------------------------------------------------------------

_SECRET = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|pwd|secret|token|credential|(?:api|access)[-_]?key)[\w.-]*"
    r"|(?:[\w.-]*[-_.])?(?:pass|auth))"
)
_OPTION = re.compile(rf"--?{_SECRET}", re.IGNORECASE)
_ASSIGNED = re.compile(rf"((?<![\w.-])-{{0,2}}{_SECRET}\s*[=:]\s*)(?!\s|//)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE)
_SPACED = re.compile(rf"((?<![\w.-])--?{_SECRET}\s+)([^\s-]\S*)", re.IGNORECASE)
_HEADER = re.compile(r"\b((?:authorization\s*:\s*)?(?:bearer|basic)\s+)\S+", re.IGNORECASE)
_URL_LOGIN = re.compile(r"(?<=://)([^\s/@:]*):[^\s/]+@")
_LOGIN = re.compile(r"(\b[\w.+%-]*|(?<=//)):([^\s:@/]+)@")


def mask_command(words, length=300):
    """A command line fit for a message: without what looks like a secret, and not longer than needed."""
    shown = []
    hide_next = False
    program = os.path.basename(words[0]) if words else ""
    for index, word in enumerate(word[:1000] for word in words):
        if sum(map(len, shown)) > length:
            break
        before = words[index - 1] if index else ""
        if hide_next and not word.startswith("-"):
            shown.append(MASK)
        elif program.startswith(("mysql", "mariadb")) and re.match(r"-p.", word):
            shown.append("-p" + MASK)
        elif before in ("-u", "--user") and ":" in word:
            shown.append(word.split(":", 1)[0] + ":" + MASK)
        else:
            shown.append(_mask_text(word))
        hide_next = bool(_OPTION.fullmatch(word))
    text = " ".join(" ".join(shown).split())
    text = printable(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _mask_text(text):
    text = _HEADER.sub(lambda match: match[1] + MASK, text)
    text = _URL_LOGIN.sub(lambda match: f"{match[1]}:{MASK}@", text)
    text = _LOGIN.sub(lambda match: f"{match[1]}:{MASK}@", text)
    text = _ASSIGNED.sub(lambda match: match[1] + (match[2] if MASK in match[2] else MASK), text)
    return _SPACED.sub(lambda match: match[1] + MASK, text)
