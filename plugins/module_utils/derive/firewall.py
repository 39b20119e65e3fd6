# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to open ports, and from declared rules to statements of nftables."""

from __future__ import annotations

import ipaddress
import re

from ..stack.apps import normalise
from ..stack.instances import planned_instances
from ..stack.processes import port_range
from ..stack.refusal import DeclarationError, mapping, network_of
from ..stack.services import DATABASE_PORTS
from ..stack.tiers import other_addresses, tiers_of
from .redis import redis_ports

PORT_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
COMMENT = re.compile(r"[A-Za-z0-9 ._,:;/()+=@-]{1,100}")


# One address may hold so many connections to the sites where no plan says otherwise, and open new ones so fast: a handshake of TLS
# costs the server a millisecond or two of a core, so 50 a second are a tenth of one.
CONNECTIONS_PER_SOURCE = 100
NEW_PER_SOURCE, NEW_AT_ONCE_PER_SOURCE = "50/second", 200
RATE = re.compile(r"[1-9]\d*/(second|minute|hour)")


# Firewall


def firewall_rules(apps, plan=None, hostname=None, http3=False):
    """The ports a host opens: to the world 80 where it serves a site and 443 where one of them has TLS, with ``http3`` by UDP, too; to
    the backends its databases and Redis instances; to the proxies all ports that its web processes own.
    """
    plan, declared = plan or {}, normalise(apps).values()
    tiers = tiers_of(plan, hostname)
    kinds = [site["tls"]["kind"] for app in declared for site in app["sites"].values()]
    rules = []
    if "proxy" in tiers and kinds:
        connections = plan.get("hosts", {}).get(hostname, {}).get("nginx", {}).get("connections_per_source", CONNECTIONS_PER_SOURCE)
        per_source = {"connections": connections, "rate": NEW_PER_SOURCE, "burst": NEW_AT_ONCE_PER_SOURCE}
        rules.append({"port": 80, "protocol": "tcp", "comment": "web sites", "per_source": per_source})
        if any(kind != "none" for kind in kinds):
            rules.append({"port": 443, "protocol": "tcp", "comment": "web sites with TLS", "per_source": per_source})
            rules += [{"port": 443, "protocol": "udp", "comment": "web sites by HTTP/3"}] if http3 else []
    rules += [
        {"port": exporter["port"], "protocol": "tcp", "from": exporter["from"], "comment": f"figures of {name} for Prometheus"}
        for name, exporter in plan.get("hosts", {}).get(hostname, {}).get("exporters", {}).items()
        if exporter["from"]
    ]
    inner = []
    if "database" in tiers:
        inner += [
            ("backend", DATABASE_PORTS[name], name)
            for name in sorted({app[key] for app in declared for key in ("database", "pooler")} - {"none"})
        ]
    if "cache" in tiers:
        inner += [
            ("backend", port, f"redis {app} {purpose}")
            for app, ports in redis_ports(apps, plan, hostname).items()
            for purpose, port in ports.items()
        ]
    if "backend" in tiers:
        inner += [
            ("proxy", f"{ports[0]}-{ports[-1]}", f"{app['name']} {process['name']}")
            for app in declared
            for process in app["processes"].values()
            if (ports := port_range(process, planned_instances(plan, hostname, app, process)))
        ]
    return rules + [
        {"port": port, "protocol": "tcp", "from": sources, "comment": f"{what} for the {tier} hosts"}
        for tier, port, what in inner
        if (sources := other_addresses(plan, hostname, tier))
    ]


def _ports(value, where):
    match = PORT_RANGE.fullmatch(str(value)) if not isinstance(value, bool) else None
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise DeclarationError(where, value, "Write a port from 1 to 65535, or a range such as 8000-8010.")
    return str(first) if first == last else f"{first}-{last}"


def _sources(value, where):
    """Addresses and networks by family, in nftables' words: {"ip": [...], "ip6": [...]}."""
    sources = {"ip": [], "ip6": []}
    for item in [value] if isinstance(value, str) else value:
        network = network_of(item, where)
        sources["ip" if network.version == 4 else "ip6"].append(network)
    return {
        family: [str(network) for network in ipaddress.collapse_addresses(networks)] for family, networks in sources.items() if networks
    }


def _for(sources, where, action):
    """A statement for each family of the sources; without sources one that is for everybody."""
    found = sorted(_sources(sources or [], where).items())
    return [f"{family} saddr {{ {', '.join(networks)} }} {action}" for family, networks in found] or [action]


def read_rules(rules):
    """(rule, port or range, protocol) of each of ``firewall_rules``, in the declared order; what cannot be meant is refused."""
    result = []
    for index, rule in enumerate(rules):
        where = f"firewall_rules[{index}]"
        mapping(rule, where, ("port", "protocol", "from", "comment", "per_source"), ("port",))
        protocol = rule.get("protocol", "tcp")
        if protocol not in ("tcp", "udp"):
            raise DeclarationError(f"{where}.protocol", protocol, "Use tcp or udp.")
        comment = rule.get("comment", "")
        if comment and not COMMENT.fullmatch(comment):
            raise DeclarationError(f"{where}.comment", comment, "Write at most 100 letters, digits and simple punctuation.")
        result.append((rule, _ports(rule["port"], f"{where}.port"), protocol))
    return result


