# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an auditor asks a host for, in one document without a secret in it."""

from __future__ import annotations

from ..derive import proof

VERSION = 1
# Packages that serve, or that the stack's own work rests on.
NAMES = (
    "ansible",
    "certbot",
    "logrotate",
    "mariadb-server",
    "nftables",
    "nginx",
    "nodejs",
    "openssh-server",
    "openssl",
    "pgbouncer",
    "podman",
)
NAMES += ("python3", "redis-server", "restic", "systemd", "ufw", "unattended-upgrades")


def evidence(want, found, host, control, items):
    """For one host. Channels of alerts are named by kind, secrets by number and length, apps' answers not at all."""
    outside = control["outside"]
    return {
        "version": VERSION,
        "host": want["host"],
        "taken": found["now"],
        "uptime_s": found["uptime_s"],
        "system": {
            "distribution": host["distribution"]["name"],
            "kernel": host["kernel"],
            "memory_mb": host["memory_mb"],
            "cpus": host["cpus"],
            "virtualization": host["virtualization"],
        },
        "versions": versions(host["packages"]),
        "tiers": want["tiers"],
        "plan": want["plan"],
        "units": {
            unit: {
                "state": shown.get("ActiveState"),
                "memory_max": shown.get("MemoryMax"),
                "tasks_max": shown.get("TasksMax"),
                "nofile": shown.get("LimitNOFILE"),
                "restarts": shown.get("NRestarts"),
                "exposure": found["exposure"].get(unit),
            }
            for unit, shown in sorted(found["units"].items())
        },
        "listeners": [
            {key: item[key] for key in ("protocol", "address", "port", "name", "unit")}
            for item in host["listeners"]
            if proof.is_public(item["address"])
        ],
        "open_from_outside": {key: outside.get(key) for key in ("address", "open")} if outside.get("address") else None,
        "certificates": found["certificates"],
        "files": found["modes"],
        "secrets": {
            name: {"number": len(entry["lengths"]), "shortest": min(entry["lengths"].values(), default=None), "weak": sorted(entry["weak"])}
            for name, entry in found["environments"].items()
        },
        "backups": found["backup"],
        "alerts": found["alerts"],
        "incidents": found["history"].get("incidents") or [],
        "deploys": found["history"].get("deploys") or [],
        "checks": [{key: item[key] for key in ("id", "requirements", "verdict", "reason")} for item in items],
    }


def versions(packages):
    return {
        name: version
        for name, version in sorted(packages.items())
        if name in NAMES or (name.startswith("postgresql-") and name[len("postgresql-") :].isdigit()) or name.startswith("linux-image-")
    }
