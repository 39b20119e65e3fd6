# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports on which sshd is to listen, of which one in use is never given up before another one has let somebody in; and what of an sshd's own
configuration would undo the stack's, or be undone by it."""

from __future__ import annotations

from .fields import Numbers, Whole
from .refusal import refuse

VARIABLE = "mainstay_ssh_ports"
QUESTIONS, PASSWORDS = "ssh_keyboard_interactive", "ssh_password_authentication"
LOGS_IN_BY_PASSWORD = ("ansible_password", "ansible_ssh_pass")  # where Ansible does, others may
FOLDER = "/etc/ssh/sshd_config.d/"
PROVEN = "/var/lib/mainstay/ssh/proven.conf"
INCLUDE = f"Include {FOLDER}*.conf"
# What the role ssh sets and others may have set before; ports add up, and have a test of their own. What stands there may say the same as the
# stack: the text of each setting, or the role's variable with its default, None where the role alone knows that.
SETTINGS = {
    "AllowAgentForwarding": ("ssh_agent_forwarding", False),
    "AllowTcpForwarding": ("ssh_tcp_forwarding", True),
    "Banner": None,
    "Ciphers": None,
    "ClientAliveCountMax": ("ssh_client_alive_count", 5),
    "ClientAliveInterval": ("ssh_client_alive_interval", 60),
    "Compression": "no",
    "HostKeyAlgorithms": None,
    "KbdInteractiveAuthentication": (QUESTIONS, False),
    "KexAlgorithms": None,
    "LogLevel": ("ssh_log_level", "INFO"),
    "LoginGraceTime": ("ssh_login_grace_time", 30),
    "MACs": None,
    "MaxAuthTries": ("ssh_max_auth_tries", 6),
    "MaxSessions": ("ssh_max_sessions", 10),
    "MaxStartups": None,
    "PasswordAuthentication": (PASSWORDS, None),
    "PerSourceMaxStartups": ("ssh_max_startups_per_source", 10),
    "PerSourceNetBlockSize": "32:64",
    "PerSourcePenaltyExemptList": None,
    "PermitEmptyPasswords": "no",
    "PermitRootLogin": ("ssh_permit_root_login", "prohibit-password"),
    "TCPKeepAlive": "no",
    "X11Forwarding": "no",
}
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
        if item["name"] in names and item["value"].lower() != _wanted(names[item["name"]], variables):
            before.setdefault(item["file"], []).append(names[item["name"]])
    # Where a run has been through, all of the stack's settings are in effect: these lines say the same.
    for file, settings in before.items() if PROVEN not in (host.get("paths") or {}) else ():
        to_the_end = file.startswith(FOLDER)
        remedy = f"`sudo mv {file} {FOLDER}50-{file.removeprefix(FOLDER)}`" if to_the_end else f"{on_top}, or take them out"
        raise ValueError(
            f"{hostname}: {file} sets {', '.join(dict.fromkeys(settings))} otherwise than the stack and before it, and of each setting sshd takes the first "
            f"value. Let the stack's come first: {remedy}. Nothing has changed."
        )
    if found["asks"] and not variables.get(QUESTIONS, False):
        raise ValueError(
            f"{hostname}: by AuthenticationMethods in {' and '.join(found['asks'])} users answer questions to log in (keyboard-interactive, such as "
            f"one-time codes), which the stack turns off, and they could not log in any more. Write {QUESTIONS}: true, or take it out there. Nothing "
            "has changed."
        )


def _wanted(setting, variables):
    """The value that the stack gives a setting, in small letters; empty where the role alone knows it."""
    wanted = SETTINGS[setting]
    if isinstance(wanted, tuple):
        variable, default = wanted
        if variable == PASSWORDS:
            default = any(name in variables for name in LOGS_IN_BY_PASSWORD)
        wanted = variables.get(variable, default)
    if str(wanted).lower() in ("true", "false"):
        wanted = "yes" if str(wanted).lower() == "true" else "no"
    return str(wanted or "").lower()
