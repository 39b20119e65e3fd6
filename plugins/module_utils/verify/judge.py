# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklists: each item says what it requires, looks at what was gathered, and says what it saw, what is wrong and what helps.

Nothing here asks a host. ``requirements`` are the numbers of the demands that an item answers to; docs/verification.md has the list.
"""

from __future__ import annotations

from ..derive import proof
from ..derive.proof import undeclared_listeners

CHECKLISTS = ("pre-launch", "post-launch", "daily", "periodic", "emergency")
# What is compared with a number of the user's; each has a place in mainstay_verify_limits.
LIMITS = {
    "secret_characters": 64,  # of the secrets an app declares; the guide's own number
    "certificate_days": 14,  # certbot renews a third of a lifetime before the end: with 14 days left that has failed for weeks
    "disk_percent": 85,
    "inodes_free": 10000,
    "memory_percent": 90,  # of the host, and of a unit's own limit
    "connections_percent": 80,
    "restarts_a_day": 3,
    "errors_a_day": 100,  # entries of level error in the journal, of one unit
    "beat_minutes": 60,
    "rotation_hours": 26,
    "updates_days": 7,
    "reboot_days": 7,
    "agent_seconds": 60,
    "backup_hours": 36,
    "drill_days": 9,
}
ITEMS = []
DAY, HOUR, MB = 86400, 3600, 1 << 20
SHOWN = 6


class Context:
    """What an item judges: ``want`` of wanted.py, ``found`` of gather.py, ``host`` the snapshot, ``control`` what the control node saw."""

    def __init__(self, want, found, host, control, limits):
        self.want, self.found, self.host, self.control, self.limits = want, found, host, control, limits
        self.now = found.get("now") or 0

    def age(self, moment):
        return None if moment is None else max(0, self.now - float(moment))


def item(id, title, requirements, checklists):
    def register(function):
        ITEMS.append({"id": id, "title": title, "requirements": requirements, "checklists": checklists, "judge": function})
        return function

    return register


def ok(seen):
    return {"verdict": "ok", "seen": seen, "reason": "", "remedy": ""}


def failed(seen, reason, remedy):
    return {"verdict": "failed", "seen": seen, "reason": reason, "remedy": remedy}


def skipped(reason):
    return {"verdict": "skipped", "seen": "", "reason": reason, "remedy": ""}


def listed(things, none="nothing"):
    """At most a few of many, in words."""
    things = [str(thing) for thing in things]
    return ", ".join(things[:SHOWN]) + (f" and {len(things) - SHOWN} more" if len(things) > SHOWN else "") if things else none


def span(seconds):
    """A time as a person says it."""
    if seconds is None:
        return "never"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def judge(want, found, host, control, limits=None, waived=None):
    """Every item with its verdict. ``waived`` maps ids to the reason why somebody does without."""
    context = Context(want, found, host, control, {**LIMITS, **(limits or {})})
    items = []
    for entry in ITEMS:
        told = {key: entry[key] for key in ("id", "title", "requirements", "checklists")}
        verdict = entry["judge"](context)
        if verdict["verdict"] == "failed" and entry["id"] in (waived or {}):
            verdict = {**verdict, "verdict": "skipped", "reason": f"waived: {waived[entry['id']]} ({verdict['reason']})", "remedy": ""}
        items.append({**told, **verdict, "host": want["host"]})
    return items


def check_options(limits, waived):
    """Refuse a limit or an item that does not exist: a slip of the pen would count as not written."""
    for where, given, known in (
        ("mainstay_verify_limits", limits, LIMITS),
        ("mainstay_verify_waived", waived, [entry["id"] for entry in ITEMS]),
    ):
        for name in given or {}:
            if name not in known:
                raise ValueError(f"{where}: there is no {name!r}. Use {', '.join(known)}.")
    for name, value in (limits or {}).items():
        if isinstance(value, bool) or not str(value).replace(".", "", 1).isdigit():
            raise ValueError(f"mainstay_verify_limits.{name}: {value!r} cannot be used. Write a number; the default is {LIMITS[name]}.")
    for name, value in (waived or {}).items():
        if not str(value or "").strip():
            raise ValueError(f"mainstay_verify_waived.{name}: say why nobody needs it; the reason is in the report.")


# --- configuration and secrets ------------------------------------------------------------------------------------------


@item("plan", "The host runs by the plan that is declared now", ["S0-33", "S4-34"], ["pre-launch", "periodic"])
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


@item("environment-files", "Each app's environment is root's, and read by that app alone", ["S4-02", "S4-28"], ["pre-launch"])
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
    return _judged(seen, wrong, "Run site.yml --tags backend, and replace the app's secrets if somebody could read them (rotate.yml).")


def _judged(seen, wrong, remedy):
    seen = seen if isinstance(seen, str) else listed(seen)
    return failed(seen, listed(wrong), remedy) if wrong else ok(seen)


@item("secret-files", "Files with secrets are readable by root alone", ["S4-02", "S4-20"], ["pre-launch", "periodic"])
def secret_files(at):
    # An environment is its app's to read, too; whether it is the right app's is the item before.
    wrong = [
        f"{path} is {entry['mode']} {entry['owner']}"
        for path, entry in at.found["modes"].items()
        if not entry["folder"] and (entry["owner"] != "root" or int(entry["mode"], 8) & (0o027 if path.endswith("/env") else 0o077))
    ]
    number = sum(not entry["folder"] for entry in at.found["modes"].values())
    return _judged(f"{number} files", wrong, "Run site.yml, and replace what somebody could read: a key of TLS, a password.")


@item("secrets", "No secret is a placeholder, short or easy to guess", ["S4-02", "S4-20", "S4-28"], ["pre-launch"])
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
    return _judged(
        f"{number} secrets, {len(wrong)} of them weak",
        wrong,
        "Name it in the app's secrets and take it out of env, or replace it: rotate.yml -e mainstay_secret=<app>/<NAME>.",
    )


@item("secrets-kept", "The control node keeps the secrets for its user alone", ["S4-02"], ["pre-launch", "periodic"])
def secrets_kept(at):
    kept = at.control["secrets"]
    wrong = [f"{path} is missing" for path in kept["missing"]] + [f"{path} is {mode}" for path, mode in sorted(kept["open"].items())]
    seen = f"{kept['number']} files in {kept['directory']}"
    return _judged(
        seen, wrong, "chmod 0600 the files and 0700 the folders; restore a missing file from a backup, or let site.yml make a new one."
    )


@item("debug", "No app runs in a developer's mode", ["S4-20", "S4-28"], ["pre-launch"])
def debug(at):
    if not at.want["apps"]:
        return skipped("no app runs on this host")
    wrong = [
        f"{app['name']}: {name} is on"
        for app in at.want["apps"]
        for name in at.found["environments"].get(app["name"], {}).get("developer") or ()
    ]
    wrong += [f"{app['name']}, {text}" for app in at.want["apps"] for text in app["developer"]]
    return _judged(
        listed(app["name"] for app in at.want["apps"]),
        wrong,
        "Set the variable to false (or production) in env, take the option out of the command, and run deploy.yml.",
    )


@item("rate-limits", "Every site that leads to a process limits requests", ["S4-20", "S2-16"], ["pre-launch"])
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
    return _judged(seen, wrong, "Declare rate_limit: {rate: 10r/s, burst: 20} of the site or of its routes, and run deploy.yml.")


# --- limits -----------------------------------------------------------------------------------------------------------------


@item("unit-limits", "Every unit has the limits of the plan", ["S0-33", "S1-22"], ["pre-launch", "periodic"])
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
    return _judged(
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


@item(
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
    return _judged(
        seen or "no server", told.get("differs") or [], "Run site.yml; what waits for a restart of a server says so in mainstay plan."
    )


# --- certificates and the network ----------------------------------------------------------------------------------------------


@item("certificates", "Every site is served with a certificate for its names that lasts", ["S4-28", "S4-23"], ["pre-launch", "periodic"])
def certificates(at):
    sites = [site for site in at.want["sites"] if site["source"] != "none"]
    if not sites:
        return skipped("no site of this host has TLS")
    wrong, seen = [], []
    for site in sites:
        served = at.found["certificates"].get(site["name"]) or {"error": "nobody has looked"}
        if served.get("error"):
            wrong.append(f"{site['name']}: {served['error']}")
            continue
        days = served["days_left"]
        seen.append(f"{site['name']} {days} days, {served['protocol']}")
        if days is None or days < at.limits["certificate_days"]:
            wrong.append(f"the certificate of {site['name']} lasts {days} days, fewer than {at.limits['certificate_days']:g}")
        if served["missing"]:
            wrong.append(f"the certificate of {site['name']} is not for {listed(served['missing'])}")
        if site["source"] == "letsencrypt" and served["trusted"]:
            wrong.append(f"{site['name']} is not trusted: {served['trusted']}")
    return _judged(
        seen,
        wrong,
        "Run certificates.yml; for files of your own put the new pair in their place and run site.yml --tags certificates,nginx.",
    )


@item("listeners", "Nothing listens where other hosts reach it that nobody declared", ["S4-21", "S4-28"], ["pre-launch", "periodic"])
def listeners(at):
    declared = [f"{first}-{last}" for bounds in at.want["open"].values() for first, last in bounds]
    wrong = undeclared_listeners(at.host.get("listeners") or (), declared)
    public = sorted({entry["port"] for entry in at.host.get("listeners") or () if proof.is_public(entry["address"])})
    return _judged(
        f"{len(at.host.get('listeners') or ())} listeners, public: {listed(public)}",
        wrong,
        "Bind it to 127.0.0.1, stop it, or declare its port in firewall_rules.",
    )


@item("reachable", "From outside exactly the declared ports answer", ["S4-21", "S4-28"], ["pre-launch", "periodic"])
def reachable(at):
    outside = at.control["outside"]
    if not outside.get("address"):
        return skipped(outside.get("reason") or "nobody has looked from outside")
    world = at.want["open"]["world"]
    listening = {entry["port"] for entry in at.host.get("listeners") or () if entry["protocol"].startswith("tcp")}
    wrong = [f"port {port} answers" for port in outside["open"] if not _within(port, world) and not _within(port, at.want["open"]["some"])]
    wrong += [f"port {port} does not answer" for port in outside["closed"] if _within(port, world) and port in listening]
    return _judged(
        f"of {len(outside['open']) + len(outside['closed'])} ports of {outside['address']}, {listed(outside['open'])} answer",
        wrong,
        "Run site.yml --tags firewall; a port that does not answer may be closed in the provider's own firewall.",
    )


def _within(port, bounds):
    return any(first <= port <= last for first, last in bounds)


@item("firewall", "The firewall runs and comes back with the host", ["S0-33", "S4-21"], ["pre-launch"])
def firewall(at):
    unit = at.want["firewall"]
    shown = at.found["units"].get(unit, {})
    seen = f"{unit} is {shown.get('ActiveState', 'missing')}, {shown.get('UnitFileState') or 'not enabled'}"
    if shown.get("ActiveState") != "active" or shown.get("UnitFileState") != "enabled":
        return failed(seen, seen, "Run site.yml --tags firewall.")
    return ok(seen)


@item("dns", "The sites' names lead to this host", ["S4-28", "S4-23"], ["pre-launch", "post-launch"])
def dns(at):
    names = [
        name
        for site in at.want["sites"]
        for name in site["names"]
        if "." in name and not name.endswith((".test", ".localhost", ".example"))
    ]
    if not names:
        return skipped("no site has a public name" if at.want["sites"] else "this host serves no site")
    own = {*at.found["addresses"], *at.want["addresses"], *(at.control["outside"].get("addresses") or ())}
    wrong, seen = [], []
    for name in names:
        resolved = at.control["resolved"].get(name) or at.found["resolved"].get(name) or []
        seen.append(f"{name}: {listed(resolved, 'no address')}")
        if not resolved:
            wrong.append(f"{name} has no address")
        elif not set(resolved) & own:
            wrong.append(f"{name} leads to {listed(resolved)}")
    return _judged(
        seen,
        wrong,
        f"Set the A and AAAA records to this host ({listed(sorted(own))}); where a router or a proxy leads an address "
        "here, name it in certificates_acme_addresses.",
    )


# --- what runs --------------------------------------------------------------------------------------------------------------------


def _probes(at, chosen, none, remedy):
    results = [result for result in at.found["probes"] if chosen(result)]
    if not results:
        return skipped(none)
    wrong = [f"{result['name']}: {'; '.join(result['reasons'])}" for result in results if not result["healthy"]]
    slowest = max((result["latency_ms"] or 0 for result in results), default=0)
    return _judged(
        f"{sum(result['healthy'] for result in results)} of {len(results)} answer, the slowest in {slowest:.0f} ms", wrong, remedy
    )


@item("processes", "Every process and server answers", ["S0-33", "S3-20", "S4-29", "S1-20"], ["post-launch", "daily", "emergency"])
def processes(at):
    return _probes(
        at,
        lambda result: "://" not in result["name"],
        "nothing on this host is asked",
        "mainstay status, mainstay history and mainstay logs <app>/<process> on the host say what happened.",
    )


@item("sites", "Every site answers through nginx and TLS", ["S4-23", "S4-29"], ["post-launch", "daily"])
def sites(at):
    return _probes(
        at,
        lambda result: result["kind"] == "http" and "://" in result["name"],
        "no site of this host leads to a process with a health check",
        "Run nginx -t on the host and read journalctl -u nginx; a 502 is the app's (mainstay logs <app>).",
    )


@item("websockets", "Every route for websockets shakes hands", ["S4-29"], ["post-launch"])
def websockets(at):
    return _probes(
        at,
        lambda result: result["kind"] == "websocket",
        "no route declares a websocket",
        "See whether the app answers the upgrade at that path (mainstay logs <app>), and whether the route says websocket: true.",
    )


@item("beat", "Celery's beat sends its tasks, from one instance", ["S4-29", "S4-26"], ["post-launch", "daily"])
def beat(at):
    if not at.want["beats"]:
        return skipped("no process is Celery's beat")
    wrong, seen, silent = [], [], []
    for unit in at.want["beats"]:
        age, shown = at.age(at.found["beats"].get(unit)), at.found["units"].get(unit, {})
        if shown.get("ActiveState") != "active":
            wrong.append(f"{unit} is {shown.get('ActiveState', 'missing')}")
        elif age is None:
            silent.append(unit)
        else:
            seen.append(f"{unit} sent its last task {span(age)} ago")
            if age > at.limits["beat_minutes"] * 60:
                wrong.append(f"{unit} has sent nothing for {span(age)}")
    if len(at.want["beats"]) > 1:
        wrong.append(f"{len(at.want['beats'])} instances send every task twice: {listed(at.want['beats'])}")
    if silent and not wrong:
        return skipped(f"{listed(silent)} has told of no task for a day: give it --loglevel info, or a longer limit beat_minutes")
    return _judged(
        seen,
        wrong + [f"{unit} has told of no task for a day" for unit in silent if wrong],
        "mainstay logs <app>/beat says why; declare singleton: true, and mainstay restart it.",
    )


@item("agent", "The agent watches every process", ["S0-33", "S3-15"], ["post-launch", "daily"])
def agent(at):
    told = at.found["agent"]
    remedy = "systemctl status mainstay-agent; site.yml --tags monitoring installs it anew."
    if not told:
        return failed("no report", "the agent has written no report", remedy)
    age = at.age(told.get("written"))
    watched = {entry.get("unit") for entry in told["watched"]}
    seen = f"{len(watched)} units watched, the report is {span(age)} old"
    wrong = [f"its report is {span(age)} old"] if age is None or age > at.limits["agent_seconds"] else []
    wrong += [f"it does not watch {unit}" for unit in at.want["servers"] if unit not in watched]
    wrong += ["it watches, but heals nothing (monitoring_dry_run)"] if told.get("dry_run") else []
    wrong += [str(told["problem"])] if told.get("problem") else []
    return _judged(seen, wrong, remedy)


@item("incidents", "No incident is open", ["S3-22", "S1-21"], ["daily", "emergency"])
def incidents(at):
    sick = [
        f"{entry.get('unit')} is {entry.get('health')} ({entry.get('reason') or (entry.get('incident') or {}).get('reason') or 'no reason given'})"
        for entry in at.found["agent"].get("watched") or ()
        if entry.get("health") not in ("up", "starting", "waiting")
    ]
    if float(at.found["maintenance"].get("until") or 0) > at.now:
        sick.append("maintenance is on: nothing is healed meanwhile")
    return _judged(
        f"{len(at.found['history'].get('incidents') or ())} incidents on record",
        sick,
        "mainstay history on the host shows each with its reason; mainstay maintenance off ends a maintenance.",
    )


@item("restarts", "No process restarts again and again", ["S1-21", "S3-15"], ["daily", "emergency"])
def restarts(at):
    often = [
        f"{entry.get('unit')} {entry['restarts_24h']} times"
        for entry in at.found["agent"].get("watched") or ()
        if (entry.get("restarts_24h") or 0) > at.limits["restarts_a_day"]
    ]
    total = sum(entry.get("restarts_24h") or 0 for entry in at.found["agent"].get("watched") or ())
    return _judged(f"{total} restarts in a day", often, "mainstay history shows each with its reason and the journal's last lines.")


@item("failed-units", "No unit of the system has failed", ["S3-20"], ["daily", "emergency"])
def failed_units(at):
    return _judged(
        f"{len(at.host.get('active') or ())} units are active",
        at.host.get("failed_units") or [],
        "systemctl status <unit> says why; systemctl reset-failed <unit> forgets one that is over.",
    )


@item("timers", "Every timer of the stack waits for its time", ["S3-21", "S4-26"], ["post-launch", "periodic"])
def timers(at):
    wrong, seen = [], []
    for name in at.want["timers"]:
        shown = at.found["timers"].get(name, {})
        state = shown.get("ActiveState") or "missing"
        seen.append(name)
        if state != "active":
            wrong.append(f"{name} is {'missing' if shown.get('LoadState') == 'not-found' else state}")
        elif shown.get("UnitFileState") in ("disabled", "masked"):
            wrong.append(f"{name} is {shown['UnitFileState']}, and will not come back after a reboot")
    return _judged(seen, wrong, "systemctl enable --now <timer>, or run site.yml.")


@item("errors", "No unit fills the journal with errors", ["S3-20"], ["daily", "emergency"])
def errors(at):
    counts = sorted(at.found["errors"].items(), key=lambda entry: (-entry[1], entry[0]))
    wrong = [f"{unit} {number} times" for unit, number in counts if number > at.limits["errors_a_day"]]
    return _judged(
        listed([f"{unit} {number}" for unit, number in counts], "no error in a day"),
        wrong,
        "journalctl --priority err --since -24h -u <unit>",
    )


# --- room -----------------------------------------------------------------------------------------------------------------------------


@item("memory", "There is memory left, on the host and below every limit", ["S0-33", "S3-20", "S3-22"], ["daily", "emergency"])
def memory(at):
    total, left = at.host["memory_mb"], at.host["memory"]["available_mb"]
    used = 100 - 100 * left / total if total else 100
    wrong = [f"{used:.0f} % of the host's {total} MB are in use"] if used > at.limits["memory_percent"] else []
    for entry in at.found["agent"].get("watched") or ():
        size, limit = entry.get("memory_mb"), entry.get("memory_max_mb")
        if size and limit and 100 * size / limit > at.limits["memory_percent"]:
            wrong.append(f"{entry.get('unit')} uses {size:.0f} of its {limit:.0f} MB")
    return _judged(
        f"{left} of {total} MB are free",
        wrong,
        "mainstay plan says who uses what. A process that only grows leaks; else give it more memory, or the host fewer users.",
    )


@item("disk", "There is room on every disk", ["S0-33", "S3-21"], ["daily", "periodic"])
def disk(at):
    wrong, seen = [], []
    for place, entry in at.host["disks"].items():
        used = 100 - 100 * entry["free_mb"] / entry["total_mb"] if entry["total_mb"] else 0
        seen.append(f"{place} {used:.0f} % of {entry['total_mb'] // 1024} GB")
        if used > at.limits["disk_percent"]:
            wrong.append(f"{place} is full to {used:.0f} %, more than {at.limits['disk_percent']:g} %")
        if 0 < entry["inodes_free"] < at.limits["inodes_free"]:
            wrong.append(f"{place} has room for {entry['inodes_free']} more files only")
    return _judged(
        seen,
        wrong,
        "du -xh / | sort -h | tail on the host; journalctl --vacuum-size=200M, apt-get clean, and backend_keep_releases give room back.",
    )


@item("database", "The databases answer and have connections left", ["S3-17", "S3-20", "S4-24", "S4-30"], ["daily", "emergency"])
def database(at):
    if "database" not in at.want["tiers"] or not any(name in at.want["plan"] for name in ("postgresql", "mariadb")):
        return skipped("this host has no database")
    told, wrong, seen = at.found["plan"], [], []
    found = told.get("postgresql") or {}
    if "postgresql" in at.want["plan"]:
        used, limit = found.get("connections"), found.get("max_connections")
        if used is None or not limit:
            wrong.append(f"PostgreSQL: {found.get('problem') or 'mainstay plan cannot ask it'}")
        else:
            seen.append(f"PostgreSQL {used} of {limit} connections")
            if 100 * used / limit > at.limits["connections_percent"]:
                wrong.append(f"PostgreSQL has {used} of {limit} connections in use")
    sick = [result for result in at.found["probes"] if result["kind"] in ("postgresql", "mysql")]
    seen += [f"{result['name']} answers" for result in sick if result["healthy"]]
    wrong += [f"{result['name']}: {'; '.join(result['reasons'])}" for result in sick if not result["healthy"]]
    return _judged(
        seen,
        wrong,
        "Look for leaks before you raise a pool: mainstay plan shows sessions idle in a transaction, mainstay queries <app> the slow statements.",
    )


@item("redis", "Redis refuses nobody, and no queue loses anything", ["S4-25", "S4-31", "S4-32"], ["daily", "emergency"])
def redis(at):
    if not at.want["plan"].get("redis"):
        return skipped("this host has no Redis")
    instances = (at.found["plan"].get("redis") or {}).get("instances") or []
    if not instances:
        return failed("no answer", "mainstay plan has no answer of Redis", "systemctl status 'redis-server@*' on the host says why.")
    wrong, seen = [], []
    for entry in instances:
        seen.append(
            f"{entry['instance']} {entry['used_mb']:g} of {entry['maxmemory_mb']} MB, {entry['clients']} of {entry['maxclients']} clients"
        )
        if entry["rejected"]:
            wrong.append(f"{entry['instance']} has refused {entry['rejected']} connections")
        if entry["maxclients"] and 100 * entry["clients"] / entry["maxclients"] > at.limits["connections_percent"]:
            wrong.append(f"{entry['instance']} has {entry['clients']} of {entry['maxclients']} clients")
        if not entry["evicts"] and entry["maxmemory_mb"] and 100 * entry["used_mb"] / entry["maxmemory_mb"] > at.limits["memory_percent"]:
            wrong.append(
                f"{entry['instance']} is full to {entry['used_mb']:g} of {entry['maxmemory_mb']} MB, and a full queue takes no more"
            )
    return _judged(
        seen,
        wrong,
        "See whether the workers keep up (mainstay logs <app>/worker) and whether the app shares its connections; more "
        "users or memory in the plan give it more room.",
    )


@item("log-rotation", "The apps' logs are rotated", ["S0-25", "S4-22", "S4-28"], ["pre-launch", "periodic"])
def log_rotation(at):
    rotation, wrong = at.found["rotation"], []
    wrong += [
        f"/etc/logrotate.d/mainstay-{name} is not there" for name in at.want["rotated"] if f"mainstay-{name}" not in rotation["files"]
    ]
    timer = at.found["timers"].get("logrotate.timer", {})
    if timer.get("ActiveState") != "active":
        wrong.append(f"logrotate.timer is {timer.get('ActiveState') or 'missing'}")
    result = at.found["units"].get("logrotate.service", {}).get("Result", "success")
    if result not in ("success", ""):
        wrong.append(f"logrotate has failed ({result})")
    age = at.age(rotation["looked"])
    if age is not None and age > at.limits["rotation_hours"] * HOUR:
        wrong.append(f"logrotate has last looked {span(age)} ago")
    looked = f"looked {span(age)} ago" if age is not None else "not yet run"
    return _judged(
        f"{listed(at.want['rotated'], 'no logs of an app')}, {looked}",
        wrong,
        "systemctl enable --now logrotate.timer; logrotate -d /etc/logrotate.conf says what it refuses.",
    )


@item("updates", "Security upgrades are asked for, and none waits for a reboot", ["S3-21"], ["periodic"])
def updates(at):
    asked, reboot, wrong = at.found["updates"]["asked_s"], at.found["updates"]["reboot_s"], []
    if asked is None or asked > at.limits["updates_days"] * DAY:
        wrong.append(f"apt was last asked for news {span(asked)}{' ago' if asked is not None else ''}")
    if reboot is not None and reboot > at.limits["reboot_days"] * DAY:
        wrong.append(f"a reboot is wanted since {span(reboot)}")
    return _judged(
        f"apt was asked {span(asked)} ago, {'a reboot is wanted' if reboot is not None else 'no reboot is wanted'}",
        wrong,
        "apt-get update && unattended-upgrade --dry-run says what hinders it; reboot in a quiet hour.",
    )


# --- backups and alerts ------------------------------------------------------------------------------------------------------------------


@item("backup", "There is a backup, and it is young and whole", ["S4-28"], ["pre-launch", "daily"])
def backup(at):
    if not at.want["has_data"]:
        return skipped("this host keeps nothing that would be lost with it")
    if not at.want["backup"]:
        return failed("no repository", "nobody asked for backups", "Declare backup_repository (docs/backups.md) and run site.yml.")
    told = at.found["backup"]
    last, good, upkeep = told.get("last") or {}, told.get("last_good") or {}, told.get("upkeep") or {}
    limit = float(at.found["backup_limits"].get("max_age_hours") or at.limits["backup_hours"])
    remedy = "systemctl start mainstay-backup (or mainstay-backup-upkeep), then journalctl -u mainstay-backup says what hinders it."
    if not last:
        return failed("no backup yet", "no backup was made yet", remedy)
    age = at.age(good.get("time"))
    seen = f"{span(age)} old, {(good.get('bytes') or 0) / MB:.1f} MB"
    wrong = [f"the last good backup is {span(age)} old, more than {limit:g} h"] if age is None or age > limit * HOUR else []
    wrong += [] if last.get("ok") else [f"the last backup failed ({listed(last.get('failed') or ['no part named'])})"]
    wrong += [f"the last upkeep failed ({listed(upkeep.get('failed') or ['no part named'])})"] if upkeep and not upkeep.get("ok") else []
    return _judged(seen, wrong, remedy)


@item("backup-drill", "The newest backup was restored to prove it", ["S4-28", "S3-21"], ["periodic"])
def backup_drill(at):
    if not at.want["has_data"] or not at.want["backup"]:
        return skipped("there is no backup to prove")
    last, good = at.found["backup"].get("drill") or {}, at.found["backup"].get("drill_good") or {}
    limit = float(at.found["backup_limits"].get("drill_max_age_days") or at.limits["drill_days"])
    remedy = "systemctl start mainstay-backup-drill, then journalctl -u mainstay-backup-drill says what hinders it."
    if not last:
        return failed("no drill yet", "no backup was ever restored to prove it", remedy)
    age = at.age(good.get("time"))
    seen = f"proved restorable {span(age)} ago, {good.get('rows') or 0} rows, {good.get('seconds') or 0:.0f} s"
    wrong = [f"the last good drill was {span(age)} ago, more than {limit:g} days"] if age is None or age > limit * DAY else []
    wrong += [] if last.get("ok") else [f"the last drill failed ({listed(last.get('failed') or ['no part named'])})"]
    return _judged(seen, wrong, remedy)


@item("alerts", "Somebody is told when something breaks", ["S4-29", "S3-22"], ["post-launch"])
def alerts(at):
    kinds = at.found["alerts"]
    if not kinds:
        return failed(
            "no channel",
            "nobody is told of incidents",
            "Declare monitoring_alerts (a webhook, ntfy or e-mail) and run site.yml --tags monitoring.",
        )
    if len(kinds) != at.want["alerts"]:
        return failed(
            listed(kinds), f"the host has {len(kinds)} channels, {at.want['alerts']} are declared", "Run site.yml --tags monitoring."
        )
    return ok(listed(kinds))


@item("alert-delivery", "A test alert arrives", ["S4-29", "S3-22"], ["post-launch"])
def alert_delivery(at):
    told = at.found["alert_test"]
    if told is None:
        return skipped("not asked for: -e mainstay_verify_alert=true sends one through every channel")
    if told["status"] != 0:
        return failed(
            f"exit status {told['status']}",
            listed(told["said"]),
            "Repair the channel in monitoring_alerts; mainstay alert --test on the host tries it again.",
        )
    return ok(listed(told["said"]))


# --- what is asked for -------------------------------------------------------------------------------------------------------------------


@item("drift", "site.yml --check finds nothing to change", ["S0-33"], ["periodic"])
def drift(at):
    told = at.control.get("drift")
    if not told:
        return skipped("not asked for: -e mainstay_verify_drift=true lets site.yml look")
    remedy = "Run site.yml --check --diff to see it, and site.yml to put it right."
    if told["status"] != 0:
        return failed(f"exit status {told['status']}", told.get("said") or "site.yml --check does not come to its end", remedy)
    if told["changed"]:
        return failed(f"{told['changed']} tasks", f"site.yml would change: {listed(told['tasks'])}", remedy)
    return ok("nothing would change")


@item("load", "The site carries the load it is planned for", ["S4-27", "S3-16"], ["pre-launch", "periodic"])
def load(at):
    runs, held = at.control.get("load") or [], at.control.get("websockets") or []
    if not runs and not held:
        return skipped("not asked for: -e mainstay_verify_load=true sends requests")
    seen = [
        f"{run['url']}: {run['success_percent']:g} % of {run['requests']}, mean {run['mean_ms']:g} ms, "
        f"p99 {run['p99_ms'] or 0:g} ms, {run['requests_per_second']:.0f}/s"
        for run in runs
    ]
    seen += [
        f"{run['url']}: wants to know first who comes, so none was held"
        if run["wants_login"]
        else f"{run['url']}: {run['success_percent']:g} % of {run['connections']} kept for {run['seconds']:g} s, pongs p99 {run['p99_ms'] or 0:g} ms"
        for run in held
    ]
    return _judged(
        seen,
        [f"{run['url']}: {text}" for run in [*runs, *held] for text in run["missed"]],
        " ".join(dict.fromkeys(run["advice"] for run in [*runs, *held] if run["missed"])),
    )


@item("stability", "What is broken on purpose heals by itself", ["S3-15", "S3-16"], ["pre-launch", "periodic"])
def stability(at):
    run = at.control.get("chaos") or {}
    if not run:
        return skipped("not asked for: -e mainstay_verify_chaos=true kills and freezes what runs")
    if run.get("msg"):
        return failed("nothing", run["msg"], "Repair that, and try again.")
    healed = [entry["recovery_s"] for entry in run["experiments"] if entry["recovery_s"] is not None]
    seen = f"{len(healed)} of {len(run['experiments'])} faults healed"
    seen += f", the slowest after {max(healed):g} s" if healed else ""
    seen += f"; were each to happen once a day, sites would answer for {run['availability_percent']:g} % of it"
    left = f"; not frozen, because the agent restarts so many only in a row: {listed(run['left_out'])}" if run["left_out"] else ""
    return _judged(seen + left, run["problems"], "On the host: mainstay why, and mainstay diagnose.")
