# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to what a backend host runs: its environment, units, files and probes."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote

from . import sandbox
from .apps import DeclarationError, heartbeat_path, instance_numbers, normalise
from .containers import RELEASE_FILE, SERVICE, podman_run, volume, writable_in_memory
from .databases import DATABASE_PORTS
from .fleet import LOOPBACK, app_packages, asked_at, at
from .instances import RECORDS, link_target, names, next_numbers, record, record_path, recorded
from .process_probes import checks
from .redis_ports import assigned_ports, instance_name
from .releases import LOCKS
from .sizing_rules import MEMORY_HIGH_PERCENT, node_heap
from .unit_commands import assignment, exec_line, exec_words, quoted

UNITS = "/etc/systemd/system"
# Scheme of DATABASE_URL, unless the app's env has a DATABASE_SCHEME.
DATABASE_SCHEMES = {"postgresql": "postgresql", "mariadb": "mysql"}
DATABASE_UNITS = {"postgresql": ["postgresql.service"], "mariadb": ["mariadb.service"], "none": []}
URL_SCHEME = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9]+)?")

# What runs beside the kernel's first choices: the heavier and the easier to repeat, the sooner it may be killed.
OOM_SCORE_ADJUST = {"web": 100, "celery": 300, "worker": 200}
CPU_WEIGHT = {"web": 100, "celery": 50, "worker": 50}

# A process that dies at once is active for a moment after each start; two seconds later it still has to be. For one of them it must
# neither have run nor waited for a processor: until then it may load its code, which takes long on a slow machine, and die of it. One
# that is busy for ten seconds has found work.
STAYS_UP = """
get() { systemctl show --property="$1" --value "$unit"; }
unit=$0 state=$(get ActiveState)
echo "it is $state"
[ "$state" = active ] || exit 1
read -r now _ </proc/uptime
age=$((${now%.*}${now#*.} * 10 - $(get ActiveEnterTimestampMonotonic) / 1000))
[ "$age" -lt 10000 ] || exit 0
[ "$age" -ge 2000 ] || exit 1
read -r ran waited _ <"/proc/$(get MainPID)/schedstat" || exit 1
[ $((age - (ran + waited) / 1000000)) -ge 1000 ]
""".strip()


# --- environment ------------------------------------------------------------------------------------------------------


def _secret(app, secrets, name):
    value = secrets.get(app["name"], {}).get(name)
    if not value:
        raise DeclarationError(
            f"backend_secrets.{app['name']}.{name}",
            "nothing",
            "The app needs this secret; let mainstay create it (mainstay_secrets), or give it in backend_secrets.",
        )
    return value


def _generated(app, secrets, database_host, redis_host, redis_ports, pooled):
    """The variables every process of an app gets, besides its own ``env``."""
    variables = {name: _secret(app, secrets, name) for name in app["secrets"]}
    if app["database"] != "none":
        scheme = app["env"].get("DATABASE_SCHEME", DATABASE_SCHEMES[app["database"]])
        if not URL_SCHEME.fullmatch(scheme):
            raise DeclarationError(
                f"mainstay_apps.{app['name']}.env.DATABASE_SCHEME",
                scheme,
                "Write what stands before '://' in the app's database URL, such as mysql+pymysql or postgresql+psycopg.",
            )
        password = quote(_secret(app, secrets, "DATABASE_PASSWORD"), safe="")
        port = DATABASE_PORTS["pgbouncer" if pooled and app["pooler"] == "pgbouncer" else app["database"]]
        variables["DATABASE_URL"] = f"{scheme}://{app['name']}:{password}@{at(database_host, port)}/{app['name']}"
    for purpose in app["redis"]:
        password = quote(_secret(app, secrets, f"REDIS_{purpose.upper()}_PASSWORD"), safe="")
        address = at(redis_host, redis_ports[app["name"]][purpose])
        variables[f"REDIS_{purpose.upper()}_URL"] = f"redis://{app['name']}:{password}@{address}/0"
    return variables


