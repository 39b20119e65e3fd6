# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished host must show: every declared process answers, also through nginx and TLS, and nothing undeclared is open."""

from __future__ import annotations

import ipaddress
import re

from ..stack.adoption import CONTAINERS, OWN_UNITS, configured
from ..stack.apps import normalise
from ..stack.instances import names, numbers, planned_instances
from ..stack.processes import port_range
from ..stack.remains import installed, owned_units
from ..stack.routes import SOCKET_IO, demanded
from ..stack.services import DATABASE_PORTS
from ..stack.tiers import LOOPBACK, asked_at, at, tiers_of, web_address
from .passwords import authorization
from .probes import checks, page
from .redis import redis_ports

# Clients of DHCP and NTP (ntpsec has no socket but the one for answers): they listen on every address and offer nobody a service here.
CLIENT_PORTS = {("udp", 68), ("udp", 546), ("udp", 123)}
# What hosts come with, and what ends it: the command is part of the refusal.
KNOWN_LISTENERS = {
    "avahi-daemon": "multicast DNS of avahi; systemctl disable --now avahi-daemon.socket avahi-daemon.service ends it",
    "cupsd": "the printing service; systemctl disable --now cups.socket cups.service ends it",
    "cups-browsed": "the printing service; systemctl disable --now cups-browsed.service ends it",
    "dropbear": "an SSH server, which the stack leaves as it is and does not open by itself: where you log in by it, do not stop it, and name its "
    "port in firewall_rules beside 80 and 443",
    "exim4": "a mail server; dc_local_interfaces='127.0.0.1' in /etc/exim4/update-exim4.conf.conf keeps it on the host",
    "master": "a mail server; postconf inet_interfaces=loopback-only keeps Postfix on the host",
    "rpcbind": "the port mapper of NFS; systemctl disable --now rpcbind.socket rpcbind.service ends it",
    "systemd-resolve": "name resolution on the local network; system_local_name_resolution: false ends it",
}
# An upgrade, or what an app says of one that lacks a parameter (Socket.IO) or a login.
HANDSHAKES = [101, 400, 401, 403]
# Packages whose versions a reader of the summary asks for first.
TOLD_PACKAGES = ("nginx", "pgbouncer", "redis-server", "mariadb-server", "python3", "nodejs")


def host_units(apps, plan, hostname, live=None):
    """The units of all processes that run on a host."""
    if "backend" not in tiers_of(plan, hostname):
        return []
    return [
        unit
        for app in normalise(apps).values()
        for process in app["processes"].values()
        for unit in names(app, process, numbers(plan, hostname, app, process, live))
    ]


def _process_probes(app, process, address, ports):
    for port in ports:
        for name, probe in checks(app, process, address, port).items():
            yield {"name": f"{app['name']}-{process['name']}@{port} {name}", **probe}


def _site_probes(app, site, secrets):
    scheme, port = ("http", 80) if site["tls"]["kind"] == "none" else ("https", 443)
    common = {"connect_to": f"127.0.0.1:{port}", "validate_certs": False}
    for path, route in site["routes"].items():
        if route["kind"] != "process":
            continue
        name, common = f"{scheme}://{site['name']}{path}", dict(common)
        if secrets is not None:
            common["headers"] = authorization(app, site, route, secrets)
        refused = [401] if demanded(site, route) and secrets is None else []
        asked, is_asked = page(app, site, path, route)
        # Where pages are below it, too, nobody knows at which of them a websocket opens, as of Streamlit and Jupyter at /.
        if route["websocket"] and not is_asked:
            below = "/" if path.endswith(SOCKET_IO) else ""  # at its path itself Socket.IO holds who asks until nginx gives up
            url = f"{scheme.replace('http', 'ws')}://{site['name']}{path}{below}"
            yield {"name": name, "kind": "websocket", "url": url, "status": refused or HANDSHAKES, **common}
        elif is_asked:
            yield {
                "name": name,
                "kind": "http",
                "url": f"{scheme}://{site['name']}{asked}",
                "status": refused or [app["processes"][route["process"]]["health"]["status"]],
                **common,
            }


# A line that an exporter tells only where it has heard its server: of the system, the file that is written beside the agent.
FIGURES = {
    "node": r"(?m)^mainstay_agent_watching 1$",
    "mariadb": r'(?m)^mysql_exporter_collector_success\{collector="collect.global_status"\} 1$',  # mysql_up stands behind what a probe reads
    "nginx": r"(?m)^nginx_up 1$",
    "postgresql": r"(?m)^pg_exporter_last_scrape_error 0$",  # pg_up stands behind what a probe reads
    "redis": r"(?m)^redis_up 1$",
}


