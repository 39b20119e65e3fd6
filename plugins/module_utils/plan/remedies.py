# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of what is declared that may make a plan fit: what one is, how it is tried, and those that help memory and connections alike."""

from __future__ import annotations

from collections import namedtuple

from . import connections, counts, inputs

REMEDIES = 3

# ``change`` is what apply_change understands; ``text`` is for the reader.
Remedy = namedtuple("Remedy", "text change")


class Given(namedtuple("Given", "apps users hosts")):
    """The input of a plan, so that a change can be tried on it."""

    __slots__ = ()

    def stack(self):
        return connections.within_connections(inputs.read(self.apps, self.users, self.hosts))

    def changed(self, change):
        return Given(*apply_change(change, *self))


def apply_change(change, apps, users, hosts):
    """The input of a plan after a remedy's change; nothing is changed in place."""
    apps = {name: app for name, app in apps.items() if name not in change.get("without_apps", ())}
    for name, processes in change.get("processes", {}).items():
        merged = {**apps[name]["processes"]}
        for process, keys in processes.items():
            if keys is None:
                del merged[process]
            else:
                merged[process] = {**merged[process], **keys}
        apps[name] = {**apps[name], "processes": merged}
    for name, keys in change.get("apps", {}).items():
        apps[name] = {**apps[name], **keys}
    hosts = {name: {**host, **change.get("hosts", {}).get(name, {})} for name, host in hosts.items()}
    hosts.update({name: host for name, host in change.get("hosts", {}).items() if name not in hosts})
    return apps, change.get("users", users), hosts


def first(candidates, works):
    """The first remedies that work."""
    chosen = []
    for remedy in candidates:
        if works(remedy):
            chosen.append(remedy)
            if len(chosen) == REMEDIES:
                break
    return chosen


def process_change(process, keys):
    return {"processes": {process.app: {process.name: keys}}}


def all_automatic(stack):
    """Nothing fixed: the plan decides sizes, numbers and pools."""
    automatic = {"memory_mb": None, "workers": 1, "pool": {"size": "auto", "overflow": "auto"}}
    fixed = {}
    for process in stack.processes:
        threads = None if process.threads is None else "auto"
        keys = {**automatic, "threads": threads, **({} if process.singleton else {"instances": "auto"})}
        given = (process.memory_mb, process.workers, process.threads, process.pool_size, process.overflow)
        if given != (None, 1, threads, "auto", "auto") or (not process.singleton and process.instances != "auto"):
            fixed.setdefault(process.app, {})[process.name] = keys
    if fixed:
        names = ", ".join(f"{app}.{name}" for app in sorted(fixed) for name in sorted(fixed[app]))
        yield Remedy(f"Leave memory, instances, workers, threads and pool to the plan (remove them from {names}).", {"processes": fixed})


def by_connections(stack, database):
    share = inputs.UNBOUNDED
    held = [
        (sum(counts.connections(stack, host, process, share) for host in stack.tier("backend")), process)
        for process in stack.processes
        if process.database == database and not process.pooled
    ]
    return [process for number, process in sorted(held, key=lambda item: (-item[0], item[1].key)) if number]


def behind_pooler(stack):
    """PgBouncer between PostgreSQL and the apps that hold the most connections."""
    chosen = {}
    for process in by_connections(stack, "postgresql"):
        if process.app not in chosen:
            chosen[process.app] = {"pooler": "pgbouncer"}
            names = ", ".join(f"mainstay_apps.{app}.pooler" for app in chosen)
            yield Remedy(f"Set {names} to pgbouncer, if transaction pooling suits (docs/capacity.md).", {"apps": dict(chosen)})
