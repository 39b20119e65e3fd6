# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the databases that PgBouncer stands before, and its settings."""

from __future__ import annotations

from ..stack.apps import normalise
from .postgresql import postgresql_databases

# How an app says in its env that it prepares no statements on the server.
SWITCHED_OFF = ("0", "false", "no", "off")


def pgbouncer_databases(apps, secrets):
    """The databases of the apps that reach PostgreSQL through PgBouncer, and whether they may prepare statements there."""
    declared = normalise(apps)
    return [
        {
            **{key: database[key] for key in ("name", "owner", "password_verifier")},
            "prepares": declared[database["name"]]["env"].get("DB_PREPARED_STATEMENTS", "1").lower() not in SWITCHED_OFF,
        }
        for database in postgresql_databases(declared, secrets)
        if declared[database["name"]]["pooler"] == "pgbouncer"
    ]


def pgbouncer_settings(plan, own):
    """PgBouncer's settings by name, ready for its file; ``nofile`` is for its unit."""
    settings = {**{name: value for name, value in plan.items() if name != "nofile"}, **own}
    return {name: int(settings[name]) if isinstance(settings[name], bool) else settings[name] for name in sorted(settings)}
