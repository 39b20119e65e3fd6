# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's plan had in mind, and what is there: memory by part, and the settings, clients and figures of each server.

Memory is what the kernel cannot take back at once: without the file cache. Connections are counted as the database sees them.
"""

from __future__ import annotations

import fnmatch
import json

from . import mariadb as mariadb_server
from . import measure
from .cli import Refusal
from .core.host.limits import held_by
from .postgres import DatabaseError, ask, ask_pgbouncer
from .units import parse_blocks

MB = 1 << 20
DATABASES = ("postgresql", "mariadb")
PARTS = ("memory", *DATABASES, "pgbouncer", "redis")  # what may differ from the plan
# Parts of the plan that are services of the system, and their units.
SERVICES = {
    "agent": "mainstay-agent.service",
    "exporter-nginx": "prometheus-nginx-exporter.service",
    "exporter-node": "prometheus-node-exporter.service",
    "exporter-postgresql": "prometheus-postgres-exporter.service",
    "exporter-redis": "prometheus-redis-exporter.service",
    "mariadb": "mariadb.service",
    "nginx": "nginx.service",
    "pgbouncer": "pgbouncer.service",
    "postgresql": "postgresql@*-main.service",  # others beside it are not the stack's
}
REDIS = "redis-"
PROPERTIES = "Id,ActiveState,ControlGroup,MemoryMax,TasksMax,LimitNOFILE"
REDIS_ADDRESS = "127.0.0.1"

POSTGRESQL_KB = {"8kB": 8, "kB": 1, "MB": 1024, "16MB": 16384}
POSTGRESQL_QUERY = """
SELECT json_build_object(
  'settings', (SELECT json_object_agg(name, json_build_array(setting, unit)) FROM pg_settings),
  'waiting', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  'sessions', (SELECT coalesce(json_agg(found), '[]') FROM (
    SELECT coalesce(usename, '') AS role, coalesce(state, 'unknown') AS state, count(*) AS number,
      max(extract(epoch FROM now() - xact_start))::int AS oldest_s
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2) AS found));
"""
MARIADB_QUERY = f"""
SELECT JSON_OBJECT(
  'settings', JSON_COMPACT((SELECT JSON_OBJECTAGG(LOWER(variable_name), variable_value) FROM information_schema.global_variables)),
  'sessions', JSON_COMPACT((SELECT COALESCE(JSON_ARRAYAGG(
    JSON_OBJECT('role', role, 'state', state, 'number', number, 'oldest_s', oldest_s)), '[]') FROM (
    SELECT user AS role, CASE WHEN command <> 'Sleep' THEN 'active' WHEN trx_id IS NULL THEN 'idle' ELSE 'idle in transaction' END AS state,
      COUNT(*) AS number, MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())) AS oldest_s
    FROM {mariadb_server.SESSIONS} GROUP BY 1, 2) AS found)));
