# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the host's edge: open ports, rotated logs, certificates; and what the roles make of those."""
from __future__ import annotations

import datetime
import hashlib
import ipaddress
import posixpath
import re

from .apps import DeclarationError, normalise, port_range
from .databases import DATABASE_PORTS
from .fleet import network_of, other_addresses, tiers_of
from .instances import planned_instances
from .redis import redis_ports
from .sites import TLS_DIRECTORY, tls_files

PORT_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
COMMENT = re.compile(r"[A-Za-z0-9 ._,:;/()+=@-]{1,100}")
LOG_PATH = re.compile(r"/[A-Za-z0-9._/@+*?\[\]-]+")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*")
LOG_SIZE = re.compile(r"[1-9]\d*[kMG]?")
CERTIFICATE_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.:-]{0,250}[a-z0-9])?")
PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


# One address may hold so many connections to the sites where no plan says otherwise, and open new ones so fast: a handshake of TLS
# costs the server a millisecond or two of a core, so 50 a second are a tenth of one.
CONNECTIONS_PER_SOURCE = 100
NEW_PER_SOURCE, NEW_AT_ONCE_PER_SOURCE = "50/second", 200
RATE = re.compile(r"[1-9]\d*/(second|minute|hour)")



def _known_keys(item, where, required, optional):
    if not isinstance(item, dict):
        raise DeclarationError(where, item, f"Write a mapping with the keys {', '.join(required + optional)}.")
    for key in item:
        if key not in required + optional:
            known = ", ".join(required + optional)
            raise DeclarationError(f"{where}.{key}", item[key], f"There is no such key; known keys are {known}.")
    for key in required:
        if item.get(key) in (None, "", []):
            raise DeclarationError(f"{where}.{key}", item.get(key), f"It is required; add {key}.")


# Firewall


def firewall_rules(apps, plan=None, hostname=None):
    """The ports a host opens: to the world 80 where it serves a site and 443 where one of them has TLS; to the backends its
    databases and Redis instances; to the proxies all ports that its web processes own.
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
    inner = []
    if "database" in tiers:
        inner += [("backend", DATABASE_PORTS[name], name) for name in sorted({app[key] for app in declared for key in ("database", "pooler")} - {"none"})]
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
        family: [str(network) for network in ipaddress.collapse_addresses(networks)]
        for family, networks in sources.items() if networks
    }


def _matches(sources):
    """The beginning of a statement for each family of sources; without sources one that matches everybody."""
    return [f"{family} saddr {{ {', '.join(networks)} }} " for family, networks in sorted(sources.items())] or [""]


def nft_rules(rules, unlimited=()):
    """The nftables statements of ``firewall_rules``, in the declared order; what ``per_source`` limits does not hold ``unlimited``."""
    statements = []
    for index, rule in enumerate(rules):
        where = f"firewall_rules[{index}]"
        _known_keys(rule, where, ("port",), ("protocol", "from", "comment", "per_source"))
        protocol = rule.get("protocol", "tcp")
        if protocol not in ("tcp", "udp"):
            raise DeclarationError(f"{where}.protocol", protocol, "Use tcp or udp.")
        comment = rule.get("comment", "")
        if comment and not COMMENT.fullmatch(comment):
            raise DeclarationError(f"{where}.comment", comment, "Write at most 100 letters, digits and simple punctuation.")
        statements += _per_source(rule, where, unlimited)
        action = f"{protocol} dport {_ports(rule['port'], f'{where}.port')} accept"
        action += f' comment "{comment}"' if comment else ""
        statements += [match + action for match in _matches(_sources(rule.get("from") or [], f"{where}.from"))]
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
    _known_keys(limits, place, ("connections",), ("rate", "burst"))
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
    ] + [f'{match}{dport} accept comment "ssh"' for match in _matches(_sources(sources, "firewall_ssh_from"))]


# Log rotation


def logrotate_files(apps, plan=None, hostname=None):
    """The log files of the apps where they run: relative to ``/srv/<app>/shared``, the folder that all releases have in common."""
    if "backend" not in tiers_of(plan or {}, hostname):
        return []
    return [
        {
            "name": app["name"],
            "user": app["user"],
            "group": app["user"],
            "paths": [f"{app['root']}/shared/{path}" for path in app["logs"]],
        }
        for app in normalise(apps).values()
        if app["logs"]
    ]


def logrotate_stanzas(files, frequency="daily", rotate=14, maxsize="100M"):
    """Each entry of ``logrotate_files`` with every key a stanza needs.

    Without commands that make the program reopen its log it goes on writing to the file it holds: then the file is
    copied and truncated instead of renamed.
    """
    stanzas = []
    for index, item in enumerate(files):
        where = f"logrotate_files[{index}]"
        _known_keys(item, where, ("name", "paths", "user"), ("group", "frequency", "rotate", "maxsize", "postrotate"))
        stanza = {
            "name": item["name"],
            "paths": list(item["paths"]),
            "user": item["user"],
            "group": item.get("group") or item["user"],
            "frequency": item.get("frequency") or frequency,
            "rotate": int(rotate if item.get("rotate") is None else item["rotate"]),
            "maxsize": item.get("maxsize") or maxsize,
            "postrotate": list(item.get("postrotate") or []),
        }
        for path in stanza["paths"]:
            if not LOG_PATH.fullmatch(path) or posixpath.normpath(path) != path:
                remedy = "Write an absolute path without spaces, quotes or '..'; * ? and [] are patterns."
                raise DeclarationError(f"{where}.paths", path, remedy)
            if path.endswith("*"):
                remedy = f"It matches the rotated files, too. End it with the logs' suffix: {path}.log."
                raise DeclarationError(f"{where}.paths", path, remedy)
        for key in ("name", "user", "group"):
            if not ACCOUNT.fullmatch(stanza[key]):
                raise DeclarationError(f"{where}.{key}", stanza[key], "Use small letters, digits, '-' and '_'.")
        if stanza["frequency"] not in ("hourly", "daily", "weekly", "monthly"):
            raise DeclarationError(f"{where}.frequency", stanza["frequency"], "Use hourly, daily, weekly or monthly.")
        if not LOG_SIZE.fullmatch(str(stanza["maxsize"])):
            raise DeclarationError(f"{where}.maxsize", stanza["maxsize"], "Write a size such as 100M.")
        if any("\n" in command or command.strip() == "endscript" for command in stanza["postrotate"]):
            raise DeclarationError(f"{where}.postrotate", stanza["postrotate"], "Write one command in each item.")
        stanzas.append(stanza)
    return stanzas


# Certificates


def certificate_sites(apps):
    """The sites that are served with TLS, sorted by host name: where the certificate comes from and where it lies."""
    sites = [
        {"name": site["name"], "source": site["tls"]["kind"], **tls_files(site)}
        for app in normalise(apps).values() for site in app["sites"].values() if site["tls"]["kind"] != "none"
    ]
    return sorted(sites, key=lambda site: site["name"])


def certificate_names(site):
    """The names a certificate is valid for: the site's own, then its further ones, each once."""
    names = list(dict.fromkeys([site["name"], *site.get("names", ())]))
    for name in names:
        if not CERTIFICATE_NAME.fullmatch(name):
            raise DeclarationError("certificates_sites", name, "Write a host name in small letters, or an IP address.")
    return names