def environment(apps, secrets=None, database_host=LOOPBACK, redis_host=LOOPBACK, redis_ports=None, pooled=True):
    """What goes into each app's environment file: generated names, prefixed copies, and the app's own over both.

    Without ``pooled`` it is that of a migration, which goes past the pooler: it may need a session of its own.
    """
    result = {}
    redis_ports = redis_ports or assigned_ports(apps)
    for app in normalise(apps).values():
        generated = _generated(app, secrets or {}, database_host, redis_host, redis_ports, pooled)
        generated = {name: app["env"].get(name, value) for name, value in generated.items()}
        prefixed = {app["env_prefix"] + name: value for name, value in generated.items()} if app["env_prefix"] else {}
        runtime = {"python": {"PYTHONUNBUFFERED": "1"}, "node": {"NODE_ENV": "production"}}.get(app["runtime"], {})
        result[app["name"]] = {**runtime, **generated, **prefixed, **app["env"]}
    return result


def secret_names(app):
    """The names of the variables in :func:`environment` whose values nobody may see."""
    names = [
        *app["secrets"],
        *(["DATABASE_URL"] if app["database"] != "none" else []),
        *(f"REDIS_{item.upper()}_URL" for item in app["redis"]),
    ]
    return sorted({*names, *(app["env_prefix"] + name for name in names)})


def websocket_limit(app, process, plan):
    """The websockets one instance may hold, or None where no route leads them to it.

    Each instance can carry all that its routes allow, while others are replaced; nginx holds the sum of all instances.
    """
    routes = [
        route
        for site in app["sites"].values()
        for route in site["routes"].values()
        if route["kind"] == "process" and route["process"] == process["name"] and route["websocket"]
    ]
    declared = sum(route["max_connections"] or 0 for route in routes)
    return declared or (plan["max_websockets"] if routes else None)


def process_environment(app, process, plan, options):
    """The settings of one process, none of them secret: they stand in its unit."""
    variables = {}
    if process["port"]:
        variables.update(HOST=options["bind_address"], PORT="%i", WEB_CONCURRENCY=plan["workers"])
        variables["MAX_WS_CONNECTIONS"] = websocket_limit(app, process, plan)
        if options["proxies"]:
            # uvicorn and gunicorn believe what these say of the client; by themselves only what their own host says.
            variables["FORWARDED_ALLOW_IPS"] = ",".join([LOOPBACK, *options["proxies"]])
    if process["kind"] == "celery":
        variables["CELERY_CONCURRENCY"] = plan["concurrency"]
    if app["database"] != "none":
        variables.update(DB_POOL_SIZE=plan["pool_size"], DB_MAX_OVERFLOW=plan["max_overflow"])
    if app["runtime"] == "node" and plan["node_heap_mb"]:
        variables["NODE_OPTIONS"] = f"--max-old-space-size={plan['node_heap_mb']}"
    if process["heartbeat"]:
        variables["HEARTBEAT_FILE"] = heartbeat_path(app, process)
    if re.search(r"\bcelery\b.*\sbeat\b", process["command"] or ""):
        # Its default is the working directory, which is a release that nobody writes to.
        state = f"{app['root']}/shared" if app["runtime"] == "container" else f"/var/lib/{app['name']}"
        variables["CELERY_BEAT_SCHEDULE"] = f"{state}/celerybeat-schedule"
    variables = {name: app["env"].get(name, value) for name, value in variables.items() if value is not None}
    if app["env_prefix"]:
        variables.update({app["env_prefix"] + name: value for name, value in variables.items()})
    return variables


def _own_variables(process, options):
    """A process's own ``env``, in which $HOST and $PORT are its address; a ``%i`` is the port as the unit knows it."""
    return {
        name: value.replace("%", "%%").replace("$HOST", options["bind_address"]).replace("$PORT", "%i")
        for name, value in process["env"].items()
    }


