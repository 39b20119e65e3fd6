# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to what a backend host runs: its environment, units, files and probes."""

from __future__ import annotations

import hashlib
import json
import re

from ..derive.probes import checks
from ..host.snapshot import system_name
from ..release.identity import BUILT_ON, LOCKS, on_system
from ..stack.apps import normalise
from ..stack.containers import volume
from ..stack.instances import RECORDS, WAYS_BACK, job, link_target, marked, names, next_numbers, record, record_path, recorded
from ..stack.processes import instance_numbers
from ..stack.refusal import DeclarationError
from ..stack.remains import BUILDERS_HOME, installed, owner
from ..stack.services import app_packages
from ..stack.tiers import LOOPBACK, asked_at
from ..stack.variables import secret_names
from .units import STOP_TIMEOUT, UNITS, limits_file, planned, run_mount, shared_folders, unit

# A process that dies at once is active for a moment after each start; five seconds later it still has to be, as one that cannot reach
# what it needs gives up after two or three. For one of them it must neither have run nor waited for a processor: until then it may load
# its code, which takes long on a slow machine, and die of it. One that is busy for ten seconds has found work. One that needs a broker has
# to be connected to some server: while the broker refuses it, it tries again for ever, and takes no task. /proc/uptime would be another
# clock: in a container of LXC it tells when that was started, and elsewhere it goes on while the machine sleeps.
STAYS_UP = """
get() { systemctl show --property="$1" --value "$unit"; }
unit=$0 needs_broker=$1 state=$(get ActiveState)
echo "it is $state"
[ "$state" = active ] || exit 1
now=$(/usr/bin/python3 -I -S -c 'import time; print(time.monotonic_ns() // 1000000)')
age=$((now - $(get ActiveEnterTimestampMonotonic) / 1000))
[ "$age" -ge 5000 ] || exit 1
if [ "$needs_broker" ]; then
    group=$(get ControlGroup) connected=
    for pid in $(ss --no-header --tcp --numeric --processes state established | grep -o 'pid=[0-9]*' | cut -c5- | sort -u); do
        ! grep -qsF ":$group" "/proc/$pid/cgroup" || connected=yes
    done
    [ "$connected" ] || { echo "and connected to no server: its broker does not answer, or refuses it"; exit 1; }
fi
[ "$age" -lt 10000 ] || exit 0
read -r ran waited _ <"/proc/$(get MainPID)/schedstat" || exit 1
[ $((age - (ran + waited) / 1000000)) -ge 1000 ]
""".strip()


def _digest(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _probes(app, process, numbers, options):
    """What the instances of a process must show before a change to them counts as done."""
    common = {"interval": 0.25, "deadline": options["start_timeout"]}
    address = asked_at(options["bind_address"])
    probes = []
    for name, number in zip(names(app, process, numbers), numbers):
        own = {"name": name, "unit": name, "any_address": "any_address" in process["allow"], **common}
        probes += [{"healthy_threshold": 2, **probe, **own} for probe in checks(app, process, address, number).values()]
        if not process["health"] and not process["schedule"]:
            # Of a broker elsewhere nobody knows how it is reached.
            broker = ["broker"] if process["kind"] == "celery" and "queue" in app["redis"] else []
            probes.append({"kind": "command", "command": ["sh", "-c", STAYS_UP, name, *broker], **own})
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
        "start_timeout": int(start_timeout),  # the command line has texts
        "systemd_version": host.get("systemd_version") or 0,
        "stop_timeout": stop_timeout or STOP_TIMEOUT,
        "deploy": deploy,
        "surge_mb": None if surge_mb in (None, "") else int(surge_mb),
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
            f"{UNITS}/{name}-*@.timer",
            limits_file(f"{name}-*"),
            f"{app['root']}/instances/*",
        ]
        result["units"] += described["units"]
    _check_names(result["units"])
    result["packages"] = sorted(set(result["packages"]))
    result["files"] = _once(result["files"])
    result["locks"] = {name: app["release"] for name, app in result["apps"].items() if app["changing"]}
    result["builds"] = [name for name, app in result["apps"].items() if app["release"] not in (app["previous"], app["current"])]
    result["backs_up"] = any(result["apps"][name]["migrate_backup"] for name in result["builds"])
    _find_orphans(result["apps"], host.get("active") or ())
    _find_stale_records(result["apps"], normalise(apps), host)
    result["validate"] = _validation(result, options["systemd_version"])
    return result


