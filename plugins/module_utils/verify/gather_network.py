# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is heard on the wire: probes, names, and certificates as they are served."""

from __future__ import annotations

import socket
import time

from ..probe import repeat, tls
from ..text import printable


def probed(specs):
    """What each probe has found; of an answer only whether it is the right one."""
    results = repeat.run_all(list(specs))
    return [
        {
            "name": result["name"],
            "kind": result["kind"],
            "healthy": result["healthy"],
            "latency_ms": result["latency_ms"]["last"],
            "reasons": [printable(reason)[:300] for reason in result["reasons"]],
        }
        for result in results
    ]


def addresses_of(name):
    """The addresses of a host name, as this host resolves it; None where it has none."""
    try:
        return sorted({item[4][0] for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError:
        return None


def certificate(name, names, address="127.0.0.1", port=443, timeout=5):
    """What is served on the wire under a name: how long it lasts, whether the host trusts it, and for which of the names it is good."""
    try:
        served, protocol = tls.served(name, (address, port), timeout)
    except (OSError, ValueError) as error:
        return {"error": printable(str(error))[:200]}
    return {
        "days_left": tls.days_left(served, time.time()),
        "protocol": protocol,
        "trusted": _is_trusted(name, address, port, timeout),
        "missing": [wanted for wanted in names if not tls.is_for(served, wanted)],
    }


def _is_trusted(name, address, port, timeout):
    """Why a client that trusts what the host trusts would not trust it; empty where it would."""
    try:
        tls.served(name, (address, port), timeout, trusting=True)
    except (OSError, ValueError) as error:
        return printable(getattr(error, "verify_message", "") or str(error))[:200]
    return ""