def _assignments(app, process, variables, own):
    """The settings of a process as its unit has them.

    Each instance has a link to the release it runs, so that two releases can run beside each other. Python reads it as
    its working directory: that is the release itself, also for what is imported after the link has moved on.
    """
    settings = [assignment(name, value) for name, value in variables.items() if name not in own]
    settings += [assignment(name, value, specifiers=True) for name, value in own.items()]
    if app["runtime"] == "container":
        return settings
    release = f"{app['root']}/instances/{process['name']}@%i"
    programs = {"python": f"{release}/.venv/bin:", "node": f"{release}/node_modules/.bin:"}.get(app["runtime"], "")
    places = ["PYTHONPATH=."] if app["runtime"] == "python" else []
    return [
        assignment("PATH", f"{programs}/usr/local/bin:/usr/bin:/bin", specifiers=True),
        *(f'"{place}"' for place in places),
        *settings,
    ]


# --- units ------------------------------------------------------------------------------------------------------------


def planned(process, plan):
    """What the capacity plan says of a process; where there is no plan, what was declared and small defaults."""
    pool = {
        key: value if value != "auto" else default
        for (key, value), default in zip(sorted(process["pool"].items()), (5, 5))
    }
    memory = plan.get("memory_max_mb") or process["memory_mb"]
    defaults = {
        "instances": 1 if process["instances"] == "auto" else process["instances"],
        "workers": process["workers"],
        "concurrency": 1,
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


def _exec_start(app, process, names):
    """The command line of a unit: the declared command itself, or podman's, which runs an image with it."""
    where = f"mainstay_apps.{app['name']}.processes.{process['name']}.command"
    if app["runtime"] != "container":
        return exec_line(process["command"], where)
    options = [
        *SERVICE,
        *writable_in_memory(process["allow"]),
        "--name=%p-%i",
        f"--sdnotify={'container' if process['notify'] else 'conmon'}",
        f"--oom-score-adj={OOM_SCORE_ADJUST[process['kind']]}",
        f"--volume=/run/{app['name']}:/run/{app['name']}",
    ]
    command = exec_words(process["command"], where) if process["command"] else []
    image, user = "${MAINSTAY_IMAGE}", "${MAINSTAY_USER}"
    return " ".join(podman_run(options, image, user, app["root"], app["volumes"], names, command))


def unit(app, process, plan, options, names=()):
    """Everything the template of a process's unit needs; ``names`` are those of the variables in the app's environment."""
    numbers = planned(process, plan)
    variables = process_environment(app, process, numbers, options)
    own = _own_variables(process, options)
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
        "env_file": app["env_file"],
        "shared": [quoted(f"{app['root']}/shared/{folder}") for folder in _shared_folders(app)],
        "environment": _assignments(app, process, variables, own),
        "image_file": f"{app['root']}/instances/{process['name']}@%i/{RELEASE_FILE}" if app["runtime"] == "container" else None,
        "exec_start": _exec_start(app, process, sorted({*names, *variables, *own})),
        "notify": process["notify"],
        "stop_timeout": options["stop_timeout"][process["kind"]],
        "start_timeout": options["start_timeout"],
        "back_off": options["systemd_version"] >= 254,
        "memory_high_mb": numbers["memory_high_mb"],
        "memory_max_mb": numbers["memory_max_mb"],
        "tasks_max": numbers["tasks_max"],
        "nofile": numbers["nofile"],
        "sandbox": [] if app["runtime"] == "container" else sandbox.process(app["name"], app["root"], process["allow"]),
        "oom_score_adjust": OOM_SCORE_ADJUST[process["kind"]],
        "cpu_weight": CPU_WEIGHT[process["kind"]],
    }


