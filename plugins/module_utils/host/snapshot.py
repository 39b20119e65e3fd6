# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has and holds: memory and CPUs as the kernel limits them, disks, packages, units, listeners, databases.

Read from files where possible. Few programs are started (systemctl, systemd-detect-virt, psql, mariadb, nft), and they run
while the files are read. A source that is missing yields something empty and a note, never an error.

Every function takes `root`, the folder to read in place of /, so that tests can build a host out of files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat

from ..text import read
from . import footing, listeners, packet_filters, processes, rotation, sshd, supply, undone, units
from .databases import PSQL_SECONDS, clusters, mariadb_found, postgresql_answer, start_mariadb, start_query
from .limits import MB, below, cpu, kernel_limits, memory, names_in, service_memory
from .units import SHOW_UNITS, states, unit_files, unit_links
from .visitor import login

CONTAINERS = {
    "docker",
    "podman",
    "lxc",
    "lxc-libvirt",
    "systemd-nspawn",
    "openvz",
    "rkt",
    "wsl",
    "proot",
    "pouch",
    "container-other",
}
APPLIED_PLAN = "/etc/mainstay/plan.json"
REAL_FILE_SYSTEMS = {
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "f2fs",
    "jfs",
    "reiserfs",
    "bcachefs",
    "vfat",
    "exfat",
}


def disks(root="/", statvfs=os.statvfs):
    """{mount point: {total_mb, free_mb, inodes_free, fstype}} of real local file systems and of /, each once."""
    found = {}
    devices = set()
    mounts = [line.split()[:3] for line in read(f"{root}/proc/self/mounts").splitlines() if line.count(" ") > 2]
    mounts = [(device, footing.unescaped(point), kind) for device, point, kind in mounts]
    for device, point, kind in sorted(mounts, key=lambda mount: len(mount[1])):
        real = kind in REAL_FILE_SYSTEMS and (device.startswith("/dev/") or kind == "zfs")
        if point != "/" and (not real or device in devices or not os.path.isdir(below(root, point))):
            continue
        try:
            numbers = statvfs(point)
        except OSError:
            continue
        devices.add(device)
        found[point] = {
            "total_mb": numbers.f_blocks * numbers.f_frsize // MB,
            "free_mb": numbers.f_bavail * numbers.f_frsize // MB,
            "inodes_free": numbers.f_favail,
            "fstype": kind,
        }
    return found


# --- the system --------------------------------------------------------------------------------------------------


def distribution(root="/"):
    text = read(f"{root}/etc/os-release") or read(f"{root}/usr/lib/os-release")
    values = {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    keys = {"id": "ID", "version": "VERSION_ID", "codename": "VERSION_CODENAME", "name": "PRETTY_NAME"}
    return {name: values.get(key, "") for name, key in keys.items()}


def system_name(found):
    """A distribution and its version in one word, such as debian12; what has no version, such as Debian's testing, has a codename."""
    return f"{found.get('id', '')}{found.get('version') or found.get('codename') or ''}"


def homes(root="/"):
    """{name: home} of the host's own users."""
    return dict(re.findall(r"^([^:#\n]+):[^:]*:\d+:\d*:[^:]*:([^:]*):", read(f"{root}/etc/passwd"), re.MULTILINE))


def groups(root="/"):
    """{name: gid} of the host's own groups."""
    return {name: int(gid) for name, gid in re.findall(r"^([^:#\n]+):[^:]*:(\d+):", read(f"{root}/etc/group"), re.MULTILINE)}


def users(root="/"):
    """{name: uid} of the host's own users."""
    return {name: int(uid) for name, uid in re.findall(r"^([^:#\n]+):[^:]*:(\d+):", read(f"{root}/etc/passwd"), re.MULTILINE)}


def systemd_version(root="/"):
    """The installed systemd's version from the name of its library; 0 without systemd."""
    for folder in ("usr/lib", "lib"):
        for name in ("systemd", *(f"{sub}/systemd" for sub in names_in(f"{root}/{folder}") if sub.endswith("-gnu"))):
            for file in names_in(f"{root}/{folder}/{name}"):
                match = re.match(r"libsystemd-shared-(\d+)", file)
                if match:
                    return int(match[1])
    return 0


def virtualization_by_files(root="/"):
    """A guess where systemd-detect-virt is missing."""
    told = read(f"{root}/run/systemd/container").strip()
    if told:
        return told
    if os.path.exists(f"{root}/.dockerenv"):
        return "docker"
    return "vm-other" if " hypervisor" in read(f"{root}/proc/cpuinfo") else "none"


def packages(root="/"):
    """{name: version} of the installed Debian packages."""
    found = {}
    for block in ("\n" + read(f"{root}/var/lib/dpkg/status")).split("\n\n"):
        block = "\n" + block.strip("\n") + "\n"
        if " ok installed" in _field(block, "Status"):
            found[_field(block, "Package")] = _field(block, "Version")
    return found


# Files of packages that roles put others in the place of.
REPLACED = ("/etc/nftables.conf", "/etc/nginx/nginx.conf", "/etc/nginx/sites-available/default", "/etc/pgbouncer/pgbouncer.ini")


def edited(root="/", paths=REPLACED):
    """Those of the files that somebody has changed since their package brought them."""
    import hashlib

    status = read(f"{root}/var/lib/dpkg/status")
    found = []
    for path in paths:
        brought = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})$", status, re.MULTILINE)
        with contextlib.suppress(OSError), open(below(root, path), "rb") as file:
            if brought and hashlib.md5(file.read(), usedforsecurity=False).hexdigest() != brought[1]:
                found.append(path)
    return found


