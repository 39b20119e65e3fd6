# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What declared apps use of a host's servers and is not there yet: deploy.yml makes none of it."""

from __future__ import annotations

from ..stack.apps import normalise
from ..stack.redis_ports import instance_name
from ..stack.services import DATABASES


def unprepared(apps, plan, hostname, host):
    """The databases and Redis instances that a plan gives a host and the host does not have, each in words; none of a server that is down.

    :param host: the host's snapshot.
    """
    planned = plan.get("hosts", {}).get(hostname, {})
    found = [
        f"{app}: its database in {DATABASES[database]}"
        for app, declared in normalise(apps).items()
        for database, known in (("postgresql", _postgresql(host)), ("mariadb", _mariadb(host)))
        if declared["database"] == database and database in planned and known is not None and app not in known
    ]
    for app, purposes in planned.get("redis", {}).items():
        names = [instance_name(app, purpose) for purpose in purposes]
        found += [f"{app}: its Redis {name}" for name in names if f"redis-server@{name}.service" not in host["enabled"]]
    return sorted(found)


def _postgresql(host):
    """The databases of a host's PostgreSQL; None where it has clusters and none of them answers."""
    clusters = host["postgresql"]["clusters"]
    return None if clusters and all(cluster["status"] != "online" for cluster in clusters) else host["postgresql"]["databases"]


def _mariadb(host):
    """The databases of a host's MariaDB; None where it is there and does not answer."""
    is_down = "mariadb.service" in host["enabled"] and "mariadb.service" not in host["running"]
    return None if is_down else host["mariadb"]["databases"]
