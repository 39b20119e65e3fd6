# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to PostgreSQL's databases, roles, indexes and settings. No plain password reaches a server's files."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from .. import superuser
from ..stack.apps import normalise
from ..stack.refusal import DeclarationError, network_of

# PostgreSQL's own default (scram_iterations, src/include/common/scram-common.h); more is slower at every connection.
SCRAM_ITERATIONS = 4096


# The versions that the distributions have, by codename: packages.debian.org and packages.ubuntu.com, source package postgresql-common.
VERSION_OF = {"bookworm": "15", "trixie": "17", "jammy": "14", "noble": "16", "resolute": "18"}


def postgresql_version(host, required=True):
    """The major version to run: that of the cluster C(main) that is there, else the distribution's.

    An upgrade of the distribution leaves the cluster of before, with its server and its data, beside the packages of a new version.
    Where there are two, pg_upgradecluster has given the new one the port of the old.

    :param host: the snapshot of the host.
    :param required: without it the answer is an empty text where it would be refused.
    :raises DeclarationError: where the distribution is not known, or the cluster's own server is gone.
    """
    clusters = [item for item in host.get("postgresql", {}).get("clusters", ()) if item["name"] == "main"]
    found = [item["version"] for item in clusters if item["port"] == 5432] or [item["version"] for item in clusters]
    version = max(found, key=float, default=None) or VERSION_OF.get(host.get("distribution", {}).get("codename"))
    if version is None and required:
        known = ", ".join(sorted(VERSION_OF))
        raise DeclarationError("postgresql_version", None, f"Only the versions of {known} are known; set it to the one that this host has.")
    packages = host.get("packages") or {}
    if found and packages and required and f"postgresql-{version}" not in packages:
        raise DeclarationError(
            "postgresql_version",
            version,
            f"The cluster {version} main has data in /var/lib/postgresql/{version}/main and its server is gone. Install postgresql-{version} "
            f"(of the distribution before, or apt.postgresql.org), or move /etc/postgresql/{version} away to begin with an empty one.",
        )
    return version or ""


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


# PostgreSQL's own word for no limit on a role's connections.
UNLIMITED = -1


def postgresql_databases(apps, secrets, plan=None):
    """One database for each app that declares PostgreSQL, owned by a role of the app's name with the connections of the plan."""
    limits = (plan or {}).get("connections", {}).get("postgresql", {}).get("roles", {})
    return [
        {
            "name": app["name"],
            "owner": app["name"],
            "connection_limit": limits.get(app["name"], UNLIMITED),
            "password_verifier": scram_verifier(secrets[app["name"]]["DATABASE_PASSWORD"], app["name"]),
        }
        for app in normalise(apps).values()
        if app["database"] == "postgresql" and app["name"] in secrets
    ]


def postgresql_missing(databases, found, settings):
    """The databases whose existence, role, password or settings differ from what the snapshot found on the host."""
    wanted = {f"{name}={value}" for name, value in settings.items()}
    return [
        database
        for database in databases
        if found.get("databases", {}).get(database["name"]) != database["owner"]
        or found.get("roles", {}).get(database["owner"]) != hashlib.sha256(database["password_verifier"].encode()).hexdigest()
        or not wanted <= set(found.get("settings", {}).get(database["owner"], ()))
        or found.get("limits", {}).get(database["owner"], UNLIMITED) != database.get("connection_limit", UNLIMITED)
    ]


def postgresql_open(databases, found):
    """The databases that everybody with a role may connect to, and should not: those of the apps, and the two that a server begins
    with. A foreign database is its owner's to close."""
    names = ["postgres", "template1", *(database["name"] for database in databases)]
    known = {"template1", *found.get("databases", {})} if found.get("databases") else set()
    return [name for name in names if name not in known or name in found.get("open", ())]


def postgresql_extensions_missing(databases, extensions, found):
    """Extensions to create: in each database that has a place for them, and in ``postgres``, where an administrator looks first."""
    known = found.get("extensions", {})
    return [
        {"database": database, "extension": extension}
        for database in ["postgres", *(item["name"] for item in databases)]
        for extension in extensions
        if known.get(database, ()) is not None and extension not in known.get(database, ())
    ]


