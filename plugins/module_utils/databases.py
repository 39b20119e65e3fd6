# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the databases, roles and Redis instances they need. No plain password reaches a server's files."""
from __future__ import annotations

import base64
import hashlib
import hmac

from .apps import normalise

REDIS_PORTS = {"cache": 6379, "queue": 6380}
# PostgreSQL's own default (scram_iterations, src/include/common/scram-common.h); more is slower at every connection.
SCRAM_ITERATIONS = 4096


def scram_verifier(password, role):
    """The SCRAM-SHA-256 verifier PostgreSQL stores for a password (RFC 5803), the same at every run.

    The salt is derived from the password and the role: unpredictable to whoever does not know the password, and stable, so a
    second run finds what the first one stored. The password itself is never sent to the server.
    """
    salt = hmac.digest(password.encode(), b"mainstay salt " + role.encode(), "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(item).decode() for item in (salt, stored, server)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{texts[0]}${texts[1]}:{texts[2]}"


def postgresql_databases(apps, secrets):
    """One database for each app that declares PostgreSQL, owned by a role of the app's name."""
    return [
        {"name": app["name"], "owner": app["name"],
         "password_verifier": scram_verifier(secrets[app["name"]]["DATABASE_PASSWORD"], app["name"])}
        for app in normalise(apps).values()
        if app["database"] == "postgresql" and app["name"] in secrets
    ]


def postgresql_missing(databases, found):
    """The databases whose role, password or existence differs from what the snapshot found on the host."""
    return [
        database for database in databases
        if found.get("databases", {}).get(database["name"]) != database["owner"]
        or found.get("roles", {}).get(database["owner"]) != hashlib.sha256(database["password_verifier"].encode()).hexdigest()
    ]


def redis_instances(apps, secrets, plan, hostname):
    """The Redis instances the apps ask for: ``cache`` evicts, ``queue`` never does; one ACL user for each app."""
    declared = normalise(apps)
    planned = plan.get("hosts", {}).get(hostname, {}).get("redis", {})
    instances = []
    for name, port in REDIS_PORTS.items():
        users = [
            {"name": app["name"],
             "password_sha256": hashlib.sha256(secrets[app["name"]][f"REDIS_{name.upper()}_PASSWORD"].encode()).hexdigest()}
            for app in declared.values()
            if name in app["redis"] and app["name"] in secrets
        ]
        if users:
            sizes = planned.get(name, {})
            instances.append({
                "name": name,
                "port": port,
                "durable": name == "queue",
                "maxmemory_mb": sizes.get("maxmemory_mb", 64),
                "maxmemory_policy": sizes.get("maxmemory_policy", "allkeys-lru" if name == "cache" else "noeviction"),
                "maxclients": sizes.get("maxclients", 1000),
                "users": users,
            })
    return instances


# Units that the plan writes into its names and PostgreSQL wants behind the number.
POSTGRESQL_UNITS = {"_mb": "MB", "_kb": "kB"}


def postgresql_settings(plan, overrides):
    """The plan's numbers under PostgreSQL's names and units, the user's own settings over them, each ready for a file."""
    settings = {}
    for name, value in plan.items():
        unit = POSTGRESQL_UNITS.get(name[-3:])
        settings[name[:-3] if unit else name] = f"{value}{unit}" if unit else value
    settings.update(overrides)
    return {name: _quoted(settings[name]) for name in sorted(settings)}


def _quoted(value):
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
