# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports on which sshd is to listen, of which one in use is never given up before another one has let somebody in; and what of an sshd's own
configuration would undo the stack's, or be undone by it."""

from __future__ import annotations

from .fields import Numbers, Whole
from .refusal import refuse

VARIABLE = "mainstay_ssh_ports"
QUESTIONS = "ssh_keyboard_interactive"
FOLDER = "/etc/ssh/sshd_config.d/"
PROVEN = "/var/lib/mainstay/ssh/proven.conf"
INCLUDE = f"Include {FOLDER}*.conf"
# What the role ssh sets and others may have set before; ports add up, and have a test of their own.
SETTINGS = (
    "AllowAgentForwarding",
    "AllowTcpForwarding",
    "Banner",
    "Ciphers",
    "ClientAliveCountMax",
    "ClientAliveInterval",
    "Compression",
    "HostKeyAlgorithms",
    "KbdInteractiveAuthentication",
    "KexAlgorithms",
    "LogLevel",
    "LoginGraceTime",
    "MACs",
    "MaxAuthTries",
    "MaxSessions",
    "MaxStartups",
    "PasswordAuthentication",
    "PerSourceMaxStartups",
    "PerSourceNetBlockSize",
    "PerSourcePenaltyExemptList",
    "PermitEmptyPasswords",
    "PermitRootLogin",
    "TCPKeepAlive",
    "X11Forwarding",
)
# Names that sshd takes for those.
FORMER = {"challengeresponseauthentication": "KbdInteractiveAuthentication"}
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


def refuse_sshd(host, hostname, variables):
    """Refuse an sshd that would not heed the stack's settings, and one whose users would have no way left to log in.

    :param host: the host's snapshot.
    :param variables: of the host.
    """
    found = host.get("sshd") or {}
    if not found or "openssh-server" not in (host.get("packages") or {}):
        return
    on_top = f"`sudo sed -i '1i {INCLUDE}' /etc/ssh/sshd_config`"
    if not found["reads"]:
        raise ValueError(
            f"{hostname}: sshd does not read {FOLDER} for everybody, so that nothing the stack writes there would count. Put the line "
            f"'{INCLUDE}' above all others in /etc/ssh/sshd_config, and above every Match: {on_top}. Nothing has changed."
        )
    names = {**{name.lower(): name for name in SETTINGS}, **FORMER}
    before = {}
    for item in found["before"]:
        if item["name"] in names:
            before.setdefault(item["file"], []).append(names[item["name"]])
    # Where a run has been through, all of the stack's settings are in effect: these lines say the same.
    for file, settings in before.items() if PROVEN not in (host.get("paths") or {}) else ():
        to_the_end = file.startswith(FOLDER)
        remedy = f"`sudo mv {file} {FOLDER}50-{file.removeprefix(FOLDER)}`" if to_the_end else f"{on_top}, or take them out"
        raise ValueError(
            f"{hostname}: {file} sets {', '.join(dict.fromkeys(settings))} before the stack does, and of each setting sshd takes the first value. Let "
            f"the stack's come first: {remedy}. Nothing has changed."
        )
    if found["asks"] and not variables.get(QUESTIONS, False):
        raise ValueError(
            f"{hostname}: by AuthenticationMethods in {' and '.join(found['asks'])} users answer questions to log in (keyboard-interactive, such as "
            f"one-time codes), which the stack turns off, and they could not log in any more. Write {QUESTIONS}: true, or take it out there. Nothing "
            "has changed."
        )
