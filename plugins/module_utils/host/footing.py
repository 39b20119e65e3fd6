# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every program on a host takes for granted, and some hosts do not have: places to write and to run from, a PATH, a /tmp for everybody."""

from __future__ import annotations

import os
import re
import stat

from ..text import read
from .limits import below

# Places that a run writes to, and whether what lies there is run: packages' scripts, uv, the apps' own interpreters.
PLACES = {"/etc": False, "/opt": True, "/srv": True, "/usr": True, "/var/lib/dpkg": True, "/var/log": False}
FOLDERS = ("/usr/sbin", "/usr/bin")


def footing(root="/", environ=None, statvfs=os.statvfs):
    """What is amiss, empty where nothing is: ``{read_only, noexec: [{place, mount}], path: folders that PATH lacks, tmp: its wrong mode}``."""
    found = {
        "read_only": [],
        "noexec": [],
        "path": _missing_folders(os.environ if environ is None else environ),
        "tmp": _wrong_mode(os.path.join(root, "tmp")),
    }
    for place, runs in PLACES.items():
        path = below(root, place)
        try:
            flags = statvfs(path).f_flag
        except OSError:  # it is not there yet, and will be a part of what is
            continue
        wrong = "read_only" if flags & os.ST_RDONLY else "noexec" if runs and flags & os.ST_NOEXEC else None
        if wrong:
            found[wrong].append({"place": place, "mount": mount_point(path, root)})
    return {name: value for name, value in found.items() if value}


def _missing_folders(environ):
    """What runs as root by its name alone is there; /bin and /sbin lead to the same folders."""
    has = {os.path.realpath(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder}
    return [folder for folder in FOLDERS if os.path.realpath(folder) not in has]


def _wrong_mode(path):
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return "missing"
    return "" if mode & 0o1777 == 0o1777 else f"{mode:04o}"


def mount_point(path, root="/"):
    """Where the file system of a path is mounted. A bind mount has the device of the folder above, so the kernel's own list is asked."""
    path = "/" + os.path.relpath(os.path.realpath(path), os.path.realpath(root))
    points = [unescaped(line.split()[1]) for line in read(f"{root}/proc/self/mounts").splitlines() if " " in line]
    return max((point for point in points if f"{path}/".startswith(f"{point.rstrip('/')}/")), key=len, default="/")


def unescaped(text):
    """A path as the list of mounts writes it."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
