# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How PostgreSQL's superuser comes into a database that an app owns. The backup's programs on a host have this file, too.

The owner may set for whoever comes in what a session may set for itself (`ALTER DATABASE ... SET`): a search path in which the app's
operators take the place of the server's, a library that is not there, a timeout of a millisecond. What the connection itself says wins.
"""

from __future__ import annotations

LOCKS = "10min"  # for a table that somebody keeps locked
SETTINGS = {
    "client_encoding": "UTF8",
    "default_transaction_read_only": "off",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "local_preload_libraries": "",
    "lock_timeout": LOCKS,
    "quote_all_identifiers": "off",
    "role": "none",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
}
SINCE = {"transaction_timeout": ("0", 17)}  # a server before that refuses to be told


def options(path="", version=0, locks=LOCKS):
    """What the connection says, as PGOPTIONS and `options` of a connection string take it; ``locks`` is how long it waits for one."""
    known = {name: value for name, (value, since) in SINCE.items() if int(version) >= since}
    return " ".join(f"-c {name}={value}" for name, value in {**SETTINGS, **known, "lock_timeout": locks, "search_path": path}.items())
