# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of an app and of each of its processes, with the addresses and passwords of what they use."""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import quote

from ..stack import celery, external, references, scratch, web_servers
from ..stack.apps import normalise
from ..stack.processes import heartbeat_path
from ..stack.redis_ports import assigned_ports
from ..stack.refusal import DeclarationError, nearest
from ..stack.services import DATABASE_PORTS
from ..stack.tiers import LOOPBACK, at
from ..stack.variables import DATABASE_PARTS, LIBPQ, REDIS_PARTS, variable_names
from .unit_commands import assignment, exec_words, variables_in

# Scheme of DATABASE_URL, unless the app's env has a DATABASE_SCHEME.
DATABASE_SCHEMES = {"postgresql": "postgresql", "mariadb": "mysql"}
DATABASE_UNITS = {"postgresql": ["postgresql.service"], "mariadb": ["mariadb.service"], "none": []}
# What systemd itself tells a service, and what its unit says of every process (systemd.exec(5), "Environment Variables in Spawned Processes").
TOLD_TO_ALL = frozenset(
    ["HOME", "INVOCATION_ID", "LANG", "LOGNAME", "NODE_ENV", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED"]
    + ["RUNTIME_DIRECTORY", "SHELL", "STATE_DIRECTORY", "SYSTEMD_EXEC_PID", "USER"]
)
SCRATCH_NAMES = ("DATABASE_URL", "DATABASE_NAME", "PGDATABASE")
URL_SCHEME = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9]+)?")


# npm hands a signal to the shell that runs a script, and sh ends of it without its program; bash becomes the program.
NODE = {"NODE_ENV": "production", "npm_config_script_shell": "/bin/bash"}


def secret(app, secrets, name):
    value = secrets.get(app["name"], {}).get(name)
    if not value:
        raise DeclarationError(
            f"backend_secrets.{app['name']}.{name}",
            "nothing",
            "The app needs this secret; let mainstay create it (mainstay_secrets), or give it in backend_secrets.",
        )
    return value


def generated_variables(app, secrets, database_host, redis_host, redis_ports, pooled, prefix=""):
    """The variables every process of an app gets, besides its own ``env``: each address whole, as a URL, and in its parts."""
    variables = {name: secret(app, secrets, name) for name in app["secrets"]}
    if app["database"] != "none":
        scheme = app["env"].get("DATABASE_SCHEME", DATABASE_SCHEMES[app["database"]])
        if not URL_SCHEME.fullmatch(scheme):
            raise DeclarationError(
                f"mainstay_apps.{app['name']}.env.DATABASE_SCHEME",
                scheme,
                "Write what stands before '://' in the app's database URL, such as mysql+pymysql or postgresql+psycopg.",
            )
        port = DATABASE_PORTS["pgbouncer" if pooled and app["pooler"] == "pgbouncer" else app["database"]]
        parts = _parts(scheme, app, secret(app, secrets, "DATABASE_PASSWORD"), database_host, port, prefix + app["name"])
        parts["NAME"] = prefix + app["name"]
        variables.update({f"DATABASE_{part}": parts[part] for part in DATABASE_PARTS})
        variables.update({name: parts[part] for name, part in LIBPQ.items()} if app["database"] == "postgresql" else {})
    for purpose in app["redis"]:
        password = secret(app, secrets, f"REDIS_{purpose.upper()}_PASSWORD")
        parts = _parts("redis", app, password, redis_host, redis_ports[app["name"]][purpose], "0")
        parts["DB"] = "0"
        variables.update({f"REDIS_{purpose.upper()}_{part}": parts[part] for part in REDIS_PARTS})
    return variables


def _parts(scheme, app, password, host, port, path):
    url = f"{scheme}://{app['name']}:{quote(password, safe='')}@{at(host, port)}/{path}"
    return {"URL": url, "HOST": host, "PORT": str(port), "USER": app["name"], "PASSWORD": password}


def environment(apps, secrets=None, database_host=LOOPBACK, redis_host=LOOPBACK, redis_ports=None, pooled=True, prefix=""):
    """What goes into each app's environment file: generated names, prefixed copies, and the app's own over both, which may refer to
    the generated ones.

    Without ``pooled`` it is that of a migration, which goes past the pooler: it may need a session of its own. The database has the
    app's name with the ``prefix`` before it.
    """
    result = {}
    redis_ports = redis_ports or assigned_ports(apps)
    for app in normalise(apps).values():
        generated = generated_variables(app, secrets or {}, database_host, redis_host, redis_ports, pooled, prefix)
        own = {name: references.resolve(value, generated) for name, value in app["env"].items()}
        generated = {name: own.get(name, value) for name, value in generated.items()}
        prefixed = {app["env_prefix"] + name: value for name, value in generated.items()} if app["env_prefix"] else {}
        runtime = {"python": {"PYTHONUNBUFFERED": "1"}, "node": NODE}.get(app["runtime"], {})
        result[app["name"]] = {**runtime, **generated, **prefixed, **own}
    return result


