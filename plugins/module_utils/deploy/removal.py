# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an app that is no longer declared leaves a host, and what stays of it. Decisions, no effects.

First it stops and loses what would start it again; a link, :data:`~..stack.remains.REMOVED`, remembers that it was an app. When the
declared apps serve without it, its folders go, and, where that is wanted, its data, once a dump of it is on the disk.
"""

from __future__ import annotations

import re

from ..derive.redis import DATA as REDIS_DATA
from ..derive.redis import POLICIES
from ..release.runner import RUN as BUILDS
from ..stack import remains
from ..stack.apps import BUILD_SUFFIX, RESERVED_NAMES, normalise
from ..stack.instances import RECORDS, WAYS_BACK, link_target
from ..stack.processes import NAME
from ..stack.redis_ports import RECORDS as REDIS_RECORDS
from ..stack.redis_ports import instance_name
from ..stack.refusal import DeclarationError
from .units import UNITS, run_mount

# How systemd writes a dash in the name of a unit that is made of another name.
ESCAPED_DASH = r"\x2d"
# Of the Redis instances those that are never evicted and that are written to the disk.
DURABLE = ("queue",)
# When a timer last ran, for one that makes up for missed times.
STAMPS = "/var/lib/systemd/timers/stamp-"
# Where names of files begin with an app's name, and may as well begin with that of an app whose name is longer.
NAMED_AFTER = (f"{UNITS}/", f"{RECORDS}/", STAMPS)
# What a host has of an app that is only its cache or queue.
OF_A_CACHE = ("/etc/redis/", f"{UNITS}/redis-server@", f"{REDIS_RECORDS}/", f"{REDIS_DATA}/")
YES, NO = ("true", "yes", "1"), ("false", "no", "0")


def request(apps, name="", data=False):
    """What is asked for, ``{app, data}``.

    :raises DeclarationError: where no app is named, the name is none of an app, the app is declared, or ``data`` is neither yes nor no.
    """
    declared = normalise(apps)
    if not name:
        raise DeclarationError(
            "mainstay_app", name, "Say which one: -e mainstay_app=NAME. playbooks/plan.yml tells at its end what is no longer declared."
        )
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise DeclarationError("mainstay_app", name, "Name an app: at most 25 small letters, digits and '-', beginning with a letter.")
    if name in declared:
        raise DeclarationError(
            "mainstay_app", name, f"It is declared. Take mainstay_apps.{name} out of the inventory first. Nothing has changed."
        )
    if name.endswith(BUILD_SUFFIX) and name.removesuffix(BUILD_SUFFIX) in declared:
        raise DeclarationError("mainstay_app", name, f"The user of that name builds the releases of {name.removesuffix(BUILD_SUFFIX)}.")
    if str(data).lower() not in YES + NO:
        raise DeclarationError("mainstay_data", data, "Write true to remove the data, too, after a dump; without it the data stays.")
    return {"app": name, "data": str(data).lower() in YES}


def _redis(name):
    """The Redis instances that an app may have, by purpose."""
    return {purpose: instance_name(name, purpose) for purpose in POLICIES}


def places(name):
    """Globs of all places where an app may have left something, for the module host_resources. All folders named are root's."""
    found = [
        f"/etc/mainstay/{name}",
        f"/etc/mainstay/{name}/env",
        f"{UNITS}/{name}.target",
        f"{UNITS}/{name}.target.wants",
        f"{UNITS}/{name}.target.wants/*",
        f"{UNITS}/multi-user.target.wants/{name}.target",
        f"{UNITS}/{name}-*@.service",
        f"{UNITS}/{name}-*@.service.d",
        f"{UNITS}/{name}-*@.service.d/*",
        f"{UNITS}/{name}-*@.timer",
        f"{UNITS}/{run_mount(name)}",
        f"{RECORDS}/{name}-*",
        f"{WAYS_BACK}/{name}.json",
        f"{STAMPS}{name}-*@*.timer",
        f"{remains.REMOVED}/{name}",
        f"/srv/{name}",
        f"/srv/{name}/*",
        f"/var/lib/{name}",
        f"/var/cache/mainstay/{name}",
        f"/run/{name}",
        f"{BUILDS}/{name}.lock",
    ]
    for instance in _redis(name).values():
        dropins = f"{UNITS}/redis-server@{instance}.service.d"
        found += [f"/etc/redis/redis-{instance}.conf", dropins, f"{dropins}/mainstay.conf"]
        found += [f"{REDIS_RECORDS}/{instance}", f"{REDIS_DATA}/{instance}"]
    return found