"""


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise Refusal(f"{path} does not exist; run the role mainstay.vps.monitoring with a capacity plan") from None
    except (ValueError, OSError) as error:
        raise Refusal(f"{path} cannot be read: {error}") from None


def compare(planned, context):
    """All of it; ``differs`` tells what is not as it was planned."""
    found = {
        "host": planned["host"],
        "users": planned["users"],
        "memory": memory(planned, context),
        "postgresql": postgresql(planned, context),
        "mariadb": mariadb(planned, context),
        "pgbouncer": pgbouncer(planned, context),
        "redis": redis(planned, context),
        "nginx": nginx(planned, context),
    }
    found["differs"] = [line for part in PARTS for line in found[part].pop("differs", [])]
    return found


def service_of(part):
    """The unit of a part of the plan that is a service of the system; None for the processes of apps."""
    return f"redis-server@{part[len(REDIS) :]}.service" if part.startswith(REDIS) else SERVICES.get(part)


def units(context, names):
    """What systemd says of units, by name; a pattern stands for those that are loaded."""
    if not names:
        return {}
    return parse_blocks(context.run(["systemctl", "show", f"--property={PROPERTIES}", "--", *names]))


def memory(planned, context):
    """One entry for each part of the plan's sum, with what its units use; and limits that are not the plan's."""
    parts, processes = planned["plan"]["memory"]["parts"], planned["plan"].get("processes", {})
    owned = {f"{app}.{name}": [] for app, each in processes.items() for name in each}
    for process in context.config().processes:
        owned.setdefault(f"{process.app}.{process.process}", []).append(process.job)
    services = [service_of(part) for part in parts if service_of(part)]
    shown = units(context, services + [unit for mine in owned.values() for unit in mine])
    entries, differs = [], []
    for part, planned_mb in sorted(parts.items(), key=lambda item: (-item[1], item[0])):
        if service_of(part):
            mine = [unit for name, unit in shown.items() if fnmatch.fnmatchcase(name, service_of(part))]
            differs += limits(mine, planned["plan"].get("services", {}).get(part, {}))
        else:
            mine = [shown[name] for name in owned.get(part, ()) if name in shown]
            app, _dummy, process = part.partition(".")
            differs += limits(mine, processes.get(app, {}).get(process, {}))
        used = {unit["Id"]: held_by(unit["ControlGroup"], context.filesystem) for unit in mine if unit.get("ControlGroup")}
        used = {name: number for name, number in used.items() if number is not None}
        entries.append(
            {
                "part": part,
                "units": len(mine),
                "planned_mb": planned_mb,
                "used_mb": sum(used.values()) // MB if used else None,
                "limited": [
                    {"unit": unit["Id"], "limit_mb": int(unit["MemoryMax"]) // MB, "used_mb": used[unit["Id"]] // MB}
                    for unit in mine
                    if unit["Id"] in used and unit.get("MemoryMax", "").isdigit()
                ],
            }
        )
    keys = ("total_mb", "reserve_mb", "free_mb")
    return {**{key: planned["plan"]["memory"][key] for key in keys}, "parts": entries, "differs": differs}


def limits(shown, settings):
    """Limits of units that are not what was planned for them."""
    wanted = {
        "MemoryMax": (settings.get("memory_max_mb") or 0) * MB,
        "TasksMax": settings.get("tasks_max"),
        "LimitNOFILE": settings.get("nofile"),
    }
    return [
        f"{unit['Id']}: {name} is {unit.get(name)}, planned {value}"
        for unit in shown
        for name, value in wanted.items()
        if value and unit.get(name) != str(value)
    ]


def postgresql(planned, context):
    """Sessions of each app by state against the sum of its pools, and settings that are not the plan's."""
    settings = planned["plan"].get("postgresql")
    if not settings:
        return {}
    try:
        found = ask(context.run, POSTGRESQL_QUERY)
    except DatabaseError as error:
        return {"problem": str(error), "differs": [f"postgresql: cannot be asked: {error}"]}
    differs = [
        f"postgresql: {name} is {is_}, planned {wanted}"
        for name, is_, wanted in (compared(name, value, found["settings"]) for name, value in settings.items())
        if is_ != wanted
    ]
    differs += [f"postgresql: {name} is changed and waits for a restart" for name in found["waiting"]]
    limit = int(found["settings"]["max_connections"][0])
    return {**connections(planned["connections"]["postgresql"], found["sessions"], limit), "differs": differs}


def connections(planned, sessions, limit):
    """Sessions of each app by state, beside the sum of its pools."""
    pools = {}
    for part, number in planned["parts"].items():
        app = part.partition(".")[0] if "." in part else "(others)"
        pools[app] = pools.get(app, 0) + number
    apps = {app: {"app": app, "planned": number, "states": {}, "oldest_s": 0} for app, number in pools.items()}
    for session in sessions:
        entry = apps[session["role"] if session["role"] in apps else "(others)"]
        entry["states"][session["state"]] = entry["states"].get(session["state"], 0) + session["number"]
        entry["oldest_s"] = max(entry["oldest_s"], session["oldest_s"] or 0)
    return {
        "max_connections": limit,
        "reserved": planned["reserved"],
        "connections": sum(session["number"] for session in sessions),
        "apps": [{**entry, "connections": sum(entry["states"].values())} for entry in apps.values()],
    }


def compared(name, planned, settings):
    """(name, what it is, what was planned), both in the plan's unit."""
    plain = name[:-3] if name[-3:] in ("_mb", "_kb") else name
    setting, unit = settings.get(plain, (None, None))
    if isinstance(planned, bool):
        return plain, setting, "on" if planned else "off"
    if name[-3:] in ("_mb", "_kb") and setting is not None:
        size = {"_mb": 1024, "_kb": 1}[name[-3:]]
        return (
            plain,
            f"{int(setting) * POSTGRESQL_KB[unit] / size:g} {name[-2:].upper()}",
            f"{planned:g} {name[-2:].upper()}",
        )
    if isinstance(planned, (int, float)) and setting is not None:
        return plain, f"{float(setting):g}", f"{planned:g}"
    return plain, setting, str(planned)


