# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be declared of the figures for Prometheus, and the exporters that tell them: Debian's, one for each kind of server."""

from __future__ import annotations

import ipaddress

from .fields import Keys, Text
from .processes import port_range
from .refusal import refuse
from .routes import Networks

VARIABLE = "mainstay_prometheus"
PROMETHEUS = Keys(
    {
        "address": Text(about="Address on which the exporters listen: 127.0.0.1, or the host's in a private network."),
        "from": Networks(default=(), about="Networks from which Prometheus comes, where the address is not loopback."),
    },
    required=("address",),
    about="Figures of each host for Prometheus, told by Debian's exporters; {} is none.",
)
# The ports are the exporters' own, by which every tutorial and dashboard knows them.
PORTS = {"mariadb": 9104, "node": 9100, "nginx": 9113, "postgresql": 9187, "redis": 9121}
PACKAGES = {
    "mariadb": "prometheus-mysqld-exporter",
    "node": "prometheus-node-exporter",
    "nginx": "prometheus-nginx-exporter",
    "postgresql": "prometheus-postgres-exporter",
    "redis": "prometheus-redis-exporter",
}
# The user of Debian's packages; as the one of PostgreSQL's exporter it is also a role there, and of MariaDB's an account.
USER = "prometheus"


def prometheus(value):
    """The declaration in its normal form, ``{address, from}``; empty where nobody wants figures.

    :raises DeclarationError: the first thing that cannot work.
    """
    if value in (None, False) or value == {}:
        return {}
    if value is True:
        refuse(VARIABLE, value, "write where the exporters listen, such as {address: 127.0.0.1}")
    found = PROMETHEUS.read(value, VARIABLE)
    try:
        address = ipaddress.ip_address(found["address"])
    except ValueError:
        refuse(f"{VARIABLE}.address", found["address"], "write an IP address of the host, such as 127.0.0.1")
    if address.is_unspecified or address.is_global:
        remedy = "the figures have neither a password nor TLS: write 127.0.0.1, or the host's address in a private network"
        refuse(f"{VARIABLE}.address", found["address"], remedy)
    if address.is_loopback and found["from"]:
        refuse(f"{VARIABLE}.from", found["from"], f"nobody comes to {address} from outside: leave it out, or write another address")
    if not address.is_loopback and not found["from"]:
        refuse(f"{VARIABLE}.from", found["from"], f"list who may ask at {address}, such as [10.0.0.9] for a host with Prometheus")
    everybody = [network for network in found["from"] if ipaddress.ip_network(network).prefixlen == 0]
    if everybody:
        refuse(f"{VARIABLE}.from", everybody[0], "that is everybody: list the hosts or the network of Prometheus")
    return {"address": str(address), "from": found["from"]}


def unit(name):
    """The unit of an exporter."""
    return f"{PACKAGES[name]}.service"


def refuse_taken(settings, apps, instances):
    """Refuse an app that has the exporters' user as its own, and one that owns a port of theirs.

    :param settings: as :func:`prometheus` gives them.
    :param apps: in their normal form.
    :param instances: of a process of an app on the host, ``(app, process) -> number``.
    """
    for app in apps.values() if settings else ():
        if app["user"] == USER:
            refuse(f"mainstay_apps.{app['name']}", app["name"], f"{VARIABLE} needs the user {USER}; call the app something else")
        for process in app["processes"].values():
            taken = [port for port in PORTS.values() if port in port_range(process, instances(app, process))]
            if taken:
                where = f"mainstay_apps.{app['name']}.processes.{process['name']}.port"
                refuse(
                    where, process["port"], f"its ports include {taken[0]}, on which an exporter of {VARIABLE} listens; take another one"
                )