def postgresql_remote_access(hosts, databases, variable="postgresql_client_hosts"):
    """The lines of ``pg_hba.conf``, PostgreSQL's or PgBouncer's, that let each database's owner in from other hosts, with TLS.

    A server does not start with an address it cannot read, and nothing tests that file beforehand. ``variable`` is where the hosts are
    declared.
    """
    networks = [network_of(host, f"{variable}[{position}]") for position, host in enumerate(hosts)]
    return [f"hostssl {item['name']} {item['owner']} {network} scram-sha-256" for network in networks for item in databases]


# PostgreSQL cuts longer names off.
NAME_LENGTH = 63
INDEX_KEYS = {"database", "table", "columns", "name", "schema", "method", "unique", "where"}
PLAIN_COLUMN = re.compile(r"[a-z_][a-z0-9_]*")


def _index(declared, position):
    """A declared index in full: its name as PostgreSQL would choose it, and the defaults of what is not said."""
    where = f"postgresql_indexes[{position}]"
    unknown = sorted(set(declared) - INDEX_KEYS)
    if unknown:
        raise ValueError(f"{where}.{unknown[0]}: there is no such key; known keys are {', '.join(sorted(INDEX_KEYS))}.")
    for key in ("database", "table", "columns"):
        if not declared.get(key):
            raise ValueError(f"{where}.{key}: an index needs it.")
    names = [re.sub(r"\W+", "_", column.split()[0]).strip("_") for column in declared["columns"]]
    name = declared.get("name") or "_".join([declared["table"], *names, "idx"])
    if len(name.encode()) > NAME_LENGTH:
        raise ValueError(f"{where}.name: {name!r} is longer than {NAME_LENGTH} bytes. Give it a shorter name.")
    return {
        "database": declared["database"],
        "schema": declared.get("schema") or "public",
        "name": name,
        "table": declared["table"],
        "columns": declared["columns"],
        "method": (declared.get("method") or "btree").lower(),
        "unique": bool(declared.get("unique")),
        "where": declared.get("where") or None,
    }


def _shape(method, unique, partial, columns):
    """An index in words, as far as a declaration and the server's catalogue name the same thing alike."""
    plain = [PLAIN_COLUMN.match(column.strip('"')) for column in columns]
    shown = ", ".join(found[0] if found and "(" not in column else "…" for found, column in zip(plain, columns))
    return f"{'unique ' if unique else ''}{method} ({shown}){' with a condition' if partial else ''}"


def postgresql_index_work(indexes, found):
    """What to do, in order, so that every declared index is there and valid: entries with ``state`` present or absent.

    An index that is being built is waited for, by doing nothing. One that exists and is another is refused: to build it
    anew under its name would take the old one away first.
    """
    work = []
    for position, declared in enumerate(indexes):
        index = _index(declared, position)
        there = found.get("indexes", {}).get(index["database"], {}).get(f"{index['schema']}.{index['name']}")
        if there is None:
            work.append({**index, "state": "present"})
            continue
        is_shape = _shape(there["method"], there["unique"], there["partial"], there["columns"])
        want_shape = _shape(index["method"], index["unique"], bool(index["where"]), index["columns"])
        if (there["table"], is_shape) != (index["table"], want_shape):
            raise ValueError(
                f"postgresql_indexes[{position}]: {index['name']} exists in {index['database']} as {is_shape} on "
                f"{there['table']}, and is declared as {want_shape} on {index['table']}. Give the declared one another "
                f"name, and drop the old one when the new one is there: DROP INDEX CONCURRENTLY {index['name']}"
            )
        if there["state"] == "invalid":
            work += [{**index, "state": "absent"}, {**index, "state": "present"}]
    return work


def postgresql_invalid_indexes(indexes, found):
    """Invalid indexes that nobody declared, each with what mends it: left by a build that failed, they only cost."""
    declared = {
        (index["database"], f"{index['schema']}.{index['name']}")
        for index in (_index(item, position) for position, item in enumerate(indexes))
    }
    return [
        f"{database}: the index {name} on {index['table']} is invalid and serves no query. "
        f"REINDEX INDEX CONCURRENTLY {name}, or DROP INDEX CONCURRENTLY {name} if its name ends in _ccnew or _ccold."
        for database in sorted(found.get("indexes", {}))
        for name, index in sorted(found["indexes"][database].items())
        if index["state"] == "invalid" and (database, name) not in declared
    ]


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


def postgresql_superuser(path, version, locks=superuser.LOCKS):
    """The environment of a task that works in an app's database, or on it, as the superuser."""
    return {"PGOPTIONS": superuser.options(path, version, locks)}
