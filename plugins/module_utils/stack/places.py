# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and devices of the host that a process may use beside its own: which can be given away, and what a host must have for it.

systemd mounts them as root, by their names. So every folder on the way is root's alone, and none of them is a link.
"""

from __future__ import annotations

import re

from .fields import Text
from .refusal import DeclarationError, refuse

FOLDER = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.@-]*)+")
# What the host itself, its programs or all apps live in.
TAKEN = frozenset(re.findall(r"\w+", "bin boot dev etc home lib lib32 lib64 libx32 nix opt proc root run sbin snap sys tmp usr var"))
# What others are mounted in, each in a folder of its own.
MOUNTS = frozenset(["export", "media", "mnt"])
REMEDY = "write a folder for it alone, such as /mnt/media/shop or /data"

# Devices that a user may have, by the group that Debian gives them to; one without a group is everybody's.
DEVICES = {
    r"/dev/tty(ACM|AMA|S|USB)\d{1,3}": "dialout",
    r"/dev/serial/by-(id|path)/[A-Za-z0-9_.:+-]+": "dialout",
    r"/dev/video\d{1,3}": "video",
    r"/dev/dri/card\d{1,3}": "video",
    r"/dev/dri/renderD\d{1,3}": "render",
    r"/dev/kvm": "kvm",
    r"/dev/nvidia(\d{1,2}|ctl|-modeset|-uvm|-uvm-tools)": None,
}


class WritableFolder(Text):
    """A folder of the host that a process may write to."""

    def __init__(self, **about):
        super().__init__(FOLDER, f"{REMEDY}: an absolute path of letters, digits, '.', '_', '@' and '-'", **about)

    def read(self, value, where):
        path = super().read(value, where)
        top = path.split("/")[1]
        if top == "srv":
            refuse(where, path, "folders of apps are there; every process of an app may write to /srv/<app>/shared, and to no other app's")
        if top in TAKEN:
            refuse(where, path, f"/{top} is the host's own, and who writes there is soon its master; {REMEDY}")
        if top in MOUNTS and path.count("/") == 1:
            refuse(where, path, f"what others have mounted is there; {REMEDY}")
        return path


DEVICE = Text(
    re.compile("|".join(DEVICES)),
    "only what gives away nothing of the host can be had: a serial line (/dev/ttyUSB0), a camera (/dev/video0), a graphics card "
    "(/dev/dri/renderD128, /dev/nvidia0) or /dev/kvm",
)


def group_of(device):
    """The group that may use a device; None where everybody may."""
    return next((group for pattern, group in DEVICES.items() if re.fullmatch(pattern, device)), None)


def _writable(apps):
    for name, app in apps.items():
        for process in app["processes"].values():
            for path in process["writable"]:
                yield name, f"mainstay_apps.{name}.processes.{process['name']}.writable", path


def check_places(apps):
    """Refuse folders that another app may write to, and those below one that may be written to: a link could be laid there."""
    folders = list(_writable(apps))
    for name, where, path in folders:
        for other, _where, above in folders:
            if path.startswith(f"{above}/"):
                refuse(where, path, f"it lies in {above}, where {other} could put a link in its place; write {above} alone")
            if path == above and name != other:
                refuse(where, path, f"{other} may write there, and apps share no files; give each a folder of its own")


def components(path):
    """A path and the folders it lies in, the outermost first."""
    parts = path.strip("/").split("/")
    return [f"/{'/'.join(parts[: number + 1])}" for number in range(len(parts))]


def own(name, process="*"):
    """What systemd makes an app's own by its name, all that is in it too: where it is before the app has come, it is somebody's."""
    return [f"/run/{name}", f"/var/lib/{name}", f"/etc/systemd/system/{name}.target", f"/etc/systemd/system/{name}-{process}@.service"]


def asked_of_host(apps):
    """What a snapshot of the host has to look at for the apps and folders that are declared, as far as they can be read yet."""
    found = set()
    for name, app in apps.items() if isinstance(apps, dict) else ():
        if isinstance(app, dict) and FOLDER.fullmatch(f"/srv/{name}"):
            found.update(own(name))
        processes = app.get("processes") if isinstance(app, dict) else None
        for process in processes.values() if isinstance(processes, dict) else ():
            paths = process.get("writable") if isinstance(process, dict) else None
            for path in paths if isinstance(paths, (list, tuple)) else ():
                if isinstance(path, str) and FOLDER.fullmatch(path):
                    found.update(components(path))
    return sorted(found)


def missing(apps, host, hostname):
    """The folders that a host has to be given first, ``{path, owner}``; refuses what somebody could have put a link into.

    :param host: the host's snapshot.
    """
    paths, wanted = host.get("paths") or {}, {}
    users = {user: name for name, app in apps.items() for user in (app["user"], app["build_user"])}
    for name, where, path in _writable(apps):
        *above, _itself = components(path)
        for folder in above:
            _refuse_unsafe(folder, paths.get(folder), where, path, hostname)
        entry = paths.get(path)
        if entry is None:
            wanted[path] = apps[name]["user"]
        elif entry["type"] != "directory":
            what = f"a link to {entry['target']}" if entry["type"] == "link" else "no folder"
            raise DeclarationError(where, path, f"On {hostname} it is {what}; write the folder itself.")
        elif users.get(entry["owner"], name) != name:
            raise DeclarationError(where, path, f"On {hostname} it belongs to {entry['owner']}, and apps share no files; take another one.")
    _refuse_groups(apps, host, hostname)
    return [{"path": path, "owner": owner} for path, owner in sorted(wanted.items())]


def _refuse_unsafe(folder, entry, where, path, hostname):
    if entry is None:
        raise DeclarationError(where, path, f"{hostname} has no folder {folder}; mount it, or make it as root.")
    if entry["type"] != "directory":
        what = f"a link to {entry['target']}" if entry["type"] == "link" else "no folder"
        raise DeclarationError(where, path, f"On {hostname} {folder} is {what}; write the path without it.")
    if entry["owner"] != "root" or int(entry["mode"], 8) & 0o022:
        others = f"{folder} is {entry['owner']}'s with mode {entry['mode']}"
        raise DeclarationError(where, path, f"On {hostname} {others}: not root alone could put a link there. chown root and chmod go-w it.")


def _refuse_groups(apps, host, hostname):
    groups = host.get("groups")
    for name, app in apps.items():
        for process in app["processes"].values():
            for device in process["devices"]:
                group = group_of(device)
                if group and groups is not None and group not in groups:
                    where = f"mainstay_apps.{name}.processes.{process['name']}.devices"
                    remedy = f"{hostname} has no group {group}, whose such devices are; `sudo addgroup --system {group}` makes it."
                    raise DeclarationError(where, device, remedy)
