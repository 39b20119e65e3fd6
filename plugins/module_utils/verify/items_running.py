# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, and whether it runs well: processes, sites, the agent, incidents, timers."""

from __future__ import annotations

from .checklist import DAY, Items, failed, judged, listed, skipped, span

ITEMS = Items()


def _probes(at, chosen, none, remedy):
    results = [result for result in at.found["probes"] if chosen(result)]
    if not results:
        return skipped(none)
    wrong = [f"{result['name']}: {'; '.join(result['reasons'])}" for result in results if not result["healthy"]]
    slowest = max((result["latency_ms"] or 0 for result in results), default=0)
    return judged(
        f"{sum(result['healthy'] for result in results)} of {len(results)} answer, the slowest in {slowest:.0f} ms", wrong, remedy
    )


@ITEMS.add("processes", "Every process and server answers", ["S0-33", "S3-20", "S4-29", "S1-20"], ["post-launch", "daily", "emergency"])
def processes(at):
    return _probes(
        at,
        lambda result: "://" not in result["name"],
        "nothing on this host is asked",
        "mainstay status, mainstay history and mainstay logs <app>/<process> on the host say what happened.",
    )


@ITEMS.add("sites", "Every site answers through nginx and TLS", ["S4-23", "S4-29"], ["post-launch", "daily"])
def sites(at):
    return _probes(
        at,
        lambda result: result["kind"] == "http" and "://" in result["name"],
        "no site of this host leads to a process with a health check",
        "Run nginx -t on the host and read journalctl -u nginx; a 502 is the app's (mainstay logs <app>).",
    )


@ITEMS.add("websockets", "Every route for websockets shakes hands", ["S4-29"], ["post-launch"])
def websockets(at):
    return _probes(
        at,
        lambda result: result["kind"] == "websocket",
        "no route declares a websocket",
        "See whether the app answers the upgrade at that path (mainstay logs <app>), and whether the route says websocket: true.",
    )


@ITEMS.add("beat", "Celery's beat sends its tasks, from one instance", ["S4-29", "S4-26"], ["post-launch", "daily"])
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
    return judged(
        seen,
        wrong + [f"{unit} has told of no task for a day" for unit in silent if wrong],
        "mainstay logs <app>/beat says why; declare singleton: true, and mainstay restart it.",
    )


@ITEMS.add("agent", "The agent watches every process", ["S0-33", "S3-15"], ["post-launch", "daily"])
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
    return judged(seen, wrong, remedy)


@ITEMS.add("incidents", "No incident is open", ["S3-22", "S1-21"], ["daily", "emergency"])
def incidents(at):
    sick = [
        f"{entry.get('unit')} is {entry.get('health')} ({entry.get('reason') or (entry.get('incident') or {}).get('reason') or 'no reason given'})"
        for entry in at.found["agent"].get("watched") or ()
        if entry.get("health") not in ("up", "starting", "waiting")
    ]
    if float(at.found["maintenance"].get("until") or 0) > at.now:
        sick.append("maintenance is on: nothing is healed meanwhile")
    return judged(
        f"{len(at.found['history'].get('incidents') or ())} incidents on record",
        sick,
        "mainstay history on the host shows each with its reason; mainstay maintenance off ends a maintenance.",
    )


@ITEMS.add("restarts", "No process restarts again and again", ["S1-21", "S3-15"], ["daily", "emergency"])
def restarts(at):
    often = [
        f"{entry.get('unit')} {entry['restarts_24h']} times"
        for entry in at.found["agent"].get("watched") or ()
        if (entry.get("restarts_24h") or 0) > at.limits["restarts_a_day"]
    ]
    total = sum(entry.get("restarts_24h") or 0 for entry in at.found["agent"].get("watched") or ())
    return judged(f"{total} restarts in a day", often, "mainstay history shows each with its reason and the journal's last lines.")


@ITEMS.add("availability", "The apps were there as much of 30 days as they have to be", ["S3-15", "S3-16"], ["periodic"])
def availability(at):
    watched, demanded = at.found["report"].get("watched_s") or 0, at.limits["availability_percent"]
    told = {name: entry for name, entry in (at.found["report"].get("apps") or {}).items() if entry["availability"] is not None}
    if not told or watched < DAY:
        return skipped(f"no app was watched for a day ({span(watched)})")
    allowed = watched / 60 * (100 - demanded) / 100
    return judged(
        [f"{name} {entry['availability']:g} % of {span(watched)}" for name, entry in told.items()],
        [
            f"{name} was there for {entry['availability']:g} %, away for {entry['down_s'] / 60:.0f} min where {demanded:g} % allow {allowed:.0f}"
            for name, entry in told.items()
            if entry["availability"] < demanded
        ],
        "mainstay report --since 30d says what it was down for, and what took longest.",
    )


@ITEMS.add("failed-units", "No unit of the system has failed", ["S3-20"], ["daily", "emergency"])
def failed_units(at):
    return judged(
        f"{len(at.host.get('active') or ())} units are active",
        at.host.get("failed_units") or [],
        "systemctl status <unit> says why; systemctl reset-failed <unit> forgets one that is over.",
    )


@ITEMS.add("timers", "Every timer of the stack waits for its time", ["S3-21", "S4-26"], ["post-launch", "periodic"])
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
    return judged(seen, wrong, "systemctl enable --now <timer>, or run site.yml.")


@ITEMS.add("errors", "No unit fills the journal with errors", ["S3-20"], ["daily", "emergency"])
def errors(at):
    counts = sorted(at.found["errors"].items(), key=lambda entry: (-entry[1], entry[0]))
    wrong = [f"{unit} {number} times" for unit, number in counts if number > at.limits["errors_a_day"]]
    return judged(
        listed([f"{unit} {number}" for unit, number in counts], "no error in a day"),
        wrong,
        "journalctl --priority err --since -24h -u <unit>",
    )
