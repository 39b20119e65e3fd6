# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB of this host, asked as root through the local socket: no password is needed or kept."""

from __future__ import annotations

import json

from .postgres import DatabaseError
from .units import SystemdError

# The query comes by the input, so that nothing of it stands in the process list.
CLIENT = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--raw", "--connect-timeout=5"]
# The connections of others, each with its transaction; threads of the server's own, which purge and wait, are none.
SESSIONS = """
information_schema.processlist AS session LEFT JOIN information_schema.innodb_trx ON trx_mysql_thread_id = session.id
WHERE session.id <> CONNECTION_ID() AND command <> 'Daemon' AND user <> 'system user'
"""


def ask(run, query):
    """The one JSON value a query gives; `run` is that of `units`."""
    try:
        return json.loads(run(CLIENT, timeout=20, text=query) or "null")
    except SystemdError as error:
        raise DatabaseError(str(error).removeprefix("mariadb: ")) from None
    except ValueError:
        raise DatabaseError("the answer of mariadb cannot be read") from None
