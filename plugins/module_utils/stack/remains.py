# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apps that are on a host and no longer declared: which ones, what of them runs, and whose ports they would keep from others.

An app is known by what root has written: its environment file; before it has one, as where its first build failed, its two users at the homes
that a run gives them; and, once it was removed without its data, a link that names nothing and is only read, whose target lists what was
kept. A folder or one user of the same name says nothing: it may be somebody else's.
"""

from __future__ import annotations

import re

from .apps import BUILD_SUFFIX, normalise
from .instances import planned_instances
from .processes import NAME, port_range
from .refusal import DeclarationError
from .services import DATABASES

BUILDERS_HOME = "/nonexistent"  # who builds has no file of its own
REMOVED = "/var/lib/mainstay/removed"
ENVIRONMENT = re.compile(r"/etc/mainstay/([^/]+)/env")
INSTANCE = re.compile(r"([a-z][a-z0-9-]*)@(\d+)\.(service|timer)")
REMEDY = "playbooks/remove.yml -e mainstay_app={}"
WITH_DATA = f"{REMEDY} -e mainstay_data=true"


def installed(host):
    """The names of the apps that are on a host, as far as a run has come with them."""
    found = (ENVIRONMENT.fullmatch(path) for path in host.get("paths") or {})
    homes = host.get("homes") or {}
    begun = {name for name, home in homes.items() if home == f"/srv/{name}" and homes.get(f"{name}{BUILD_SUFFIX}") == BUILDERS_HOME}
    return {name for name in {*(match[1] for match in found if match), *begun} if NAME.fullmatch(name)}


def kept(paths):
    """What removals have left on a host, ``{app: [place, …]}``."""
    found = {}
    for path, entry in paths.items():
        folder, _slash, name = path.rpartition("/")
        if folder == REMOVED and NAME.fullmatch(name):
            found[name] = [item for item in (entry.get("target") or "").split(",") if item]
    return found


def owner(name, apps):
    """The app that a unit or a record belongs to, by the longest name that begins it; None where it is nobody's."""
    return max((app for app in apps if name.startswith(f"{app}-")), key=len, default=None)


def owned_units(name, units, apps):
    """Those of the units that are instances of one app, among all apps that are known."""
    found = ((unit, INSTANCE.fullmatch(unit)) for unit in units)
    return sorted({unit for unit, match in found if match and owner(match[1], {*apps, name}) == name})


def databases(name, host):
    """The servers of a host that hold a database of an app: one of its name, whose role of that name has the limits of an app's."""
    postgresql, mariadb = host.get("postgresql") or {}, host.get("mariadb") or {}
    limited = {*(postgresql.get("limits") or {}), *(postgresql.get("settings") or {})}
    found = ["postgresql"] if (postgresql.get("databases") or {}).get(name) == name and name in limited else []
    accounts = {account.rpartition("@")[0] for account in mariadb.get("limits") or {}}
    return found + (["mariadb"] if name in (mariadb.get("databases") or {}) and name in accounts else [])


def words(places):
    """What was kept, for a person: the databases by their server's name, folders as they are."""
    return [f"its database in {DATABASES[item]}" if item in DATABASES else item for item in places]


def report(apps, hosts, removed=""):
    """What is on the hosts, ``{name: snapshot}``, and no longer declared: lines for a person, with the command that removes it.

    Nothing is said of ``removed``, an app that this very run removes: its last words are those of the playbook.
    """
    declared = normalise(apps)
    lines = []
    for app in sorted({name for host in hosts.values() for name in installed(host)} - {*declared, removed}):
        there = sorted(name for name, host in hosts.items() if app in installed(host))
        running = {unit for host in hosts.values() for unit in owned_units(app, host.get("active") or (), {*declared, *installed(host)})}
        state = f"{', '.join(sorted(running))} still {'run' if len(running) > 1 else 'runs'}" if running else "nothing of it runs"
        lines.append(f"app {app} on {', '.join(there)}: {state}. It goes with {REMEDY.format(app)}; its data stays")
    gone = {name for host in hosts.values() for name in kept(host.get("paths") or {})} - {*declared, removed}
    for hostname, host in sorted(hosts.items()):
        paths = host.get("paths") or {}
        for app in sorted(gone - installed(host)):
            places = [*databases(app, host), *(item for item in kept(paths).get(app, ()) if item not in DATABASES)]
            if places:
                lines.append(
                    f"data of {app} on {hostname}: {', '.join(words(places))}. It goes, after a dump, with {WITH_DATA.format(app)}"
                )
        for app in declared.values():
            for server in databases(app["name"], host):
                if server != app["database"]:
                    lines.append(f"database {app['name']} in {DATABASES[server]} on {hostname}: its app is no longer told of it; it stays")
    return lines


def refuse_taken_ports(apps, host, plan, hostname, removed=""):
    """Refuse a process whose ports an app has that is no longer declared: after a rename, the old one would answer in its place.

    What is enabled counts like what runs, because it would come first at the next boot.

    :param removed: an app that this run removes before anything starts.
    :raises DeclarationError: with the unit that has the port, and the command that removes its app.
    """
    declared = normalise(apps)
    known = {*declared, *installed(host)}
    listening = {item.get("unit") or "" for item in host.get("listeners") or ()}
    units = {*(host.get("active") or ()), *(host.get("enabled") or ()), *listening}
    ports = {}
    for name in sorted(known - set(declared)):
        for unit in owned_units(name, units, known):
            ports.setdefault(int(INSTANCE.fullmatch(unit)[2]), (unit, name))
    taken = [
        (app["name"], process, port)
        for app in declared.values()
        for process in app["processes"].values()
        for port in port_range(process, planned_instances(plan, hostname, app, process))
        if port in ports
    ]
    blocked = [item for item in taken if ports[item[2]][1] != removed]
    if blocked:
        name, process, port = blocked[0]
        unit, other = ports[port]
        others = sorted({ports[port][1] for _name, _process, port in taken})
        remedy = f"Remove it with {REMEDY.format(other)} (its data stays), which then brings {name} up"
        if len(others) > 1:
            # Removing one brings the declared apps up, for which the others are in the way.
            apps = ", ".join(sorted({name for name, _process, _port in taken}))
            more = ", ".join(app for app in others if app != other)
            remedy = f"So it is with {more}. Take {apps} out of mainstay_apps, remove each of those with {REMEDY.format('NAME')} (their data stays), "
            remedy += f"and declare {apps} again"
        raise DeclarationError(
            f"mainstay_apps.{name}.processes.{process['name']}.port",
            process["port"],
            f"On {hostname} {unit} has port {port}, of the app {other}, which is no longer declared. {remedy}; or write another port, and remove it "
            "when the new app serves. Nothing has changed.",
        )
