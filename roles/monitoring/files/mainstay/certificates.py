# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that nginx serves on this host, asked as a visitor does: prints {site: [from, until]} as JSON."""

from __future__ import annotations

import contextlib
import json
import socket

TIMEOUT = 3


def served(site, address=("127.0.0.1", 443)):
    """The DER certificate a visitor of this site gets; OSError where there is none."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, TIMEOUT) as plain, context.wrap_socket(plain, server_hostname=site) as secure:
        return secure.getpeercert(binary_form=True)


def main(argv=()):
    from .core.probe.tls import validity

    found = {}
    for site in argv:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            found[site] = validity(served(site))
    print(json.dumps(found))
    return 0
