# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and firewalls that were on a host before the stack came: whose they are is not asked by taking them."""

from __future__ import annotations

import re

from .exporters import PACKAGES, VARIABLE, unit
from .instances import planned_instances, recorded
from .processes import port_range
from .refusal import one_of, texts_of
from .services import DATABASE_PORTS
from .tiers import LOOPBACK, tiers_of, web_address

SERVERS = ("mariadb", "nginx", "pgbouncer", "postgresql", "redis")
ADOPTABLE = (*SERVERS, "exporters", "firewall")
# The first file that the stack gives each server; where it is, the server is the stack's own.
OWN_FILES = {
    "mariadb": re.compile(r"/etc/mysql/mariadb\.conf\.d/(90|zz)-mainstay\.cnf"),
    "nginx": re.compile(r"/etc/nginx/mainstay"),
    "pgbouncer": re.compile(r"/etc/systemd/system/pgbouncer\.service\.d/mainstay\.conf"),
    "postgresql": re.compile(r"/etc/postgresql/[^/]+/[^/]+/conf\.d/(zz-)?mainstay\.conf"),
}
SITES = re.compile(r"/etc/nginx/(sites-enabled/(?!default$)|conf\.d/).+")


def _redis(host):
    if "redis-server.service" in (host.get("active") or ()):
        return "Redis (redis-server.service would be stopped and masked; its data stays in /var/lib/redis)"
    return None


def _databases(server, title):
    def found(host):
        databases = sorted(set((host.get(server) or {}).get("databases") or {}) - {"postgres"})
        if not databases:
            return None
        others = [item["address"] for item in host.get("listeners") or () if item["port"] == DATABASE_PORTS[server]]
        closed = "" if set(others) <= {LOOPBACK, "::1"} else ", be closed to all but the apps"
        return f"{title} with {', '.join(databases)} (it would get the plan's settings and a restart{closed}, and these databases 10 connections each)"

    return found


# Debian's own site, which the role takes out of sites-enabled, and what it is a link to.
DEFAULT_SITE, DEFAULT_FILE = "/etc/nginx/sites-enabled/default", "/etc/nginx/sites-available/default"


def _nginx(host):
    paths, edited = host.get("paths") or {}, set(host.get("edited") or ())
    files = {path for path in paths if SITES.fullmatch(path)} | (edited - {DEFAULT_FILE})
    default = paths.get(DEFAULT_SITE)
    has_default = default is not None and (default["type"] == "file" or DEFAULT_FILE in edited)
    if not (files or has_default) or "nginx.service" not in (host.get("active") or ()):
        return None
    found = ", ".join(sorted(files | ({DEFAULT_SITE} if has_default else set())))
    taken_out = f", and {DEFAULT_SITE} taken out; other" if has_default else ";"
    return f"nginx with {found} (its nginx.conf would be replaced{taken_out} sites stay and are still read)"


def _pgbouncer(host):
    if "/etc/pgbouncer/pgbouncer.ini" in (host.get("edited") or ()):
        return "PgBouncer with /etc/pgbouncer/pgbouncer.ini (it and userlist.txt would be replaced, and other databases and users gone from them)"
    return None


FOUND = {
    "mariadb": _databases("mariadb", "MariaDB"),
    "nginx": _nginx,
    "pgbouncer": _pgbouncer,
    "postgresql": _databases("postgresql", "PostgreSQL"),
    "redis": _redis,
}


OWN_WAY = {
    "ufw": "for ufw write firewall_backend: ufw, which opens the ports with ufw, or `sudo ufw disable` on the host",
    "firewalld": "for firewalld run `sudo systemctl disable --now firewalld` on the host: the stack brings its own rules",
}
OTHERS_WAY = "take these rules out, or let pass there what `playbooks/plan.yml` shows as open and write mainstay_adopt: [firewall]"


def refuse_foreign_firewalls(host, backend, adopted, hostname):
    """Refuse a host whose own firewall would drop what the stack opens, unless the stack drives it or was told that it may stay.

    :param backend: ``firewall_backend``.
    """
    filters = [item for item in host.get("packet_filters") or [] if item["by"] != backend]
    if not filters or "firewall" in texts_of(adopted, "mainstay_adopt"):
        return
    writers = sorted({item["by"] for item in filters})
    found = "; ".join(f"{item['chain']} ({item['by']})" for item in filters)
    remedies = [OWN_WAY[name] for name in writers if name in OWN_WAY] or [OTHERS_WAY]
    raise ValueError(
        f"{hostname} has a firewall of its own, which drops what the stack would open: {found}. Settle it: {'; '.join(remedies)}. "
        "Nothing has changed."
    )


RULES, OWN_RULES = "/etc/nftables.conf", "/etc/systemd/system/nftables.service.d/mainstay.conf"


