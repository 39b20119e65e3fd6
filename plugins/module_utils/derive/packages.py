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
# What helps where apt-get or dpkg ends in an error, by words of its own; the first that is found counts.
REMEDIES = (
    (
        r"Could not resolve|Temporary failure resolving|Name or service not known|No address associated with hostname",
        "No name server of the host answers: name one that does in its /etc/resolv.conf, or a proxy in mainstay_environment",
    ),
    (
        r"is not valid yet|not yet valid|Release file .* is expired|certificate .* expired",
        "Compare the clock of the host with yours (date), and set it: timedatectl set-ntp true",
    ),
    (
        r"(?i)not enough free space|don't have enough free space|No space left on device|Disk quota exceeded",
        "Make room on the host: df -h and df -i show where it is short, apt-get clean and journalctl --vacuum-size=100M free some",
    ),
    (
        r"Could not get lock|Unable to lock|Unable to acquire the dpkg|Could not open lock",
        "Another program installs packages on the host, such as unattended-upgrades or cloud-init: wait for its end, and run this again",
    ),
    (
        r"list of sources could not be read|Malformed (?:entry|stanza)|is not known on line|Conflicting values set for option",
        "The apt of the host cannot read its own files: correct the one that it names, in /etc/apt/sources.list or /etc/apt/sources.list.d of the host",
    ),
    (
        r"needs to be reinstalled|--fix-broken install",
        "A package of the host is half installed: apt-get --fix-broken install mends it, or apt-get install --reinstall with its name",
    ),
    (r"dpkg was interrupted", "Run dpkg --configure -a on the host, and this again"),
    (
        r"does not have a Release file|no longer has a Release file",
        "That source has nothing for this release: correct or remove it in /etc/apt/sources.list or /etc/apt/sources.list.d of the host",
    ),
    (
        r"NO_PUBKEY|is not signed|signatures were invalid|signatures couldn't be verified",
        "The host does not know the key of that source: install it (for Debian's own: the package debian-archive-keyring), or remove the source",
    ),
    (
        r"(?i)certificate verification failed|certificate is NOT trusted|certificate verify failed",
        "The host does not trust who signed that certificate: name its authority in mainstay_ca_certificates",
    ),
    (
        r"\b404\b|Hash Sum mismatch|unexpected size|Mirror sync in progress",
        "The mirror is in the midst of a change, or no good one: run this again later, or name another in the host's /etc/apt/sources.list",
    ),
    (
        r"\b407\b|Proxy Authentication|\b403\b",
        "A proxy or the mirror refuses the host: correct http_proxy in mainstay_environment, or the source in /etc/apt/sources.list",
    ),
    (
        r"Could not connect to|Cannot initiate the connection|Connection timed out|Connection refused|Connection failed|Network is unreachable",
        "The host does not reach that source: open the way out to it (80/tcp, 443/tcp), or name a proxy in mainstay_environment: {http_proxy: …}",
    ),
    (
        r"Held packages were changed|unmet dependencies|held broken packages|Unable to correct problems",
        "Packages of the host are held, of another release, or half installed: see apt-mark showhold and apt-get --fix-broken install",
    ),
    (
        r"Sub-process .*dpkg returned an error code|post-installation script subprocess returned|pre-installation script subprocess returned",
        "A package's own script failed: the output above says why; mend that, and run dpkg --configure -a on the host and this again",
    ),
)
LAST_STEP = "Reading package lists"
OTHER_REMEDY = "Run apt-get update and the installation on the host by hand to see all that it says, mend that, and run this again"


def apt_remedy(said):
    """What helps, out of what apt-get said, in a sentence: in its last step, before which a source may have been away that nothing came of."""
    last = said[max(said.rfind(LAST_STEP), 0) :]
    return f"{next((remedy for text in (last, said) for pattern, remedy in REMEDIES if re.search(pattern, text)), OTHER_REMEDY)}."


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


def wanted_packages(apps, tiers):
    """All of them, of which a snapshot tells whether they could come; none where the declarations cannot be used, which the plan refuses."""
    try:
        return stack_packages(apps, tiers)
    except ValueError:
        return []
