# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the Debian packages of a host."""

from __future__ import annotations

from ..stack.apps import normalise
from ..stack.services import app_packages


def stack_packages(apps, tiers, part="all"):
    """The Debian packages of all roles that serve a host: ``tools`` that builds need, and ``servers``, which take longer."""
    declared = normalise(apps).values()
    tools, servers = ["nftables", "logrotate"], ["fail2ban", "python3-systemd"]
    if "proxy" in tiers:
        servers += ["nginx"]
        if any(site["tls"]["kind"] == "letsencrypt" for app in declared for site in app["sites"].values()):
            servers += ["certbot"]
    if "database" in tiers and any(app["database"] == "postgresql" for app in declared):
        servers += ["postgresql", "python3-psycopg2"]
    if "database" in tiers and any(app["pooler"] == "pgbouncer" for app in declared):
        servers += ["pgbouncer"]
    if "database" in tiers and any(app["database"] == "mariadb" for app in declared):
        servers += ["mariadb-server", "python3-pymysql"]
    if "cache" in tiers and any(app["redis"] for app in declared):
        servers += ["redis-server"]
    if "backend" in tiers:
        tools += sorted({package for app in declared for package in app_packages(app)})
    return {"all": tools + servers, "tools": tools, "servers": servers}[part]
