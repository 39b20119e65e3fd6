# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is configured by: the plan, environments, secrets, settings, and the limits of units and servers."""

from __future__ import annotations

from ..derive.proof import undone_words
from .checklist import MB, Items, failed, judged, listed, ok, skipped

ITEMS = Items()


@ITEMS.add("plan", "The host runs by the plan that is declared now", ["S0-33", "S4-34"], ["pre-launch", "periodic"])
def plan_applied(at):
    if not at.want["plan"]:
        return skipped("there is no capacity plan for this host")
    applied = at.found["applied"].get("plan")
    seen = f"{at.host['memory_mb']} MB and {at.host['cpus']} CPUs for {at.want['users']} users"
    remedy = "Run site.yml (with --check --diff it shows what would change)."
    if not applied:
        return failed(seen, "/etc/mainstay/plan.json is not there", remedy)
    different = _different(at.want["plan"], applied)
    if different:
        return failed(seen, f"the host has another plan than the declared one: {listed(different)}", remedy)
    return ok(seen)


def _different(wanted, applied, path=""):
    if isinstance(wanted, dict) and isinstance(applied, dict):
        return [
            line
            for key in sorted({*wanted, *applied})
            for line in _different(wanted.get(key), applied.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if wanted == applied else [f"{path} is {applied} instead of {wanted}"]


@ITEMS.add("environment-files", "Each app's environment is root's, and read by that app alone", ["S4-02", "S4-28"], ["pre-launch"])
def environment_files(at):
    if not at.want["apps"]:
        return skipped("no app runs on this host")
    wrong, seen = [], []
    for app in at.want["apps"]:
        file = at.found["environments"].get(app["name"], {}).get("file")
        path = app["env_file"]
        if not file:
            wrong.append(f"{path} is not there")
            continue
        seen.append(f"{path} {file['mode']} {file['owner']}:{file['group']}")
        if (file["mode"], file["owner"], file["group"]) != ("0640", "root", app["user"]):
            wrong.append(f"{path} is {file['mode']} {file['owner']}:{file['group']} instead of 0640 root:{app['user']}")
    return judged(seen, wrong, "Run site.yml --tags backend, and replace the app's secrets if somebody could read them (rotate.yml).")


@ITEMS.add("secret-files", "Files with secrets are readable by root alone", ["S4-02", "S4-20"], ["pre-launch", "periodic"])
def secret_files(at):
    # An environment is its app's to read, too; whether it is the right app's is the item before.
    wrong = [
        f"{path} is {entry['mode']} {entry['owner']}"
        for path, entry in at.found["modes"].items()
        if not entry["folder"] and (entry["owner"] != "root" or int(entry["mode"], 8) & (0o027 if path.endswith("/env") else 0o077))
    ]
    number = sum(not entry["folder"] for entry in at.found["modes"].values())
    return judged(f"{number} files", wrong, "Run site.yml, and replace what somebody could read: a key of TLS, a password.")


@ITEMS.add("secrets", "No secret is a placeholder, short or easy to guess", ["S4-02", "S4-20", "S4-28"], ["pre-launch"])
def secrets(at):
    if not at.want["apps"]:
        return skipped("no app runs on this host")
    wrong, number = [], 0
    for app in at.want["apps"]:
        found = at.found["environments"].get(app["name"], {})
        number += len(found.get("lengths") or {})
        wrong += [f"{app['name']}/{name} is missing" for name in found.get("missing") or ()]
        wrong += [f"{app['name']}/{name}: {why}" for name, why in sorted((found.get("weak") or {}).items())]
        wrong += [
            f"{app['name']}/{name} has {found['lengths'][name]} characters, fewer than {at.limits['secret_characters']}"
            for name in app["secrets"]
            if found.get("lengths", {}).get(name, at.limits["secret_characters"]) < at.limits["secret_characters"]
            and name not in found.get("weak", {})
        ]
    return judged(
        f"{number} secrets, {len(wrong)} of them weak",
        wrong,
        "Name it in the app's secrets and take it out of env, or replace it: rotate.yml -e mainstay_secret=<app>/<NAME>.",
    )


@ITEMS.add("secrets-kept", "The control node keeps the secrets for its user alone", ["S4-02"], ["pre-launch", "periodic"])
def secrets_kept(at):
    kept = at.control["secrets"]
    wrong = [f"{path} is missing" for path in kept["missing"]] + [f"{path} is {mode}" for path, mode in sorted(kept["open"].items())]
    seen = f"{kept['number']} files in {kept['directory']}"
    return judged(
        seen, wrong, "chmod 0600 the files and 0700 the folders; restore a missing file from a backup, or let site.yml make a new one."
    )


@ITEMS.add("debug", "No app runs in a developer's mode", ["S4-20", "S4-28"], ["pre-launch"])
def debug(at):
    if not at.want["apps"]:
        return skipped("no app runs on this host")
    wrong = [
        f"{app['name']}: {name} is on"
        for app in at.want["apps"]
        for name in at.found["environments"].get(app["name"], {}).get("developer") or ()
    ]
    wrong += [f"{app['name']}, {text}" for app in at.want["apps"] for text in app["developer"]]
    return judged(
        listed(app["name"] for app in at.want["apps"]),
        wrong,
        "Set the variable to false (or production) in env, take the option out of the command, and run deploy.yml.",
    )


@ITEMS.add("rate-limits", "Every site that leads to a process limits requests", ["S4-20", "S2-16"], ["pre-launch"])
def rate_limits(at):
    sites = [site for site in at.want["sites"] if site["process"]]
    if not sites and "proxy" not in at.want["tiers"]:
        return skipped("this host serves no site")
    wrong, seen = [], []
    for site in sites:
        number = at.found["nginx"].get(site["name"], {}).get("rate_limits", 0)
        seen.append(f"{site['name']}: {number} limit_req")
        if not number:
            wrong.append(f"{site['name']} has no limit")
    for app in at.want["apps"]:
        wrong += [
            f"{app['name']}: {name} is off in its environment"
            for name in at.found["environments"].get(app["name"], {}).get("unlimited") or ()
        ]
    return judged(seen, wrong, "Declare rate_limit: {rate: 10r/s, burst: 20} of the site or of its routes, and run deploy.yml.")


@ITEMS.add("unit-limits", "Every unit has the limits of the plan", ["S0-33", "S1-22"], ["pre-launch", "periodic"])
def unit_limits(at):
    if not at.want["services"]:
        return skipped("no app runs on this host")
    wrong, seen = [], []
    for unit, planned in at.want["services"].items():
        shown = at.found["units"].get(unit)
        if not shown or shown.get("LoadState") == "not-found":
            wrong.append(f"{unit} does not exist")
            continue
        for key, name, size in LIMIT_KEYS:
            wanted, has = planned.get(key), shown.get(name, "")
            if wanted and has != str(int(wanted) * size):
                wrong.append(f"{unit}: {name} is {_size(has, size)} instead of {int(wanted)}{'M' if size > 1 else ''}")
        seen.append(f"{unit} {_size(shown.get('MemoryMax', ''), MB)}")
    return judged(
        seen,
        wrong,
        "systemctl cat <unit> shows which file says so: remove a drop-in of your own (systemctl revert), then run site.yml --tags backend.",
    )


LIMIT_KEYS = (
    ("memory_max_mb", "MemoryMax", MB),
    ("memory_high_mb", "MemoryHigh", MB),
    ("tasks_max", "TasksMax", 1),
    ("nofile", "LimitNOFILE", 1),
)


def _size(text, size):
    return f"{int(text) // size}{'M' if size > 1 else ''}" if str(text).isdigit() else text or "unknown"


@ITEMS.add(
    "server-limits",
    "PostgreSQL, MariaDB, PgBouncer, Redis and nginx run with the plan's numbers",
    ["S4-28", "S4-30", "S4-31"],
    ["pre-launch"],
)
def server_limits(at):
    told = at.found["plan"]
    if not told:
        why = next((f" ({note})" for note in at.found["notes"] if note.startswith("plan: ")), "")
        return failed(
            "no answer", f"mainstay plan does not answer{why}", "Run site.yml --tags monitoring, then sudo mainstay plan on the host."
        )
    planned = at.want["plan"]
    seen = [f"max_connections {planned[name]['max_connections']} ({name})" for name in ("postgresql", "mariadb") if name in planned]
    seen += [
        f"maxclients {settings['maxclients']} (redis {app} {purpose})"
        for app, purposes in (planned.get("redis") or {}).items()
        for purpose, settings in purposes.items()
    ]
    return judged(
        seen or "no server",
        told.get("differs") or [],
        "Run site.yml; where that changes nothing, the server waits for a restart: systemctl restart its unit.",
    )


@ITEMS.add("undone", "No file of the host undoes what the stack sets", ["S0-33", "S4-21"], ["pre-launch", "periodic"])
def undone(at):
    return judged(
        "sysctl, journald, limits, apt, sshd and PostgreSQL heed the stack's files",
        undone_words(at.host),
        "Take the line out of that file (of a postgresql.auto.conf by ALTER SYSTEM RESET, and restart PostgreSQL), or declare what you want "
        "of it in the variables of the role, and run site.yml.",
    )
