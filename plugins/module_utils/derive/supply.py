# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose packages cannot come, told before the run changes it."""

from __future__ import annotations

import datetime

# MB below /usr that a package takes with what it brings, of those that bring much (Debian 12, `apt-get install --no-install-recommends`).
LARGE = {"mariadb-server": 190, "nodejs": 60, "npm": 130, "podman": 110, "postgresql": 200}
OTHER = 2
# What apt keeps of the lists of Debian 12, read and as they come; the archives of packages are a third to a quarter of what they hold.
LISTS, ARCHIVES = 150, 4
LEAST_INODES = 5000
# What the role backend wants for a release where backend_minimum_free_mb says nothing else.
RELEASE = 512
# apt takes no list of packages from the future, and a certificate may be an hour old.
CLOCK_SECONDS = 3600
UNCHANGED = "Nothing has changed."


def refuse_unsupplied(host, hostname, now, variables=None, builds=False):
    """Refuse a host that lacks packages and could not get them.

    :param host: the host's snapshot.
    :param now: the time of the control node, in seconds since 1970.
    :param variables: of the host; with a proxy of its own apt looks up no name.
    :param builds: whether a first release is made there, after the packages have come.
    """
    found = host.get("supply") or {}
    missing = found.get("missing") or []
    if not missing:
        return
    told = (
        f"{missing[0]} has to be installed" if len(missing) == 1 else f"{len(missing)} packages have to be installed, such as {missing[0]}"
    )
    variables = variables or {}
    proxy = variables.get("system_apt_http_proxy") or (variables.get("mainstay_environment") or {}).get("http_proxy")
    release = int(variables.get("backend_minimum_free_mb", RELEASE)) if builds else 0
    broken = "dpkg was interrupted on it: `sudo dpkg --configure -a` ends what it was doing." if found.get("interrupted") else ""
    for sentence in (_held(found), broken, _clock(found, now), *_room(found, missing, release), "" if proxy else _names(found)):
        if sentence:
            raise ValueError(f"{hostname}: {told}, and {sentence} {UNCHANGED}")


def _held(found):
    held = found.get("held") or []
    if not held:
        return ""
    return f"{' and '.join(held)} {'is' if len(held) == 1 else 'are'} on hold, which apt heeds: `sudo apt-mark unhold {' '.join(held)}`."


def _said(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _clock(found, now):
    if abs(found["time"] - now) <= CLOCK_SECONDS:
        return ""
    return (
        f"its clock says {_said(found['time'])} where this machine's says {_said(now)}: apt and TLS would take what is valid for outdated or "
        f"not valid yet. Set it on the host, with timedatectl set-ntp true or date --utc --set='{_said(now)}', or correct this machine's."
    )


def _room(found, missing, release):
    files = sum(LARGE.get(name, OTHER) for name in missing)
    needed = {"/usr": files, "/var/cache/apt": LISTS + files // ARCHIVES, "/srv": release}
    for entry in found["room"]:
        wanted = sum(needed[place] for place in entry["places"])
        whose = (
            "a release needs"
            if entry["places"] == ["/srv"]
            else "they and a release need"
            if release and "/srv" in entry["places"]
            else "they need"
        )
        help_ = f"Make room there (df -h {entry['mount']}; apt-get clean; journalctl --vacuum-size=100M), or give the host a larger disk."
        if entry["free_mb"] < wanted:
            yield f"{entry['mount']} has {entry['free_mb']} MB free of the {wanted} MB that {whose} at least. {help_}"
        inodes = entry["inodes_free"]
        if inodes is not None and inodes < LEAST_INODES:
            yield f"{entry['mount']} has room for {inodes} files, of the {LEAST_INODES} that they need at least. {help_}"


def _names(found):
    dead = [name for name, leads in found["names"].items() if not leads]
    if not dead or len(dead) < len(found["names"]):  # one that is gone is apt's to tell
        return ""
    return (
        f"no name server tells the host where {' and '.join(dead)} {'is' if len(dead) == 1 else 'are'}. Name one that answers in its "
        "/etc/resolv.conf (nameserver 192.0.2.53), or the proxy that apt is to take in mainstay_environment: {http_proxy: http://…}."
    )