def refuse_foreign_rules(host, backend, hostname):
    """Refuse rules of somebody's in the file that the stack's take the place of: they would run on until the next boot, and then be gone."""
    if backend == "nftables" and RULES in (host.get("edited") or ()) and OWN_RULES not in (host.get("paths") or {}):
        raise ValueError(
            f"{hostname} has rules of its owner's in {RULES}, where the stack's are going to be. Have them loaded beside those: "
            f"`sudo mkdir -p /etc/nftables.d && sudo mv {RULES} /etc/nftables.d/own.nft`. Nothing has changed."
        )


def refuse_foreign_exporters(figures, host, adopted, hostname):
    """Refuse exporters of somebody's that run on a host, unless nobody wants the stack's, or ``mainstay_adopt`` names them.

    :param figures: what is declared of them.
    """
    if not figures or "exporters" in texts_of(adopted, "mainstay_adopt"):
        return
    own = {path.split("/")[4].removesuffix(".d") for path in host.get("paths") or {} if path.endswith("-exporter.service.d/mainstay.conf")}
    found = sorted({unit(name) for name in PACKAGES} & set(host.get("active") or ()) - own)
    if found:
        raise ValueError(
            f"{hostname} tells somebody's Prometheus already: {', '.join(found)}. Leave {VARIABLE} out for it, or let the stack take these units "
            "over, with its own options and addresses: mainstay_adopt: [exporters]. Nothing has changed."
        )


def _needed(apps, tiers):
    """The servers that the apps need on a host of these tiers."""
    wanted = {app["database"] for app in apps.values()} & set(SERVERS) if "database" in tiers else set()
    if "database" in tiers and any(app["pooler"] == "pgbouncer" for app in apps.values()):
        wanted.add("pgbouncer")
    if "cache" in tiers and any(app["redis"] for app in apps.values()):
        wanted.add("redis")
    if "proxy" in tiers and any(app["sites"] for app in apps.values()):
        wanted.add("nginx")
    return wanted


# A server of another vendor has Debian's place for data, socket and port, and apt would remove it for MariaDB's.
OTHER_MYSQL = re.compile(r"(mysql(-community)?-server(-core)?(-\d.*)?|percona-server-server.*)")


def _refuse_mysql(host, hostname):
    found = sorted(name for name in host.get("packages") or () if OTHER_MYSQL.fullmatch(name))
    if found and "mariadb-server" not in host["packages"]:
        raise ValueError(
            f"{hostname} has {found[0]}, which apt would remove to install MariaDB, and MariaDB cannot read its data. Give the apps another "
            "host, leave their database out and write this server's URL in env and external (docs/apps.md), or dump its data and remove it "
            "yourself. Nothing has changed."
        )


def _refuse_clusters(host, hostname):
    """Refuse PostgreSQL where the cluster that the stack runs, main, has not the port that apps look for, or another one has it."""
    port = DATABASE_PORTS["postgresql"]
    clusters = (host.get("postgresql") or {}).get("clusters") or []
    main = [item for item in clusters if item["name"] == "main"]
    wrong = [item for item in clusters if item["name"] != "main" and item["port"] == port]
    wrong = wrong or ([] if any(item["port"] == port for item in main) else main)
    if not wrong:
        return
    name = f"{wrong[0]['version']} {wrong[0]['name']}"
    told, remedy = (
        (f"has port {wrong[0]['port']}, and the apps look for it on {port}", f"it port = {port}")
        if wrong[0] in main
        else (f"has port {port}, on which the stack runs the cluster main", "it another port")
    )
    folder, unit = name.replace(" ", "/"), name.replace(" ", "-")
    raise ValueError(
        f"{hostname}: PostgreSQL's cluster {name} {told}. Give {remedy} in /etc/postgresql/{folder}/postgresql.conf and "
        f"`sudo systemctl restart postgresql@{unit}`, or give the stack a host of its own. Nothing has changed."
    )


def refuse_foreign_servers(apps, host, tiers, adopted, hostname):
    """Refuse servers of somebody's that the stack would configure, unless ``mainstay_adopt`` names them.

    :param apps: the apps in their normal form.
    :param host: the host's snapshot.
    """
    adopted = [one_of(item, "mainstay_adopt", ADOPTABLE) for item in texts_of(adopted, "mainstay_adopt")]
    own = {server for server, pattern in OWN_FILES.items() if any(pattern.fullmatch(path) for path in host.get("paths") or {})}
    needed = _needed(apps, tiers)
    if "mariadb" in needed:
        _refuse_mysql(host, hostname)
    if "postgresql" in needed:
        _refuse_clusters(host, hostname)
    found = {server: FOUND[server](host) for server in sorted(needed - own - set(adopted))}
    found = {server: words for server, words in found.items() if words}
    if found:
        raise ValueError(
            f"{hostname} has what somebody has set up before: {'; '.join(found.values())}. Give the stack a host of its own, or let it take "
            f"them over: mainstay_adopt: [{', '.join(found)}]. Nothing has changed."
        )


# What the role postgresql loads where postgresql_preload_libraries says nothing else.
PRELOADED = ("pg_stat_statements",)


