# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of a host, as ``systemctl show`` tells them."""

from __future__ import annotations

import os
import re

from .limits import MB, below, names_in

UNIT_KINDS = ["*.service", "*.socket", "*.timer", "*.target", "*.path", "*.mount", "*.swap"]
SHOW_UNITS = ["systemctl", "show", "--property=Id,Names,ActiveState,UnitFileState,Listen,MemoryMax", *UNIT_KINDS]
COMES_BACK = {"enabled", "static", "generated", "indirect", "alias"}
ADMIN_FOLDER = "etc/systemd/system"
PACKAGED_FOLDERS = (
    "run/systemd/generator",
    "run/systemd/generator.early",
    "run/systemd/generator.late",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)


def states(shown, enabled_links, packaged_links):
    """{running, active, enabled, failed_units, memory_max_mb} from `systemctl show` (parsed) and the links below *.wants and the like.

    memory_max_mb: limits of memory, by unit, of what is active and has one.
    running: active, and started again after a reboot. Not "failed": in what a module returns that word means the task.
    """
    running, active, enabled, failed, limits = set(), set(), set(enabled_links), set(), {}
    links = enabled_links | packaged_links
    for unit in shown:
        names = set(unit.get("Names", "").split()) | {unit["Id"]}
        state = unit.get("UnitFileState", "")
        if state == "enabled":
            enabled |= names
        if unit.get("ActiveState") == "failed":
            failed |= names
        if unit.get("ActiveState") in ("active", "reloading", "refreshing"):
            active |= names
            if unit.get("MemoryMax", "").isdigit():
                limits[unit["Id"]] = int(unit["MemoryMax"]) // MB
            template = re.sub(r"@.+(\.\w+)$", r"@\1", unit["Id"])
            if state in COMES_BACK or names & links or template in links:
                running |= names
    return {
        "running": sorted(running),
        "active": sorted(active),
        "enabled": sorted(enabled),
        "failed_units": sorted(failed),
        "memory_max_mb": limits,
    }


def unit_files(root="/"):
    """The names of the units that packages bring."""
    folders = [folder for folder in PACKAGED_FOLDERS if folder.endswith("lib/systemd/system")]
    return sorted({name for folder in folders for name in names_in(os.path.join(root, folder)) if name.endswith((".service", ".target"))})


def masked(root="/"):
    """The units that nobody can start: somebody has laid a link to /dev/null in their place."""
    folder = os.path.join(root, ADMIN_FOLDER)
    return sorted(name for name in names_in(folder) if _link_target(f"{folder}/{name}") == "/dev/null")


def unit_links(root="/"):
    """(enabled by the administrator, pulled in by packages or generators): links in *.wants and *.requires.

    Links in /run/systemd/system are left out, they last until the next boot only.
    """
    enabled = _links(root, [ADMIN_FOLDER])
    packaged = _links(root, PACKAGED_FOLDERS)
    dead = set(masked(root))
    return enabled - dead, packaged - dead


def _links(root, folders):
    found = set()
    for folder in folders:
        top = os.path.join(root, folder)
        for name in names_in(top):
            if name.endswith((".wants", ".requires")):
                found.update(link for link in names_in(f"{top}/{name}") if _leads_somewhere(f"{top}/{name}/{link}", root))
    return found


def _leads_somewhere(link, root):
    target = _link_target(link)
    return os.path.exists(below(root, target) if target.startswith("/") else link)


def _link_target(link):
    try:
        return os.readlink(link)
    except OSError:
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
