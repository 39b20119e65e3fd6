# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: one file of HTML that loads nothing and runs nothing. All that others have said passes through `text`.

It is read on a phone as on a desk, by day and by night, printed, and without colours: each state has a sign and a word.
"""

from __future__ import annotations

import time

from . import __version__
from .alerts import VERBS
from .core.charts import Charts, amount, text
from .page_facts import app_state
from .page_style import STYLE
from .records import finite
from .text import iso, span, wall

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STATES = {
    "up": ("good", "✓"),
    "degraded": ("warn", "▲"),
    "failing": ("warn", "▲"),
    "warning": ("warn", "▲"),
    "starting": ("idle", "…"),
    "stopped": ("idle", "■"),
    "looping": ("bad", "↻"),
    "restarting": ("bad", "↻"),
    "down": ("bad", "✗"),
    "failed": ("bad", "✗"),
    "missing": ("bad", "✗"),
    "critical": ("bad", "✗"),
    "open": ("bad", "✗"),
    "recovered": ("good", "✓"),
    "closed": ("good", "✓"),
    "ok": ("good", "✓"),
    "succeeded": ("good", "✓"),
}
FAILED = ("failed", "refused", "rolled back", "interrupted")
MOST_CURVES = 60  # processes and servers that have curves; the page would be too long
BLANK = ' class="blank"'
DASH = '<span class="none">–</span>'


def state(word, shown=None):
    """A state as a sign and a word."""
    kind, sign = STATES.get(word, ("idle", "?"))
    return f'<span class="state {kind}"><span aria-hidden="true">{sign}</span> {text(shown or word)}</span>'


def percent(value):
    """Availability; what is not quite whole never reads as if it were."""
    if value is None:
        return DASH
    shown = f"{value:.2f}"
    return f"{'99.99' if shown == '100.00' and value < 100 else '100' if value >= 100 else shown} %"


def table(caption, headings, rows, empty="Nothing."):
    """A table that is a stack of cards on a phone, where each cell says what it is. The first cell of a row names it."""
    if not rows:
        return f'<p class="empty">{empty}</p>'
    # The roles are said because browsers forget those of a table that is laid out as something else.
    head = "".join(f'<th scope="col" role="columnheader">{heading}</th>' for heading in headings)
    lines = []
    for first, *cells in rows:
        line = "".join(
            f'<td role="cell" data-label="{heading}"{BLANK if cell == DASH else ""}><div>{cell}</div></td>'
            for heading, cell in zip(headings[1:], cells)
        )
        lines.append(f'<tr role="row"><th scope="row" role="rowheader">{first}</th>{line}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table role="table"><caption>{caption}</caption><thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def section(name, title, *parts):
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{"".join(parts)}</section>'


def moment(seconds):
    return f"<time>{wall(seconds)}</time>"


def ago(seconds, now):
    return f"{span(now - seconds)} ago"


# --- the parts -------------------------------------------------------------------------------------------------------------


def verdict(facts):
    """The one sentence that is read first, and its kind."""
    if not facts["watching"]:
        return "bad", "✗", "The agent is not watching"
    critical = sum(found["level"] == "critical" for found in facts["findings"])
    warnings = len(facts["findings"]) - critical
    if critical:
        return "bad", "✗", f"{critical} {'thing is' if critical == 1 else 'things are'} wrong"
    if warnings:
        return "warn", "▲", f"{warnings} {'thing' if warnings == 1 else 'things'} to look at"
    return "good", "✓", "All is well"


def header(facts):
    kind, sign, words = verdict(facts)
    agent, lines = facts["agent"], []
    if facts["watching"] and agent.get("paused"):
        lines.append(f"The agent watches and does not act: {text((agent['paused'] or {}).get('reason', ''))}")
    elif facts["watching"] and agent.get("dry_run"):
        lines.append("The agent watches and does not act: dry run")
    if agent.get("problem"):
        lines.append(f"The agent has a problem: {text(agent['problem'])}")
    lines += [f"Could not be read: {text(part)}" for part in facts["unread"]]
    notes = "".join(f"<p>{line}</p>" for line in lines)
    return (
        f'<header><h1>{text(facts["host"])}</h1><p class="verdict {kind}"><span aria-hidden="true">{sign}</span> {words}</p>{notes}'
        f'<p class="made">As of {moment(facts["now"])} {text(time.strftime("%Z", time.localtime(facts["now"])))}, made anew each minute</p></header>'
    )


def attention(facts):
    if not facts["findings"]:
        return ""
    items = "".join(
        f'<li class="{STATES[found["level"]][0]}"><h3>{state(found["level"])} {text(found["where"])}</h3><p>{text(found["what"])}</p>'
        f'<p class="why">{text(found["why"])}</p><ul>{"".join(f"<li><code>{text(command)}</code></li>" for command in found["do"])}</ul></li>'
        for found in facts["findings"]
    )
    return section("attention", "To look at", f'<ol class="findings">{items}</ol>')


def sites(facts):
    if not facts["sites"]:
        return ""
    rows = []
    for site in facts["sites"]:
        certificate = site["certificate"]
        days = finite((certificate or {}).get("value"))
        ends = DASH
        if days is not None:
            ends = f"{state(certificate['level'], 'expired' if days <= 0 else f'{days:.0f} d left')}"
        served = ", ".join(f"{text(site['app'])}/{text(process)}" for process in site["processes"]) or "files"
        rows.append([f'<a href="{text(site["url"])}" rel="noreferrer">{text(site["name"])}</a>', state(site["health"]), served, ends])
    return section("sites", "Sites", table("Sites of this host", ["Site", "State", "Served by", "Certificate"], rows))


def availability(facts, past, charts):
    """Apps and servers: how they are, and how available they were."""
    rows, days, month = [], facts["day"] or {}, facts["month"] or {}
    entries = [(app, "apps", f"app {app}", app_state(app, facts["watched"])) for app in facts["apps"]]
    entries += [(entry["name"], "servers", entry["name"], entry["health"]) for entry in facts["watched"] if "server" in entry]
    for name, part, series, health in entries:
        day, long = ((found.get(part) or {}).get(name) or {} for found in (days, month))
        strip = charts.days(f"{name} in the last 30 days", past.get("days", {}).get(series, ()), facts["now"])
        restarts = day.get("restarts") or {}
        number = sum(restarts.values()) if restarts else None
        rows.append(
            [
                text(name),
                state(health),
                percent(day.get("availability")),
                percent(long.get("availability")),
                strip,
                DASH if number is None else f"{number:.0f}",
            ]
        )
    watched = month.get("watched_s") or 0
    note = f'<p class="note">Counted from incidents; the last 30 days were watched for {span(watched)}. '
    apart = month.get("maintenance_s") or 0
    note += f"Maintenance ({span(apart)}) counts neither way. " if apart else ""
    note += "Days are those of UTC: a short bar is a day with time down, a dot one of which nothing is known.</p>"
    headings = ["App or server", "State", "24 h", "30 d", "Last 30 days", "Restarts 24 h"]
    return section("available", "Availability", table("How available apps and servers were", headings, rows), note if rows else "")


def watched(facts, past, charts):
    rows = []
    for index, entry in enumerate(facts["watched"]):
        name = entry["name"]
        latency, memory = ("", "") if index >= MOST_CURVES else (_spark(charts, past, name, what, entry) for what in ("latency", "memory"))
        number = entry["latency_ms"]
        now_ms = f"{amount(number)} ms" if finite(number) is not None else ""
        used, limit = entry["used_mb"], entry["memory_max_mb"]
        now_mb = f"{used:.0f}{f' of {limit:.0f}' if limit else ''} MB" if used is not None else ""
        restarts = entry["restarts_24h"]
        reason = f'<p class="reason">{text(entry["reason"])}</p>' if entry["reason"] else ""
        rows.append(
            [
                f"{text(name)}{reason}",
                state(entry["health"]) + (f'<p class="since">for {span(facts["now"] - entry["since"])}</p>' if entry["since"] else ""),
                (now_ms + latency) or DASH,
                (now_mb + memory) or DASH,
                DASH if restarts is None else f"{restarts:.0f}",
                _last(entry["incident"], facts["now"]),
            ]
        )
    headings = ["Process or server", "State", "Latency, 24 h", "Memory, 24 h", "Restarts 24 h", "Last incident"]
    return section(
        "watched", "Processes and servers", table("What the agent watches", headings, rows, "No process is declared on this host.")
    )


def _spark(charts, past, name, what, entry):
    points = past.get("curves", {}).get(f"{name} {what}") or []
    unit, limit = ("ms", None) if what == "latency" else ("MB", finite(entry["memory_max_mb"]))
    return charts.curve(f"{what} of {name} in the last 24 hours", points, (past["since"], past["until"]), 600, unit, limit)


def _beside(words, drawn):
    return f'<div class="beside"><span>{words}</span>{drawn}</div>'


def _last(incident, now):
    if not incident:
        return DASH
    after = incident["recovered_after"]
    end = f"well after {span(after)}" if after is not None else "open"
    return f"{text(incident['kind'])}, {ago(incident['opened'], now)}, {end}"


def machine(facts, past, charts):
    """Memory, load and disks of the host."""
    memory, curves = facts["memory"], past.get("curves", {})
    whole = finite(memory.get("memory_mb"))
    figures = []

    def figure(title, words, series, unit, limit=None):
        points = curves.get(series) or []
        drawn = charts.curve(f"{title} in the last 24 hours", points, (past["since"], past["until"]), 600, unit, limit, (480, 90), "wide")
        axis = '<div class="axis" aria-hidden="true"><span>24 h ago</span><span>now</span></div>' if drawn else ""
        figures.append(f"<figure><figcaption><b>{title}</b> {words}</figcaption>{drawn}{axis}</figure>")

    if whole:
        used = whole - (finite(memory.get("available_mb")) or 0)
        figure("Memory", f"{used:.0f} of {whole:.0f} MB, {100 * used / whole:.0f} %", "host memory", "MB", whole)
    if facts["load"]:
        cpus = facts["cpus"]
        figure("Load", f"{facts['load'][0]:.2f}{f' on {cpus:.0f} processors' if cpus else ''}", "host load", "", cpus)
    rows = []
    for entry in facts["resources"]:
        value, limit = finite(entry.get("value")), finite(entry.get("limit"))
        kind = STATES.get(entry["level"], ("idle", ""))[0]
        if value is None or entry["kind"] in ("memory", "scarce", "leak", "oom", "certificate"):
            continue
        if entry["kind"] in ("disk", "inodes"):
            if entry["resource"] == "disk /":
                figure("Disk", f"{value:.0f} % of / in use", "disk /", "%", 100)
            shown = f"{value:.0f} %"
        else:
            shown = amount(value) + (f" of {amount(limit)}" if limit else "")
        drawn = charts.part(f"{entry['resource']} in use", value, limit, "good" if kind == "idle" else kind) if limit else ""
        rows.append([text(entry["resource"]), state(entry["level"]), _beside(shown, drawn)])
    grid = f'<div class="figures">{"".join(figures)}</div>' if figures else ""
    return section(
        "host", "Host", grid, table("What may run out", ["Resource", "State", "In use"], rows, empty="The agent has not looked yet.")
    )


def plan(facts, charts):
    found = facts["plan"]
    if not found:
        return ""
    rows = []
    for entry in found["parts"]:
        used, planned = entry["used_mb"], entry["planned_mb"]
        share = 100 * used / planned if used is not None and planned else None
        kind = "good" if share is None or share < 80 else "warn" if share < 100 else "bad"
        sign = "" if share is None else f"{share:.0f} %" + {"good": "", "warn": " ▲ close to it", "bad": " ✗ above it"}[kind]
        drawn = charts.part(f"memory of {entry['part']}", used, planned, kind) if share is not None else ""
        rows.append(
            [text(entry["part"]), f"{planned:.0f} MB", DASH if used is None else f"{used:.0f} MB", _beside(sign, drawn) if drawn else DASH]
        )
    rows += [[name, f"{found[f'{name}_mb']:.0f} MB", DASH, DASH] for name in ("reserve", "free")]
    differs = "".join(f"<li>{text(line)}</li>" for line in found["differs"])
    notes = f'<p class="note">Differs from the plan:</p><ul>{differs}</ul>' if differs else ""
    words = f"Memory as planned, {found['total_mb']:.0f} MB in all, and as used"
    return section("plan", "Plan and reality", table(words, ["Part", "Planned", "Used", "Of its part"], rows), notes)


def incidents(facts):
    rows = []
    for found in facts["incidents"]:
        down = sum(end - begin for begin, end in found["down"])
        done = "; ".join(action for action in found["actions"] if action) or "–"
        word = "open" if found["state"] == "open" else found["state"]
        what = VERBS.get(found["kind"], found["kind"])
        times = f", {found['times']:.0f} times" if found["times"] > 1 else ""
        rows.append(
            [
                moment(iso(found["opened"])),
                text(found["where"]),
                f'{text(what)}{times}<p class="reason">{text(found["reason"])}</p>',
                span(down),
                text(done, 120),
                state(word),
            ]
        )
    headings = ["Began", "Where", "What", "Lasted", "Done", "State"]
    return section("incidents", "Incidents", table("The last incidents, newest first", headings, rows, empty="No incident is recorded."))


def deploys(facts):
    rows = []
    for found in facts["deploys"]:
        result = str(found.get("result") or "–")
        seconds = finite(found.get("seconds"))
        failed = "failed" if result.startswith(FAILED) else result
        rows.append(
            [
                moment(found["time"]),
                text(found["app"]),
                f"{text(found.get('from') or '–', 40)} → {text(found.get('to') or '–', 40)}",
                text(found.get("by") or "–", 60),
                DASH if seconds is None else span(seconds),
                state(failed, result),
            ]
        )
    headings = ["When", "App", "Release", "By", "Took", "Result"]
    return section("deploys", "Deploys", table("The last deploys, newest first", headings, rows, empty="No deploy is recorded."))


def _problems(kept):
    return "".join(f'<p class="reason">{text(problem)}</p>' for problem in kept["problems"])


def care(facts):
    """Backup, point-in-time recovery, reboot, and who is told."""
    now, backup, rows = facts["now"], facts["backup"], []
    if backup is None:
        rows.append(["Backup", state("warning", "none"), "Nobody has asked for backups of this host."])
    else:
        good, proved = backup.get("last_good"), backup.get("drill_good")
        words = f"the last good one {ago(good['time'], now)}" if good else "there is none yet"
        words += f"; proved restorable {ago(proved['time'], now)}" if proved else "; not proved yet"
        rows.append(["Backup", state("critical" if backup["problems"] else "ok"), words + _problems(backup)])
    back = facts["recovery"]
    if back is not None:
        words = text(back["sentence"].partition("\n")[0].partition(": ")[2])
        rows.append(["Recovery", state("critical" if back["problems"] else "ok"), words + _problems(back)])
    told = "Incidents are told" if facts["alerts"] else "Nobody is told of incidents (monitoring_alerts)."
    rows.append(["Alerts", state(*(("ok", "on") if facts["alerts"] else ("warning", "off"))), told])
    waits = "Somebody elsewhere notices when this host is silent" if facts["ping"] else "Nobody would notice (monitoring_ping_url)."
    rows.append(["Sign of life", state(*(("ok", "on") if facts["ping"] else ("warning", "off"))), waits])
    if facts["reboot"]:
        rows.append(["Reboot", state("warning", "due"), text(facts["reboot"]["sentence"])])
    return section("care", "Care", table("Backups, and who is told", ["What", "State", "Details"], rows))


def render(facts, past):
    """The page.

    :param facts: as `page_facts` gathers them.
    :param past: the curves and days, as `remember.drawn` reads them; empty where there is no past.
    """
    charts, past = Charts(), past or {"since": 0, "until": 1}
    makers = {
        "attention": lambda: attention(facts),
        "sites": lambda: sites(facts),
        "availability": lambda: availability(facts, past, charts),
        "watched": lambda: watched(facts, past, charts),
        "machine": lambda: machine(facts, past, charts),
        "incidents": lambda: incidents(facts),
        "deploys": lambda: deploys(facts),
        "plan": lambda: plan(facts, charts),
        "care": lambda: care(facts),
    }
    parts = []
    for name, make in makers.items():
        try:
            parts.append(make())
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:  # records of another version
            facts["unread"].append(f"{name}: {type(error).__name__}: {error}")
    body = "\n".join(part for part in parts if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta http-equiv="refresh" content="60">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>{verdict(facts)[1]} {text(facts["host"])}: {verdict(facts)[2]}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
{header(facts)}
<main>
{body}
</main>
<footer>mainstay {text(__version__)}. On the host, <code>mainstay status</code>, <code>why</code> and <code>diagnose</code> tell more.</footer>
</body>
</html>
"""
