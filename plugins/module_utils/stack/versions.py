# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's release of its distribution is too old for."""

from __future__ import annotations

import re

from .fields import Flag
from .refusal import refuse

# What a fresh host installs, where it has no nginx yet; later releases have a newer one.
NGINX = {"bookworm": "1.22.1", "trixie": "1.26.3", "jammy": "1.18.0", "noble": "1.24.0", "resolute": "1.28.3"}
HTTP3_SINCE = (1, 25)


def nginx_version(host):
    """The version of nginx that a host has, else the one that its release installs; empty where nobody knows."""
    return host.get("packages", {}).get("nginx") or NGINX.get(host.get("distribution", {}).get("codename", ""), "")


def refuse_http3(wanted, host, hostname):
    """Refuse HTTP/3 where nginx, the installed one or the one to install, has none.

    :param host: what the host told of itself, with its packages and distribution.
    """
    if not Flag(default=False).read(wanted, "mainstay_http3"):
        return
    version = nginx_version(host)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers and numbers < HTTP3_SINCE:
        refuse("mainstay_http3", wanted, f"nginx {version} of {hostname} has no HTTP/3, Debian 13's has; set it for other hosts alone")
