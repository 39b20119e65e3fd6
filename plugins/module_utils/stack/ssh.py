# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports on which sshd is to listen: one in use is never given up before another one has let somebody in."""

from __future__ import annotations

from .fields import Numbers, Whole
from .refusal import refuse

VARIABLE = "mainstay_ssh_ports"
SSH_PORTS = Numbers(
    Whole(1, 65535), about="Ports on which sshd listens, and which the firewall opens for it; without it those that it has."
)


def refuse_ssh_ports(value, host, hostname):
    """Refuse ports without the one by which Ansible has come, and those at which something else listens.

    :param value: ``mainstay_ssh_ports``; None and an empty list leave sshd's ports alone.
    :param host: the host's snapshot.
    """
    ports = SSH_PORTS.read(value or [], VARIABLE)
    came_by = host.get("login_port")
    if ports and came_by and came_by not in ports:
        refuse(
            VARIABLE,
            ports,
            f"Ansible is logged in on {hostname} by its port {came_by}, which would close. Add it for a run, let ansible_port in the inventory "
            f"name one of the others, and take {came_by} out after that",
        )
    own = set(host.get("ssh_ports") or ())
    taken = {item["port"]: item for item in host.get("listeners") or () if item["protocol"] == "tcp" and item["port"] in set(ports) - own}
    for port, holder in sorted(taken.items()):
        remedy = f"on {hostname} {holder['name']} ({holder['unit'] or 'of no unit'}) listens there; choose another one"
        refuse(VARIABLE, port, remedy)
