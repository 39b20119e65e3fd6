# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user declares in ``mainstay_apps``: checked once, completed with defaults, and read by everything else.

Every derivation (plan, units, sites, firewall, agent) starts from :func:`normalise`, so a declaration is either whole and
consistent or refused here, with the variable, the value and the remedy, before a host is touched.
"""

from __future__ import annotations

import ipaddress
import re

from ..text import MASK
from . import web_servers
from .backups import HOOKS, hooks_of
from .external import EXTERNAL, external_of
from .fields import Choice, Field, Flag, Items, Keys, Named, Special, Text, Whole, Words
from .places import check_places
from .processes import NAME, PROCESS_KEYS, check_ports, process_of
from .refusal import mapping, refuse, text_of, texts_of, unlike
from .routes import HOST_NAME, SITE_KEYS, check_sites, public_folders, site_of
from .source import BUILD, SOURCE_KEYS, PathBelow, build_steps, path_below, source_of
from .variables import ENV, ENV_NAME, env_of, generated_names, variable_names

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# As Node's releases are numbered, or the newest of a line: 22, 22.11 or 22.11.0.
PYTHON = re.compile(r"3\.(9|[1-9]\d)(\.\d{1,3})?")
NODE = re.compile(r"(1[89]|[2-9]\d)(\.\d{1,3}){0,2}")
CONTAINER_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.@-]*)+")

RUNTIMES = ("python", "node", "command", "container")
DATABASES = ("postgresql", "mariadb", "none")
POOLERS = ("pgbouncer", "none")
REDIS_INSTANCES = ("cache", "queue")
EGRESS = ("none", "internal")
# A release is built by a user of its own: shop-build.
BUILD_SUFFIX = "-build"

# Users and services that exist, or may exist, on a Debian host: an app of that name would take over their account.
RESERVED_NAMES = frozenset(
    {
        "admin",
        "backup",
        "bin",
        "daemon",
        "debian",
        "firewall",
        "games",
        "irc",
        "list",
        "lp",
        "mail",
        "mainstay",
        "man",
        "messagebus",
        "mysql",
        "news",
        "nginx",
        "nobody",
        "postgres",
        "proxy",
        "redis",
        "root",
        "ssh",
        "sshd",
        "sync",
        "sys",
        "system",
        "systemd",
        "ubuntu",
        "uucp",
        "www-data",
    }
)


def _egress(value, where):
    """What the app's processes may connect to: None for everything but link-local addresses, else a word or networks."""
    if value is None or value in EGRESS:
        return value
    if isinstance(value, str):
        refuse(where, value, unlike(value, EGRESS, f"use {', '.join(EGRESS)}, or a list of networks such as [203.0.113.0/24]"))
    networks = []
    for index, item in enumerate(texts_of(value, where)):
        try:
            networks.append(str(ipaddress.ip_network(item)))
        except ValueError as error:
            refuse(f"{where}[{index}]", item, f"write an address or a network such as 203.0.113.0/24 ({error})")
    return networks


def _volumes(value, where, runtime):
    """Folders of the host that a container finds at a path of its own."""
    mapping(value, where)
    if value and runtime != "container":
        refuse(where, value, "only a container needs them; every other process finds its files below shared")
    for folder, place in value.items():
        VOLUMES.name.read(folder, f"{where}.{folder}")
        VOLUMES.item.read(place, f"{where}.{folder}")
    return dict(sorted(value.items()))


def _version(value, where, interpreter, runtime):
    """The version of an interpreter that comes with the releases; None for the one that Debian has."""
    if value.get(interpreter) is None:
        return None
    where = f"{where}.{interpreter}"
    if runtime != interpreter:
        refuse(where, value[interpreter], f"only runtime: {interpreter} runs on it, and this is runtime: {runtime}; remove one of them")
    return APP_KEYS[interpreter].read(value[interpreter], where)


