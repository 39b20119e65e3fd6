# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: variables of the inventory that nobody reads, and apps whose name belongs to the host."""

from __future__ import annotations

import ipaddress
import re

from ..text import MASK
from . import exporters, places, ssh, status_page
from .adoption import ADOPTABLE
from .apps import APPS, USERS, normalise
from .authorities import Authorities
from .exporters import PROMETHEUS
from .fields import Choice, Field, Flag, Named, Perhaps, Switch, Text, Whole, Words
from .refusal import mapping, nearest, refuse, text_of
from .routes import DOMAIN, Networks
from .ssh import SSH_PORTS
from .status_page import STATUS_PAGE
from .tiers import RESERVED_MEMORY, RESERVED_MEMORY_MB
from .variables import ENV, env_of

PREFIX = "mainstay_"
URL = re.compile(r"\w+://[^\s/]\S*")


class Address(Field):
    """An IP address; one that leads to the asking machine itself, or is every address, only where that makes sense."""

    def __init__(self, loopback=False, unspecified=False, **about):
        super().__init__(**about)
        self.loopback, self.unspecified = loopback, unspecified

    def read(self, value, where):
        try:
            address = ipaddress.ip_address(value if isinstance(value, str) else "")
        except ValueError:
            refuse(where, value, "write an IP address of the host, such as 10.0.0.7")
        if (address.is_loopback and not self.loopback) or (address.is_unspecified and not self.unspecified):
            refuse(where, value, "nobody finds the host there; write an IP address of the host, such as 10.0.0.7")
        return str(address)


class HostName(Field):
    """A name or an address of a host."""

    def read(self, value, where):
        remedy = "write the name or the IP address of a host, such as shop.example.com or 192.0.2.7"
        text = text_of(value, where, None, remedy)
        try:
            ipaddress.ip_address(text)
        except ValueError:
            if not DOMAIN.fullmatch(text.lower()) or text.replace(".", "").isdigit():
                refuse(where, value, remedy)
        return text


class Proxy(Field):
    """The URL of a proxy, which may hold a password."""

    def read(self, value, where):
        remedy = "write a URL such as http://proxy.example.com:3128"
        return text_of(value, where, URL, remedy) if "@" not in str(value) or URL.fullmatch(str(value)) else refuse(where, MASK, remedy)


class Environment(Named):
    """Variables of what downloads and builds; those that name a proxy are read by more than one program."""

    def read(self, value, where):
        env = env_of({} if value is None else value, where)
        for name in set(env) & {"http_proxy", "https_proxy"}:
            Perhaps(Proxy()).read(env[name], f"{where}.{name}")
        return env


class Mapping(Field):
    """Names with values that the checklists read by themselves."""

    def read(self, value, where):
        return mapping({} if value is None else value, where)


# What a user may set, and what the plays tell each other.
VARIABLES = {
    "mainstay_address": Address(about="The host's address in the private network by which the hosts find each other."),
    "mainstay_adopt": Words(
        Choice(ADOPTABLE), about="Servers and the firewall that were on a host before, and may be taken over; their data stays."
    ),
    "mainstay_app": Perhaps(Text(), about="With -e: the app that rollback.yml, remove.yml, restore.yml or new.yml is about."),
    "mainstay_app_file": Perhaps(Text(), about="With -e: the file that new.yml writes a declaration to; without it, it prints it."),
    "mainstay_apps": APPS,
    "mainstay_ca_certificates": Authorities(about="Files of the control node with certificates of further authorities, for all hosts."),
    "mainstay_confirm": Perhaps(
        Text(),
        about="With -e: the name of the app again, where restore.yml or rollback.yml replaces the data that it has, "
        "or of the host whose PostgreSQL recover.yml takes back.",
    ),
    "mainstay_backup_secrets": Switch(
        default=False, about="With -e: whether backup.yml keeps secrets/ of the control node in the repository, too."
    ),
    "mainstay_data": Switch(
        default=False,
        about="With -e: whether remove.yml removes the app's data, after a dump, or rollback.yml takes it back to before the migration.",
    ),
    "mainstay_environment": Environment(ENV.name, ENV.item, about="Variables of what downloads and builds, such as a proxy."),
    "mainstay_http3": Flag(default=False, about="Whether sites with TLS are served by HTTP/3, too; nginx has it from Debian 13 on."),
    "mainstay_lock_wait": Whole(
        0, 86400, default=0, about="Seconds that a run waits for another one that deploys, instead of being refused."
    ),
    "mainstay_outside": Switch(
        default=True, about="Whether the proof at the end of a run connects from the control node as a visitor would."
    ),
    "mainstay_outside_address": HostName(about="The address at which visitors reach the host, where Ansible uses another one."),
    "mainstay_prometheus": PROMETHEUS,
    "mainstay_release": Perhaps(Text(), about="With -e: the release that rollback.yml returns to, where it is not to choose."),
    RESERVED_MEMORY: RESERVED_MEMORY_MB,
    "mainstay_restore": Choice(("database", "files", "all"), about="With -e: what restore.yml puts back."),
    "mainstay_restore_path": Perhaps(
        Text(),
        about="With -e: the one file or folder of mainstay_app that restore.yml puts back, whole or as it is below a folder of the app's.",
    ),
    "mainstay_secret": Perhaps(Text(), about="With -e: the secret that rotate.yml replaces, such as shop/SECRET_KEY."),
    "mainstay_snapshot": Perhaps(
        Text(),
        about="With -e: the backup that restore.yml or rollback.yml takes, without it the newest, or the one from before the migration.",
    ),
    "mainstay_source": Perhaps(Text(), about="With -e: the folder that new.yml looks at."),
    "mainstay_ssh_ports": SSH_PORTS,
    "mainstay_status_page": STATUS_PAGE,
    "mainstay_time": Perhaps(
        Text(), about="With -e: the moment to which recover.yml takes PostgreSQL back, with its zone, such as 2026-11-30 10:15:00+00."
    ),
    "mainstay_trusted_proxies": Networks(
        default=(), about="Networks of a content delivery network or a proxy before the sites: what they say of a client is true."
    ),
    "mainstay_users": USERS,
    "mainstay_verify_alert": Switch(default=False, about="Whether verify.yml sends a test alert."),
    "mainstay_verify_chaos": Switch(default=False, about="Whether verify.yml kills and freezes what runs, to see it heal."),
    "mainstay_verify_chaos_options": Mapping(about="What verify.yml breaks and within which limits it has to heal, by name."),
    "mainstay_verify_drift": Switch(default=False, about="Whether verify.yml asks site.yml in check mode what it would change."),
    "mainstay_verify_limits": Mapping(about="Limits of the checklists of verify.yml that are not the usual ones, by name."),
    "mainstay_verify_load": Switch(default=False, about="Whether verify.yml sends load to the sites."),
    "mainstay_verify_load_limits": Mapping(about="What verify.yml demands of a site under load, by name."),
    "mainstay_verify_report": Perhaps(Text(), about="Folder on the control node for the reports of verify.yml."),
    "mainstay_verify_websocket_limits": Mapping(about="What verify.yml demands of the websockets of a site under load, by name."),
    "mainstay_verify_waived": Mapping(about="Items of the checklists that need not hold, by id, each with the reason."),
}
FACTS = (
    "mainstay_host",
    "mainstay_left",
    "mainstay_live",
    "mainstay_plan",
    "mainstay_removal",
    "mainstay_removed",
    "mainstay_secrets",
    "mainstay_spare",
)


