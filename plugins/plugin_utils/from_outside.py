# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the control node sees it: which ports answer, and where its names lead."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.mainstay.vps.plugins.module_utils.derive.outside import is_loopback
from ansible_collections.mainstay.vps.plugins.module_utils.verify.gather_network import addresses_of

SECONDS = 2


def resolve(name):
    """The addresses of a host name, as the control node resolves it."""
    return addresses_of(name) or []


def answers(address, port, seconds=SECONDS):
    """Whether something accepts a connection."""
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def answering(address, ports):
    with ThreadPoolExecutor(32) as pool:
        return [port for port, is_open in zip(ports, pool.map(answers, [address] * len(ports), ports)) if is_open]


def look(host, private, own, ports):
    """Which of the ports answer, at the address where visitors find the host.

    One that is found at a loopback address, as through a tunnel, is asked at the address it has among the hosts, or at one of its own;
    where nothing answers there, the control node has no way to see it from outside.
    """
    reached = resolve(host)
    candidates = [address for address in (*reached, *([private] if private else []), *own) if not is_loopback(address)]
    for address in dict.fromkeys(candidates):
        open_ports = answering(address, ports)
        if open_ports:
            return {
                "address": address,
                "addresses": [item for item in reached if not is_loopback(item)],
                "open": open_ports,
                "closed": [port for port in ports if port not in open_ports],
            }
    return {"address": "", "addresses": [], "reason": f"the control node reaches {host} by {', '.join(reached) or 'no address'} alone"}
