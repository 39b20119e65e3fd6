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
import time
from collections import namedtuple
from socket import AF_INET, AF_INET6, inet_ntop

from .text import printable

# A process has its name from whoever started it; what it runs is for the kernel to say: `exe` is the path of a program of this host's,
# empty where it cannot be known or is not there any more.
Listener = namedtuple("Listener", "protocol address port inode pids name user cmdline unit since exe", defaults=("",))
Process = namedtuple("Process", "pid ppid name user cmdline unit since start exe", defaults=("",))

TABLES = (("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07"))
MASK = "********"


# --- sockets -----------------------------------------------------------------------------------------------------


def snapshot(proc_root="/proc", ports=None):
    """Every listening socket of this network namespace, or those on the given ports only.

    A socket may be held by several processes; name, user, command line, unit and since are those of the oldest that is
    not process 1. `pids` is empty where the processes may not be seen (not root) or are outside this container.
    """
    sockets = [row for row in _sockets(proc_root) if ports is None or row[2] in ports]
    holders = _holders(proc_root, {row[3] for row in sockets}) if sockets else {}
    host = _host(proc_root) if sockets else None
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
        for line in _read(f"{proc_root}/net/{table}").splitlines()[1:]:
            words = line.split(None, 10)
            if len(words) < 10 or words[3] != state:
                continue
            address, port = words[1].split(":")
            yield protocol, _address(address), int(port, 16), int(words[9]), int(words[7])


def _address(text):
    """An address as the kernel prints it: 32-bit words in the machine's own byte order."""
    raw = b"".join(struct.pack("=I", int(text[i : i + 8], 16)) for i in range(0, len(text), 8))
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
    return _read(f"{proc_root}/sys/net/ipv6/bindv6only").strip() == "1"


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


# --- processes ---------------------------------------------------------------------------------------------------


def process(pid, proc_root="/proc", host=None):
    """What is known about a process, or None when it is gone."""
    cgroup_root, boot = host or _host(proc_root)
    folder = f"{proc_root}/{pid}"
    stat = _stat(pid, proc_root)
    if stat is None:
        return None
    name, ppid, start = printable(stat[0]), *stat[1:]
    uid = re.search(r"^Uid:\s+\d+\s+(\d+)", _read(f"{folder}/status"), re.MULTILINE)
    return Process(
        pid=pid,
        ppid=ppid,
        name=name,
        user=user_name(int(uid[1])) if uid else "",
        cmdline=mask_command(_words(_read(f"{folder}/cmdline"))),
        unit=unit_of(_read(f"{folder}/cgroup"), cgroup_root),
        since=_since(start, boot),
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
    text = _read(f"{proc_root}/{pid}/stat")
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


def _host(proc_root):
    """What all processes have in common: where the cgroups of this system begin, and when it started."""
    boot = re.search(r"^btime (\d+)", _read(f"{proc_root}/stat"), re.MULTILINE)
    return _cgroup_root(proc_root), int(boot[1]) if boot else None


def _since(start, boot):
    if boot is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(boot + start // os.sysconf("SC_CLK_TCK")))


def user_name(uid):
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


# --- systemd units -----------------------------------------------------------------------------------------------


def _systemd_path(cgroup_text):
    """The path in systemd's own hierarchy, from /proc/<pid>/cgroup (version 1, 2 or both)."""
    paths = {}
    for line in cgroup_text.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        paths["name=systemd" if "name=systemd" in controllers else number] = path
    return paths.get("name=systemd") or paths.get("0") or ""


def _cgroup_root(proc_root):
    """Where the cgroups of this system begin: not at / inside a container that sees the host's tree."""
    path = _systemd_path(_read(f"{proc_root}/1/cgroup"))
    return path[: -len("/init.scope")] if path.endswith("/init.scope") else ""


def unit_of(cgroup_text, root=""):
    """The system's unit a process belongs to: nginx.service, session-3.scope, user@1000.service; empty if none."""
    path = _systemd_path(cgroup_text)
    if root and (path + "/").startswith(root + "/"):
        path = path[len(root) :]
    for part in path.split("/"):
        if part.endswith((".service", ".scope", ".socket", ".mount", ".swap")):
            return part
    return ""


def parse_show(text):
    """Output of `systemctl show` for many units: one dictionary per unit; Listen, which repeats, becomes a list."""
    units = []
    for block in text.split("\n\n"):
        unit = {}
        for line in block.splitlines():
            key, equals, value = line.partition("=")
            if key == "Listen" and equals:
                unit.setdefault("Listen", []).append(value)
            elif equals:
                unit[key] = value
        if unit.get("Id"):
            units.append(unit)
    return units


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
    return [
        item._replace(unit=held_by_systemd(item, table) or item.unit) if item.pids == (1,) else item
        for item in listeners
    ]


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
