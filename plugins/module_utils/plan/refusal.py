# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusing a plan: the sum written out, and a few changes, each tried before it is offered, that would make it fit."""

from __future__ import annotations

from collections import namedtuple

from . import connections, counts, figures, inputs, rules_connections, rules_host, rules_processes
from .host import budget_mb, host_plan, worst_case_mb

REMEDIES = 3

# ``change`` is what apply_change understands; ``text`` is for the reader.
Remedy = namedtuple("Remedy", "text change")


class PlanError(ValueError):
    """A plan that does not fit; ``remedies`` maps each host or database that is short to changes that make it fit."""

    def __init__(self, sections):
        self.remedies = {section.name: section.remedies for section in sections}
        super().__init__("\n\n".join(section.text() for section in sections))


class Section(namedtuple("Section", "name title lines total remedies")):
    """One host or database that is short."""

    __slots__ = ()

    def text(self):
        width = max(len(name) for _number, name, _why in self.lines)
        sum_lines = [
            f"  {'+' if index else ' '} {number:>8}  {name:<{width}}  {why}" for index, (number, name, why) in enumerate(self.lines)
        ]
        choices = [f"  {index}. {remedy.text}" for index, remedy in enumerate(self.remedies, 1)]
        return "\n".join([f"{self.name}: {self.title}", *sum_lines, f"  = {self.total}", "Each of these makes it fit:", *choices])


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


# --- memory --------------------------------------------------------------------------------------------------------


def refuse_memory(stack, short, apps, users, hosts):
    """Refuse a plan because of some hosts on which not even the smallest settings fit."""
    given = Given(apps, users, hosts)
    others = {host.name for host in short}
    raise PlanError([_memory_section(stack, host, given, others - {host.name}) for host in short])


def _memory_section(stack, host, given, others):
    planned = host_plan(stack, host, 0, counts.everywhere(0))["memory"]
    parts = sorted(planned["parts"].items(), key=lambda part: (-part[1], part[0]))
    lines = [(f"{int(number)} MB", name, number.why) for name, number in [("reserve", planned["reserve_mb"]), *parts]]
    needed = planned["reserve_mb"] + sum(planned["parts"].values())
    return Section(
        name=host.name,
        title=f"the smallest plan does not fit into {host.memory_mb} MB of memory.",
        lines=lines,
        total=f"{needed:>6} MB  needed, {needed - host.memory_mb} MB more than there are",
        remedies=_first(_memory_remedies(stack, host, given), lambda remedy: _fits(given.changed(remedy.change), others)),
    )


def _first(candidates, works):
    """The first remedies that work."""
    chosen = []
    for remedy in candidates:
        if works(remedy):
            chosen.append(remedy)
            if len(chosen) == REMEDIES:
                break
    return chosen


def _fits(given, ignored=()):
    """Whether the smallest plan fits on all hosts but the ignored ones."""
    try:
        stack, impossible = given.stack()
    except ValueError:
        return False
    return not impossible and all(
        worst_case_mb(stack, host, 0) <= budget_mb(host) for host in stack.hosts.values() if host.name not in ignored
    )


def _memory_remedies(stack, host, given):
    """Changes that may help a host, the most natural first, changes of two kinds at once last."""
    needed = worst_case_mb(stack, host, 0)
    missing = needed - budget_mb(host)
    yield _more_memory(host, needed)
    if host.prometheus:
        yield Remedy(f"Leave mainstay_prometheus out for {host.name}.", {"hosts": {host.name: {"prometheus": {}}}})
    if "backend" in host.tiers:
        yield from _smaller_processes(stack, host, missing)
    if "database" in host.tiers:
        yield from _behind_pooler(stack)
    yield from _moved_tiers(stack, host, given)
    yield from _all_automatic(stack)
    yield from _lower_limit(host, given)
    yield from _fewer_users(host, given)
    yield from _fewer_apps(stack, host)
    if "backend" in host.tiers:
        yield from _fewer_processes(stack, host)
    for remedy in (*_all_automatic(stack), *_moved_tiers(stack, host, given)):
        yield from _and_memory(remedy, host, given, needed)