def _field(block, name):
    start = block.find(f"\n{name}: ")
    if start < 0:
        return ""
    start += len(name) + 3
    return block[start : block.index("\n", start)].strip()


def paths(patterns, root="/"):
    """{path: {type, target, mode, owner}} for what matches the globs."""
    import glob

    found = {}
    for pattern in patterns:
        for name in sorted(glob.glob(below(root, pattern))):
            try:
                status = os.lstat(name)
                target = os.readlink(name) if stat.S_ISLNK(status.st_mode) else None
            except OSError:
                continue
            found["/" + os.path.relpath(name, root)] = {
                "type": _file_type(status.st_mode),
                "target": target,
                "mode": f"{stat.S_IMODE(status.st_mode):04o}",
                "owner": processes.user_name(status.st_uid),
            }
    return found


def _file_type(mode):
    for test, name in ((stat.S_ISLNK, "link"), (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory")):
        if test(mode):
            return name
    return "other"


# --- listeners ---------------------------------------------------------------------------------------------------


def listening(shown, root="/"):
    """(listeners as dictionaries, ports of the SSH server)."""
    found = listeners.snapshot(os.path.join(root, "proc"))
    found = listeners.with_socket_units(found, listeners.socket_units(shown))
    keys = ("protocol", "address", "port", "name", "user", "unit")
    rows = [{**{key: getattr(item, key) for key in keys}, "pid": _main_pid(item.pids)} for item in found]
    return rows, listeners.ssh_ports(found)


def _main_pid(pids):
    return next((pid for pid in pids if pid != 1), pids[0] if pids else None)


# --- all of it ---------------------------------------------------------------------------------------------------


class Started:
    """A program that runs while we read files. `finish` gives its output, or None with a reason.

    `script` is what it reads, short enough for a pipe to take it at once.
    """

    def __init__(self, command, user=None, script=None):
        import subprocess

        self.subprocess = subprocess
        self.command = command
        self.process = None
        self.reason = ""
        environment = {**os.environ, "LC_ALL": "C", "PGCONNECT_TIMEOUT": str(PSQL_SECONDS), "SYSTEMD_COLORS": "0"}
        identity = {"user": user, "group": user, "extra_groups": []} if user else {}
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if script else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment,
                **identity,
            )
        except FileNotFoundError:
            self.reason = f"{command[0]} is not installed"
        except (OSError, LookupError, ValueError) as error:
            self.reason = f"{command[0]} cannot be started: {error}"
        if self.process is not None and script:
            with contextlib.suppress(OSError):  # it has ended already, and says why
                self.process.stdin.write(script.encode())
                self.process.stdin.close()
            self.process.stdin = None

    def finish(self, seconds):
        if self.process is None:
            return None
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except self.subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            self.reason = f"{self.command[0]} gave no answer within {seconds} s"
            return None
        if self.process.returncode != 0 and not output:
            said = errors.decode("utf-8", "replace").strip().splitlines()
            self.reason = f"{self.command[0]} failed: {said[0] if said else f'exit status {self.process.returncode}'}"
            return None
        return output.decode("utf-8", "replace")


def applied_plan(root="/"):
    """The numbers of the plan that the stack has given the host last; {} where there are none, or none that this version can read."""
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(read(f"{root}{APPLIED_PLAN}") or "{}").get("plan")
        return found if isinstance(found, dict) else {}
    return {}


def collect(want, root="/", start=Started, euid=None):
    """Everything that is asked for. `want`: packages, units, listeners, packet_filters, postgresql, mariadb (booleans), paths (globs), wanted
    (names of packages)."""
    notes = []
    euid = os.geteuid() if euid is None else euid
    installed = packages(root) if want.get("packages") or want.get("wanted") else {}
    missing = sorted(set(want.get("wanted") or ()) - set(installed))
    resolving = supply.start_resolving(missing, root)
    found_clusters = clusters(root) if want.get("postgresql") else []
    querying = start_query(found_clusters, root, start, euid, notes)
    asking = start_mariadb(root, start, euid, notes) if want.get("mariadb") else None
    filtering = packet_filters.start_asking(root, start, euid) if want.get("packet_filters") else {}
    booted = os.path.isdir(f"{root}/run/systemd/system")
    showing = start(SHOW_UNITS) if booted and (want.get("units") or want.get("listeners")) else None
    detecting = start(["systemd-detect-virt"])

    mem, processor = memory(root), cpu(root)
    result = {
        "memory_mb": mem.pop("memory_mb"),
        "swap_mb": mem.pop("swap_mb"),
        "memory": mem,
        "cpus": processor.pop("cpus"),
        "cpu": processor,
        "disks": disks(root),
        "kernel_limits": kernel_limits(root),
        "footing": footing.footing(root),
        "sshd": sshd.sshd(root),
        "undone": undone.undone(root),
        "rotated": rotation.rotated(root),
        "distribution": distribution(root),
        "architecture": os.uname().machine,
        "kernel": os.uname().release,
        "systemd_version": systemd_version(root),
        "ipv6": os.path.exists(f"{root}/proc/net/if_inet6"),
        "users": users(root),
        "homes": homes(root),
        "groups": groups(root),
        "unit_files": unit_files(root) if want.get("units") else [],
        "masked": units.masked(root) if want.get("units") else [],
        "service_memory_mb": service_memory(root) if want.get("units") else {},
        "packages": installed if want.get("packages") else {},
        "edited": edited(root) if want.get("packages") else [],
        "paths": paths(want.get("paths") or [], root),
        "applied_plan": applied_plan(root),
    }
    if not result["memory_mb"]:
        notes.append("memory: /proc/meminfo cannot be read")
    if want.get("packages") and not result["packages"]:
        notes.append("packages: /var/lib/dpkg/status lists none; this is no Debian, or it cannot be read")
    result["client_address"], result["login_port"] = login(root)
    result.update(_virtualization(detecting, root))
    shown = _shown(showing, booted, want, notes)
    asked = shown is not None and want.get("units")
    result.update(states(shown, *unit_links(root)) if asked else states([], set(), set()))
    result.update(listeners=[], ssh_ports=[])
    if want.get("listeners"):
        result["listeners"], result["ssh_ports"] = listening(shown or [], root)
        if euid != 0:
            notes.append("listeners: only root sees the processes of other users; run the task with become: true")
    result["packet_filters"] = packet_filters.found(filtering, notes, result["active"])
    result["postgresql"] = postgresql_answer(found_clusters, querying, notes)
    result["mariadb"] = mariadb_found(asking, notes)
    result["supply"] = supply.supply(missing, resolving, root)
    result["notes"] = notes
    return result


def _virtualization(detecting, root):
    # It ends with status 1 and "none" on bare metal, so the output counts, not the status.
    kind = (detecting.finish(PSQL_SECONDS) or "").strip() or virtualization_by_files(root)
    return {"virtualization": kind, "container": kind in CONTAINERS}


def _shown(showing, booted, want, notes):
    if showing is None:
        if not booted and want.get("units"):
            notes.append("units: systemd is not running here")
        return None
    text = showing.finish(30)
    if text is None:
        notes.append(f"units: {showing.reason}")
        return None
    return units.parse_show(text)