def sources_of(rule, where="firewall_rules"):
    """The networks that a rule is for, each once; none where it is for everybody."""
    return [network for networks in _sources(rule.get("from") or [], f"{where}.from").values() for network in networks]


def nft_rules(rules, unlimited=()):
    """The nftables statements of ``firewall_rules``, in the declared order; what ``per_source`` limits does not hold ``unlimited``."""
    statements = []
    for index, (rule, port, protocol) in enumerate(read_rules(rules)):
        where = f"firewall_rules[{index}]"
        statements += _per_source(rule, where, unlimited)
        action = f"{protocol} dport {port} accept"
        action += f' comment "{rule["comment"]}"' if rule.get("comment") else ""
        statements += _for(rule.get("from"), f"{where}.from", action)
    return statements


def nft_published_rules(rules):
    """The same rules for what is led on to a container: by then its port is another, and the connection knows which one was asked for."""
    statements = []
    for index, (rule, port, protocol) in enumerate(read_rules(rules)):
        action = f"meta l4proto {protocol} ct original proto-dst {port} accept"
        statements += _for(rule.get("from"), f"firewall_rules[{index}].from", action)
    return statements


# A source of IPv6 is a network of 64 bits: whoever has one address there has them all.
FAMILIES = {"ipv4": ("ip", "ip saddr"), "ipv6": ("ip6", "ip6 saddr & ffff:ffff:ffff:ffff::")}


def _set_name(kind, port, family):
    return f"{kind}_{str(port).replace('-', '_')}_{family}"


def _per_source(rule, where, unlimited):
    """What keeps one address from taking all connections of a port, or from opening them faster than they can be served."""
    limits = rule.get("per_source")
    if not limits:
        return []
    place = f"{where}.per_source"
    mapping(limits, place, ("connections", "rate", "burst"), ("connections",))
    if rule.get("protocol", "tcp") != "tcp":
        raise DeclarationError(place, limits, "Only TCP has connections; leave it out.")
    if limits.get("rate") and not RATE.fullmatch(str(limits["rate"])):
        raise DeclarationError(f"{place}.rate", limits["rate"], "Write connections per second, minute or hour, such as 50/second.")
    port, exempt = _ports(rule["port"], f"{where}.port"), _sources(unlimited, "firewall_unlimited_sources")
    statements = []
    for family, (word, source) in FAMILIES.items():
        others = f"{word} saddr != {{ {', '.join(exempt[word])} }} " if exempt.get(word) else ""
        new = f"{others}tcp dport {port} ct state new"
        if limits.get("rate"):
            limit = f"limit rate over {limits['rate']} burst {int(limits.get('burst', 1))} packets"
            statements.append(f"{new} add @{_set_name('new', port, family)} {{ {source} {limit} }} counter drop")
        held = f"{source} ct count over {int(limits['connections'])}"
        statements.append(f"{new} add @{_set_name('held', port, family)} {{ {held} }} counter reject with tcp reset")
    return statements


def nft_sets(rules):
    """The sets in which nftables remembers the sources that ``per_source`` limits: their names, types and flags."""
    sets = []
    for rule in rules:
        limits = rule.get("per_source") or {}
        for family in FAMILIES if limits else ():
            port = _ports(rule["port"], "firewall_rules")
            sets.append({"name": _set_name("held", port, family), "type": f"{family}_addr", "timeout": None})
            if limits.get("rate"):
                sets.append({"name": _set_name("new", port, family), "type": f"{family}_addr", "timeout": "1m"})
    return sets


def nft_ssh_rules(ports, sources=(), rate="60/minute", burst=60):
    """The nftables statements that let SSH in, and slow down an address that opens too many connections.

    An IPv6 address is counted by its /64: whoever has one address there has them all.
    """
    if not ports:
        raise DeclarationError("firewall_ssh_ports", ports, "Name at least one port that sshd listens on, or nobody can log in.")
    if not RATE.fullmatch(str(rate)):
        raise DeclarationError("firewall_ssh_rate", rate, "Write connections per second, minute or hour, such as 60/minute.")
    names = sorted({_ports(port, "firewall_ssh_ports") for port in ports}, key=lambda name: int(name.split("-")[0]))
    dport = f"tcp dport {{ {', '.join(names)} }}"
    limit = f"limit rate over {rate} burst {int(burst)} packets"
    return [
        f"{dport} ct state new add @ssh_ipv4 {{ ip saddr {limit} }} counter drop",
        f"{dport} ct state new add @ssh_ipv6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {limit} }} counter drop",
        *_for(sources, "firewall_ssh_from", f'{dport} accept comment "ssh"'),
    ]