# Of the system that file alone: a probe reads the beginning of an answer.
ASKED = {"node": "/metrics?collect%5B%5D=textfile"}


def _exporter_probes(apps, plan, hostname):
    """That each exporter answers, and has heard its server; of Redis the instances of these apps alone, as the plan may know others."""
    planned = plan.get("hosts", {}).get(hostname, {})
    redis = [settings["port"] for app, purposes in planned.get("redis", {}).items() if app in apps for settings in purposes.values()]
    for name, exporter in planned.get("exporters", {}).items():
        url = f"http://{at(exporter['address'], exporter['port'])}"
        targets = [f"/scrape?target=redis://{LOOPBACK}:{port}" for port in redis] if name == "redis" else [ASKED.get(name, "/metrics")]
        for target in targets:
            where = f" of {target.rpartition(':')[2]}" if name == "redis" else ""
            yield {"name": f"exporter {name}{where}", "kind": "http", "url": f"{url}{target}", "body_regex": FIGURES[name]}


def proof_probes(apps, plan, hostname, deadline=60, live=None, secrets=None):
    """The probes that prove a host: process by process, then from outside in.

    :param secrets: of all apps; with them a site that asks for a password gets one, without them it must refuse.
    """
    declared = normalise(apps)
    tiers = tiers_of(plan, hostname)
    probes = []
    if "database" in tiers and any(app["database"] == "postgresql" for app in declared.values()):
        probes.append({"name": "postgresql", "kind": "postgresql", "host": LOOPBACK, "port": DATABASE_PORTS["postgresql"]})
    pooled = [app["name"] for app in declared.values() if app["pooler"] == "pgbouncer"]
    if "database" in tiers and pooled:
        probes.append(
            {
                "name": "pgbouncer",
                "kind": "postgresql",
                "host": LOOPBACK,
                "port": DATABASE_PORTS["pgbouncer"],
                "username": pooled[0],
                "database": pooled[0],
            }
        )
    if "database" in tiers and any(app["database"] == "mariadb" for app in declared.values()):
        probes.append({"name": "mariadb", "kind": "mysql", "host": LOOPBACK, "port": DATABASE_PORTS["mariadb"]})
    if "cache" in tiers:
        probes += [
            {"name": f"redis {app} {purpose}", "kind": "redis", "host": LOOPBACK, "port": port}
            for app, ports in redis_ports(declared, plan, hostname).items()
            if app in declared  # the plan may know others, where one app is proved alone
            for purpose, port in ports.items()
        ]
    if "backend" in tiers:
        address = asked_at(web_address(plan, hostname))
        for app in declared.values():
            for process in app["processes"].values():
                probes += _process_probes(app, process, address, numbers(plan, hostname, app, process, live))
        units = host_units(declared, plan, hostname, live)
        if units:
            probes.append({"name": "units", "kind": "command", "command": ["systemctl", "is-active", *units]})
    if "proxy" in tiers:
        for app in declared.values():
            for site in app["sites"].values():
                probes += _site_probes(app, site, secrets)
    probes += _exporter_probes(declared, plan, hostname)
    return [{"deadline": deadline, **probe} for probe in probes]


def is_public(address):
    try:
        return not ipaddress.ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return True


def _owner(item):
    """Who listens, and what ends it where a host comes with it."""
    name, known = item["name"] or "the kernel itself, as WireGuard does, or an unknown process", KNOWN_LISTENERS.get(item["name"])
    if known:
        return f"{name} ({known})"
    if name in CONTAINERS:
        return f"{name} (a port that a container publishes; --publish 127.0.0.1:{item['port']}:… keeps it on the host)"
    return f"{name} of {item['unit']}" if item.get("unit") else name


def bounds(ports):
    """[first, last] of each port, or range as ``8000-8003``."""
    ends = [[int(number) for number in str(item).split("-")] for item in ports]
    return [[item[0], item[-1]] for item in ends]


def _within(port, ranges):
    return any(first <= port <= last for first, last in ranges)