def refuse_unknown_variables(names):
    """Refuse a variable of the stack's prefix that nothing reads: a slip of the pen would count as not written."""
    known = {name.removeprefix(PREFIX): name for name in VARIABLES}
    for name in sorted(set(names) - set(VARIABLES) - set(FACTS)):
        if name.startswith(PREFIX):
            near = nearest(name.removeprefix(PREFIX), known)
            remedy = f"Did you mean {known[near]}?" if near else f"There are {', '.join(VARIABLES)}."
            raise ValueError(f"{name}: nothing reads this variable. {remedy}")


# The plan reads these with what it knows of the hosts; some of them are a mapping or nothing.
READ_BY_THE_PLAN = ("mainstay_apps", "mainstay_users", exporters.VARIABLE, ssh.VARIABLE, status_page.VARIABLE)


def refuse_wrong_values(given):
    """Refuse a value of a public variable that nothing could work with; what is not there is not looked at."""
    for name in sorted(set(given) & set(VARIABLES) - set(READ_BY_THE_PLAN)):
        VARIABLES[name].read(given[name], name)


def refuse_missing_apps(apps, variables):
    """Refuse apps that nobody declared; a host without any is one that says so with ``{}``.

    :param variables: the variables of the inventory.
    """
    if apps or ("mainstay_apps" in variables and apps == {}):
        return
    near = " There is a variable mainstay_app; did you mean mainstay_apps?" if "mainstay_app" in variables else ""
    remedy = "Declare yours in group_vars/all.yml beside the inventory, as inventory.example does, or write {} for hosts without any."
    raise ValueError(f"mainstay_apps: no app is declared. {remedy}{near}")


def refuse_taken_names(apps, host, hostname):
    """Refuse an app whose user, group or units are the host's already, and not this stack's from an earlier run."""
    homes, groups, units = (host.get(key) or {} for key in ("homes", "groups", "unit_files"))
    for app in normalise(apps).values():
        where, name = f"mainstay_apps.{app['name']}", app["user"]
        remedy = f"call the app something else, such as {name}-app"
        own = homes.get(name) == app["root"]
        if name in homes and not own:
            refuse(where, name, f"there is a user of that name on {hostname}, at home in {homes[name]}; {remedy}")
        if name in groups and not own:
            refuse(where, name, f"there is a group of that name on {hostname}, whose members would read the app's files; {remedy}")
        if app["build_user"] in homes and not own:
            refuse(where, name, f"there is a user {app['build_user']} on {hostname}, and one of that name builds the app; {remedy}")
        wanted = {f"{name}.target", *(f"{name}-{process}@.service" for process in app["processes"])}
        taken = sorted(wanted & set(units))
        if taken:
            refuse(where, name, f"there is a unit {taken[0]} from a package on {hostname}, which the app would replace; {remedy}")
        if not own:
            paths = host.get("paths") or {}
            _refuse_folder(where, app, paths, hostname, remedy)
            there = [path for process in app["processes"] for path in places.own(name, process) if path in paths]
            if there:
                refuse(where, name, f"there is {there[0]} of somebody's on {hostname}, which the app would take over; {remedy}")


def _refuse_folder(where, app, paths, hostname, remedy):
    """An empty folder of root's, such as one that a disk is mounted on, becomes the app's; releases of another tool would be cleared away."""
    entry = paths.get(app["root"])
    if entry is None:
        return
    holds = [f"{app['root']}/{name}" for name in ("current", "releases", "shared") if f"{app['root']}/{name}" in paths]
    if entry["type"] != "directory":
        whose = "is a link" if entry["type"] == "link" else "is no folder"
    elif entry["owner"] != "root":
        whose = f"belongs to {entry['owner']}"
    elif holds:
        whose = f"holds {' and '.join(holds)}"
    else:
        return
    refuse(where, app["name"], f"on {hostname} {app['root']}, where it would lie, {whose}; move that elsewhere, or {remedy}")
