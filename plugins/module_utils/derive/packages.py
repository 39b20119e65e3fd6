# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the Debian packages of a host."""

from __future__ import annotations

import re

from ..stack.apps import normalise
from ..stack.exporters import PACKAGES as EXPORTERS
from ..stack.services import app_packages

# Servers that are to begin with the configuration of their role, also where another package brings them along.
START_LATER = ["fail2ban", "nginx", "pgbouncer", "postgresql", "redis-server", *EXPORTERS.values()]
# What apt-get says of a name that no source of the host has.
UNKNOWN = re.compile(r"^E: (?:Unable to locate package (\S+)|Package '?([^' ]+)'? has no installation candidate)$", re.MULTILINE)


def unknown_packages(said, variables):
    """One sentence for each package that apt-get does not know, out of its words; it names the variables that ask for it.

    :param variables: those of the host, as a person has written them.
    """
    declared = variables.get("mainstay_apps")
    apps = {f"mainstay_apps.{name}.packages": app.get("packages") for name, app in (declared or {}).items()}
    # Of an app's packages the roles' own variables are made.
    roles = {name: value for name, value in variables.items() if name.endswith(("_packages", "_packages_extra")) and name[0] != "_"}
    sentences = []
    for package in dict.fromkeys(name or other for name, other in UNKNOWN.findall(said)):
        places = next(
            filter(None, ([place for place in sorted(of) if isinstance(of[place], list) and package in of[place]] for of in (apps, roles))),
            [],
        )
        where = f"{', '.join(places)}: " if places else ""
        sentences.append(
            f"{where}no package source of this host has {package}. Take it out, write the name that it has on this release "
            f"(packages.debian.org), or add the source that has it."
        )
    return sentences


def stack_packages(apps, tiers, part="all", exporters=()):
    """The Debian packages of all roles that serve a host: ``tools`` that builds need, and ``servers``, which take longer.

    ``start_later`` are all servers that their roles start, wherever they serve.
    """
    declared = normalise(apps).values()
    tools, servers = ["nftables", "logrotate"], ["fail2ban", "python3-systemd"]
    if "proxy" in tiers:
        servers += ["nginx"]
        if any(site["tls"]["kind"] == "letsencrypt" for app in declared for site in app["sites"].values()):
            servers += ["certbot"]
    if "database" in tiers and any(app["database"] == "postgresql" for app in declared):
        servers += ["postgresql", "python3-psycopg2"]
    if "database" in tiers and any(app["pooler"] == "pgbouncer" for app in declared):
        servers += ["pgbouncer"]
    if "database" in tiers and any(app["database"] == "mariadb" for app in declared):
        servers += ["mariadb-server", "python3-pymysql"]
    if "cache" in tiers and any(app["redis"] for app in declared):
        servers += ["redis-server"]
    servers += [EXPORTERS[name] for name in exporters]
    if "backend" in tiers:
        tools += sorted({package for app in declared for package in app_packages(app)})
    return {"all": tools + servers, "tools": tools, "servers": servers, "start_later": START_LATER}[part]
