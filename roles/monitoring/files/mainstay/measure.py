# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is really used on this host: memory of a unit, sockets of nginx, Redis' own figures. Reads the kernel's files only.

Every function takes `root`, the folder to read in place of /, so that tests can build a host out of files.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket

from .core.host.limits import NO_LIMIT
from .core.text import read

ESTABLISHED = "01"
# Where nginx tells its figures, see roles/nginx/templates/http.conf.j2.
NGINX_ADDRESS = ("127.0.0.80", 80)
NGINX_FIGURES = re.compile(r"accepts handled requests\s+(\d+) (\d+) (\d+)\s+Reading: (\d+) Writing: (\d+) Waiting: (\d+)")
REDIS_ANSWER = 1 << 20  # bytes
FILES_LIMIT = re.compile(r"^Max open files +([1-9]\d*) ", re.MULTILINE)


def memory_limit(group, root="/"):
    """Bytes from which the kernel slows a control group down, or ends it; None where it has no limit."""
    for folder, names in (("", ("memory.high", "memory.max")), ("/memory", ("memory.limit_in_bytes",))):
        for name in names:
            text = read(f"{root}/sys/fs/cgroup{folder}{group}/{name}").strip()
            if text.isdigit() and int(text) < NO_LIMIT:
                return int(text)
    return None


def processor_time(group, root="/"):
    """Microseconds that the processes of a control group have run so far, or None."""
    for line in read(f"{root}/sys/fs/cgroup{group}/cpu.stat").splitlines():
        name, _space, number = line.partition(" ")
        if name == "usage_usec":
            return int(number)
    # Version 1 does not count by service unless it is told to: then the processes that there are, with those they have waited for.
    ticks = [read(f"{root}/proc/{pid}/stat").rpartition(")")[2].split()[11:15] for pid in processes(group, root)]
    return sum(int(number) for numbers in ticks for number in numbers) * 1_000_000 // os.sysconf("SC_CLK_TCK") if ticks else None


def oom_kills(group, root="/"):
    """Processes of a control group that the kernel has killed for want of memory."""
    for path in (f"{group}/memory.events", f"/memory{group}/memory.oom_control"):
        for line in read(f"{root}/sys/fs/cgroup{path}").splitlines():
            name, _space, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def processes(group, root="/"):
    """The processes of a control group."""
    for folder in ("", "/unified", "/systemd", "/memory"):
        found = read(f"{root}/sys/fs/cgroup{folder}{group}/cgroup.procs").split()
        if found:
            return [int(pid) for pid in found]
    return []


def tasks(group, pids, root="/"):
    """Of a control group and its processes: (threads, how many of them have ended and wait to be read, how many it may have); None without a limit."""
    for folder in ("", "/pids"):
        number, limit = (read(f"{root}/sys/fs/cgroup{folder}{group}/pids.{name}").strip() for name in ("current", "max"))
        if number.isdigit() and limit.isdigit():
            stats = [read(f"{root}/proc/{pid}/stat").rpartition(")")[2].split() for pid in pids]
            living = sum(int(words[17]) for words in stats if len(words) > 17)
            return int(number), max(0, int(number) - living), int(limit)
    return None


def open_files(pids, root="/"):
    """(open, how many it may have) of the process that is nearest to its limit of open files; None where the kernel tells of none."""
    found = []
    for pid in pids:
        limit = FILES_LIMIT.search(read(f"{root}/proc/{pid}/limits"))
        number = _files(f"{root}/proc/{pid}/fd")
        if limit and number is not None:
            found.append((number, int(limit[1])))
    return max(found, key=lambda pair: pair[0] / pair[1], default=None)


def _files(folder):
    with contextlib.suppress(OSError):
        return len(os.listdir(folder))
    with contextlib.suppress(OSError):  # it has ended, or is another's: then the kernel tells how many from Linux 6.2 on
        return os.stat(folder).st_size or None
    return None


def _tcp(root):
    """The rows of the kernel's tables of TCP sockets."""
    for protocol in ("tcp", "tcp6"):
        for line in read(f"{root}/proc/net/{protocol}").splitlines()[1:]:
            row = line.split()
            if len(row) > 9:
                yield row


def _port(address):
    return int(address.rpartition(":")[2], 16)


def connections_by_user(ports, root="/"):
    """{uid: number} of the established connections to servers at these ports, as their clients on this host hold them."""
    counted = {}
    for row in _tcp(root):
        if row[3] == ESTABLISHED and _port(row[2]) in ports:
            counted[int(row[7])] = counted.get(int(row[7]), 0) + 1
    return counted


def clients(port, root="/"):
    """Clients of a port of this host that may have a request under way: the server has taken the connection, and read what it was told.

    A connection that only the kernel has taken has no inode. Who only knocks is no reason to wait for a server that does not open.
    """
    rows = (row for row in _tcp(root) if row[3] == ESTABLISHED and _port(row[1]) == port)
    return sum(row[9] != "0" and int(row[4].rpartition(":")[2], 16) == 0 for row in rows)


def connections(pids, root="/"):
    """Established TCP connections that some processes hold."""
    inodes = {row[9] for row in _tcp(root) if row[3] == ESTABLISHED}
    held = set()
    for pid in pids:
        folder = f"{root}/proc/{pid}/fd"
        try:
            for name in os.listdir(folder):
                held.add(os.readlink(f"{folder}/{name}"))
        except OSError:  # it has ended, or closed this one
            continue
    return sum(f"socket:[{inode}]" in held for inode in inodes)


def redis_info(address, port, timeout=2):
    """What Redis says of itself, {name: text}; OSError where it does not answer. INFO needs no password here."""
    return redis_lines(redis_ask(address, port, [("INFO",)], timeout)[0])


def redis_lines(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))


def redis_ask(address, port, commands, timeout=2):
    """The answer to each command, a number or a text; OSError where Redis gives none, or refuses one."""
    sent = b"".join(
        b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words) for words in commands
    )
    with socket.create_connection((address, port), timeout) as connection, connection.makefile("rb") as answers:
        connection.sendall(sent)
        return [_redis_answer(answers) for _command in commands]


def _redis_answer(answers):
    line = answers.readline(65536)
    kind, rest = line[:1], line[1:].strip()
    if not line.endswith(b"\r\n"):
        raise OSError("it closed the connection")
    if kind == b":" and rest.lstrip(b"-").isdigit():
        return int(rest)
    if kind == b"$" and rest.isdigit() and int(rest) <= REDIS_ANSWER:
        body = answers.read(int(rest) + 2)
        if len(body) == int(rest) + 2:
            return body[:-2].decode(errors="replace")
        raise OSError("it closed the connection")
    raise OSError(rest.decode(errors="replace") if kind == b"-" else "that is no answer of Redis")


def nginx_figures(address=NGINX_ADDRESS, timeout=2):
    """Connections and requests that nginx has had since it started, and what its connections do now; OSError where it does not say."""
    with socket.create_connection(address, timeout) as connection, connection.makefile("rb") as answer:
        connection.sendall(b"GET /figures HTTP/1.0\r\n\r\n")
        found = NGINX_FIGURES.search(answer.read(4096).decode(errors="replace"))
    if not found:
        raise OSError("it does not tell its figures")
    accepted, handled, requests, reading, writing, waiting = map(int, found.groups())
    return {
        "accepted": accepted,
        "refused": accepted - handled,  # for want of a slot
        "requests": requests,
        "reading": reading,
        "writing": writing,
        "waiting": waiting,
    }