def removal(wanted, apps, found, hosts):
    """What of an app goes from a host, and what stays.

    :param wanted: what :func:`request` returned.
    :param found: the host's snapshot, with :func:`places`.
    :param hosts: the snapshots of all hosts, as the role host makes them: one of them has to know the app.
    :returns: lists of units, of entries for config_set, of folders, of what is archived, and of what is kept; see the filter.
    """
    name, paths = wanted["app"], found.get("paths") or {}
    known = {*normalise(apps), *(app for host in hosts for app in remains.installed(host))}
    ours = name in known or any(name in remains.kept(host.get("paths") or {}) for host in hosts)
    if not ours:
        return _result()
    if not _runs_here(name, found):
        paths = {path: entry for path, entry in paths.items() if path.startswith(OF_A_CACHE)}
    files = [path for path in _configuration(name, paths) if _is_own(name, path, known)]
    stopped, disabled = _units(name, found, known)
    stopped += _slices(files)
    data = _data(name, paths)
    servers = remains.databases(name, found)
    kept = [*servers, *data]
    folders = _programs(name, paths) + (data if wanted["data"] else [])
    if wanted["data"] and _kind(paths, f"/srv/{name}") == "directory":
        folders = [f"/srv/{name}", *(path for path in folders if not path.startswith(f"/srv/{name}/"))]
    users = _users(name, found, wanted["data"])
    record = f"{remains.REMOVED}/{name}"
    text = ",".join(kept) or "nothing"
    entries = [{"dest": path, "state": "absent"} for path in files]
    goes = bool(stopped or disabled or entries or folders or users or (wanted["data"] and (kept or record in paths)))
    if goes and link_target(paths, record) != text:
        entries.append({"dest": record, "link": text})
    archived = {"folders": [path.lstrip("/") for path in data], "databases": servers} if wanted["data"] and kept else {}
    failed = [unit for unit in remains.owned_units(name, found.get("failed_units") or (), known) if unit not in stopped]
    return _result(
        goes=goes,
        stopped=stopped,
        disabled=disabled,
        mounts=sorted({run_mount(name)} & set(found.get("active") or ())),
        failed=failed,
        accounts=_users(name, found, True) if goes else [],
        files=entries,
        folders=sorted(folders),
        mounted=[path for path in _mounted(name, found) if any(f"{path}/".startswith(f"{folder}/") for folder in folders)],
        users=users,
        archived=archived,
        kept=kept,
        release=link_target(paths, f"/srv/{name}/current").rpartition("/")[2],
    )


def _runs_here(name, found):
    """Whether the host is or was a backend of the app: elsewhere a folder of that name is somebody else's."""
    paths = found.get("paths") or {}
    own_home = (found.get("homes") or {}).get(name) == f"/srv/{name}"
    return own_home or name in remains.installed(found) or any(item.startswith("/srv/") for item in remains.kept(paths).get(name, ()))


def _result(**parts):
    lists = ("stopped", "disabled", "mounts", "failed", "accounts", "files", "folders", "mounted", "users", "kept")
    return {"goes": False, "archived": {}, "release": "", **{name: [] for name in lists}, **parts}


def _units(name, found, known):
    """(what runs, what is enabled without a link of its own): the app's units, its builds' and its Redis instances'."""
    active, enabled = set(found.get("active") or ()), set(found.get("enabled") or ())
    redis = {f"redis-server@{instance}.service" for instance in _redis(name).values()}
    others = {f"{name}.target", f"mainstay-release-{name}.service", *redis}
    return sorted({*remains.owned_units(name, active, known), *(others & active)}), sorted(redis & enabled)


def _slices(files):
    """The groups that systemd has made for a template's instances, and keeps without any; it escapes the template's name in theirs."""
    templates = [match[1] for path in files if (match := re.fullmatch(rf"{UNITS}/([^/]+)@\.service", path))]
    return [f"system-{template.replace('-', ESCAPED_DASH)}.slice" for template in templates]


