# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the plan to the exporters of a host: their command lines, and what Prometheus has to be told to find them."""

from __future__ import annotations

import re

from ..stack.exporters import PACKAGES, USER, unit
from ..stack.redis_ports import instance_name
from ..stack.tiers import LOOPBACK, at

# Where the program beside the agent writes its figures; see paths.py of the role monitoring.
FOLDER = "/run/mainstay-metrics"
# Where the exporter of MariaDB reads how it logs in, from 0.15 on; see the role exporters.
MARIADB_CLIENT = "/usr/local/share/mainstay/prometheus/mariadb.cnf"
DEFAULTS = {"from": [], "memory_max_mb": 0, "heap_mb": 0, "tasks_max": 0, "arguments": []}
# What each is told besides where to listen. Both forms of options that the versions of Debian 12 and 13 know begin with two hyphens.
ARGUMENTS = {
    # systemd's states of all units are the agent's to tell, and cost a question to the bus each time.
    "node": (f"--collector.textfile.directory={FOLDER}", "--no-collector.systemd"),
    # What needs no right at all: neither replicas nor InnoDB's compression have figures here.
    "mariadb": (
        f"--config.my-cnf={MARIADB_CLIENT}",
        "--no-collect.slave_status",
        "--no-collect.info_schema.innodb_cmp",
        "--no-collect.info_schema.innodb_cmpmem",
    ),
    "nginx": ("--nginx.scrape-uri=http://127.0.0.80:80/figures",),
    "postgresql": (),
    # It asks the instances that Prometheus names, without a login: their ACL lets anybody on the host ask for INFO, and for nothing else here.
    "redis": ("--redis.addr=", "--config-command=-", "--set-client-name=false"),
}
# PostgreSQL and MariaDB know the user of the unit by the socket, so there is no password.
ENVIRONMENT = {
    "mariadb": {"DATA_SOURCE_NAME": f"{USER}@unix(/run/mysqld/mysqld.sock)/"},
    "postgresql": {"DATA_SOURCE_NAME": f"user={USER} host=/run/postgresql dbname=postgres sslmode=disable"},
}
MORE = {
    # That of nginx ends with an error, both when it is told to end and when nginx is not there yet.
    "nginx": ["Restart=always", "SuccessExitStatus=1"],
    # What the sandbox of a server is without, and this one needs: to ask the kernel whether the clock is right, which it may not set.
    "node": ["ProtectClock=no", "SystemCallFilter=adjtimex clock_adjtime"],
}
DROPIN = re.compile(r"/etc/systemd/system/([^/]+)\.service\.d/mainstay\.conf")


def exporters(plan, hostname):
    """The exporters that the plan gives a host, ``[{name, address, port, from, memory_max_mb, heap_mb, tasks_max}, …]``."""
    planned = plan.get("hosts", {}).get(hostname, {})
    return [
        {"name": name, **exporter, **planned.get("services", {}).get(f"exporter-{name}", {})}
        for name, exporter in sorted(planned.get("exporters", {}).items())
    ]


def exporter_units(wanted):
    """The same under the names of their packages, ready for a unit: with its ``command``, ``environment``, ``sandbox`` and whom it may speak to."""
    units = []
    for given in wanted:
        exporter = {**DEFAULTS, **given}
        name = exporter["name"]
        words = [
            f"/usr/bin/{PACKAGES[name]}",
            f"--web.listen-address={at(exporter['address'], exporter['port'])}",
            *ARGUMENTS[name],
            *exporter["arguments"],
        ]
        environment = dict(ENVIRONMENT.get(name, {}))
        if exporter["heap_mb"]:
            environment["GOMEMLIMIT"] = f"{exporter['heap_mb']}MiB"
        units.append(
            {
                **exporter,
                "name": PACKAGES[name],
                "unit": unit(name),
                "sandbox": f"exporter-{name}",
                "more": MORE.get(name, []),
                "command": " ".join(words),
                "environment": environment,
                "peers": ["localhost", *([] if exporter["address"] == LOOPBACK else [exporter["address"]]), *exporter["from"]],
            }
        )
    return units


def exporters_left(host, wanted=()):
    """The exporters that are set up on a host, by an earlier run, and not wanted any more: ``[{name, unit}, …]``.

    :param host: its snapshot.
    """
    names = {PACKAGES[exporter["name"]] for exporter in wanted}
    packages = {package: name for name, package in PACKAGES.items()}
    found = [match[1] for path in host.get("paths") or {} if (match := DROPIN.fullmatch(path))]
    left = sorted(packages[package] for package in found if package in packages and package not in names)
    return [{"name": name, "unit": unit(name)} for name in left]


def scrape_configs(wanted, plan, hostname):
    """What Prometheus has to be told of a host, for ``scrape_configs``: one job for each exporter, with the host's name as the instance."""
    jobs = []
    for exporter in wanted:
        place = at(exporter["address"], exporter["port"])
        job = {"job_name": f"mainstay-{exporter['name']}"}
        if exporter["name"] == "redis":
            jobs.append({**job, "metrics_path": "/scrape", **_of_redis(place, plan, hostname)})
        else:
            jobs.append({**job, "static_configs": [{"targets": [place], "labels": {"instance": hostname}}]})
    return jobs


def _of_redis(place, plan, hostname):
    """One exporter for all instances, which Prometheus names as it asks."""
    targets = [
        {
            "targets": [f"redis://{LOOPBACK}:{settings['port']}"],
            "labels": {"instance": hostname, "redis": instance_name(app, purpose), "evicts": str(purpose == "cache").lower()},
        }
        for app, purposes in plan.get("hosts", {}).get(hostname, {}).get("redis", {}).items()
        for purpose, settings in purposes.items()
    ]
    asked = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": place},
    ]
    return {"static_configs": targets, "relabel_configs": asked}