def undeclared_listeners(listeners, ports, rules=(), firewall="nftables"):
    """Listeners on addresses other hosts can reach, on ports (or ranges, as ``8000-8003``) that nobody declared; a text for whoever has some.

    :param rules: as ``firewall_rules`` has them, whose ports are declared, too.
    :param firewall: who keeps them. ufw does not see what containers publish: a rule for some sources declares none of it.
    """
    declared = bounds([*ports, *(rule["port"] for rule in rules)])
    unseen = bounds(rule["port"] for rule in rules if rule.get("from")) if firewall == "ufw" else []
    found = {}
    for item in listeners:
        is_declared = _within(item["port"], declared) and not (item["name"] in CONTAINERS and _within(item["port"], unseen))
        is_client = (item["protocol"].rstrip("6"), item["port"]) in CLIENT_PORTS
        if is_public(item["address"]) and not is_declared and not is_client:
            found.setdefault(_owner(item), {})[f"{item['protocol']} {item['address']}:{item['port']}"] = None
    return [f"{', '.join(places)} by {owner}" for owner, places in found.items()]


# Of the stack whatever the apps need: the agent's and the exporters' own.
STACK_UNITS = re.compile(r"(mainstay-.+|prometheus-.+-exporter)\.(service|socket)")


def lasting_listeners(listeners, apps, host, tiers, resolves=False):
    """The listeners that a run leaves as they are: those of the stack, and of servers that it is about to configure, it changes or ends itself.

    :param host: the snapshot from before the run.
    :param resolves: ``system_local_name_resolution``, without which the resolver's sockets are closed.
    """
    declared, paths = normalise(apps), host.get("paths") or {}
    known = {*declared, *installed(host)}
    units = [STACK_UNITS, *(OWN_UNITS[server] for server in configured(declared, paths, tiers))]
    return [
        item
        for item in listeners
        if not any(pattern.fullmatch(item["unit"] or "") for pattern in units)
        and not any(owned_units(app, [item["unit"] or ""], known) for app in known)
        and (resolves or item["name"] != "systemd-resolve")
    ]


def ports_of_any_address(apps, plan=None, hostname="", host=None):
    """The ports, as ``8000-8003``, that may listen on every address: nobody but the proxy is to get in.

    Those of processes that are told so, and of what runs on of apps that are no longer declared: every run tells of it, and a refusal would keep
    all other apps from what is declared for them.

    :param host: the snapshot, for the latter.
    """
    declared = normalise(apps)
    owned = [
        f"{ports[0]}-{ports[-1]}"
        for app in declared.values()
        for process in app["processes"].values()
        if "any_address" in process["allow"] and (ports := port_range(process, planned_instances(plan or {}, hostname, app, process)))
    ]
    return owned + _ports_of_remains(declared, host or {})


def _ports_of_remains(declared, host):
    gone = installed(host) - {*declared}
    return sorted(
        {
            str(item["port"])
            for item in host.get("listeners") or ()
            if is_public(item["address"]) and any(owned_units(app, [item["unit"] or ""], {*declared, *gone}) for app in gone)
        }
    )


def _versions(packages):
    told = [f"{name} {packages[name]}" for name in TOLD_PACKAGES if name in packages]
    told += [
        f"{name} {version}"
        for name, version in sorted(packages.items())
        if name.startswith("postgresql-") and name[len("postgresql-") :].isdigit()
    ]
    return ", ".join(told)


def summary(apps, plan, hostname, host, report=(), live=None):
    """What a person wants to know after a run: where it answers, what runs, what is open, and the plan behind it."""
    declared = normalise(apps)
    lines = [f"{hostname}: {host['distribution']['name']}, {host['memory_mb']} MB, {host['cpus']} CPUs"]
    for app in declared.values():
        for site in app["sites"].values():
            lines.append(f"  site      {'http' if site['tls']['kind'] == 'none' else 'https'}://{site['name']}/")
    active = set(host["active"])
    for unit in host_units(declared, plan, hostname, live):
        lines.append(f"  unit      {unit} {'active' if unit in active else 'NOT ACTIVE'}")
    lines.append(f"  versions  {_versions(host['packages'])}")
    public = sorted(
        {f"{item['port']}/{item['protocol'].rstrip('6')} {item['name']}" for item in host["listeners"] if is_public(item["address"])}
    )
    lines.append(f"  open      {', '.join(public)}")
    lines += [f"  UNDONE    {sentence}" for sentence in undone_words(host)]
    return lines + [f"  {line}" for line in report]


def undone_words(host):
    """What files of the host undo of the stack's settings, and are to be mended there: a run does not touch what is somebody's."""
    return [f"{item['file']} sets {item['name']} to {item['value']}, not {item['wanted']}" for item in host.get("undone") or ()]
