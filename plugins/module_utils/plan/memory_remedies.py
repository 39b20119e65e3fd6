# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that may make the smallest plan fit into the memory of a host."""

from __future__ import annotations

from . import counts, figures, rules_host, rules_processes
from .host import budget_mb, worst_case_mb
from .remedies import Remedy, all_automatic, behind_pooler, process_change


def fits(given, ignored=()):
    """Whether the smallest plan fits on all hosts but the ignored ones."""
    try:
        stack, impossible = given.stack()
    except ValueError:
        return False
    return not impossible and all(
        worst_case_mb(stack, host, 0) <= budget_mb(host) for host in stack.hosts.values() if host.name not in ignored
    )


def remedies_for(stack, host, given):
    """Changes that may help a host, the most natural first, changes of two kinds at once last."""
    needed = worst_case_mb(stack, host, 0)
    missing = needed - budget_mb(host)
    yield _more_memory(host, needed)
    if host.prometheus:
        yield Remedy(f"Leave mainstay_prometheus out for {host.name}.", {"hosts": {host.name: {"prometheus": {}}}})
    if "backend" in host.tiers:
        yield from _smaller_processes(stack, host, missing)
    if "database" in host.tiers:
        yield from behind_pooler(stack)
    yield from _moved_tiers(stack, host, given)
    yield from all_automatic(stack)
    yield from _lower_limit(host, given)
    yield from _fewer_users(host, given)
    yield from _fewer_apps(stack, host)
    if "backend" in host.tiers:
        yield from _fewer_processes(stack, host)
    for remedy in (*all_automatic(stack), *_moved_tiers(stack, host, given)):
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
                    process_change(process, {"memory_mb": smaller}),
                )
        if process.instances != "auto" and number > 1:
            fewer = number - figures.divide_up(missing * number, taken)
            if fewer >= 1:
                yield Remedy(
                    f"Set {where}.instances to {fewer} instead of {int(number)}.",
                    process_change(process, {"instances": fewer}),
                )
        if process.workers > 1 and process.memory_mb is None:
            yield Remedy(f"Set {where}.workers to 1 instead of {process.workers}.", process_change(process, {"workers": 1}))


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