def _shared(value, where, runtime, sites):
    """Folders of a release that all releases have in common: what the app writes there stays."""
    if value and runtime == "container":
        refuse(where, value, "a container has no folder of a release; declare volumes, such as {uploads: /app/uploads}")
    folders = {path_below(item, f"{where}[{index}]").strip("/") for index, item in enumerate(texts_of(value, where))}
    for folder in sorted(folders):
        if any(f"{folder}/".startswith(f"{public}/") and folder != public for public in public_folders(sites)):
            refuse(where, folder, "nginx follows no link out of what a route serves; give the folder a route of its own")
        if any(f"{public}/".startswith(f"{folder}/") and folder != public for public in public_folders(sites)):
            refuse(where, folder, "nginx may read a shared folder as a whole only; share the folder that a route serves, or serve this one")
        if folder in {route.get("spa", "").strip("/") for site in sites.values() for route in site["routes"].values()}:
            refuse(where, folder, "the pages of a single-page application are the release's own; leave the folder out of shared")
        if any(other != folder and folder.startswith(f"{other}/") for other in folders):
            refuse(where, folder, "a folder above it is shared already; remove one of them")
    return sorted(folders)


VOLUMES = Named(
    Text(FOLDER, "name one folder, such as uploads"),
    Text(CONTAINER_PATH, "write the absolute path in the container, such as /app/uploads"),
)
ENV_NAMES = Text(ENV_NAME, "name environment variables, such as SECRET_KEY")
PROCESS_NAME = Text(NAME, "a process name has small letters, digits and '-', and begins with a letter")
APP_NAME = Text(NAME, "an app's name has at most 25 small letters, digits and '-', and begins with a letter")
MIGRATE_KEYS = Keys(
    {
        "command": Text(about="The command, run in the new release."),
        "backup": Flag(default=False, about="Whether the host of its database is backed up first; where that fails, nothing is migrated."),
    },
    required=("command",),
)
APP_KEYS = Keys(
    {
        "runtime": Choice(RUNTIMES, default="python"),
        "python": Text(PYTHON, 'write a version of Python from 3.9 on in quotes, such as "3.14" or "3.14.2"'),
        "node": Text(NODE, 'write a version of Node from 18 on in quotes, such as "22" or "22.11.0"'),
        "source": Special(*SOURCE_KEYS.values()),
        "build": BUILD,
        "migrate": Special(Text(), MIGRATE_KEYS),
        "backup": HOOKS,
        "env_prefix": Text(ENV_NAME, "write letters, digits and '_', such as APP_"),
        "env": ENV,
        "secrets": Items(ENV_NAMES),
        "database": Choice(DATABASES, default="none"),
        "pooler": Choice(POOLERS, default="none"),
        "redis": Words(Choice(REDIS_INSTANCES)),
        "external": EXTERNAL,
        "processes": Named(PROCESS_NAME, PROCESS_KEYS),
        "sites": Named(HOST_NAME, SITE_KEYS),
        "logs": Items(PathBelow()),
        "shared": Items(PathBelow()),
        "volumes": VOLUMES,
        "packages": Items(Text(PACKAGE, "name a Debian package, such as libpq5")),
        "egress": Special(Choice(EGRESS), Items(Field())),
    },
    required=("source",),
)
APPS = Named(APP_NAME, APP_KEYS, about="What runs, by name.")
USERS = Whole(1, 10000000, about="People online at once; the capacity plan is sized for them.")