def _and_memory(remedy, host, given, needed):
    """A change that helps but not enough, with the memory that is wanted on top."""
    changed = given.changed(remedy.change)
    try:
        stack, _impossible = changed.stack()
    except ValueError:
        return
    then = worst_case_mb(stack, stack.hosts[host.name], 0)
    if then < needed:
        more = _more_memory(stack.hosts[host.name], then)
        hosts = {**remedy.change.get("hosts", {})}
        hosts[host.name] = {**hosts.get(host.name, {}), **more.change["hosts"][host.name]}
        yield Remedy(f"{remedy.text} {more.text}", {**remedy.change, "hosts": hosts})


def _more_memory(host, needed):
    enough = rules_host.memory_for(needed)
    return Remedy(f"Give {host.name} at least {enough} MB of memory.", {"hosts": {host.name: {"memory_mb": enough}}})


def _on_host(stack, host):
    """The processes of a host with the memory they take at the smallest settings, the largest first."""
    everywhere = counts.everywhere(0)
    taken = [
        (counts.instances(stack, host, process, 0) * counts.memory_max(stack, host, process, 0, everywhere), process)
        for process in stack.processes
    ]
    return sorted(taken, key=lambda item: (-item[0], item[1].key))


def _smaller_processes(stack, host, missing):
    """Less of what the user fixed: memory first, then instances."""
    for taken, process in _on_host(stack, host):
        number = counts.instances(stack, host, process, 0)
        where = f"mainstay_apps.{process.app}.processes.{process.name}"
        if process.memory_mb is not None and taken:
            smaller = process.memory_mb - figures.divide_up(missing, number)
            if smaller >= rules_processes.smallest_memory(process, counts.children(stack, host, process, 0)):
                yield Remedy(
                    f"Set {where}.memory to {smaller}M instead of {process.memory_mb}M.",
                    _process_change(process, {"memory_mb": smaller}),
                )
        if process.instances != "auto" and number > 1:
            fewer = number - figures.divide_up(missing * number, taken)
            if fewer >= 1:
                yield Remedy(
                    f"Set {where}.instances to {fewer} instead of {int(number)}.",
                    _process_change(process, {"instances": fewer}),
                )
        if process.workers > 1 and process.memory_mb is None:
            yield Remedy(f"Set {where}.workers to 1 instead of {process.workers}.", _process_change(process, {"workers": 1}))


def _all_automatic(stack):
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


def _process_change(process, keys):
    return {"processes": {process.app: {process.name: keys}}}


def _moved_tiers(stack, host, given):
    """Tiers elsewhere: on the hosts that already have them, else on a new host of the size each needs."""
    for tiers in (
        ("database",),
        ("cache",),
        ("backend",),
        ("proxy",),
        ("database", "cache"),
        ("database", "backend", "cache"),
    ):
        rest = [tier for tier in host.tiers if tier not in tiers]
        if not rest or not set(tiers) <= set(host.tiers):
            continue
        shared = [tier for tier in tiers if len(stack.tier(tier)) > 1]
        told = [f"take {host.name} out of the inventory group{'s' * (len(shared) > 1)} {', '.join(shared)}"] if shared else []
        changed = {host.name: {"tiers": rest}}
        for tier in tiers:
            if tier not in shared:
                new = {"tiers": [tier], "cpus": host.cpus, "max_connections": host.max_connections}
                new["memory_mb"] = _new_host_mb(given, {**changed, "new": {**new, "memory_mb": 1}})
                changed[f"{host.name}-{tier}"] = new
                told.append(f"move the tier {tier} to a host of its own with at least {new['memory_mb']} MB of memory")
        text = " and ".join(told)
        yield Remedy(f"{text[0].upper()}{text[1:]}.", {"hosts": changed})