def self_signed_sites(sites):
    """What the module selfsigned_certificate makes: the name and names of every site whose source is ``selfsigned``.

    Any other source but the user's own files is refused here, before anything is made.
    """
    wanted = []
    for index, site in enumerate(sites):
        where = f"certificates_sites[{index}]"
        _known_keys(site, where, ("name", "source"), ("names", "certificate", "key"))
        if site["source"] == "letsencrypt":
            raise DeclarationError(
                f"{where}.source", "letsencrypt",
                f"It is not built yet. For {site['name']} declare tls: selfsigned, or tls: {{certificate: …, key: …}} with "
                "the paths of files of your own.")
        if site["source"] not in ("selfsigned", "files"):
            raise DeclarationError(f"{where}.source", site["source"], "Use selfsigned or files.")
        if site["source"] == "files" and not (site.get("certificate") and site.get("key")):
            raise DeclarationError(where, site, "Name the files: certificate and key.")
        if site["source"] == "selfsigned":
            wanted.append({"name": site["name"], "names": certificate_names(site)})
    return wanted


def pair_folder(name, names, not_after):
    """Where a pair lies. The folder's name says what it is worth: one link's target tells whether it is still good."""
    digest = hashlib.sha256(" ".join(sorted(names)).encode()).hexdigest()[:8]
    return f".pairs/{name}.{not_after:%Y%m%d}.{digest}"


def pair_is_good(target, name, names, today, renew_days):
    """Whether the link's target is a pair for these very names that lasts ``renew_days`` more."""
    match = re.fullmatch(re.escape(f".pairs/{name}.") + r"(\d{8})\.[0-9a-f]{8}", target or "")
    try:
        not_after = datetime.datetime.strptime(match[1] if match else "", "%Y%m%d").date()
    except ValueError:
        return False
    return pair_folder(name, names, not_after) == target and (not_after - today).days >= renew_days


def certificates_due(wanted, paths, today, renew_days=30, directory=TLS_DIRECTORY):
    """Those of the self-signed pairs that are missing, made for other names, or about to expire, by the snapshot."""

    def is_good(site):
        path = f"{directory}/{site['name']}"
        target = paths.get(f"{path}.pair", {}).get("target")
        return (
            f"{path}.crt" in paths and f"{path}.key" in paths
            and pair_is_good(target, site["name"], site["names"], today, renew_days)
        )

    return [site for site in wanted if not is_good(site)]


# Private certificate authorities


def ca_certificates(texts):
    """One file for each certificate in the PEM texts, as update-ca-certificates wants them: {name: text}.

    The name is the certificate's digest, so that the same certificate is never installed twice.
    """
    files = {}
    for text in texts:
        if "PRIVATE KEY-----" in text:
            raise DeclarationError("system_ca_certificates", "…", "One of them holds a private key; give certificates only.")
        found = PEM_CERTIFICATE.findall(text)
        if not found:
            remedy = "Give the text of a PEM certificate, or the absolute path of such a file."
            raise DeclarationError("system_ca_certificates", text[:60], remedy)
        for certificate in found:
            content = "\n".join(line.strip() for line in certificate.splitlines() if line.strip()) + "\n"
            files[f"mainstay-{hashlib.sha256(content.encode()).hexdigest()[:12]}.crt"] = content
    return dict(sorted(files.items()))