def _app(name, value):
    where = f"mainstay_apps.{name}"
    APP_NAME.read(name, where)
    if name in RESERVED_NAMES:
        refuse(where, name, f"it is the name of a system account; call the app something else, such as {name}-app")
    APP_KEYS.checked(value, where)
    runtime, database, pooler = (APP_KEYS.take(value, where, key) for key in ("runtime", "database", "pooler"))
    if pooler != "none" and database != "postgresql":
        refuse(f"{where}.pooler", pooler, "it stands before PostgreSQL only; declare database: postgresql, or remove pooler")
    if "processes" not in value and not value.get("sites"):
        refuse(f"{where}.processes", None, "nothing would run, and nothing be served; add processes: …, or sites that serve files alone")
    declared = mapping(value.get("processes", {}), f"{where}.processes")
    if runtime == "container" and value.get("build"):
        refuse(f"{where}.build", value["build"], "an image is built already; build it where you make it")
    prefix = value.get("env_prefix", "")
    if prefix:
        APP_KEYS["env_prefix"].read(prefix, f"{where}.env_prefix")
    sites = mapping(value.get("sites", {}), f"{where}.sites")
    secrets = texts_of(value.get("secrets", []), f"{where}.secrets")
    for secret in secrets:
        ENV_NAMES.read(secret, f"{where}.secrets")
    redis = APP_KEYS.take(value, where, "redis")
    generated = generated_names(secrets, database, redis)
    env = env_of(value.get("env", {}), f"{where}.env", generated)
    egress = _egress(value.get("egress"), f"{where}.egress")
    external = external_of(value.get("external", {}), f"{where}.external", env, generated, egress)
    has_pools = database != "none" or any(there["kind"] == "database" for there in external.values())
    processes = {key: process_of(key, declared[key], f"{where}.processes.{key}", has_pools, runtime) for key in sorted(declared)}
    for secret in sorted(set(secrets) & set(env)):
        refuse(f"{where}.env.{secret}", MASK, "it is declared as a secret and as plain text; keep it in secrets only")
    sites = {key: site_of(key, sites[key], f"{where}.sites.{key}", processes, runtime) for key in sorted(sites)}
    for key, process in processes.items():
        for secret in sorted(set(secrets) & set(process["env"])):
            refuse(f"{where}.processes.{key}.env.{secret}", MASK, "it is a secret of the app; keep it in secrets only")
        if process["kind"] == "web":
            web_servers.check(process, env, runtime, f"{where}.processes.{key}")
    source = source_of(value["source"], f"{where}.source", runtime)
    shared = _shared(value.get("shared", []), f"{where}.shared", runtime, sites)
    return {
        "name": name,
        "user": name,
        "build_user": f"{name}{BUILD_SUFFIX}",
        "root": f"/srv/{name}",
        "env_file": f"/etc/mainstay/{name}/env",
        "runtime": runtime,
        **{interpreter: _version(value, where, interpreter, runtime) for interpreter in ("python", "node")},
        "source": source,
        "directory": source.get("directory", ""),
        "build": build_steps(value.get("build", []), f"{where}.build", variable_names(env, secrets, database, redis, prefix)),
        **_migration(value.get("migrate"), f"{where}.migrate", database),
        "backup": hooks_of(value.get("backup", {}), f"{where}.backup", runtime, database),
        "env_prefix": prefix,
        "env": env,
        "secrets": sorted(set(secrets)),
        "database": database,
        "pooler": pooler,
        "redis": redis,
        "processes": processes,
        "sites": sites,
        "public": [folder for folder in public_folders(sites) if folder not in shared],
        "served": [folder for folder in public_folders(sites) if folder in shared],
        "logs": APP_KEYS.take(value, where, "logs"),
        "shared": shared,
        "packages": APP_KEYS.take(value, where, "packages"),
        "volumes": _volumes(value.get("volumes", {}), f"{where}.volumes", runtime),
        "external": external,
        "egress": egress,
    }


def _migration(value, where, database):
    """The command that migrates an app's database, and whether a backup comes first."""
    if not isinstance(value, dict):
        return {"migrate": text_of(value, where) if value else None, "migrate_backup": False}
    MIGRATE_KEYS.checked(value, where)
    backup = MIGRATE_KEYS.take(value, where, "backup")
    if backup and database == "none":
        refuse(f"{where}.backup", backup, "the app has no database of the stack's, so nothing would be dumped; declare one, or remove it")
    return {"migrate": MIGRATE_KEYS.take(value, where, "command"), "migrate_backup": backup}


def _check_users(apps):
    for name, app in apps.items():
        if app["build_user"] in apps:
            remedy = f"the user of that name builds the releases of {name}; call the app something else"
            refuse(f"mainstay_apps.{app['build_user']}", app["build_user"], remedy)


def normalise(apps):
    """The declaration of all apps, checked and completed, with sorted keys.

    A normal form is given back as it is, so that filters may be chained without knowing who called them first.

    :raises DeclarationError: the first thing that cannot work.
    """
    mapping(apps, "mainstay_apps")
    if is_normal(apps):
        return apps
    result = {name: _app(name, apps[name]) for name in sorted(apps)}
    check_ports(result)
    _check_users(result)
    check_places(result)
    check_sites(result)
    return result


def is_normal(apps):
    """Whether this is a normal form already: only that has an app's name inside the app."""
    return all(isinstance(app, dict) and app.get("name") == name for name, app in apps.items())


def users(value):
    """``mainstay_users``: the number of people online at once."""
    return USERS.read(value, "mainstay_users")
