# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host runs out of, and what keeps it from that: memory, disks, connections, rotation, upgrades."""

from __future__ import annotations

from ..stack.services import DATABASES
from .checklist import DAY, HOUR, Items, failed, judged, listed, skipped, span

ITEMS = Items()


@ITEMS.add("memory", "There is memory left, on the host and below every limit", ["S0-33", "S3-20", "S3-22"], ["daily", "emergency"])
def memory(at):
    total, left = at.host["memory_mb"], at.host["memory"]["available_mb"]
    used = 100 - 100 * left / total if total else 100
    wrong = [f"{used:.0f} % of the host's {total} MB are in use"] if used > at.limits["memory_percent"] else []
    for entry in at.found["agent"].get("watched") or ():
        size, limit = entry.get("memory_mb"), entry.get("memory_max_mb")
        if size and limit and 100 * size / limit > at.limits["memory_percent"]:
            wrong.append(f"{entry.get('unit')} uses {size:.0f} of its {limit:.0f} MB")
    return judged(
        f"{left} of {total} MB are free",
        wrong,
        "mainstay plan says who uses what. A process that only grows leaks; else give it more memory, or the host fewer users.",
    )


@ITEMS.add("disk", "There is room on every disk", ["S0-33", "S3-21"], ["daily", "periodic"])
def disk(at):
    wrong, seen = [], []
    for place, entry in at.host["disks"].items():
        used = 100 - 100 * entry["free_mb"] / entry["total_mb"] if entry["total_mb"] else 0
        seen.append(f"{place} {used:.0f} % of {entry['total_mb'] // 1024} GB")
        if used > at.limits["disk_percent"]:
            wrong.append(f"{place} is full to {used:.0f} %, more than {at.limits['disk_percent']:g} %")
        if 0 < entry["inodes_free"] < at.limits["inodes_free"]:
            wrong.append(f"{place} has room for {entry['inodes_free']} more files only")
    return judged(
        seen,
        wrong,
        "du -xh / | sort -h | tail on the host; journalctl --vacuum-size=200M, apt-get clean, and backend_keep_releases give room back.",
    )


@ITEMS.add("database", "The databases answer and have connections left", ["S3-17", "S3-20", "S4-24", "S4-30"], ["daily", "emergency"])
def database(at):
    if "database" not in at.want["tiers"] or not any(name in at.want["plan"] for name in DATABASES):
        return skipped("this host has no database")
    told, wrong, seen = at.found["plan"], [], []
    for name, title in DATABASES.items():
        if name not in at.want["plan"]:
            continue
        found = told.get(name) or {}
        used, limit = found.get("connections"), found.get("max_connections")
        if used is None or not limit:
            wrong.append(f"{title}: {found.get('problem') or 'mainstay plan cannot ask it'}")
        else:
            seen.append(f"{title} {used} of {limit} connections")
            if 100 * used / limit > at.limits["connections_percent"]:
                wrong.append(f"{title} has {used} of {limit} connections in use")
    sick = [result for result in at.found["probes"] if result["kind"] in ("postgresql", "mysql")]
    seen += [f"{result['name']} answers" for result in sick if result["healthy"]]
    wrong += [f"{result['name']}: {'; '.join(result['reasons'])}" for result in sick if not result["healthy"]]
    return judged(
        seen,
        wrong,
        "Look for leaks before you raise a pool: mainstay plan shows sessions idle in a transaction, mainstay queries <app> the slow statements.",
    )


@ITEMS.add("redis", "Redis refuses nobody, and no queue loses anything", ["S4-25", "S4-31", "S4-32"], ["daily", "emergency"])
def redis(at):
    if not at.want["plan"].get("redis"):
        return skipped("this host has no Redis")
    instances = (at.found["plan"].get("redis") or {}).get("instances") or []
    if not instances:
        return failed("no answer", "mainstay plan has no answer of Redis", "systemctl status 'redis-server@*' on the host says why.")
    wrong, seen = [], []
    for entry in instances:
        seen.append(
            f"{entry['instance']} {entry['used_mb']:g} of {entry['maxmemory_mb']} MB, {entry['clients']} of {entry['maxclients']} clients"
        )
        if entry["rejected"]:
            wrong.append(f"{entry['instance']} has refused {entry['rejected']} connections")
        if entry["maxclients"] and 100 * entry["clients"] / entry["maxclients"] > at.limits["connections_percent"]:
            wrong.append(f"{entry['instance']} has {entry['clients']} of {entry['maxclients']} clients")
        if not entry["evicts"] and entry["maxmemory_mb"] and 100 * entry["used_mb"] / entry["maxmemory_mb"] > at.limits["memory_percent"]:
            wrong.append(
                f"{entry['instance']} is full to {entry['used_mb']:g} of {entry['maxmemory_mb']} MB, and a full queue takes no more"
            )
    return judged(
        seen,
        wrong,
        "See whether the workers keep up (mainstay logs <app>/worker) and whether the app shares its connections; more "
        "users or memory in the plan give it more room.",
    )


@ITEMS.add("log-rotation", "The apps' logs are rotated", ["S0-25", "S4-22", "S4-28"], ["pre-launch", "periodic"])
def log_rotation(at):
    rotation, wrong = at.found["rotation"], []
    wrong += [
        f"/etc/logrotate.d/mainstay-{name} is not there" for name in at.want["rotated"] if f"mainstay-{name}" not in rotation["files"]
    ]
    timer = at.found["timers"].get("logrotate.timer", {})
    if timer.get("ActiveState") != "active":
        wrong.append(f"logrotate.timer is {timer.get('ActiveState') or 'missing'}")
    result = at.found["units"].get("logrotate.service", {}).get("Result", "success")
    if result not in ("success", ""):
        wrong.append(f"logrotate has failed ({result})")
    age = at.age(rotation["looked"])
    if age is not None and age > at.limits["rotation_hours"] * HOUR:
        wrong.append(f"logrotate has last looked {span(age)} ago")
    looked = f"looked {span(age)} ago" if age is not None else "not yet run"
    return judged(
        f"{listed(at.want['rotated'], 'no logs of an app')}, {looked}",
        wrong,
        "systemctl enable --now logrotate.timer; logrotate -d /etc/logrotate.conf says what it refuses.",
    )


@ITEMS.add("updates", "Security upgrades are asked for, and none waits for a reboot", ["S3-21"], ["periodic"])
def updates(at):
    asked, reboot, wrong = at.found["updates"]["asked_s"], at.found["updates"]["reboot_s"], []
    if asked is None or asked > at.limits["updates_days"] * DAY:
        wrong.append(f"apt was last asked for news {span(asked)}{' ago' if asked is not None else ''}")
    if reboot is not None and reboot > at.limits["reboot_days"] * DAY:
        wrong.append(f"a reboot is wanted since {span(reboot)}")
    return judged(
        f"apt was asked {span(asked)} ago, {'a reboot is wanted' if reboot is not None else 'no reboot is wanted'}",
        wrong,
        "apt-get update && unattended-upgrade --dry-run says what hinders it; reboot in a quiet hour.",
    )
