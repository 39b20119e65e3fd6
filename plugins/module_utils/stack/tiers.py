# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host serves which tier, what it therefore needs, and where the hosts find each other."""

from __future__ import annotations

import ipaddress

from . import scratch
from .exporters import VARIABLE as PROMETHEUS
from .exporters import prometheus
from .fields import Whole
from .redis_ports import recorded_ports

# The variable by which a host keeps memory for what is not of the stack, and what it may be.
RESERVED_MEMORY = "mainstay_reserved_memory_mb"
RESERVED_MEMORY_MB = Whole(
    0,
    10**7,
    default=0,
    about="Memory of the host in MB that the plan leaves to what runs there beside the stack, such as a mail server.",
)
LOOPBACK = "127.0.0.1"
# Where a host finds what listens on all of its addresses; a server on :: need not take IPv4.
EVERY_ADDRESS = {"0.0.0.0": LOOPBACK, "::": "::1"}
TIERS = ("proxy", "backend", "database", "cache")
# Those that hold databases.
SERVERS = ("postgresql", "mariadb")


def planned_hosts(groups):
    """The name of the group of all hosts; an inventory where it is empty is refused, which Ansible would take for done.

    Without any inventory, as where a syntax is checked, there is nothing to refuse.
    """
    if not groups.get("vps") and set(groups.get("all", ())) - {"localhost"}:
        raise ValueError(
            "inventory: there is no host in the group vps, so there is nothing to do. Put your hosts into it, and into the groups of the "
            f"tiers they serve ({', '.join(TIERS)}), as inventory.example/hosts.yml does, and name your inventory with -i."
        )
    return "vps"


def plan_hosts(names, hostvars, groups):
    """The hosts as the capacity plan wants them: tiers from the inventory's groups, resources from each host's snapshot."""
    hosts = {}
    for name in names:
        tiers = [tier for tier in TIERS if name in groups.get(tier, ())]
        if not tiers:
            raise ValueError(f"inventory: {name!r} is in no tier. Put it into one or more of the groups {', '.join(TIERS)}.")
        snapshot = hostvars[name]["mainstay_host"]
        hosts[name] = {"tiers": tiers, "memory_mb": snapshot["memory_mb"], "cpus": snapshot["cpus"]}
        reserved = RESERVED_MEMORY_MB.read(hostvars[name].get(RESERVED_MEMORY, 0), RESERVED_MEMORY)
        if reserved:
            hosts[name]["reserved_memory_mb"] = reserved
        if snapshot.get("service_memory_mb"):
            hosts[name]["service_memory_mb"] = snapshot["service_memory_mb"]
        others = {server: found for server in SERVERS if (found := _databases(snapshot.get(server) or {}))} if "database" in tiers else {}
        if others:
            hosts[name]["databases"] = others
        figures = prometheus(hostvars[name].get(PROMETHEUS))
        if figures:
            hosts[name]["prometheus"] = figures
        ports = recorded_ports(snapshot.get("paths") or {})
        if ports:
            hosts[name]["redis_ports"] = ports
        bind = hostvars[name].get("backend_bind_address")
        if bind is not None:
            hosts[name]["bind_address"] = _bind_address(name, bind, names, groups)
        if len(names) > 1:
            hosts[name]["address"] = _own_address(name, hostvars[name].get("mainstay_address"))
    return hosts


def _databases(server):
    """The databases in a server, but those that come with it or stand there for the time of a drill."""
    return sorted(name for name in server.get("databases") or {} if name != "postgres" and not name.startswith(scratch.OURS))


def _own_address(name, text):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.is_loopback or address.is_unspecified:
        raise ValueError(
            f"mainstay_address: {text!r} cannot be used for the host {name}. Where there are several hosts, give each the address "
            "at which the others reach it, in a private network: what they tell each other is not all encrypted."
        )
    return str(address)


def _bind_address(name, text, names, groups):
    """The address that somebody has chosen for a host's web processes; the proxies, the agent and the proof ask there."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(
            f"backend_bind_address: {text!r} cannot be used for the host {name}. Write an IP address of the host, or leave it out."
        ) from None
    away = [host for host in names if host in groups.get("proxy", ()) and host != name]
    if address.is_loopback and away and name in groups.get("backend", ()):
        raise ValueError(
            f"backend_bind_address: {text!r} cannot be used for the host {name}: the proxy {away[0]} is another host and does not reach "
            "it there. Leave the variable out, or write the host's address in the private network."
        )
    return str(address)


def address_of(plan, hostname):
    """Where the other hosts find a host; None where there are no others."""
    return plan.get("hosts", {}).get(hostname, {}).get("address")


def tiers_of(plan, hostname):
    """The tiers of a host; one that the plan does not know serves all of them."""
    return plan.get("hosts", {}).get(hostname, {}).get("tiers", list(TIERS))


def hosts_of(plan, hostname, tier):
    """The hosts of a tier, in order; without a plan there is but the one host."""
    return [name for name in sorted(plan.get("hosts") or [hostname]) if tier in tiers_of(plan, name)]


def other_addresses(plan, hostname, tier):
    """The addresses of the other hosts of a tier."""
    return [plan["hosts"][name]["address"] for name in hosts_of(plan, hostname, tier) if name != hostname]


def listen_addresses(plan, hostname, clients):
    """Where a server listens: on loopback, and on the host's own address where clients of a tier are on other hosts."""
    return [LOOPBACK] + ([plan["hosts"][hostname]["address"]] if other_addresses(plan, hostname, clients) else [])


def web_address(plan, hostname):
    """Where the web processes of a host listen: where ``backend_bind_address`` says, else on loopback unless a proxy is elsewhere."""
    return plan.get("hosts", {}).get(hostname, {}).get("bind_address") or listen_addresses(plan, hostname, "proxy")[-1]


def asked_at(address):
    """Where a host finds what listens on an address of its own: of all addresses, loopback is one."""
    return EVERY_ADDRESS.get(address, address)


def reached_at(plan, hostname, asking):
    """Where another host, or the host itself, finds the web processes of a host."""
    address = web_address(plan, hostname)
    if address in EVERY_ADDRESS and asking != hostname:
        return plan["hosts"][hostname]["address"]
    return asked_at(address)


def tier_address(plan, hostname, tier):
    """Where a host finds the first host of a tier, which may be itself."""
    names = hosts_of(plan, hostname, tier)
    return LOOPBACK if hostname in names[:1] or not names else plan["hosts"][names[0]]["address"]


def at(address, port):
    """Address and port as URLs and nginx write them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def raised_limits(wanted, found):
    """The kernel's limits to set: those that a host does not exceed by itself, as systemd raises some at boot."""
    return {name: value for name, value in wanted.items() if int(value) >= found.get(name, 0)}


def enumeration(names):
    """Names as a person says them: ``web1``, ``web1 and web2``, ``web1, web2 and web3``."""
    *first, last = names or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
