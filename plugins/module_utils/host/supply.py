# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt needs to bring packages: names that lead somewhere, room, and a clock that is right."""

from __future__ import annotations

import os
import re
import socket
import threading
import time

from ..text import read
from .footing import mount_point
from .limits import MB, below, names_in

# The resolver asks a server for 5 s, and then the next one; a host with two dead servers and one that lives can still be supplied.
SECONDS = 12
MOST_NAMES = 8
LINE = re.compile(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)", re.MULTILINE)
PARAGRAPH = re.compile(r"\n\s*\n")
URIS = re.compile(r"^URIs:[ \t]*((?:.*\n?)(?:[ \t]+.*\n?)*)", re.MULTILINE | re.IGNORECASE)
DISABLED = re.compile(r"^Enabled:[ \t]*(no|false|without|off|disable)[ \t]*$", re.MULTILINE | re.IGNORECASE)
NAME = re.compile(r"(?:mirror\+)?https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*)(?=[:/]|$)")
PROXY = re.compile(r"^(?!\s*(?://|#)).*\bproxy(?:-auto-detect)?\s+\"[^\"]+\"", re.MULTILINE | re.IGNORECASE)
# Where packages go: their files, and what apt keeps of lists and archives meanwhile; and where releases are made of what they bring.
PLACES = ("/usr", "/var/cache/apt", "/srv")


def source_names(root="/"):
    """The names of the hosts that apt fetches from by HTTP; none where it goes through a proxy, which looks names up itself."""
    settings = [f"{root}/etc/apt/apt.conf", *(f"{root}/etc/apt/apt.conf.d/{name}" for name in names_in(f"{root}/etc/apt/apt.conf.d"))]
    if os.environ.get("http_proxy") or any(PROXY.search(read(file)) for file in settings):
        return []
    uris = LINE.findall(read(f"{root}/etc/apt/sources.list"))
    for name in names_in(f"{root}/etc/apt/sources.list.d"):
        text = read(f"{root}/etc/apt/sources.list.d/{name}")
        if name.endswith(".list"):
            uris += LINE.findall(text)
        elif name.endswith(".sources"):
            paragraphs = [part for part in PARAGRAPH.split(text) if not DISABLED.search(part)]
            uris += [uri for part in paragraphs for found in URIS.findall(part + "\n") for uri in found.split()]
    names = (NAME.match(uri) for uri in uris)
    return list(dict.fromkeys(match[1] for match in names if match))[:MOST_NAMES]


class Resolving:
    """Names that are looked up while other things are read."""

    def __init__(self, names, resolve=socket.getaddrinfo):
        self.answers = dict.fromkeys(names, False)
        self.threads = [threading.Thread(target=self._ask, args=(name, resolve), daemon=True) for name in names]
        for thread in self.threads:
            thread.start()

    def _ask(self, name, resolve):
        try:
            resolve(name, 80)
        except (OSError, UnicodeError):
            return
        self.answers[name] = True

    def finish(self, seconds=SECONDS):
        """``{name: whether it leads somewhere}``."""
        until = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        return dict(self.answers)


def room(root="/", statvfs=os.statvfs):
    """``[{mount, places, free_mb, inodes_free}]`` of the file systems that packages and releases go to; no inodes where there is no limit of them."""
    found = {}
    for place in PLACES:
        try:
            numbers = statvfs(below(root, place))
        except OSError:
            continue
        mount = mount_point(below(root, place), root)
        entry = found.setdefault(mount, {"mount": mount, "places": [], "free_mb": numbers.f_bavail * numbers.f_frsize // MB})
        entry["places"].append(place)
        entry["inodes_free"] = numbers.f_favail if numbers.f_files else None
    return list(found.values())


def start_resolving(missing, root, resolve=socket.getaddrinfo):
    return Resolving(source_names(root) if missing else [], resolve)


def supply(missing, resolving, root="/"):
    """What the snapshot tells of the way that packages come: nothing but the time where none is missing."""
    return {
        "missing": missing,
        "held": held(missing, root),
        "interrupted": bool(missing) and interrupted(root),
        "names": resolving.finish(),
        "room": room(root) if missing else [],
        "time": int(time.time()),
    }


def held(names, root="/"):
    """Those of the packages that apt-mark holds, so that apt does not install them."""
    text = read(f"{root}/var/lib/dpkg/status") if names else ""
    marked = set(re.findall(r"^Package: (\S+)\nStatus: hold ", text, re.MULTILINE))
    return [name for name in names if name in marked]


def interrupted(root="/"):
    """Whether a dpkg was ended in the middle of what it did: its journal is there, and nobody holds its lock who would be at work on it."""
    folder = f"{root}/var/lib/dpkg"
    try:
        number = os.stat(f"{folder}/lock").st_ino
    except OSError:
        number = None
    at_work = any(line.split()[5].endswith(f":{number}") for line in read(f"{root}/proc/locks").splitlines() if " -> " not in line)
    return any(name.isdigit() for name in names_in(f"{folder}/updates")) and not at_work
