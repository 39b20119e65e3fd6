# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, CPUs and limits as the kernel holds a host, or the container it is, to them."""

from __future__ import annotations

import math
import os
import re

from ..text import read

NO_LIMIT = 2**60
MB = 1024 * 1024


def below(root, path):
    """Where a file of the host's is that is read at ``root``."""
    return os.path.join(root, path.lstrip("/"))


def names_in(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def memory(root="/"):
    """{total_mb, limit_mb, available_mb, swap_mb, memory_mb, bound}: the memory and the cgroup limit on it."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB", read(f"{root}/proc/meminfo"), re.MULTILINE)
    info = {name: int(value) // 1024 for name, value in lines}
    total, available, swap = info.get("MemTotal", 0), info.get("MemAvailable", 0), info.get("SwapTotal", 0)
    limits = []
    for folder, version in cgroup_folders("memory", root):
        for name, value in _memory_limits(folder, version):
            limits.append((value // MB, f"{folder}/{name}", folder))
        swap_limit = _swap_limit(folder, version)
        swap = swap if swap_limit is None else min(swap, swap_limit // MB)
    result = {"total_mb": total, "limit_mb": None, "available_mb": available, "swap_mb": swap, "memory_mb": total}
    result["bound"] = "MemTotal of the machine"
    if limits:
        limit, name, folder = min(limits)
        result["limit_mb"] = limit
        if limit < total or not total:
            shown = "/" + os.path.relpath(name, root)
            result.update(memory_mb=limit, bound=f"cgroup limit {shown}")
            result["available_mb"] = min(available, max(0, limit - (in_use(folder) or 0) // MB))
    return result


def _memory_limits(folder, version):
    """The limits a group sets, in bytes; on version 1 also the smallest of the groups above that we may not see."""
    texts = {"memory.max": read(f"{folder}/memory.max").strip()}
    if version == 1:
        above = re.search(r"^hierarchical_memory_limit (\d+)", read(f"{folder}/memory.stat"), re.MULTILINE)
        texts = {"memory.limit_in_bytes": read(f"{folder}/memory.limit_in_bytes").strip()}
        texts["memory.stat"] = above[1] if above else ""
    return [(name, int(text)) for name, text in texts.items() if text.isdigit() and int(text) < NO_LIMIT]


def _swap_limit(folder, version):
    if version == 2:
        text = read(f"{folder}/memory.swap.max").strip()
        return int(text) if text.isdigit() and int(text) < NO_LIMIT else None
    both = read(f"{folder}/memory.memsw.limit_in_bytes").strip()
    alone = read(f"{folder}/memory.limit_in_bytes").strip()
    if both.isdigit() and alone.isdigit() and int(both) < NO_LIMIT:
        return max(0, int(both) - int(alone))
    return None


def in_use(folder):
    """Bytes that a cgroup of either version uses and could not give back at once: without the file cache. None where it is none."""
    for usage, cache in (("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")):
        used = read(f"{folder}/{usage}").strip()
        if used.isdigit():
            given_back = re.search(rf"^{cache} (\d+)", read(f"{folder}/memory.stat"), re.MULTILINE)
            return max(0, int(used) - (int(given_back[1]) if given_back else 0))
    return None


def held_by(group, root="/"):
    """:func:`in_use` of a control group as systemd names it (``ControlGroup``)."""
    found = (in_use(f"{root.rstrip('/')}/sys/fs/cgroup{controller}{group}") for controller in ("", "/memory"))
    return next((held for held in found if held is not None), None)


def cpu(root="/"):
    """{online, affinity, quota, cpus, bound}: processors there are, that may be used, and time one may take of them."""
    online = _cpu_set(read(f"{root}/sys/devices/system/cpu/online")) or set(range(os.cpu_count() or 1))
    status = read(f"{root}/proc/1/status") or read(f"{root}/proc/self/status")
    allowed = re.search(r"^Cpus_allowed_list:\s+(\S+)", status, re.MULTILINE)
    affinity = len((_cpu_set(allowed[1]) & online) or online) if allowed else len(online)
    folders = cgroup_folders("cpu", root)
    quotas = [(quota, folder) for folder, version in folders for quota in _cpu_quota(folder, version)]
    result = {
        "online": len(online),
        "affinity": affinity,
        "quota": None,
        "cpus": affinity,
        "bound": "processors online",
    }
    if affinity < len(online):
        result["bound"] = "processors this system may run on (affinity)"
    if quotas:
        quota, folder = min(quotas)
        result["quota"] = round(quota, 2)
        if math.ceil(quota) < affinity:
            shown = "/" + os.path.relpath(folder, root)
            result.update(cpus=max(1, math.ceil(quota)), bound=f"cgroup quota of {shown}")
    return result


def _cpu_quota(folder, version):
    former = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    words = read(f"{folder}/cpu.max").split() if version == 2 else [read(f"{folder}/{name}").strip() for name in former]
    if len(words) == 2 and all(word.isdigit() for word in words) and int(words[0]) > 0 < int(words[1]):
        return [int(words[0]) / int(words[1])]
    return []


def _cpu_set(text):
    """`0-2,5` as {0, 1, 2, 5}."""
    found = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def cgroup_folders(controller, root="/"):
    """[(folder, 1 or 2)] of the control groups that limit the services of this system, from the outermost inwards.

    Process 1 stands for the system: whoever runs this may be in a login session with limits of its own. Services are in
    system.slice. Where the group is not below the mount point (a container that sees only its own part of the tree),
    the mount point itself is the group.
    """
    top = base = os.path.join(root, "sys/fs/cgroup")
    version, path = 0, ""
    for line in (read(f"{root}/proc/1/cgroup") or read(f"{root}/proc/self/cgroup")).splitlines():
        number, _colon, rest = line.partition(":")
        names, _colon, group = rest.partition(":")
        if controller in names.split(","):
            version, path = 1, group
            base = f"{top}/{names}" if os.path.isdir(f"{top}/{names}") else f"{top}/{controller}"
            break
        if number == "0" and not names:
            version, path = 2, group
    if not version:
        return []
    if version == 2 and os.path.isdir(f"{base}/unified"):
        base = f"{base}/unified"
    parts = [part for part in path.split("/") if part]
    if parts and parts[-1] == "init.scope":
        parts.pop()
    if ".." in parts or not os.path.isdir(os.path.join(base, *parts)):
        parts = []
    folders = [os.path.join(base, *parts[:depth]) for depth in range(len(parts) + 1)]
    folders.append(os.path.join(folders[-1], "system.slice"))
    return [(folder, version) for folder in folders if os.path.isdir(folder)]


# A container of Docker has a scope of its own, named by its identifier.
CONTAINER_SCOPE = re.compile(r"-[0-9a-f]{64}\.scope$")


def service_memory(root="/"):
    """{service: MB that it holds and could not give back at once}, of all that systemd runs for nobody's login."""
    found = {}
    for top, _version in cgroup_folders("memory", root):
        if os.path.basename(top) == "system.slice":
            slices = [f"{top}/{name}" for name in names_in(top) if name.endswith(".slice")]
            for folder in [top, *slices]:
                for name in names_in(folder):
                    if name.endswith((".service", ".scope")):
                        short = CONTAINER_SCOPE.sub("", name)
                        found[short] = found.get(short, 0) + (in_use(f"{folder}/{name}") or 0)
    return {name: held // MB for name, held in sorted(found.items())}


# Limits that a distribution may set higher than anybody plans: systemd lifts the first one out of reach at boot.
KERNEL_LIMITS = {"fs.file-max": "fs/file-max"}


def kernel_limits(root="/"):
    """{name of the kernel parameter: what it is now}."""
    found = {name: read(f"{root}/proc/sys/{path}").strip() for name, path in KERNEL_LIMITS.items()}
    return {name: int(value) for name, value in found.items() if value.isdigit()}
