# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to be, by what is declared and planned: where a checklist looks, and what it compares with."""

from __future__ import annotations

import re

from ..derive import firewall, logrotate, proof, servers
from ..stack import celery
from ..stack.apps import normalise
from ..stack.instances import job, names, numbers, planned_settings
from ..stack.tiers import tiers_of

BACKUP_TIMERS = ("mainstay-backup.timer", "mainstay-backup-upkeep.timer", "mainstay-backup-drill.timer")
RECOVERY, RECOVERY_TIMERS = "postgresql_pitr_repository", ("mainstay-pitr.timer", "mainstay-pitr-watch.timer")
UPGRADE_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
# Options with which a server watches its code or shows its errors to visitors.
DEVELOPERS_OPTION = re.compile(r"(?:^|\s)(--reload|--debug|runserver|flask\s+run|nodemon)(?=\s|$)")
# Servers that nobody outside has to reach, wherever they come from.
INNER_PORTS = (3306, 5432, 6379, 6432, 11211, 27017)


def wanted(apps, plan, hostname, host, live=None, variables=None):
    """For one host.

    :param host: its snapshot.
    :param variables: those of the inventory that decide what a host has: ``backup_repository``, ``monitoring_alerts``,
        ``firewall_rules``, ``firewall_backend``, ``logrotate_files``, ``certificates_acme_addresses``, …
    """
    declared, tiers, variables = normalise(apps), tiers_of(plan, hostname), variables or {}
    is_backend, is_proxy = "backend" in tiers, "proxy" in tiers
    sites = [_site(site, app) for app in declared.values() for site in app["sites"].values()] if is_proxy else []
    limits, beats, timers = {}, [], ["logrotate.timer", "mainstay-history.timer", "mainstay-report.timer"]
    for app in declared.values() if is_backend else ():
        for process in app["processes"].values():
            units = names(app, process, numbers(plan, hostname, app, process, live))
            settings = planned_settings(plan, hostname, app, process)
            timers += [unit for unit in units if unit.endswith(".timer")]
            limits.update({job(unit) if unit.endswith(".timer") else unit: settings for unit in units})
            if celery.is_beat(process["command"]):
                beats += units
    if variables.get("system_security_upgrades", True):
        timers += UPGRADE_TIMERS
    if variables.get("backup_repository"):
        timers += BACKUP_TIMERS
    if variables.get(RECOVERY) and "postgresql" in (plan.get("hosts", {}).get(hostname) or {}):
        timers += RECOVERY_TIMERS
    if variables.get("monitoring_alerts"):
        timers += ["mainstay-alert.timer", "mainstay-alert.path"]
    if variables.get("monitoring_ping_url"):
        timers += ["mainstay-ping.timer"]
    if is_proxy and any(site["source"] == "letsencrypt" for site in sites):
        timers += ["certbot.timer"]
    version = max((cluster["version"] for cluster in host.get("postgresql", {}).get("clusters") or ()), default="", key=_number)
    rules = variables.get("firewall_rules")
    rules = firewall.firewall_rules(declared, plan, hostname) if rules is None else rules
    rotated = variables.get("logrotate_files")
    rotated = logrotate.logrotate_files(declared, plan, hostname) if rotated is None else rotated
    return {
        "host": hostname,
        "tiers": tiers,
        "apps": [_app(app) for app in declared.values()] if is_backend else [],
        "services": limits,
        "servers": [server["unit"] for server in servers.servers_of(declared, plan, hostname, version)],
        "firewall": "ufw.service" if variables.get("firewall_backend") == "ufw" else "nftables.service",
        "timers": list(dict.fromkeys(timers)),
        "beats": beats,
        "sites": sites,
        "probes": [{**probe, "deadline": 10} for probe in proof.proof_probes(declared, plan, hostname, live=live)],
        "open": _open(host, rules, proof.ports_of_any_address(declared, plan, hostname)),
        "inner": sorted({*INNER_PORTS, *(item["port"] for item in host.get("listeners") or () if item["protocol"] == "tcp")}),
        "rotated": [item["name"] for item in rotated],
        "has_data": _has_data(declared, tiers),
        "backup": bool(variables.get("backup_repository")),
        "recovery": bool(variables.get(RECOVERY)) and "postgresql" in (plan.get("hosts", {}).get(hostname) or {}),
        "alerts": len(variables.get("monitoring_alerts") or ()),
        "addresses": [str(item) for item in variables.get("certificates_acme_addresses") or ()],
        "plan": plan.get("hosts", {}).get(hostname) or {},
        "users": plan.get("users"),
    }


def look(want, alert_test=False):
    """The part of it that the host is asked for."""
    return {
        "apps": [{"name": app["name"], "env_file": app["env_file"], "secrets": app["secrets"]} for app in want["apps"]],
        "units": [
            *want["services"],
            *want["servers"],
            want["firewall"],
            "mainstay-agent.service",
            "mainstay-act.socket",
            "logrotate.service",
        ],
        "timers": want["timers"],
        "probes": want["probes"],
        "sites": [{"name": site["name"], "names": site["names"], "tls": site["source"] != "none"} for site in want["sites"]],
        "beats": want["beats"],
        "alert_test": alert_test,
        "exposure": True,
    }


def _number(text):
    return int(text) if str(text).isdigit() else 0


def _app(app):
    return {
        "name": app["name"],
        "user": app["user"],
        "env_file": app["env_file"],
        "secrets": list(app["secrets"]),
        "developer": sorted(
            f"{name}: {match[1]}"
            for name, process in app["processes"].items()
            if (match := DEVELOPERS_OPTION.search(process["command"] or ""))
        ),
    }


def _site(site, app):
    return {
        "name": site["name"],
        # A wildcard is good for any label.
        "names": [site["name"], *site["aliases"], *(name.replace("*", "any") for name in site["wildcards"])],
        "source": site["tls"]["kind"],
        "app": app["name"],
        "process": any(route["kind"] == "process" for route in site["routes"].values()),
        "websocket": [path for path, route in site["routes"].items() if route.get("websocket")],
    }


def _open(host, rules, behind):
    """The ports that are open to the world: [first, last] of each, those open to some alone, and those that the firewall keeps closed."""
    bounds = {
        "world": [[port, port] for port in host.get("ssh_ports") or ()],
        "some": [],
        "behind": proof.bounds(behind),
    }
    for rule in rules:
        bounds["some" if rule.get("from") else "world"] += proof.bounds([rule["port"]])
    return bounds


def _has_data(apps, tiers):
    """Whether a host holds what would be lost with it."""
    return any(
        ("database" in tiers and app["database"] != "none")
        or ("cache" in tiers and "queue" in app["redis"])
        or ("backend" in tiers and (app["shared"] or app["volumes"]))
        for app in apps.values()
    )
