# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps and the plan to the Redis instances of a host. No plain password reaches a file."""

from __future__ import annotations

import hashlib
import re

from ..stack.apps import normalise
from ..stack.redis_ports import RECORDS, assigned_ports, instance_name, recorded_ports
from ..stack.tiers import hosts_of

DATA = "/var/lib/redis"
# An earlier version had one instance of these names for all apps, with its data here.
FORMER, FORMER_DATA = ("cache", "queue"), f"{DATA}/mainstay"
DEFAULTS = {"maxmemory_mb": 64, "maxclients": 1000, "nofile": 1032, "memory_max_mb": 0}
# What a Celery worker is told to take from: -Q high,low
QUEUES = re.compile(r"\s(?:-Q|--queues)[= ]?\s*(\S+)")
PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
POLICIES = {"cache": "allkeys-lru", "queue": "noeviction"}


def celery_queues(app):
    """The lists from which the Celery workers of an app in normal form take their tasks; none where it has no such worker."""
    names = set()
    for process in app["processes"].values():
        if process["kind"] == "celery" and "queue" in app["redis"]:
            named = QUEUES.findall(process["command"] or "")
            names |= {name for words in named for name in words.split(",") if name} if named else {"celery"}
    plain = sorted(name for name in names if PLAIN.fullmatch(name))
    # Who has `global_keyprefix` in Celery's broker_transport_options finds them behind it.
    return [*plain, *(f"{app['name']}:{name}" for name in plain)]


def redis_ports(apps, plan=None, hostname=None):
    """Where each app finds its instances: the ports as planned for the first cache host, without a plan in order."""
    plan = plan or {}
    hosts = hosts_of(plan, hostname, "cache")
    planned = plan.get("hosts", {}).get(hosts[0], {}).get("redis") if hosts else None
    if planned is None:
        return assigned_ports(apps)
    return {app: {purpose: settings["port"] for purpose, settings in purposes.items()} for app, purposes in planned.items()}


def redis_instances(apps, secrets, plan=None, hostname=None):
    """The instances a host runs: a ``cache`` evicts, a ``queue`` never does. No plain password reaches a file."""
    plan = plan or {}
    ports = redis_ports(apps, plan, hostname)
    planned = plan.get("hosts", {}).get(hostname, {}).get("redis", {})
    instances = []
    for app in normalise(apps).values():
        for purpose in app["redis"]:
            password = secrets.get(app["name"], {}).get(f"REDIS_{purpose.upper()}_PASSWORD")
            if password:
                settings = {**DEFAULTS, "maxmemory_policy": POLICIES[purpose], **planned.get(app["name"], {}).get(purpose, {})}
                instances.append(
                    {
                        "name": instance_name(app["name"], purpose),
                        "port": ports[app["name"]][purpose],
                        "durable": purpose == "queue",
                        "lists": celery_queues(app) if purpose == "queue" else [],
                        **{key: settings[key] for key in (*DEFAULTS, "maxmemory_policy")},
                        "users": [{"name": app["name"], "password_sha256": hashlib.sha256(password.encode()).hexdigest()}],
                    }
                )
    return instances


def redis_places(instances):
    """What a host keeps of each instance besides its configuration, for config_set: a folder for its data, and its port on record."""
    entries = []
    for instance in instances:
        entries.append({"dest": f"{DATA}/{instance['name']}", "state": "directory", "owner": "redis", "group": "redis", "mode": "0750"})
        entries.append({"dest": f"{RECORDS}/{instance['name']}", "link": str(instance["port"])})
    return entries


def redis_retired(instances, host):
    """The units of instances that a host runs and nobody declares any more: those on record, and those of an earlier version."""
    paths = host.get("paths") or {}
    known = set(recorded_ports(paths)) | (set(FORMER) if FORMER_DATA in paths else set())
    left = sorted(known - {instance["name"] for instance in instances})
    there = {*(host.get("active") or ()), *(host.get("enabled") or ())}
    return [unit for unit in (f"redis-server@{name}.service" for name in left) if unit in there]
