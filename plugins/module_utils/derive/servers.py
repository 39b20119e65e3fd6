# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a host that the agent watches, each with its unit and the way to see that it lives, and which of them an app needs.

None is asked with a login: a server that answers at all, be it with a refusal, lives.
"""

from __future__ import annotations

from ..stack.exporters import unit as exporter_unit
from ..stack.redis_ports import instance_name
from ..stack.services import DATABASE_PORTS
from ..stack.tiers import LOOPBACK

# By its part of the plan: its unit, and the agent's probe. Who hangs up on nginx or PgBouncer is hung up on, and no log tells of it.
SERVERS = {
    "postgresql": ("postgresql@{version}-main.service", {"kind": "postgresql", "username": "postgres"}),
    "mariadb": ("mariadb.service", {"kind": "mysql"}),
    "pgbouncer": ("pgbouncer.service", {"kind": "hangup"}),
}


def servers_of(apps, plan, hostname, postgresql_version=""):
    """The servers that a plan gives a host: ``[{name, unit, probe}, …]``; none where there is no plan.

    :param apps: the declared apps in normal form.
    :param postgresql_version: the major version, which is in the name of PostgreSQL's unit; without it PostgreSQL is left out.
    """
    planned = plan.get("hosts", {}).get(hostname, {})
    found = [
        {"name": name, "unit": unit.format(version=postgresql_version), "probe": {**probe, "port": DATABASE_PORTS[name]}}
        for name, (unit, probe) in SERVERS.items()
        if name in planned and (postgresql_version or name != "postgresql")
    ]
    for app_name, purposes in planned.get("redis", {}).items():
        for purpose, settings in purposes.items():
            name = instance_name(app_name, purpose)
            probe = {"kind": "redis", "port": settings["port"]}
            found.append({"name": f"redis/{name}", "unit": f"redis-server@{name}.service", "probe": probe})
    if "nginx" in planned:
        # Without a site it listens nowhere.
        serves = any(app["sites"] for app in apps.values())
        found.append({"name": "nginx", "unit": "nginx.service", "probe": {"kind": "hangup", "port": 80} if serves else None})
    for name, exporter in planned.get("exporters", {}).items():
        elsewhere = {} if exporter["address"] == LOOPBACK else {"host": exporter["address"]}
        probe = {"kind": "hangup", "port": exporter["port"], **elsewhere}
        found.append({"name": f"exporter/{name}", "unit": exporter_unit(name), "probe": probe})
    return found


def needs(app, servers):
    """The names of those servers that an app uses; what other hosts run, this one does not see."""
    wanted = {app["database"], app["pooler"]} | {f"redis/{instance_name(app['name'], purpose)}" for purpose in app["redis"]}
    return [server["name"] for server in servers if server["name"] in wanted]