def _configuration(name, paths):
    """The files and links that run the app, and the folders they leave empty."""
    fixed = {f"/etc/mainstay/{name}", f"/etc/mainstay/{name}/env", f"{UNITS}/{name}.target", f"{UNITS}/{name}.target.wants"}
    fixed |= {f"{UNITS}/multi-user.target.wants/{name}.target", f"{UNITS}/{run_mount(name)}", f"{WAYS_BACK}/{name}.json"}
    for instance in _redis(name).values():
        dropins = f"{UNITS}/redis-server@{instance}.service.d"
        fixed |= {f"/etc/redis/redis-{instance}.conf", dropins, f"{dropins}/mainstay.conf", f"{REDIS_RECORDS}/{instance}"}
    begins = (f"{UNITS}/{name}.target.wants/", *(f"{place}{name}-" for place in NAMED_AFTER))
    return [path for path in sorted(paths) if path in fixed or path.startswith(begins)]


def _is_own(name, path, known):
    """Whether a file whose name begins with the app's is not that of an app with a longer name."""
    rests = [path.removeprefix(place) for place in NAMED_AFTER if path.startswith(f"{place}{name}-")]
    return all(remains.owner(rest, {*known, name}) == name for rest in rests)


def _mounted(name, found):
    """Where something is mounted that is not the app's own; systemd names the unit after the place (systemd-escape(1))."""
    units = [unit.removesuffix(".mount") for unit in found.get("active") or () if unit.endswith(".mount") and unit != run_mount(name)]
    return sorted(re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), f"/{unit.replace('-', '/')}") for unit in units)


def _kind(paths, path):
    return (paths.get(path) or {}).get("type")


def _programs(name, paths):
    """What a deploy fills: releases, environments, links to them, caches, and what was in memory."""
    wanted = [f"/srv/{name}/{folder}" for folder in ("releases", "environments", "instances", "current", "previous")]
    wanted += [f"/var/cache/mainstay/{name}", f"/run/{name}", f"{BUILDS}/{name}.lock"]
    wanted += [f"{REDIS_DATA}/{instance}" for purpose, instance in _redis(name).items() if purpose not in DURABLE]
    return [path for path in wanted if path in paths]


def _data(name, paths):
    """Folders of data: what the app's user has in its places, and the queues in Redis."""
    wanted = [f"/srv/{name}/shared", f"/srv/{name}/volumes"]
    wanted += [f"{REDIS_DATA}/{instance}" for purpose, instance in _redis(name).items() if purpose in DURABLE]
    found = [path for path in wanted if _kind(paths, path) == "directory"]
    state = f"/var/lib/{name}"  # a folder of that name may also be another program's
    return found + ([state] if _kind(paths, state) == "directory" and paths[state].get("owner") == name else [])


def _users(name, found, with_data):
    """The users that go: the one who builds, and with the data the one whose they are, so that no later user gets his number."""
    homes = found.get("homes") or {}
    users = [f"{name}{BUILD_SUFFIX}"] if homes.get(f"{name}{BUILD_SUFFIX}") == remains.BUILDERS_HOME else []
    return users + ([name] if with_data and homes.get(name) == f"/srv/{name}" else [])


def told(wanted, done, hostname, archive="", check=False):
    """What became of an app on a host, in a sentence or two."""
    name, kept = wanted["app"], ", ".join(remains.words(done["kept"]))
    if not done["goes"] and not kept:
        return f"{name}: nothing of it is left on {hostname}."
    with_data = remains.WITH_DATA.format(name)
    if not done["goes"]:
        return f"{name}: nothing but its data is left on {hostname}: {kept}. It goes, after a dump, with {with_data}."
    said = f"{name} {'would be' if check else 'is'} removed from {hostname}"
    if not wanted["data"]:
        return f"{said}. Its data stays: {kept}. It goes, after a dump, with {with_data}." if kept else f"{said}. It had no data there."
    return (
        f"{said}, with its data ({kept}), of which {archive} {'would have' if check else 'has'} a dump."
        if kept
        else f"{said}. It had no data there."
    )