def mariadb(planned, context):
    """The same of MariaDB, which has its settings in bytes."""
    settings = planned["plan"].get("mariadb")
    if not settings:
        return {}
    try:
        found = mariadb_server.ask(context.run, MARIADB_QUERY)
    except DatabaseError as error:
        return {"problem": str(error), "differs": [f"mariadb: cannot be asked: {error}"]}
    sizes = {"_mb": MB, "_kb": 1024}
    wanted = {
        name[:-3] if name[-3:] in sizes else name: str(value * sizes.get(name[-3:], 1))
        for name, value in settings.items()
        if name != "nofile"
    }
    differs = [
        f"mariadb: {name} is {found['settings'].get(name)}, planned {value}"
        for name, value in wanted.items()
        if found["settings"].get(name) != value
    ]
    differs += limits(units(context, [SERVICES["mariadb"]]).values(), {"nofile": settings["nofile"]})
    limit = int(found["settings"]["max_connections"])
    return {**connections(planned["connections"]["mariadb"], found["sessions"], limit), "differs": differs}


def pgbouncer(planned, context):
    """Clients of each app, and the sessions of PostgreSQL they share; settings that are not the plan's."""
    settings = planned["plan"].get("pgbouncer")
    if not settings:
        return {}
    try:
        is_ = {row["key"]: row["value"] for row in ask_pgbouncer(context.run, "SHOW CONFIG")}
        pools = [row for row in ask_pgbouncer(context.run, "SHOW POOLS") if row["database"] != "pgbouncer"]
    except DatabaseError as error:
        return {"problem": str(error), "differs": [f"pgbouncer: cannot be asked: {error}"]}
    differs = [
        f"pgbouncer: {name} is {is_.get(name)}, planned {value}"
        for name, value in settings.items()
        if name != "nofile" and is_.get(name) != str(value)
    ]
    differs += limits(units(context, [SERVICES["pgbouncer"]]).values(), {"nofile": settings["nofile"]})
    apps = [
        {
            "app": row["database"],
            "clients": int(row["cl_active"]) + int(row["cl_waiting"]),
            "waiting": int(row["cl_waiting"]),
            "longest_wait_s": int(row["maxwait"]),
            "active": int(row["sv_active"]),
            "sessions": sum(int(row[state]) for state in ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login")),
            "pool": int(is_["default_pool_size"]),
        }
        for row in pools
    ]
    return {
        "clients": sum(entry["clients"] for entry in apps),
        "max_client_conn": int(is_["max_client_conn"]),
        "apps": apps,
        "differs": differs,
    }


def redis(planned, context):
    """Memory and clients of each instance, and settings that are not the plan's."""
    entries, differs = [], []
    instances = planned["plan"].get("redis", {})
    for name, purpose, settings in [(f"{app}-{key}", key, instances[app][key]) for app in instances for key in instances[app]]:
        try:
            info = measure.redis_info(REDIS_ADDRESS, settings["port"])
        except OSError as error:
            differs.append(f"redis {name}: does not answer: {error}")
            continue
        is_ = {
            "maxmemory": int(info["maxmemory"]),
            "maxmemory_policy": info["maxmemory_policy"],
            "maxclients": int(info.get("maxclients", settings["maxclients"])),
        }
        wanted = {
            "maxmemory": settings["maxmemory_mb"] * MB,
            "maxmemory_policy": settings["maxmemory_policy"],
            "maxclients": settings["maxclients"],
        }
        differs += [f"redis {name}: {key} is {is_[key]}, planned {wanted[key]}" for key in wanted if is_[key] != wanted[key]]
        shown = units(context, [service_of(REDIS + name)])
        differs += limits(shown.values(), {key: settings.get(key) for key in ("nofile", "memory_max_mb")})
        entries.append(
            {
                "instance": name,
                "evicts": purpose == "cache",
                "used_mb": round(int(info["used_memory"]) / MB, 1),
                "maxmemory_mb": is_["maxmemory"] // MB,
                "clients": int(info["connected_clients"]),
                "maxclients": is_["maxclients"],
                "evicted": int(info["evicted_keys"]),
                "rejected": int(info["rejected_connections"]),
            }
        )
    return {"instances": entries, "differs": differs}


def nginx(planned, context):
    """Established connections, those to the apps included, against the slots of all workers."""
    settings = planned["plan"].get("nginx")
    if not settings:
        return {}
    group = units(context, [SERVICES["nginx"]]).get(SERVICES["nginx"], {}).get("ControlGroup", "")
    held = measure.connections(measure.processes(group, context.filesystem), context.filesystem) if group else 0
    found = {"connections": held, "slots": settings["worker_processes"] * settings["worker_connections"]}
    try:
        return {**found, **measure.nginx_figures()}
    except OSError:  # it does not run, which others tell, or this version of it has not been configured yet
        return found