def _new_users(app, known):
    """The users an app lacks: the one its processes run as, and the one who builds its releases and has no file of its own."""
    wanted = [
        {"name": app["user"], "group": app["user"], "home": app["root"]},
        {"name": app["build_user"], "group": app["user"], "home": BUILDERS_HOME},
    ]
    return [user for user in wanted if user["name"] not in known]


def _left(surge_mb, app):
    """What an app's second set leaves of the memory for second sets."""
    return surge_mb if surge_mb is None else surge_mb - app["surge_mb"]


def _app(app, release, plan, variables, options, host):
    paths, running = host.get("paths") or {}, set(host.get("running") or ())
    release = on_system(release, system_name(host.get("distribution") or {}), marked(paths, app["root"], BUILT_ON))
    planned_units = {
        name: (unit(app, process, plan.get(name, {}), options, variables), numbers)
        for name, process in app["processes"].items()
        if (numbers := planned(process, plan.get(name, {})))["instances"]  # a singleton runs on one host only
    }
    surges = {
        name: _surge(app["processes"][name], numbers) if recorded(paths, app, app["processes"][name]) else 0
        for name, (_described, numbers) in planned_units.items()
    }
    fits = options["deploy"] == "blue_green" and (options["surge_mb"] is None or sum(surges.values()) <= options["surge_mb"])
    processes = [
        _process(app, app["processes"][name], *found, release, variables, options, host, running, fits)
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
        "python": app["python"],
        "node": app["node"],
        "build": app["build"],
        "public": app["public"],
        "migrate": app["migrate"],
        "migrate_backup": app["migrate_backup"],
        "shared": shared_folders(app),
        "volumes": app["volumes"],
        "release": release,
        # What runs nothing has no records: nginx serves what is current.
        "previous": records[0] if records else "" if processes else current,
        "rollback": release == link_target(paths, f"{app['root']}/previous").rpartition("/")[2],
        "current": current,
        "target": f"{app['name']}.target",
        "target_running": f"{app['name']}.target" in running,
        # A lock was left by a run that was cut off, perhaps with nothing but its end to do: this one comes to that end.
        "changing": current != release or f"{LOCKS}/{app['name']}.deploy" in paths or any(item["mode"] != "kept" for item in processes),
        "surge_mb": sum(surges[item["name"]] for item in processes if item["mode"] == "beside"),
        "secrets": secret_names(app),
        "processes": processes,
        "units": [described for described, _numbers in planned_units.values()],
    }


def _surge(process, numbers):
    """The memory a second set of a process takes, in MB."""
    return (numbers["memory_max_mb"] or 0) * numbers["instances"] if process["port"] else 0


def _outgrown(units, limits, host):
    """Whether a limit of memory goes below what an instance holds: told of it, the kernel would end the process."""
    held, now = host.get("service_memory_mb") or {}, host.get("memory_max_mb") or {}
    least = limits["memory_high_mb"]
    return least is not None and any(limits["memory_max_mb"] < now.get(unit, 0) and held.get(unit, 0) >= least for unit in units)


