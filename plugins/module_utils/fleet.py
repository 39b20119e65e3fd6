# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host serves which tier, and what it therefore needs."""
from __future__ import annotations

from .apps import normalise

TIERS = ("proxy", "backend", "database", "cache")
RUNTIME_PACKAGES = {"python": ["python3-venv"], "node": ["nodejs", "npm"], "command": []}


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


def app_packages(app):
    """The Debian packages that an app needs to be built and run."""
    return RUNTIME_PACKAGES[app["runtime"]] + (["git"] if app["source"]["kind"] == "git" else [])


def stack_packages(apps, tiers, part="all"):
    """The Debian packages of all roles that serve a host: ``tools`` that builds need, and ``servers``, which take longer."""
    declared = normalise(apps).values()
    tools, servers = ["nftables", "logrotate"], []
    if "proxy" in tiers:
        servers += ["nginx"]
    if "database" in tiers and any(app["database"] == "postgresql" for app in declared):
        servers += ["postgresql", "python3-psycopg2"]
    if "database" in tiers and any(app["database"] == "mariadb" for app in declared):
        servers += ["mariadb-server", "python3-pymysql"]
    if "cache" in tiers and any(app["redis"] for app in declared):
        servers += ["redis-server"]
    if "backend" in tiers:
        tools += sorted({package for app in declared for package in app_packages(app)})
    return {"all": tools + servers, "tools": tools, "servers": servers}[part]


def raised_limits(wanted, found):
    """The kernel's limits to set: those that a host does not exceed by itself, as systemd raises some at boot."""
    return {name: value for name, value in wanted.items() if int(value) >= found.get(name, 0)}


def enumeration(names):
    """Names as a person says them: ``web1``, ``web1 and web2``, ``web1, web2 and web3``."""
    *first, last = names or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
