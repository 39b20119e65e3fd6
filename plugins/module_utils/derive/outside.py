# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node should reach on a host that is open to the world, and when it cannot tell."""

from __future__ import annotations

import ipaddress
import re

from .proof import bounds

# The port of HTTP/3, as of HTTPS.
HTTP3 = 443
# ssh's own words for a way over another host.
INDIRECT = re.compile(r"(^|\s)-J|ProxyJump|ProxyCommand", re.IGNORECASE)


def is_loopback(address):
    """Whether an address leads nowhere but to the machine that asks."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def visited_at(variables):
    """Where visitors find a host, and the control node with them: where ``mainstay_outside_address`` says so, else where Ansible does."""
    names = ("mainstay_outside_address", "ansible_host", "inventory_hostname")
    return next(str(variables[name]) for name in names if variables.get(name))


def _why_not(address, connection, ssh_arguments, asked):
    """Why the control node cannot tell what the world sees; empty where it can."""
    if not asked:
        return "mainstay_outside is false"
    if connection not in ("ssh", "smart", "paramiko"):
        return "Ansible runs on the host itself"
    if is_loopback(address):
        return f"SSH comes by a forwarded port of {address}; mainstay_outside_address names the host's own address"
    if INDIRECT.search(ssh_arguments):
        return "SSH goes over another host"
    return ""


def _heard(listeners, protocol):
    """The ports on which something listens that others reach."""
    return {item["port"] for item in listeners if item["protocol"] == protocol and not is_loopback(item["address"])}


def _world(rules, protocol):
    """The single ports that anybody may connect to."""
    return {
        int(rule["port"])
        for rule in rules
        if rule.get("protocol", "tcp") == protocol and not rule.get("from") and re.fullmatch(r"\d+", str(rule["port"]))
    }


def outside(rules, listeners, address, connection="ssh", ssh_arguments="", asked=True, closed=()):
    """The TCP ports, and the UDP port of HTTP/3, that anybody may connect to and something listens on, to be asked from the control node.

    :param rules: the host's ``firewall_rules``; those with ``from`` or a range of ports are for some only.
    :param listeners: what listens on the host, as :mod:`host_resources` tells it.
    :param closed: ranges of ports, as ``8000-8003``, that nobody may connect to although something listens there.
    :returns: ``{"address", "ports", "quic", "closed", "told"}``; no ports where there is a reason not to ask, which the line in ``told`` says.
    """
    why_not = _why_not(address, connection, ssh_arguments, asked)
    heard = _heard(listeners, "tcp")
    ports = [] if why_not else sorted(_world(rules, "tcp") & heard)
    # What else listens to UDP has no question in common that it would answer.
    quic = [] if why_not else sorted({HTTP3} & _world(rules, "udp") & _heard(listeners, "udp"))
    behind = bounds(closed)
    admitted = {str(rule["port"]) for rule in rules}
    shut = [port for port in sorted(heard) if str(port) not in admitted and any(first <= port <= last for first, last in behind)]
    reached = f"the control node reaches {', '.join([f'{port}/tcp' for port in ports] + [f'{port}/udp' for port in quic])} at {address}"
    return {
        "address": address,
        "ports": ports,
        "quic": quic,
        "closed": [] if why_not else shut,
        "told": f"not asked: {why_not}" if why_not else reached if ports or quic else "nothing but SSH is open to everybody",
    }
