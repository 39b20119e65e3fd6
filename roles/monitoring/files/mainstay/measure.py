# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is really used on this host: memory of a unit, sockets of nginx, Redis' own figures. Reads the kernel's files only.

Every function takes `root`, the folder to read in place of /, so that tests can build a host out of files.
"""

from __future__ import annotations

import os
import socket

from .core.host.limits import in_use
from .core.text import read

ESTABLISHED = "01"


def memory(group, root="/"):
    """Bytes a control group uses that the kernel cannot take back at once, or None: without the file cache it could drop."""
    found = (in_use(f"{root}/sys/fs/cgroup{controller}{group}") for controller in ("", "/memory"))
    return next((used for used in found if used is not None), None)


def processes(group, root="/"):
    """The processes of a control group."""
    for folder in ("", "/unified", "/systemd", "/memory"):
        found = read(f"{root}/sys/fs/cgroup{folder}{group}/cgroup.procs").split()
        if found:
            return [int(pid) for pid in found]
    return []


def connections(pids, root="/"):
    """Established TCP connections that some processes hold."""
    inodes = set()
    for protocol in ("tcp", "tcp6"):
        rows = [line.split() for line in read(f"{root}/proc/net/{protocol}").splitlines()[1:]]
        inodes |= {row[9] for row in rows if len(row) > 9 and row[3] == ESTABLISHED}
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
    received = b""
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(b"*1\r\n$4\r\nINFO\r\n")
        while True:
            head, _dummy, body = received.partition(b"\r\n")
            if head.startswith(b"-"):
                raise OSError(head[1:].decode(errors="replace"))
            if head[:1] == b"$" and len(body) >= int(head[1:] or 0) > 0:
                break
            part = connection.recv(65536)
            if not part:
                raise OSError("it closed the connection")
            received += part
    lines = body.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