def refuse_dropped_libraries(apps, host, tiers, wanted, hostname):
    """Refuse a PostgreSQL of somebody's whose libraries the stack would not load: extensions such as TimescaleDB fail without theirs.

    :param wanted: ``postgresql_preload_libraries``.
    """
    is_own = any(OWN_FILES["postgresql"].fullmatch(path) for path in host.get("paths") or {})
    loaded = (host.get("postgresql") or {}).get("preloaded") or []
    dropped = [name for name in loaded if name not in wanted]
    if dropped and not is_own and "postgresql" in _needed(apps, tiers):
        raise ValueError(
            f"{hostname}: PostgreSQL loads {' and '.join(dropped)} (shared_preload_libraries), and would not any more. Keep what its databases "
            f"need: postgresql_preload_libraries: [{', '.join([*wanted, *dropped])}]. Nothing has changed."
        )


def configured(apps, paths, tiers):
    """The servers whose listeners a run decides on: it has configured them before, or is going to. Of an nginx that it takes over, sites stay."""
    own = {server for server, pattern in OWN_FILES.items() if any(pattern.fullmatch(path) for path in paths)}
    redis = {"redis"} if any(path.startswith("/var/lib/mainstay/redis/") for path in paths) else set()
    return own | redis | {"pgbouncer"} | (_needed(apps, tiers) - {"nginx"})


# The units whose sockets are the stack's own, or become so by taking the server over.
OWN_UNITS = {
    "mariadb": re.compile(r"(mariadb|mysql)(@.+)?\.service"),
    "nginx": re.compile(r"nginx\.service"),
    "pgbouncer": re.compile(r"pgbouncer\.service"),
    "postgresql": re.compile(r"postgresql(@.+)?\.service"),
    "redis": re.compile(r"redis-server(@.+)?\.service"),
}
# What listens in another's place, whose unit is not what is to be stopped.
CONTAINERS = ("conmon", "docker-proxy", "dockerd", "rootlessport", "slirp4netns")
EVERYWHERE = ("0.0.0.0", "::")


def _ports(apps, plan, hostname, host, page):
    """(port, who of the stack listens there, the units that may) of a host, whatever is installed on it."""
    tiers, planned = tiers_of(plan, hostname), plan["hosts"][hostname]
    needed = _needed(apps, tiers)
    if "nginx" in needed:
        has_tls = any(site["tls"]["kind"] != "none" for app in apps.values() for site in app["sites"].values())
        for port in [80] + [443] * has_tls + ([page["port"]] if page else []):
            yield port, "nginx", OWN_UNITS["nginx"]
    for server in sorted(needed & set(DATABASE_PORTS)):
        yield DATABASE_PORTS[server], server, OWN_UNITS[server]
    for name, purposes in planned.get("redis", {}).items() if "redis" in needed else ():
        for purpose, settings in purposes.items():
            yield settings["port"], f"{name}'s Redis ({purpose})", OWN_UNITS["redis"]
    for app in apps.values() if "backend" in tiers else ():
        for process in app["processes"].values():
            # Of one that is deployed already its next deploy says who answers in its place, and what served before serves on.
            if not recorded(host.get("paths") or {}, app, process):
                for port in port_range(process, planned_instances(plan, hostname, app, process)):
                    yield port, f"{app['name']}'s {process['name']}", re.compile(rf"{re.escape(app['name'])}-.+\.service")


def refuse_held_ports(apps, host, plan, hostname, page=None):
    """Refuse a host where something else listens on a port that the stack is going to need, such as Apache on 80.

    :param apps: the apps in their normal form.
    :param host: the host's snapshot; who listens is known to root only, and what is not known is not refused.
    :param page: the declared status page.
    """
    wanted = {}
    for port, who, units in _ports(apps, plan, hostname, host, page):
        wanted.setdefault(port, (who, units))
    found, remedies = {}, []
    for item in host.get("listeners") or ():
        who, units = wanted.get(item["port"], (None, None))
        own = who is None or item["protocol"] != "tcp" or units.fullmatch(item["unit"] or "")
        elsewhere = who != "nginx" and item["address"] not in (*EVERYWHERE, LOOPBACK, web_address(plan, hostname))
        if own or elsewhere or not item["pid"] or item["port"] in found:
            continue
        found[item["port"]] = f"port {item['port']}, for {who}, is held by {item['name']} ({item['unit'] or 'pid ' + str(item['pid'])})"
        remedies.append(_freed(item))
    if found:
        raise ValueError(
            f"{hostname} has something else where the stack would listen: {'; '.join(found[port] for port in sorted(found))}. Let it listen "
            f"elsewhere, or end it: {', '.join(dict.fromkeys(remedies))}. Nothing has changed."
        )


def _freed(item):
    if item["name"] in CONTAINERS:
        return "publish the container's port elsewhere"
    is_service = (item["unit"] or "").endswith((".service", ".socket"))
    return f"`sudo systemctl disable --now {item['unit']}`" if is_service else f"`sudo kill {item['pid']}`"