def _process(app, process, described, numbers, release, variables, options, host, running, fits):
    """What becomes of a process: it is kept, replaced beside what serves, or replaced in place.

    A process changed when its release, environment, settings and unit are not the ones last proven healthy, so a run
    that was cut off in the middle is completed by the next one. Its limits are none of these, unless it has outgrown the new ones.
    """
    found = recorded(host.get("paths") or {}, app, process)
    live = found["numbers"] if found else []
    content = {name: value for name, value in described.items() if name not in ("description", "limits")}

    def digest_of(release):
        return _digest(release, variables, content, options["template"])

    digest = digest_of(release)
    count = numbers["instances"]
    is_same = found and found["digest"] == digest and len(live) == count
    if is_same and not _outgrown(names(app, process, live), described["limits"], host):
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
        "schedule": process["schedule"],
        "mode": mode,
        "record": found,
        "live_numbers": live,
        "numbers": chosen,
        "instances": units,
        "stopped": [name for name in units if name not in running],
        "record_path": record_path(app, process),
        "new_record": record(release, digest, chosen),
        # Where the code alone has changed, the release before runs with what the new one is given.
        "same_settings": bool(found) and found["digest"] == digest_of(found["release"]),
        "way_back": record(found["release"], found["digest"], chosen) if found else "",
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
        {"dest": WAYS_BACK, "state": "directory", "mode": "0755"},
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
        entries += [
            {"dest": f"{UNITS}/{item['name']}@.service", "template": "process.service.j2", "vars": {"unit": item}},
            {"dest": limits_file(item["name"]).rpartition("/")[0], "state": "directory"},
            {"dest": limits_file(item["name"]), "template": "limits.conf.j2", "vars": {"limits": item["limits"]}},
        ]
        if item["schedule"]:
            entries.append({"dest": f"{UNITS}/{item['name']}@.timer", "template": "process.timer.j2", "vars": {"unit": item}})
    for process in described["processes"]:
        for number in sorted({*process["live_numbers"], *process["numbers"]}):
            release = _release_of(app, described, process, number)
            entries += [{"dest": path, "link": link} for path, link in instance_links(described, process, number, release).items()]
    return entries


def instance_links(app, process, number, release):
    """The two links of an instance: to the release it runs, and to its unit, which makes it start at boot."""
    (unit,) = names(app, process, [number])
    template = f"{process['unit']}@.{unit.rpartition('.')[2]}"
    return {
        f"{app['root']}/instances/{process['name']}@{number}": f"../releases/{release}",
        f"{UNITS}/{app['target']}.wants/{unit}": f"../{template}",
    }


def _once(entries):
    return list({entry["dest"]: entry for entry in entries}.values())


def _validation(described, systemd_version):
    """The commands that refuse a broken unit.

    ``systemd-analyze verify`` only warns of a directive it does not know or cannot read, unless it is told which files
    matter (from systemd 250); before that, a warning that names one of the files is the failure.
    """
    files = [f"{UNITS}/{item['name']}@.service" for item in described["units"]]
    files += [f"{UNITS}/{item['name']}@.timer" for item in described["units"] if item["schedule"]]
    files += [f"{UNITS}/{app['target']}" for app in described["apps"].values()]
    if not files:
        return []
    if not systemd_version or systemd_version >= 250:
        return [f"systemd-analyze verify --man=no --recursive-errors=no {' '.join(files)}"]
    unit_names = "|".join(re.escape(file.rpartition("/")[2].rpartition(".")[0]) for file in files)
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
        for name in names(app, process, [*process["live_numbers"], *process["numbers"]])
        for unit in (name, job(name))
    }
    for app in apps.values():
        app["orphans"] = []
    for found in sorted(set(active) - wanted):
        owners = [name for name in apps if re.fullmatch(rf"{re.escape(name)}-[a-z0-9-]+@\d+\.(service|timer)", found)]
        if owners:
            apps[max(owners, key=len)]["orphans"].append(found)


def _find_stale_records(apps, declared, host):
    """Give each app its records of processes that are no longer declared: one that comes back later has proven nothing."""
    known, paths = {*declared, *installed(host)}, host.get("paths") or {}
    for name, app in apps.items():
        begin = f"{RECORDS}/{name}-"
        records = {path.removeprefix(f"{RECORDS}/"): path for path in sorted(paths) if path.startswith(begin)}
        app["stale_records"] = [
            path
            for record_name, path in records.items()
            if owner(record_name, known) == name and path.removeprefix(begin) not in declared[name]["processes"]
        ]
