# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process listens on which port, read from /proc without starting another program.

psutil is not used. Importing it takes longer than all of this, and it names one process per socket: whether systemd
holds a socket for a service, or a child inherited it, cannot be told from that.
"""

from __future__ import annotations

import os
import re
import struct
from collections import namedtuple
from socket import AF_INET, AF_INET6, inet_ntop

from ..text import read
from .processes import Process, host_facts, process, user_name

# A process has its name from whoever started it; what it runs is for the kernel to say: `exe` is the path of a program of this host's,
# empty where it cannot be known or is not there any more.
Listener = namedtuple("Listener", "protocol address port inode pids name user cmdline unit since exe", defaults=("",))

MAPPED = bytes(10) + b"\xff\xff"
TABLES = (("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07"))


def snapshot(proc_root="/proc", ports=None):
    """Every listening socket of this network namespace, or those on the given ports only.

    A socket may be held by several processes; name, user, command line, unit and since are those of the oldest that is
    not process 1. `pids` is empty where the processes may not be seen (not root) or are outside this container.
    """
    sockets = [row for row in _sockets(proc_root) if ports is None or row[2] in ports]
    holders = _holders(proc_root, {row[3] for row in sockets}) if sockets else {}
    host = host_facts(proc_root) if sockets else None
    known = {}
    listeners = []
    for protocol, address, port, inode, uid in sockets:
        processes = []
        for pid in holders.get(inode, ()):
            if pid not in known:
                known[pid] = process(pid, proc_root, host)
            if known[pid] is not None:
                processes.append(known[pid])
        processes.sort(key=lambda item: (item.pid == 1, item.start, item.pid))
        pids = tuple(item.pid for item in processes)
        first = processes[0] if processes else Process(None, None, "", user_name(uid), "", "", "", 0)
        details = (first.name, first.user, first.cmdline, first.unit, first.since, first.exe)
        listeners.append(Listener(protocol, address, port, inode, pids, *details))
    return sorted(listeners, key=lambda item: (item.protocol, item.port, item.address, item.inode))


def _sockets(proc_root):
    """(protocol, address, port, inode, uid) of each listening socket."""
    for table, protocol, state in TABLES:
        for line in read(f"{proc_root}/net/{table}").splitlines()[1:]:
            words = line.split(None, 10)
            if len(words) < 10 or words[3] != state:
                continue
            address, port = words[1].split(":")
            yield protocol, _address(address), int(port, 16), int(words[9]), int(words[7])


def _address(text):
    """An address as the kernel prints it, 32-bit words in the machine's own byte order; one of IPv4 on a socket of IPv6 is one of IPv4."""
    raw = b"".join(struct.pack("=I", int(text[i : i + 8], 16)) for i in range(0, len(text), 8)).removeprefix(MAPPED)
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


def _holders(proc_root, inodes):
    """{inode: [pid, …]} for the sockets asked for."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found = {}
    for pid in _pids(proc_root):
        folder = f"{proc_root}/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        mine = set()
        for name in names:
            try:
                inode = wanted.get(os.readlink(f"{folder}/{name}"))
            except OSError:
                continue
            if inode is not None:
                mine.add(inode)
        for inode in mine:
            found.setdefault(inode, []).append(pid)
    return found


def _pids(proc_root):
    try:
        return sorted(int(name) for name in os.listdir(proc_root) if name.isdigit())
    except OSError:
        return []


def overlaps(listener, port, protocol="tcp", address=None, only_v6=False):
    """Whether a program that binds `address` (None: any) would collide with this listener.

    The wildcard [::] covers IPv4 too unless the kernel's default says otherwise (`only_v6`). A single socket that says
    so for itself cannot be told from /proc and counts as covering both.
    """
    if listener.port != port or listener.protocol != protocol:
        return False
    if address in (None, "", "*"):
        return True
    theirs, ours = _bare(listener.address), _bare(address)
    if theirs == ours:
        return True
    if "::" in (theirs, ours):
        other = ours if theirs == "::" else theirs
        return ":" in other or not only_v6
    if "0.0.0.0" in (theirs, ours):
        return ":" not in (ours if theirs == "0.0.0.0" else theirs)
    return False


def _bare(address):
    """An address without brackets, zone or the IPv6 clothes of an IPv4 address."""
    address = address.strip("[]").split("%", 1)[0].lower()
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def bindv6only(proc_root="/proc"):
    return read(f"{proc_root}/sys/net/ipv6/bindv6only").strip() == "1"


SSH_PROGRAM = re.compile(r"/usr/(local/)?s?bin/sshd")
SSH_SOCKETS = ("ssh.socket", "sshd.socket")


def ssh_ports(listeners):
    """Ports on which the SSH server accepts logins from elsewhere; what a session forwards is not one of them.

    The firewall opens them, so nothing counts that a user can choose: the name of a process, or a place in a unit's control group.
    It is root's, and runs sshd; or the socket is systemd's own, for ssh. sshd names its sessions in what it makes of its command line.
    """
    return sorted({item.port for item in listeners if item.protocol == "tcp" and not _is_loopback(item.address) and _is_ssh(item)})


def _is_ssh(item):
    if 1 in item.pids and item.unit in SSH_SOCKETS:
        return True
    is_session = item.cmdline.startswith("sshd: ") and "[listener]" not in item.cmdline
    return item.user == "root" and bool(SSH_PROGRAM.fullmatch(item.exe)) and not is_session


def _is_loopback(address):
    address = _bare(address)
    return address.startswith("127.") or address == "::1"


def socket_units(units):
    """{(protocol, address, port): socket unit} for the sockets systemd itself listens on."""
    table = {}
    for unit in units:
        for text in unit.get("Listen", ()):
            match = re.fullmatch(r"(.*):(\d+) \((Stream|Datagram)\)", text)
            if match and unit.get("ActiveState", "active") == "active":
                protocol = "tcp" if match[3] == "Stream" else "udp"
                table[protocol, _bare(match[1]), int(match[2])] = unit["Id"]
    return table


def held_by_systemd(listener, table):
    """The socket unit whose socket this is, or an empty text; `table` from socket_units()."""
    if 1 not in listener.pids:
        return ""
    return table.get((listener.protocol, _bare(listener.address), listener.port), "")


def with_socket_units(listeners, table):
    """The listeners, those held by systemd alone under the name of their socket unit."""
    return [item._replace(unit=held_by_systemd(item, table) or item.unit) if item.pids == (1,) else item for item in listeners]
