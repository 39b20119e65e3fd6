# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host built out of files below a temporary folder: /proc, control groups and the rest, as far as the readers look."""

from __future__ import annotations

import os
import socket
import struct

BOOT = 1_700_000_000  # 2023-11-14T22:13:20Z
ROOT, NOBODY = 0, 65534
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class Host:
    def __init__(self, root):
        self.root = root
        self.proc = f"{root}/proc"
        self.rows = {"tcp": [], "tcp6": [], "udp": [], "udp6": []}
        self.write("proc/stat", f"cpu  1 2 3\nbtime {BOOT}\nprocesses 4\n")
        self.tables()

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def link(self, path, target):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def process(self, pid, name, command=None, parent=1, start=100, uid=ROOT, cgroup="", inodes=()):
        """A process; `cgroup` is the text of its cgroup file or a path in the hierarchy of version 2."""
        folder = f"proc/{pid}"
        fields = ["S", str(parent), *["0"] * 17, str(start), *["0"] * 30]
        self.write(f"{folder}/stat", f"{pid} ({name}) {' '.join(fields)}\n")
        self.write(f"{folder}/status", f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        words = command if command is not None else [name]
        self.write(f"{folder}/cmdline", words if isinstance(words, str) else "".join(f"{word}\0" for word in words))
        self.write(f"{folder}/cgroup", cgroup if ":" in cgroup else f"0::{cgroup or '/'}\n")
        os.makedirs(f"{self.proc}/{pid}/fd", exist_ok=True)
        self.link(f"{folder}/fd/0", "/dev/null")
        for number, inode in enumerate(inodes, start=3):
            self.link(f"{folder}/fd/{number}", f"socket:[{inode}]")

    def listen(self, address, port, inode, protocol="tcp", uid=ROOT, state=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        words = "".join(f"{struct.unpack('=I', raw[i : i + 4])[0]:08X}" for i in range(0, len(raw), 4))
        table = protocol + ("6" if family == socket.AF_INET6 else "")
        state = state or {"tcp": "0A", "udp": "07"}[protocol]
        other = "0" * len(words)
        row = f"   0: {words}:{port:04X} {other}:0000 {state} 00000000:00000000 00:00000000 00000000  {uid:4}        0 {inode} 1 0 100\n"
        self.rows[table].append(row)
        self.tables()

    def tables(self):
        for table, rows in self.rows.items():
            self.write(f"proc/net/{table}", HEADER + "".join(rows))
