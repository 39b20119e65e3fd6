# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's release of its distribution is too old for."""

from __future__ import annotations

import re

from .fields import Flag
from .refusal import refuse

# What a fresh host installs, where it has none yet; later releases have newer ones.
NGINX = {"bookworm": "1.22.1", "trixie": "1.26.3", "jammy": "1.18.0", "noble": "1.24.0", "resolute": "1.28.3"}
PODMAN = {"bookworm": "4.3.1", "trixie": "5.4.2", "jammy": "3.4.4", "noble": "4.9.3", "resolute": "5.7.0"}
HTTP3_SINCE = (1, 25)
CONTAINERS_SINCE = (4, 3)  # with 3.4 no container starts: its first process may not be executed


def nginx_version(host):
    """The version of nginx that a host has, else the one that its release installs; empty where nobody knows."""
    return _version(host, "nginx", NGINX)


def _version(host, package, of_releases):
    return host.get("packages", {}).get(package) or of_releases.get(host.get("distribution", {}).get("codename", ""), "")


def _is_older(version, since):
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return bool(numbers) and numbers < since


def refuse_http3(wanted, host, hostname):
    """Refuse HTTP/3 where nginx, the installed one or the one to install, has none.

    :param host: what the host told of itself, with its packages and distribution.
    """
    if not Flag(default=False).read(wanted, "mainstay_http3"):
        return
    version = nginx_version(host)
    if _is_older(version, HTTP3_SINCE):
        refuse("mainstay_http3", wanted, f"nginx {version} of {hostname} has no HTTP/3, Debian 13's has; set it for other hosts alone")


def refuse_containers(apps, host, hostname):
    """Refuse apps that are containers where podman, the installed one or the one to install, cannot run them.

    :param apps: the apps in their normal form.
    """
    found = [app["name"] for app in apps.values() if app["runtime"] == "container"]
    version = _version(host, "podman", PODMAN)
    if found and _is_older(version, CONTAINERS_SINCE):
        since = ".".join(str(number) for number in CONTAINERS_SINCE)
        refuse(
            f"mainstay_apps.{found[0]}.runtime",
            "container",
            f"podman {version} of {hostname} is older than {since}, with which containers start; give the app a host with Debian 12, "
            "Ubuntu 24.04 or later",
        )
