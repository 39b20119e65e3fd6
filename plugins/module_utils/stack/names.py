# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: variables of the inventory that nobody reads, and apps whose name belongs to the host."""

from __future__ import annotations

import difflib

from .apps import normalise
from .refusal import refuse

PREFIX = "mainstay_"
# What a user may set, and what the plays tell each other.
VARIABLES = (
    "mainstay_address",
    "mainstay_adopt",
    "mainstay_app",
    "mainstay_apps",
    "mainstay_ca_certificates",
    "mainstay_confirm",
    "mainstay_data",
    "mainstay_environment",
    "mainstay_lock_wait",
    "mainstay_outside",
    "mainstay_outside_address",
    "mainstay_restore",
    "mainstay_secret",
    "mainstay_snapshot",
    "mainstay_trusted_proxies",
    "mainstay_users",
    "mainstay_verify_alert",
    "mainstay_verify_drift",
    "mainstay_verify_limits",
    "mainstay_verify_load",
    "mainstay_verify_load_limits",
    "mainstay_verify_report",
    "mainstay_verify_waived",
)
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
            near = difflib.get_close_matches(name.removeprefix(PREFIX), known, 1)
            remedy = f"Did you mean {known[near[0]]}?" if near else f"There are {', '.join(VARIABLES)}."
            raise ValueError(f"{name}: nothing reads this variable. {remedy}")


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
