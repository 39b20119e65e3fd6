# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports and the Debian packages of the stack's services and runtimes."""

from __future__ import annotations

# The database servers of the stack, as people write them.
DATABASES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}
# Ports the stack itself listens on; Redis has an instance for each app and purpose.
DATABASE_PORTS = {"mariadb": 3306, "pgbouncer": 6432, "postgresql": 5432}
REDIS_PORTS = range(6379, 6432)
RESERVED_PORTS = {
    **{DATABASE_PORTS[name]: title for name, title in DATABASES.items()},
    **dict.fromkeys(REDIS_PORTS, "Redis"),
    DATABASE_PORTS["pgbouncer"]: "PgBouncer",
}
RUNTIME_PACKAGES = {
    "python": ["python3-venv"],
    "node": ["nodejs", "npm"],
    "command": [],
    # crun, which leaves a container in its unit's cgroup; catatonit, the first process of each; skopeo, which copies images.
    "container": ["podman", "crun", "catatonit", "skopeo"],
}


def app_packages(app):
    """The Debian packages that an app needs to be built and run."""
    fetched = ["git"] if app["source"]["kind"] == "git" else []
    return RUNTIME_PACKAGES[app["runtime"]] + fetched + (["acl"] if app["served"] else []) + app["packages"]