def _new_host_mb(given, changed):
    """What a host called ``new`` would need, or 1 where the change is impossible anyway."""
    try:
        stack, impossible = given.changed({"hosts": changed}).stack()
    except ValueError:
        return 1
    return 1 if impossible else rules_host.memory_for(worst_case_mb(stack, stack.hosts["new"], 0))


def _most(host, given, change, declared):
    """The largest number below the declared one with which a host's smallest plan fits into its memory, or None."""

    def fits(number):
        stack, _impossible = given.changed(change(number)).stack()
        return worst_case_mb(stack, stack.hosts[host.name], 0) <= budget_mb(host)

    if declared == 1 or not fits(1):
        return None
    return declared - figures.first_true(lambda less: fits(declared - less), 1, declared - 1)


def _fewer_users(host, given):
    users = int(given.users)
    most = _most(host, given, lambda number: {"users": number}, users)
    if most:
        yield Remedy(f"Set mainstay_users to {most} instead of {users}.", {"users": most})


def _lower_limit(host, given):
    def change(number):
        return {"hosts": {host.name: {"max_connections": number}}}

    limit = host.max_connections
    most = _most(host, given, change, limit) if limit else None
    if most:
        yield Remedy(f"Set max_connections of {host.name} to {most} instead of {limit}.", change(most))


def _fewer_apps(stack, host):
    """Some apps elsewhere, the largest first; one app at least stays."""
    sizes = {}
    for taken, process in _on_host(stack, host):
        sizes[process.app] = sizes.get(process.app, 0) + taken
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    for number in range(1, len(ordered)):
        names = ordered[:number]
        yield Remedy(f"Run {', '.join(names)} on hosts of another inventory.", {"without_apps": names})


def _fewer_processes(stack, host):
    """Without some processes, the largest first; one at least stays."""
    chosen = {}
    for taken, process in _on_host(stack, host)[:-1]:
        if taken:
            chosen.setdefault(process.app, {})[process.name] = None
            names = ", ".join(f"{app}.{name}" for app in sorted(chosen) for name in sorted(chosen[app]))
            without = {app: dict(processes) for app, processes in chosen.items()}
            yield Remedy(f"Do without the processes {names}.", {"processes": without})


# --- connections ---------------------------------------------------------------------------------------------------


def refuse_connections(stack, impossible, apps, users, hosts):
    """Refuse a plan whose pools, even at their smallest, add up to more than a database may accept."""
    given = Given(apps, users, hosts)
    raise PlanError([_connection_section(stack, database, given, set(impossible) - {database}) for database in impossible])


def _connection_section(stack, database, given, others):
    ceiling = connections.connection_ceiling(stack)
    parts = connections.connection_parts(stack, database, counts.everywhere(inputs.UNBOUNDED))
    parts["reserved"] = figures.Figure(connections.RESERVED[database], "kept for an administrator")
    needed = sum(parts.values())
    lines = [(int(number), name, number.why) for name, number in sorted(parts.items(), key=lambda part: (-part[1], part[0])) if number]
    return Section(
        name=database,
        title=f"the connections do not fit into max_connections {ceiling}.",
        lines=lines,
        total=f"{needed:>6}  connections needed, {needed - ceiling} more than max_connections",
        remedies=_first(
            _connection_remedies(stack, database, needed, given),
            lambda remedy: not set(given.changed(remedy.change).stack()[1]) - others,
        ),
    )


def _connection_remedies(stack, database, needed, given):
    fixed = {
        host.name: {"max_connections": needed} for host in stack.tier("database") if host.max_connections and host.max_connections < needed
    }
    if fixed and needed <= rules_connections.CONNECTIONS[1]:
        yield Remedy(f"Raise max_connections of {', '.join(fixed)} to {needed}.", {"hosts": fixed})
    if database == "postgresql":
        yield from _behind_pooler(stack)
    yield from _smaller_pools(stack, database, given)
    yield from _fewer_instances(stack, database, given)
    yield from _fewer_backends(stack, database, given)
    yield from _all_automatic(stack)
    yield from _fewer_database_apps(stack, database)


