#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: port_free
short_description: Make sure that ports are free, or held by the unit or user that should hold them
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Tells who listens on a port, with process, user, command line, unit and the time since when.
  - A port is in order when nobody holds it, or when its holder is in O(allowed_units) or O(allowed_users). A second run
    of a playbook
    finds its own service there, and that is fine.
  - Somebody else on the port makes the module fail and name the holder and the remedy, unless O(stop_with) says to stop
    it.
  - Everything is decided before anything is stopped. If one holder may not be stopped, none is.
options:
  port:
    description: The port. Either this or O(ports) is needed.
    type: int
  ports:
    description: Several ports, looked at and freed in one go.
    type: list
    elements: int
  protocol:
    description: Protocol of the ports.
    type: str
    choices: [tcp, udp]
    default: tcp
  address:
    description:
      - Address the service is going to bind. Only listeners that would collide with it count.
      - Without it any listener on the port counts. A listener on V(::) counts for IPv4 too, unless the kernel's
        C(bindv6only) is on.
    type: str
  state:
    description: V(free) makes sure of it, V(report) only returns who is there and never fails over it.
    type: str
    choices: [free, report]
    default: free
  allowed_units:
    description:
      - Units that may hold the port, as globs. For example V(shop-web@*.service).
      - A socket that systemd itself holds counts for its socket unit and for the service it starts.
    type: list
    elements: str
    default: []
  allowed_users:
    description: Users whose processes may hold the port. All processes that hold it must be theirs.
    type: list
    elements: str
    default: []
  stop_with:
    description:
      - How to stop a holder that is not allowed.
      - V(none) stops nobody, and fails.
      - V(unit) stops its service, or its socket unit, with systemd. It is not disabled and will be back after a reboot.
      - V(signal) sends SIGTERM to the processes that hold the port, and fails if systemd starts them again.
    type: str
    choices: [none, unit, signal]
    default: none
  grace:
    description: Seconds to wait for a stopped holder to let go of the port.
    type: float
    default: 10
  kill:
    description: Whether to use SIGKILL when O(grace) is over.
    type: bool
    default: false
  protect:
    description:
      - Globs of process names and units that are never stopped.
      - Process 1 and the ancestors of the module's own process, which keep your connection, are protected in any case.
    type: list
    elements: str
    default: ["sshd*", ssh.service, ssh.socket, "systemd*", "dbus*"]
notes:
  - Root is needed to see the processes of other users, and to stop them. Without it the module fails on a port that is
    held, and says so.
  - Sees the network namespace of the host. A container's port that is published by packet filter rules alone has no
    listener.
  - What looks like a password or a token in a command line is masked.
attributes:
  check_mode:
    description: Can run in check mode and predicts what would be stopped.
    support: full
  diff_mode:
    description: Returns the holders before and after.
    support: full
  platform:
    description: The target is Linux. Units need systemd.
    support: full
    platforms: posix
seealso:
  - module: mainstay.vps.host_resources
  - module: ansible.builtin.wait_for
  - module: community.general.listen_ports_facts
"""

EXAMPLES = r"""
- name: Refuse to go on while somebody else holds the application's port
  mainstay.vps.port_free:
    port: 8000
    allowed_units: [shop-web@8000.service]

- name: Take ports over from the old unit
  mainstay.vps.port_free:
    ports: [8000, 8001]
    allowed_units: ["shop-web@*.service"]
    stop_with: unit

- name: End what the application's user left behind
  mainstay.vps.port_free:
    port: 8000
    stop_with: signal
    grace: 20
    kill: true

- name: See who serves DNS
  mainstay.vps.port_free:
    port: 53
    protocol: udp
    state: report
  register: dns
"""

RETURN = r"""
free:
  description: Whether every port is in order now, free or held by somebody who is allowed to. In check mode, whether it
    would be.
  returned: always
  type: bool
