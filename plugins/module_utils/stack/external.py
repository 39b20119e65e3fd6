# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases and the like that an app uses and the stack does not run: each is a URL in a variable of the app."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ..text import MASK
from .fields import Keys, Named, Text, Whole
from .refusal import mapping, refuse
from .variables import ENV_NAME

# What URLs of databases with sessions begin with, before a driver's name as in postgresql+psycopg.
DATABASE_SCHEMES = frozenset(["cockroachdb", "mariadb", "mssql", "mysql", "oracle", "postgis", "postgres", "postgresql", "sqlserver"])
EXTERNAL = Named(
    Text(ENV_NAME, "name a variable of env, such as DATABASE_URL"),
    Keys({"connections": Whole(1, 100000, about="Of a database: the connections that the app may have there.")}),
)


def external_of(value, where, env, generated, egress):
    """Each variable with the kind of what it leads to, its address where that is no name, and the connections that may be had there."""
    found = {}
    for name, keys in sorted(mapping(value, where).items()):
        there = f"{where}.{name}"
        EXTERNAL.name.read(name, there)
        keys = EXTERNAL.item.checked({} if keys is None else keys, there)
        if name in generated:
            refuse(
                there, name, "the stack makes its value; write its URL in env under a name that neither secrets nor database or redis make"
            )
        if name not in env:
            refuse(
                there, name, f'the app\'s env has no such variable; write env: {{{name}: "{{{{ vault_… }}}}"}} with its URL from a vault'
            )
        kind, host = _read(env[name], there)
        if kind != "database" and "connections" in keys:
            refuse(f"{there}.connections", keys["connections"], "only those to a database are counted; remove it")
        address = _address(host)
        if egress == "none" and not address:
            remedy = "with egress: none no name is looked up; write its address into the URL, or egress: [203.0.113.7] with it"
            refuse(there, host, remedy)
        found[name] = {"kind": kind, "address": address, "connections": EXTERNAL.item.take_if(keys, there, "connections")}
    return found


def _read(url, where):
    try:
        parts = urlsplit(url)
        scheme, host, _port = parts.scheme.partition("+")[0], parts.hostname, parts.port
    except ValueError:
        scheme, host = "", None
    if not scheme or not host:
        refuse(
            where,
            MASK,
            "it is no URL with a host; write one such as postgresql://shop:…@db.example.com:5432/shop, the password percent-encoded",
        )
    return "database" if scheme in DATABASE_SCHEMES else "other", host


def _address(host):
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def databases(app):
    """The databases elsewhere of an app that has none of the stack's: those its pools are for."""
    return {name: there for name, there in app["external"].items() if there["kind"] == "database"} if app["database"] == "none" else {}


def has_database(app):
    return app["database"] != "none" or bool(databases(app))


def connections(app):
    """The fewest connections that one of its databases elsewhere takes; None where nobody says."""
    return min((there["connections"] for there in databases(app).values() if there["connections"]), default=None)


def addresses(app):
    """Where it has to come through a firewall; names are the resolver's."""
    return sorted({there["address"] for there in app["external"].values() if there["address"]})