def _digest(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _probes(app, process, numbers, options):
    """What the instances of a process must show before a change to them counts as done."""
    common = {"interval": 0.25, "deadline": options["start_timeout"]}
    address = asked_at(options["bind_address"])
    probes = []
    for name, number in zip(names(app, process, numbers), numbers):
        probes += [{"name": name, "healthy_threshold": 2, **probe, **common} for probe in checks(process, address, number).values()]
        if not process["health"]:
            probes.append({"name": name, "kind": "command", "command": ["sh", "-c", STAYS_UP, name], **common})
    return probes


def _check_names(units):
    owners = {}
    for item in units:
        where = f"mainstay_apps.{item['app']}.processes.{item['process']}"
        if item["name"] in owners:
            raise DeclarationError(
                where,
                item["process"],
                f"Its unit {item['name']}@.service is also that of {owners[item['name']]}; rename one of them.",
            )
        owners[item["name"]] = where


def _shared_folders(app):
    """The folders of a release that outlive it: those the declared logs are in."""
    folders = {pattern.rpartition("/")[0] for pattern in app["logs"]}
    return sorted(folder for folder in folders if folder and not re.search(r"[*?\[]", folder))


def model(
    apps,
    releases,
    plan=None,
    variables=None,
    host=None,
    bind_address=LOOPBACK,
    proxies=(),
    start_timeout=90,
    stop_timeout=None,
    deploy="blue_green",
    surge_mb=None,
    template="",
):
    """All that a backend host needs for its apps, each entry ready for the module that takes it. It holds no secret.

    ``releases`` maps each app to the id it should run; ``plan`` is the plan of this host's processes; ``variables`` is
    what :func:`environment` returned; ``host`` is the host's snapshot. ``proxies`` are the addresses of proxies on other
    hosts. ``surge_mb`` is the memory that second sets may take (None: no limit), ``template`` the text of the unit file,
    whose changes concern every process.
    """
    plan, variables, host = plan or {}, variables or {}, host or {}
    options = {
        "bind_address": bind_address,
        "proxies": list(proxies),
        "start_timeout": start_timeout,
        "systemd_version": host.get("systemd_version") or 0,
        "stop_timeout": stop_timeout or {"web": 30, "celery": 60, "worker": 30},
        "deploy": deploy,
        "surge_mb": surge_mb,
        "template": template,
    }
    result = {"apps": {}, "packages": [], "new_users": [], "files": [], "purge": [], "units": []}
    for app in normalise(apps).values():
        name = app["name"]
        described = _app(app, releases[name], plan.get(name, {}), variables.get(name, {}), options, host)
        options["surge_mb"] = _left(options["surge_mb"], described)
        result["apps"][name] = described
        result["packages"] += ["nftables", *app_packages(app)]
        result["new_users"] += _new_users(app, host.get("users") or {})
        result["files"] += _files(app, described)
        result["purge"] += [
            f"{UNITS}/{name}.target.wants/*",
            f"{UNITS}/{name}-*@.service",
            f"{app['root']}/instances/*",
        ]
        result["units"] += described["units"]
    _check_names(result["units"])
    result["packages"] = sorted(set(result["packages"]))
    result["files"] = _once(result["files"])
    result["locks"] = {name: app["release"] for name, app in result["apps"].items() if app["changing"]}
    result["builds"] = [
        name for name, app in result["apps"].items() if app["release"] not in (app["previous"], app["current"])
    ]
    _find_orphans(result["apps"], host.get("active") or ())
    result["validate"] = _validation(result, options["systemd_version"])
    return result


def _new_users(app, known):
    """The users an app lacks: the one its processes run as, and the one who builds its releases and has no file of its own."""
    wanted = [
        {"name": app["user"], "group": app["user"], "home": app["root"]},
        {"name": app["build_user"], "group": app["user"], "home": "/nonexistent"},
    ]
    return [user for user in wanted if user["name"] not in known]


def _left(surge_mb, app):
    """What an app's second set leaves of the memory for second sets."""
    return surge_mb if surge_mb is None else surge_mb - app["surge_mb"]


def _app(app, release, plan, variables, options, host):
    paths, running = host.get("paths") or {}, set(host.get("running") or ())
    planned_units = {
        name: (unit(app, process, plan.get(name, {}), options, variables), numbers)
        for name, process in app["processes"].items()
        if (numbers := planned(process, plan.get(name, {})))["instances"]  # a singleton runs on one host only
    }
    surges = {
        name: _surge(app["processes"][name], numbers) if recorded(paths, app, app["processes"][name]) else 0
        for name, (_described, numbers) in planned_units.items()
    }
    fits = options["deploy"] == "blue_green" and (
        options["surge_mb"] is None or sum(surges.values()) <= options["surge_mb"]
    )
    processes = [
        _process(app, app["processes"][name], *found, release, variables, options, paths, running, fits)
        for name, found in planned_units.items()
    ]
    records = [item["record"]["release"] for item in processes if item["record"]]
    current = link_target(paths, f"{app['root']}/current").rpartition("/")[2]
    return {
        "name": app["name"],
        "user": app["user"],
        "root": app["root"],
        "env_file": app["env_file"],
        "runtime": app["runtime"],
        "build_user": app["build_user"],
        "build": app["build"],
        "public": app["public"],
        "migrate": app["migrate"],
        "shared": _shared_folders(app),
        "volumes": app["volumes"],
        "release": release,
        "previous": records[0] if records else "",
        "rollback": release == link_target(paths, f"{app['root']}/previous").rpartition("/")[2],
        "current": current,
        "target": f"{app['name']}.target",
        "target_running": f"{app['name']}.target" in running,
        # A lock was left by a run that was cut off, perhaps with nothing but its end to do: this one comes to that end.
        "changing": current != release
        or f"{LOCKS}/{app['name']}.deploy" in paths
        or any(item["mode"] != "kept" for item in processes),
        "surge_mb": sum(surges[item["name"]] for item in processes if item["mode"] == "beside"),
        "secrets": secret_names(app),
        "processes": processes,
        "units": [described for described, _numbers in planned_units.values()],
    }


def _surge(process, numbers):
    """The memory a second set of a process takes, in MB."""
    return (numbers["memory_max_mb"] or 0) * numbers["instances"] if process["port"] else 0


def _process(app, process, described, numbers, release, variables, options, paths, running, fits):
    """What becomes of a process: it is kept, replaced beside what serves, or replaced in place.

    A process changed when its release, environment, settings and unit are not the ones last proven healthy, so a run
    that was cut off in the middle is completed by the next one.
    """
    found = recorded(paths, app, process)
    live = found["numbers"] if found else []
    content = {name: value for name, value in described.items() if name != "description"}
    digest = _digest(release, variables, content, options["template"])
    count = numbers["instances"]
    if found and found["digest"] == digest and len(live) == count:
        mode, chosen = "kept", live
    elif process["port"] and not process["singleton"]:
        beside = next_numbers(process, count, live)
        mode = "beside" if beside and (fits or not live) else "in_place"
        chosen = beside if mode == "beside" else (live + (beside or []))[:count]
    else:
        mode, chosen = "in_place", instance_numbers(process, count)
    units = names(app, process, chosen)
    return {
        "name": process["name"],
        "unit": described["name"],
        "kind": process["kind"],
        "port": process["port"],
        "mode": mode,
        "record": found,
        "live_numbers": live,
        "numbers": chosen,
        "instances": units,
        "stopped": [name for name in units if name not in running],
        "record_path": record_path(app, process),
        "new_record": record(release, digest, chosen),
        "drain": process["drain"],
        "probes": _probes(app, process, chosen, options),
    }


def _release_of(app, described, process, number):
    """The release an instance runs: the one on record where it stays, else the new one."""
    if process["record"] and number in process["live_numbers"] and process["mode"] != "in_place":
        return process["record"]["release"]
    return described["release"]


def _files(app, described):
    """The entries of one app for config_set: folders, environment, units, the links that start them at boot, and the
    link of each instance to its release."""
    own = {"owner": app["user"], "group": app["user"]}
    target = f"{UNITS}/{described['target']}"
    entries = [
        {"dest": app["root"], "state": "directory", "mode": "0755"},
        {"dest": f"{app['root']}/releases", "state": "directory", "mode": "0755"},
        {"dest": f"{app['root']}/shared", "state": "directory", "mode": "0750", **own},
        *({"dest": volume(app["root"], name), "state": "directory", "mode": "0750", **own} for name in app["volumes"]),
        {"dest": f"{app['root']}/instances", "state": "directory", "mode": "0755"},
        {"dest": f"/etc/mainstay/{app['name']}", "state": "directory", "mode": "0750", "group": app["user"]},
        {"dest": RECORDS, "state": "directory", "mode": "0700"},
        {
            "dest": app["env_file"],
            "template": "env.j2",
            "vars": {"app": {"name": app["name"]}},
            "group": app["user"],
            "mode": "0640",
            "sensitive": True,
        },
        {"dest": f"{UNITS}/{run_mount(app['name'])}", "template": "run.mount.j2", "vars": {"app": {"name": app["name"]}}},
        {"dest": target, "template": "app.target.j2", "vars": {"app": {"name": app["name"]}}},
        {"dest": f"{UNITS}/multi-user.target.wants", "state": "directory"},
        {"dest": f"{target}.wants", "state": "directory"},
        {"dest": f"{UNITS}/multi-user.target.wants/{described['target']}", "link": f"../{described['target']}"},
    ]
    for item in described["units"]:
        entries.append(
            {"dest": f"{UNITS}/{item['name']}@.service", "template": "process.service.j2", "vars": {"unit": item}}
        )
    for process in described["processes"]:
        for number in sorted({*process["live_numbers"], *process["numbers"]}):
            release = _release_of(app, described, process, number)
            entries += [
                {"dest": path, "link": link}
                for path, link in instance_links(described, process, number, release).items()
            ]
    return entries


def run_mount(name):
    """The unit of the mount at /run/<app>, which has to be named after its path; systemd-escape(1) says how."""
    return f"run-{name.replace('-', chr(92) + 'x2d')}.mount"


def instance_links(app, process, number, release):
    """The two links of an instance: to the release it runs, and to its unit, which makes it start at boot."""
    unit_link = f"{UNITS}/{app['target']}.wants/{process['unit']}@{number}.service"
    return {
        f"{app['root']}/instances/{process['name']}@{number}": f"../releases/{release}",
        unit_link: f"../{process['unit']}@.service",
    }


def _once(entries):
    return list({entry["dest"]: entry for entry in entries}.values())


def _validation(described, systemd_version):
    """The commands that refuse a broken unit.

    ``systemd-analyze verify`` only warns of a directive it does not know or cannot read, unless it is told which files
    matter (from systemd 250); before that, a warning that names one of the files is the failure.
    """
    files = [f"{UNITS}/{item['name']}@.service" for item in described["units"]]
    files += [f"{UNITS}/{app['target']}" for app in described["apps"].values()]
    if not files:
        return []
    if not systemd_version or systemd_version >= 250:
        return [f"systemd-analyze verify --man=no --recursive-errors=no {' '.join(files)}"]
    unit_names = "|".join(re.escape(file.rpartition("/")[2].replace(".service", "")) for file in files)
    return [
        (
            f"sh -c 'words=$(systemd-analyze verify --man=no {' '.join(files)} 2>&1) || failed=1; "
            f'printf "%s\\n" "$words" | '
            f'grep -E "({unit_names})" >&2 && failed=1; exit ${{failed:-0}}\''
        )
    ]


def _find_orphans(apps, active):
    """Give each app its instances that run and are neither on record nor wanted: processes that are no longer declared,
    and what a run that was cut off has left."""
    wanted = {
        unit
        for app in apps.values()
        for process in app["processes"]
        for unit in names(app, process, [*process["live_numbers"], *process["numbers"]])
    }
    for app in apps.values():
        app["orphans"] = []
    for found in sorted(set(active) - wanted):
        owners = [name for name in apps if re.fullmatch(rf"{re.escape(name)}-[a-z0-9-]+@\d+\.service", found)]
        if owners:
            apps[max(owners, key=len)]["orphans"].append(found)