def check_environment(apps, secrets=None):
    """The variables of each app with a check for its drill that are others there than for the app itself: they lead to the scratch database.

    What the app calls its database in so many words is overruled, too: its check would prove the live data.
    """
    apps = {name: app for name, app in normalise(apps).items() if "check" in app["backup"]}
    live, found = environment(apps, secrets), {}
    for name, there in environment(apps, secrets, pooled=False, prefix=scratch.DRILL).items():
        parts = generated_variables(apps[name], secrets or {}, LOOPBACK, LOOPBACK, assigned_ports(apps), False, scratch.DRILL)
        for key in (key for key in SCRATCH_NAMES if key in parts):
            for variable in (key, apps[name]["env_prefix"] + key):
                if there[variable] == live[name][variable]:
                    there[variable] = parts[key]
        found[name] = {key: value for key, value in there.items() if value != live[name][key]}
    return found


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
        if process["threads"]:
            variables[web_servers.THREADS] = plan["threads"]
            # What an image starts by itself is not known here; nobody but gunicorn reads that.
            if not process["command"] or web_servers.told(process["command"]).name == "gunicorn":
                variables[web_servers.GUNICORN_WORDS] = f"--threads {plan['threads']}"
        if options["proxies"]:
            # uvicorn and gunicorn believe what these say of the client; by themselves only what their own host says.
            variables["FORWARDED_ALLOW_IPS"] = ",".join([LOOPBACK, *options["proxies"]])
    if process["kind"] == "celery":
        # Celery reads the second by itself (5.0 and later), whatever its settings say; -c goes before.
        variables.update(CELERY_CONCURRENCY=plan["concurrency"], CELERY_WORKER_CONCURRENCY=plan["concurrency"])
    if external.has_database(app):
        variables.update(DB_POOL_SIZE=plan["pool_size"], DB_MAX_OVERFLOW=plan["max_overflow"])
    if app["runtime"] == "node" and plan["node_heap_mb"]:
        variables["NODE_OPTIONS"] = f"--max-old-space-size={plan['node_heap_mb']}"
    if process["heartbeat"]:
        variables["HEARTBEAT_FILE"] = heartbeat_path(app, process)
    if celery.is_beat(process["command"]):
        # Its default is the working directory, which is a release that nobody writes to.
        state = f"{app['root']}/shared" if app["runtime"] == "container" else f"/var/lib/{app['name']}"
        variables["CELERY_BEAT_SCHEDULE"] = f"{state}/celerybeat-schedule"
    # What refers to others may hold a secret, and stands in the environment file alone, which wins.
    plain = {name: references.resolve(value, {}) for name, value in app["env"].items() if not references.names(value)}
    variables = {name: plain.get(name, value) for name, value in variables.items() if value is not None}
    if app["env_prefix"]:
        variables.update({app["env_prefix"] + name: value for name, value in variables.items()})
    return variables


def refuse_commands(apps):
    """Refuse the commands of processes that no unit can run, and variables in them that the process does not have."""
    for app in apps.values():
        of_app = variable_names(app["env"], app["secrets"], app["database"], app["redis"], app["env_prefix"])
        for name, process in app["processes"].items():
            if not process["command"]:
                continue
            where = f"mainstay_apps.{app['name']}.processes.{name}.command"
            exec_words(process["command"], where)
            any_plan, any_host = defaultdict(lambda: 1), {"bind_address": LOOPBACK, "proxies": [LOOPBACK]}
            known = {*of_app, *process["env"], *process_environment(app, process, any_plan, any_host)}
            for unknown in sorted(variables_in(process["command"], where) - known - TOLD_TO_ALL):
                near = nearest(unknown, known)
                raise DeclarationError(
                    where,
                    process["command"],
                    f"The process has no variable {unknown}; {f'did you mean {near}? It' if near else 'it'} has "
                    f"{', '.join(sorted(known)) or 'none'}. A dollar that is the command's own stands in single quotes.",
                )


def own_variables(process, options):
    """A process's own ``env``, in which $HOST and $PORT are its address; a ``%i`` is the port as the unit knows it."""
    return {
        name: value.replace("%", "%%").replace("$HOST", options["bind_address"]).replace("$PORT", "%i")
        for name, value in process["env"].items()
    }


def assignments(app, process, variables, own):
    """The settings of a process as its unit has them.

    Each instance has a link to the release it runs, so that two releases can run beside each other. Python reads it as
    its working directory: that is the release itself, also for what is imported after the link has moved on.
    """
    settings = [assignment(name, value) for name, value in variables.items() if name not in own]
    settings += [assignment(name, value, specifiers=True) for name, value in own.items()]
    if app["runtime"] == "container":
        return settings
    # What systemd starts by a timer outlives a deploy: it finds its programs from its working directory, which stays the release it began in.
    release = "." if process["schedule"] else f"{app['root']}/instances/{process['name']}@%i/{app['directory']}".rstrip("/")
    programs = {"python": f"{release}/.venv/bin:", "node": f"{release}/node_modules/.bin:"}.get(app["runtime"], "")
    programs = f"{release}/.node/bin:{programs}" if app["node"] else programs
    places = ["PYTHONPATH=."] if app["runtime"] == "python" else []
    return [
        assignment("PATH", f"{programs}/usr/local/bin:/usr/bin:/bin", specifiers=True),
        *(f'"{place}"' for place in places),
        *settings,
    ]
