# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host serves which tier, and what it therefore needs."""
from __future__ import annotations

from .apps import normalise

TIERS = ("proxy", "backend", "database", "cache")


def plan_hosts(names, hostvars, groups):
    """The hosts as the capacity plan wants them: tiers from the inventory's groups, resources from each host's snapshot."""
    hosts = {}
    for name in names:
        tiers = [tier for tier in TIERS if name in groups.get(tier, ())]
        if not tiers:
            raise ValueError(f"inventory: {name!r} is in no tier. Put it into one or more of the groups {', '.join(TIERS)}.")
        snapshot = hostvars[name]["mainstay_host"]
        hosts[name] = {"tiers": tiers, "memory_mb": snapshot["memory_mb"], "cpus": snapshot["cpus"]}
    return hosts


def stack_packages(apps, tiers):
    """The Debian packages of all roles that serve a host, so that one transaction installs them; roles find theirs present."""
    declared = normalise(apps).values()
    runtimes = {app["runtime"] for app in declared}
    packages = ["nftables", "logrotate"]
    if "proxy" in tiers:
        packages += ["nginx"]
    if "database" in tiers and any(app["database"] == "postgresql" for app in declared):
        packages += ["postgresql", "python3-psycopg2"]
    if "database" in tiers and any(app["database"] == "mariadb" for app in declared):
        packages += ["mariadb-server", "python3-pymysql"]
    if "cache" in tiers and any(app["redis"] for app in declared):
        packages += ["redis-server"]
    if "backend" in tiers:
        packages += ["python3-venv"] if "python" in runtimes else []
        packages += ["nodejs", "npm"] if "node" in runtimes else []
        packages += ["git"] if any(app["source"]["kind"] == "git" for app in declared) else []
    return packages


def enumeration(names):
    """Names as a person says them: ``web1``, ``web1 and web2``, ``web1, web2 and web3``."""
    *first, last = names or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