ports:
  description:
    - State of each port, by port.
    - V(free), V(allowed), V(foreign) when somebody else holds it, or V(stopped) when the module stopped its holder.
  returned: always
  type: dict
  sample:
    "8000": allowed
holders:
  description: Who held the ports when the module began, one entry per port and service, or per port and process outside
    of services.
  returned: always
  type: list
  elements: dict
  contains:
    port:
      description: The port.
      type: int
      returned: always
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: always
    addresses:
      description: Addresses it is bound to.
      type: list
      elements: str
      returned: always
    pid:
      description: The oldest process that holds it, null if it cannot be seen.
      type: int
      returned: always
    pids:
      description: All processes of this holder that hold it.
      type: list
      elements: int
      returned: always
    name:
      description: Name of the process.
      type: str
      returned: always
    user:
      description: User of the process.
      type: str
      returned: always
    command:
      description: Command line, shortened, secrets masked.
      type: str
      returned: always
    unit:
      description: The systemd unit it belongs to.
      type: str
      returned: always
    since:
      description: When the process started.
      type: str
      returned: always
    allowed:
      description: Whether it is in O(allowed_units) or O(allowed_users).
      type: bool
      returned: always
    protected:
      description: Whether it would never be stopped.
      type: bool
      returned: always
  sample:
    - port: 8000
      protocol: tcp
      addresses: [127.0.0.1]
      pid: 812
      pids: [812]
      name: uvicorn
      user: shop
      command: /srv/shop/current/.venv/bin/python -m uvicorn app.main:app --port 8000
      unit: shop-web@8000.service
      since: "2026-01-01T10:00:00Z"
      allowed: true
      protected: false
stopped:
  description: The holders that were stopped, or in check mode would be. Entries as in RV(holders).
  returned: always
  type: list
  elements: dict
  sample: []
waited_ms:
  description: Milliseconds until the ports were free.
  returned: always
  type: int
  sample: 240
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import ports


def main():
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int"},
            "ports": {"type": "list", "elements": "int"},
            "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
            "address": {"type": "str"},
            "state": {"type": "str", "choices": ["free", "report"], "default": "free"},
            "allowed_units": {"type": "list", "elements": "str", "default": []},
            "allowed_users": {"type": "list", "elements": "str", "default": []},
            "stop_with": {"type": "str", "choices": ["none", "unit", "signal"], "default": "none"},
            "grace": {"type": "float", "default": 10},
            "kill": {"type": "bool", "default": False},
            "protect": {"type": "list", "elements": "str", "default": ports.PROTECT},
        },
        mutually_exclusive=[("port", "ports")],
        required_one_of=[("port", "ports")],
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LANGUAGE": "C", "LC_ALL": "C"}
    options = {key: value for key, value in module.params.items() if key not in ("port", "state")}
    options["ports"] = [module.params["port"]] if module.params["ports"] is None else module.params["ports"]
    if not options["ports"]:
        module.fail_json(msg="ports is empty; name at least one port")
    wrong = [port for port in options["ports"] if not 1 <= port <= 65535]
    if wrong:
        module.fail_json(msg=f"{wrong[0]} is no port; use a number from 1 to 65535")
    request = ports.Request(**options)
    system = ports.System(module.run_command)
    stopped, waited, problem = [], 0, ""
    try:
        if module.params["state"] == "report":
            found = ports.holders(request, system)
        else:
            found, stopped, waited = ports.make_free(request, system, pretend=module.check_mode)
    except ports.PortError as error:
        found, stopped, problem = error.holders, error.stopped, str(error)
    left = [holder for holder in found if holder not in stopped]
    result = {
        "changed": bool(stopped),
        "free": not ports.foreign(left),
        "ports": ports.states(request, found, stopped),
        "holders": ports.public(found),
        "stopped": ports.public(stopped),
        "waited_ms": waited,
        "diff": {"before": ports.lines(found), "after": ports.lines(left)},
    }
    if problem:
        module.fail_json(msg=problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
