# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of an app may connect to: rules of nftables that know them by their user, on every kind of control group.

Apps share a host and its servers. So none of them reaches another's processes but by their sites, none answers in the place of another's, or
of a server that is down just now, none takes a server's last connection, none reads the figures that Prometheus is told of all, and none asks
the cloud's metadata service for the host's own credentials.
"""

from __future__ import annotations

from ..stack import external
from ..stack.apps import normalise
from ..stack.instances import planned_instances
from ..stack.processes import port_range
from ..stack.refusal import network_of
from ..stack.services import DATABASE_PORTS, REDIS_PORTS
from ..stack.tiers import LOOPBACK, tier_address
from .redis import redis_ports

# Link-local addresses, where clouds answer with the credentials of the machine, and the addresses outside of them at which some do:
# EC2 by IPv6, Azure, Alibaba Cloud. They answer for names, too, so that stays open.
METADATA = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "168.63.129.16/32", "100.100.100.200/32")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
DNS = 53
# Connections one app may have to the proxy of its own host, whose limits for each address do not count it.
PROXY_CONNECTIONS = 64
# Connections to a database beyond those its role may have: some end while others begin.
SPARE_CONNECTIONS = 8
# Where servers of the host listen, which an app sends its passwords to.
SERVERS = [*sorted(DATABASE_PORTS.values()), f"{REDIS_PORTS[0]}-{REDIS_PORTS[-1]}"]
REFUSE = "reject with tcp reset"
# The kernel remembers a flow of datagrams that is answered for two minutes, and a small host 65,536 of all kinds: then nobody gets a new one.
FLOWS = "meta l4proto udp limit rate over 200/second burst 1000 packets drop"


def egress_chains(apps, plan=None, hostname=None):
    """A chain for the processes of each app and one for its builds: ``{name, user, answers, rules}``.

    ``answers`` come before what is established is accepted: who listens where another should be is not heard. A connection that an app begins
    may have such a number by chance.
    """
    declared, plan = normalise(apps), plan or {}
    # They tell of all apps, and would connect for whoever asks them to.
    figures = [exporter["port"] for exporter in plan.get("hosts", {}).get(hostname, {}).get("exporters", {}).values()]
    chains = []
    for app in declared.values():
        others = _others_ports(declared, app, plan, hostname)
        redis = _others_redis(declared, app, plan, hostname)
        answers = [f"ct direction reply tcp sport {_set(ports)} drop" for ports in (others, figures, SERVERS) if ports]
        apart = [FLOWS]
        apart += [f"fib daddr type local tcp dport {_set(others)} {REFUSE}"] if others else []
        # Who knows no password could still take all connections.
        apart += [f"{_to([tier_address(plan, hostname, 'cache')])} tcp dport {_set(redis)} {REFUSE}"] if redis else []
        apart += [f"fib daddr type local tcp dport {_set(figures)} {REFUSE}"] if figures else []
        own = [*apart, *_counted(app, plan, hostname), *_allowed(app, plan, hostname), *_refused(METADATA)]
        chains.append({"name": f"app-{app['name']}", "user": app["user"], "answers": answers, "rules": own})
        chains.append(
            {"name": f"build-{app['name']}", "user": app["build_user"], "answers": answers, "rules": [*apart, *_refused(METADATA)]}
        )
    return chains


def _others_ports(apps, app, plan, hostname):
    """The ports of the web processes of all other apps."""
    ports = []
    for other in apps.values():
        for process in other["processes"].values():
            owned = port_range(process, planned_instances(plan, hostname, other, process)) if other is not app else ()
            ports += [f"{owned[0]}-{owned[-1]}"] if owned else []
    return sorted(ports)


def _others_redis(apps, app, plan, hostname):
    """The ports of the Redis instances of all other apps."""
    owned = redis_ports(apps, plan, hostname)
    return sorted(port for name, ports in owned.items() if name != app["name"] for port in ports.values())


def _counted(app, plan, hostname):
    """Limits on connections to servers that all apps share, which count also those that have not said yet who they are."""
    rules = [f"fib daddr type local tcp dport {{ 80, 443 }} ct count over {PROXY_CONNECTIONS} {REFUSE}"]
    for server in [name for name in (app["database"], app["pooler"]) if name != "none"]:
        limit = plan.get("connections", {}).get(server, {}).get("roles", {}).get(app["name"])
        if limit:
            to = f"{_to([tier_address(plan, hostname, 'database')])} tcp dport {DATABASE_PORTS[server]}"
            rules.append(f"{to} ct count over {limit + SPARE_CONNECTIONS} {REFUSE}")
    return rules


def _allowed(app, plan, hostname):
    """What an app that declares its ``egress`` may reach, and an end for everything else."""
    if app["egress"] is None:
        return []
    servers = {tier_address(plan, hostname, tier) for tier in ("database", "cache")} - {LOOPBACK}
    networks = [
        *sorted(servers),
        *external.addresses(app),
        *(PRIVATE if app["egress"] == "internal" else app["egress"] if app["egress"] != "none" else ()),
    ]
    rules = ["oif lo accept", *(f"{match} accept" for match in _matches(networks))]
    rules += [] if app["egress"] == "none" else [f"meta l4proto {{ tcp, udp }} th dport {DNS} accept"]
    return [*(_refused(METADATA) if app["egress"] == "internal" else []), *rules, "reject with icmpx admin-prohibited"]


def _refused(networks):
    return [f"{match} meta l4proto {{ tcp, udp }} th dport != {DNS} reject" for match in _matches(networks)]


def _matches(networks):
    """The statements that match addresses of a list, one for each family."""
    families = {}
    for text in networks:
        network = network_of(text, "egress")
        families.setdefault("ip" if network.version == 4 else "ip6", []).append(str(network))
    return [f"{family} daddr {_set(found)}" for family, found in sorted(families.items())]


def _to(addresses):
    return _matches(addresses)[0]


def _set(items):
    return f"{{ {', '.join(map(str, items))} }}"
