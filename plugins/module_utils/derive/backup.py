# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the parts of a host's backup: what it holds of each app, and which user reads it."""

from __future__ import annotations

import shlex

from ..stack.apps import normalise
from ..stack.containers import volume
from ..stack.redis_ports import instance_name
from ..stack.tiers import tiers_of
from .redis import DATA

# What is root's alone, and what a host would have to be told again without it; in it the agent's folder, which the agent's user reads.
OWN_FOLDERS = ("/etc/mainstay", "/var/lib/mainstay")
AGENT, AGENT_FOLDER = "mainstay", "/var/lib/mainstay/agent"
# What a command of an app may use at most. It uses what the plan has for a command of a build, which is free then: a backup before a
# migration runs after the build and before the second set of processes.
HOOK_MB = 512
# The password would be of use to nobody inside of what it opens; and a record of postgres', of another kind of backup.
LEFT_OUT = ("/etc/mainstay/backup", "/var/lib/mainstay/backup", "/var/lib/mainstay/pitr")


def backup_parts(apps, plan=None, hostname=None, folders=()):
    """The parts of a host, by its tiers: databases, queues (not caches), folders of apps, and those of root's."""
    plan, apps = plan or {}, normalise(apps)
    tiers, parts = tiers_of(plan, hostname), []
    if "database" in tiers:
        parts += _databases(apps)
    if "cache" in tiers:
        parts += [_queue(app) for app in apps.values() if "queue" in app["redis"]]
    if "backend" in tiers:
        parts += [_folders(app) for app in apps.values()]
    if apps:
        parts.append({"name": "agent", "kind": "folders", "user": AGENT, "paths": [AGENT_FOLDER]})
    own = {"paths": [*OWN_FOLDERS, *folders], "without": [AGENT_FOLDER, *LEFT_OUT]}
    return [*parts, {"name": "host", "kind": "folders", "user": "root", **own}]


def _databases(apps):
    parts = [
        {"name": f"{app['database']}-{name}", "kind": app["database"], "app": name, "database": name, "owner": app["user"]}
        for name, app in apps.items()
        if app["database"] != "none"
    ]
    roles = [{"name": "roles", "kind": "globals"}]
    return parts + (roles if any(part["kind"] == "postgresql" for part in parts) else [])


def _queue(app):
    name = instance_name(app["name"], "queue")
    return {"name": f"redis-{name}", "kind": "queue", "app": app["name"], "user": "redis", "paths": [f"{DATA}/{name}"]}


def _folders(app):
    places = [f"{app['root']}/shared", f"/var/lib/{app['name']}", *(volume(app["root"], name) for name in app["volumes"])]
    return {"name": f"files-{app['name']}", "kind": "folders", "app": app["name"], "user": app["user"], "paths": places}


def backup_hooks(apps, plan=None, hostname=None):
    """The commands of each app for its backup, as words, on hosts that hold its releases. A host that holds only its database has an empty
    check: a command of the app cannot run there."""
    tiers, hooks = tiers_of(plan or {}, hostname), {}
    planned = (plan or {}).get("hosts", {}).get(hostname, {}).get("build_memory_mb", HOOK_MB)
    for name, app in normalise(apps).items():
        commands = {verb: _words(app, text) for verb, text in app["backup"].items()}
        if "backend" not in tiers:
            commands = {"check": []} if "check" in commands else {}
        if "database" not in tiers:
            commands.pop("check", None)
        if commands:
            hooks[name] = {"user": app["user"], "memory_mb": int(min(planned, HOOK_MB)), **commands}
    return hooks


def _words(app, text):
    """As a migration runs: a container gets words, everything else a line for a shell."""
    return shlex.split(text) if app["runtime"] == "container" else ["/bin/sh", "-c", text]


def backup_writable(parts):
    """The folders of apps, in which SQLite takes its own locks while its user copies a database out of it."""
    return sorted({path for part in parts if part["kind"] == "folders" and part["user"] != "root" for path in part["paths"]})
