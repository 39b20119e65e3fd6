# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of a process, with its limits and its sandbox."""

from __future__ import annotations

import re

from ..plan.rules_processes import MEMORY_HIGH_PERCENT, MEMORY_SWAP_PERCENT, node_heap
from ..stack import places, sandbox, web_servers
from ..stack.containers import RELEASE_FILE, SCHEDULED, SERVICE, podman_run, writable_in_memory
from ..stack.redis_ports import instance_name
from ..stack.refusal import DeclarationError
from .environment import DATABASE_UNITS, assignments, own_variables, process_environment
from .unit_commands import exec_line, exec_words, quoted, told

UNITS = "/etc/systemd/system"

# What runs beside the kernel's first choices: the heavier and the easier to repeat, the sooner it may be killed.
OOM_SCORE_ADJUST = {"web": 100, "celery": 300, "worker": 200}
# Of a process that leaves its threads to a plan where there is none: as waitress has them by itself.
THREADS = 4
CPU_WEIGHT = {"web": 100, "celery": 50, "worker": 50}
# Seconds that a process may take to finish what it does when it is stopped.
STOP_TIMEOUT = {"web": 30, "celery": 60, "worker": 30}


def refuse_long_ends(apps, stop_timeout=None):
    """Refuse a server whose command gives requests as long to end as systemd gives the server itself: it would be killed over the last one."""
    limits = stop_timeout or STOP_TIMEOUT
    for app in apps.values():
        for name, process in app["processes"].items():
            words = web_servers.told(process["command"], app["env"], process["env"])
            seconds, limit = words.number(words.server.graceful), int(limits[process["kind"]])
            if seconds and seconds >= limit:
                more = ", ".join(f"{kind}: {value}" for kind, value in {**limits, process["kind"]: seconds + 5}.items())
                raise DeclarationError(
                    f"mainstay_apps.{app['name']}.processes.{name}.command",
                    process["command"],
                    f"{words.name} gives requests {seconds} s to end, and systemd ends {words.name} itself after {limit} s. "
                    f"Write less behind {words.server.graceful[0]}, or set backend_stop_timeout: {{{more}}}.",
                )


def planned(process, plan):
    """What the capacity plan says of a process; where there is no plan, what was declared and small defaults."""
    pool = {key: value if value != "auto" else default for (key, value), default in zip(sorted(process["pool"].items()), (5, 5))}
    memory = plan.get("memory_max_mb") or process["memory_mb"]
    defaults = {
        "instances": 1 if process["instances"] == "auto" else process["instances"],
        "workers": process["workers"],
        "concurrency": 1,
        "threads": THREADS if process["threads"] == "auto" else process["threads"],
        "pool_size": pool["size"],
        "max_overflow": pool["overflow"],
        "memory_max_mb": memory,
        "memory_high_mb": memory * MEMORY_HIGH_PERCENT // 100 if memory else None,
        "node_heap_mb": int(node_heap(memory, process["workers"])) if memory else None,
        "max_websockets": None,
        "tasks_max": 256,
        "nofile": 4096,
    }
    return {name: default if plan.get(name) is None else plan[name] for name, default in defaults.items()}


def _sandbox(app, process):
    folders = [path for other in app["processes"].values() for path in other["writable"]]
    groups = sorted({places.group_of(device) for device in process["devices"]} - {None})
    return sandbox.process(app["name"], app["root"], process["allow"], process["writable"], process["devices"], groups, folders)


def exec_start(app, process, names, own):
    """The command line of a unit: the declared command itself, or podman's, which runs an image with it.

    ``own`` are the process's variables that the app's environment file has, too: to systemd the file's would win.
    """
    where = f"mainstay_apps.{app['name']}.processes.{process['name']}.command"
    if app["runtime"] != "container":
        return exec_line(process["command"], where, own)
    ways = SCHEDULED if process["schedule"] else [*SERVICE, f"--sdnotify={'container' if process['notify'] else 'conmon'}"]
    options = [
        *ways,
        *writable_in_memory(process["allow"]),
        "--name=%p-%i",
        f"--oom-score-adj={OOM_SCORE_ADJUST[process['kind']]}",
        f"--volume=/run/{app['name']}:/run/{app['name']}",
    ]
    command = exec_words(process["command"], where, own) if process["command"] else []
    image, user = "${MAINSTAY_IMAGE}", "${MAINSTAY_USER}"
    return " ".join([*(told(own) if own else []), *podman_run(options, image, user, app["root"], app["volumes"], names, command)])


def unit(app, process, plan, options, names=()):
    """Everything the template of a process's unit needs; ``names`` are those of the variables in the app's environment."""
    numbers = planned(process, plan)
    variables = process_environment(app, process, numbers, options)
    own = own_variables(process, options)
    after = DATABASE_UNITS[app["database"]] + (["pgbouncer.service"] if app["pooler"] == "pgbouncer" else [])
    after += [f"redis-server@{instance_name(app['name'], purpose)}.service" for purpose in app["redis"]]
    return {
        "name": f"{app['name']}-{process['name']}",
        "app": app["name"],
        "process": process["name"],
        "description": f"{app['name']}: {process['name']} {'on port ' if process['port'] else ''}%i",
        "after": ["network-online.target", "mainstay-egress@apps.service", *after],
        "user": app["user"],
        "root": app["root"],
        "directory": app["directory"],
        "env_file": app["env_file"],
        "shared": [quoted(f"{app['root']}/shared/{folder}") for folder in shared_folders(app)],
        "served": [f"{app['root']}/shared/{folder}" for folder in app["served"]],
        "environment": assignments(app, process, variables, own),
        "image_file": f"{app['root']}/instances/{process['name']}@%i/{RELEASE_FILE}" if app["runtime"] == "container" else None,
        "exec_start": exec_start(app, process, sorted({*names, *variables, *own}), {name: own[name] for name in own if name in names}),
        "notify": process["notify"],
        "schedule": process["schedule"],
        "stop_timeout": options["stop_timeout"][process["kind"]],
        "start_timeout": process["time_limit"] or options["start_timeout"],
        "back_off": options["systemd_version"] >= 254,
        "limits": {
            "memory_high_mb": numbers["memory_high_mb"],
            "memory_max_mb": numbers["memory_max_mb"],
            "memory_swap_max_mb": numbers["memory_max_mb"] and numbers["memory_max_mb"] * MEMORY_SWAP_PERCENT // 100,
            "tasks_max": numbers["tasks_max"],
        },
        "nofile": numbers["nofile"],
        "sandbox": [] if app["runtime"] == "container" else _sandbox(app, process),
        "mounts": process["writable"],
        "oom_score_adjust": OOM_SCORE_ADJUST[process["kind"]],
        "cpu_weight": CPU_WEIGHT[process["kind"]],
    }


def limits_file(unit):
    """Where the limits of a unit are that systemd gives to what runs: another app, or more users, change them, and nothing starts anew.

    Drop-ins are read by name, whichever folder they are in, and an operator's has the last word.
    """
    return f"{UNITS}/{unit}@.service.d/00-limits.conf"


def shared_folders(app):
    """The folders of a release that outlive it: the declared ones, and those the declared logs are in."""
    folders = {pattern.rpartition("/")[0] for pattern in app["logs"]} | set(app["shared"])
    return sorted(folder for folder in folders if folder and not re.search(r"[*?\[]", folder))


def run_mount(name):
    """The unit of the mount at /run/<app>, which has to be named after its path; systemd-escape(1) says how."""
    return f"run-{name.replace('-', chr(92) + 'x2d')}.mount"
