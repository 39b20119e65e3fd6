# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to MariaDB's databases and accounts, and from the plan to its settings.

No plain password reaches a server or a file.
"""

from __future__ import annotations

import hashlib
import re

from ..stack.apps import normalise

PLUGIN = "mysql_native_password"
# Units that the plan writes into its names and MariaDB wants behind the number.
UNITS = {"_mb": "M", "_kb": "K"}
# What the plan says about the server's unit rather than about the server.
UNIT_SETTINGS = ("nofile",)
NAME = re.compile(r"[a-z][a-z0-9_]*")
PLAIN = re.compile(r"[A-Za-z0-9_./:,-]+")
FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SWITCH = {"ON": "1", "TRUE": "1", "YES": "1", "OFF": "0", "FALSE": "0", "NO": "0"}


def password_hash(password):
    """What MariaDB stores for a password of the plugin mysql_native_password, which every client library speaks.

    It has no salt, so a second run finds what the first one stored. That is safe for what mainstay generates, 64
    random bytes; a password that somebody could guess would deserve better.
    """
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def databases(apps, secrets, plan=None):
    """One database for each app that declares MariaDB, and the app's user with a hashed password and the connections of the plan."""
    limits = (plan or {}).get("connections", {}).get("mariadb", {}).get("roles", {})
    return [
        {
            "name": app["name"],
            "user": app["name"],
            "connection_limit": limits.get(app["name"], 0),  # MariaDB's own word for no limit
            "password_hash": password_hash(secrets[app["name"]]["DATABASE_PASSWORD"]),
        }
        for app in normalise(apps).values()
        if app["database"] == "mariadb" and app["name"] in secrets
    ]


def missing(wanted, hosts, found):
    """The databases that do not exist, or whose user has another password, limit or privileges from one of the hosts."""

    def differs(database, host):
        account = f"{database['user']}@{host}"
        digest = hashlib.sha256(f"{PLUGIN} {database['password_hash']}".encode()).hexdigest()
        is_known = found.get("users", {}).get(account) == digest
        is_limited = found.get("limits", {}).get(account, 0) == database.get("connection_limit", 0)
        return not is_known or not is_limited or found.get("grants", {}).get(account) != [database["name"]]

    return [
        database
        for database in wanted
        if database["name"] not in found.get("databases", {}) or any(differs(database, host) for host in hosts)
    ]


def settings(plan, own):
    """The plan's numbers under MariaDB's names and units, other settings over them, each ready for a file."""
    planned = {}
    for name, value in plan.items():
        unit = UNITS.get(name[-3:])
        if name not in UNIT_SETTINGS:
            planned[name[:-3] if unit else name] = f"{value}{unit}" if unit else value
    wanted = {**planned, **{name.replace("-", "_"): value for name, value in own.items()}}
    for name in wanted:
        if not NAME.fullmatch(name):
            raise ValueError(f"mariadb_settings: {name!r} is no name of a setting; write it as SHOW VARIABLES does.")
    return {name: _written(name, wanted[name]) for name in sorted(wanted)}


def _written(name, value):
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    text = str(value)
    if PLAIN.fullmatch(text):
        return text
    if re.search(r"[\x00-\x1f\"]", text):
        raise ValueError(f"mariadb_settings.{name}: {text!r} cannot be used. Write one line without double quotes.")
    return '"' + text.replace("\\", "\\\\") + '"'


def differing(wanted, rows):
    """Names of the settings that the running server does not have as the file says: those a SET can change, and others.

    ``rows`` are those of information_schema.system_variables for the wanted settings, and for those the server would
    not have after a restart: what the file no longer says, and what somebody set by hand. Their values are unknown, so
    a restart finds them.
    """
    running = {row["name"].lower(): row for row in rows}
    dynamic, fixed = [], [name for name in running if name not in wanted]
    for name, value in wanted.items():
        row = running.get(name)
        if row is None:
            fixed.append(name)
        elif _meaning(value) != _meaning(row["value"]):
            (fixed if row["read_only"] == "YES" else dynamic).append(name)
    return {"dynamic": dynamic, "fixed": fixed}


def set_statements(wanted, rows):
    """The statements that give a running server the changed settings it can take while it runs."""
    return [f"SET GLOBAL {name} = {_literal(wanted[name])}" for name in differing(wanted, rows)["dynamic"]]


def _unquoted(value):
    text = "" if value is None else str(value)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace("\\\\", "\\")
    return text


def _number(text):
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([KMGT]?)", text.upper())
    return float(match[1]) * FACTORS[match[2]] if match else None


def _meaning(value):
    """A value as far as two spellings of it mean the same: 64M and 67108864, ON and 1, a set in another order."""
    text = _unquoted(value)
    number = _number(SWITCH.get(text.upper(), text))
    return tuple(sorted(text.upper().split(","))) if number is None else number


def _literal(value):
    text = _unquoted(value)
    number = _number(text)
    if number is not None:
        return str(int(number)) if number == int(number) else str(number)
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
