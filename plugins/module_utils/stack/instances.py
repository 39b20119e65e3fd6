# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances of each process serve: what the host has on record, and which ones the next release gets.

A process has one record on its host, a link that names nothing and is only read: its target says which release was last
proven healthy, with which configuration, on which ports (or numbers). The record is what every other part goes by: the
upstreams of nginx, the probes, the agent. Whatever else runs was left behind by a run that was cut off.
"""

from __future__ import annotations

import re

from .apps import normalise
from .processes import instance_numbers, port_range

RECORDS = "/var/lib/mainstay/backend"
# Of each app that can return by itself to the release that served before: which one, and what the records say then.
WAYS_BACK = "/var/lib/mainstay/ways-back"


def record_path(app, process):
    return f"{RECORDS}/{app['name']}-{process['name']}"


def record(release, digest, numbers):
    return f"{release}:{digest}:{','.join(map(str, numbers))}"


def link_target(paths, link):
    """Where a link of a snapshot's paths leads; nothing where there is no such link."""
    return (paths.get(link) or {}).get("target") or ""


def marked(paths, root, marker):
    """The releases of an app that a snapshot's paths show with a marker, each with where it leads if it is a link."""
    pattern = re.compile(rf"{re.escape(root)}/releases/([^/]+)/{re.escape(marker)}")
    return {match[1]: link_target(paths, path) for path in paths if (match := pattern.fullmatch(path))}


def recorded(paths, app, process):
    """The record of a process in the paths of a snapshot: release, digest and numbers; None where there is none."""
    match = re.fullmatch(r"([^:]+):([^:]+):(\d+(?:,\d+)*)", link_target(paths, record_path(app, process)))
    if not match:
        return None
    return {"release": match[1], "digest": match[2], "numbers": [int(number) for number in match[3].split(",")]}


def live_instances(apps, host):
    """The numbers of the instances that serve on a host, ``{app: {process: [number, …]}}``, by what it has on record."""
    paths = host.get("paths") or {}
    live = {}
    for app in normalise(apps).values():
        for process in app["processes"].values():
            found = recorded(paths, app, process)
            if found:
                live.setdefault(app["name"], {})[process["name"]] = found["numbers"]
    return live


def planned_settings(plan, hostname, app, process):
    """What the plan says of a process on a host; nothing where it is silent."""
    return plan.get("hosts", {}).get(hostname, {}).get("processes", {}).get(app["name"], {}).get(process["name"], {})


def planned_instances(plan, hostname, app, process):
    """How many instances of a process the plan runs on a host; a plan that is silent runs what was declared, ``auto`` as one."""
    declared = 1 if process["instances"] == "auto" else process["instances"]
    return planned_settings(plan, hostname, app, process).get("instances", declared)


def numbers(plan, hostname, app, process, live=None):
    """The numbers of a process's instances on a host: the recorded ones, or where it never ran the first set of its ports."""
    count = planned_instances(plan, hostname, app, process)
    recorded_numbers = (live or {}).get(app["name"], {}).get(process["name"]) if count else []
    return recorded_numbers or instance_numbers(process, count)


def next_numbers(process, count, live):
    """The numbers the next release gets: free ports of the process, or None where they do not hold a set beside the live one."""
    free = [port for port in port_range(process, count) if port not in live]
    return free[:count] if len(free) >= count else None


def names(app, process, numbers):
    """The units of instances: ``shop-web@8000.service``, ``shop-worker@1.service``; of a schedule the timer, ``shop-report@1.timer``."""
    kind = "timer" if process["schedule"] else "service"
    return [f"{app['name']}-{process['name']}@{number}.{kind}" for number in numbers]


def job(timer):
    """The unit that a timer starts."""
    return f"{timer.removesuffix('.timer')}.service"


def unrecorded_instances(apps, host):
    """The web instances that run and are not on record: what a run that was cut off has left, perhaps behind nginx."""
    live = live_instances(apps, host)
    left = []
    for app in normalise(apps).values():
        for process in app["processes"].values():
            if process["port"]:
                wanted = names(app, process, live.get(app["name"], {}).get(process["name"], ()))
                pattern = rf"{re.escape(app['name'])}-{re.escape(process['name'])}@\d+\.service"
                left += [unit for unit in host.get("active") or () if re.fullmatch(pattern, unit) and unit not in wanted]
    return sorted(left)
