# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL and PgBouncer of this host, asked as their own user through the local socket: no password is needed or kept."""

from __future__ import annotations

import json

from .units import SystemdError

# psql reads the query from its input, so that nothing of it stands in the process list, and variables need no quoting here.
PSQL = [
    "runuser",
    "--user=postgres",
    "--",
    "psql",
    "-X",
    "-A",
    "-t",
    "-q",
    "-w",
    "-d",
    "postgres",
    "-v",
    "ON_ERROR_STOP=1",
]
PSQL += ["-v", "VERBOSITY=terse"]


class DatabaseError(Exception):
    """PostgreSQL did not answer; the message says why."""


def ask(run, query, **variables):
    """The one JSON value a query gives. `run` is that of `units`; a variable is written `:'name'` in the query."""
    values = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    try:
        return json.loads(run([*PSQL, *values, "-f", "-"], timeout=20, text=query) or "null")
    except SystemdError as error:
        raise DatabaseError(str(error).removeprefix("runuser: ")) from None
    except ValueError:
        raise DatabaseError("the answer of psql cannot be read") from None


# Whoever runs PgBouncer is its administrator through the local socket.
PGBOUNCER = ["runuser", "--user=postgres", "--", "psql", "-X", "-A", "-q", "-w", "-P", "footer=off"]
PGBOUNCER += ["-h", "/run/postgresql", "-p", "6432", "-U", "pgbouncer", "-d", "pgbouncer"]


def ask_pgbouncer(run, command):
    """The rows that a command of PgBouncer's console shows, each {column: text}."""
    try:
        head, *rows = (line.split("|") for line in run([*PGBOUNCER, "-c", command], timeout=20).splitlines())
    except SystemdError as error:
        raise DatabaseError(str(error).removeprefix("runuser: ")) from None
    except ValueError:
        raise DatabaseError("PgBouncer shows nothing") from None
    return [dict(zip(head, row)) for row in rows]