def _possible(given, change, database):
    try:
        return database not in given.changed(change).stack()[1]
    except ValueError:
        return False


def _by_connections(stack, database):
    share = inputs.UNBOUNDED
    held = [
        (sum(counts.connections(stack, host, process, share) for host in stack.tier("backend")), process)
        for process in stack.processes
        if process.database == database and not process.pooled
    ]
    return [process for number, process in sorted(held, key=lambda item: (-item[0], item[1].key)) if number]


def _behind_pooler(stack):
    """PgBouncer between PostgreSQL and the apps that hold the most connections."""
    chosen = {}
    for process in _by_connections(stack, "postgresql"):
        if process.app not in chosen:
            chosen[process.app] = {"pooler": "pgbouncer"}
            names = ", ".join(f"mainstay_apps.{app}.pooler" for app in chosen)
            yield Remedy(f"Set {names} to pgbouncer, if transaction pooling suits (docs/capacity.md).", {"apps": dict(chosen)})


def _smaller_pools(stack, database, given):
    """The largest pool of one process that fits, then automatic pools for all."""

    def change(process, size):
        return _process_change(process, {"pool": {"size": size, "overflow": 0}})

    processes = _by_connections(stack, database)
    for process in processes:
        if process.pool_size == "auto" and process.overflow == "auto":
            continue
        most = sum(number for number in (process.pool_size, process.overflow) if number != "auto")
        if _possible(given, change(process, 1), database):
            size = figures.first_true(
                lambda number, process=process: not _possible(given, change(process, number + 1), database),
                1,
                max(1, most),
            )
            yield Remedy(
                f"Set mainstay_apps.{process.app}.processes.{process.name}.pool to {{size: {size}, overflow: 0}} "
                f"instead of {process.pool_size} and {process.overflow}.",
                change(process, size),
            )
    everyone = {}
    for process in processes:
        everyone.setdefault(process.app, {})[process.name] = {"pool": {"size": "auto", "overflow": "auto"}}
    yield Remedy("Leave pool.size and pool.overflow of all processes to the plan (auto).", {"processes": everyone})


def _fewer_instances(stack, database, given):
    for process in _by_connections(stack, database):
        for key, number in (("instances", process.instances), ("workers", process.workers), ("threads", process.threads)):
            if number in (None, "auto", 1) or not _possible(given, _process_change(process, {key: 1}), database):
                continue
            fewer = figures.first_true(
                lambda n, process=process, key=key: not _possible(given, _process_change(process, {key: n + 1}), database),
                1,
                number,
            )
            yield Remedy(
                f"Set mainstay_apps.{process.app}.processes.{process.name}.{key} to {fewer} instead of {number}.",
                _process_change(process, {key: fewer}),
            )


def _fewer_backends(stack, database, given):
    """Fewer hosts of the tier backend; the others keep their other tiers."""
    backends = stack.tier("backend")

    def change(keep):
        return {
            "hosts": {host.name: {"tiers": [tier for tier in host.tiers if tier != "backend"] or ["proxy"]} for host in backends[keep:]}
        }

    if len(backends) > 1 and _possible(given, change(1), database):
        most = figures.first_true(lambda keep: not _possible(given, change(keep + 1), database), 1, len(backends) - 1)
        yield Remedy(f"Run the processes on {most} backend hosts instead of {len(backends)}.", change(most))


def _fewer_database_apps(stack, database):
    names = []
    for process in _by_connections(stack, database):
        if process.app not in names:
            names.append(process.app)
            if len(names) < len({other.app for other in stack.processes}):
                yield Remedy(
                    f"Give {', '.join(names)} a database server of their own, in another inventory.",
                    {"without_apps": list(names)},
                )
