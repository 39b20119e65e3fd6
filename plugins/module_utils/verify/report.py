# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checklists have found, for a screen, a pipeline, a browser and an auditor."""

from __future__ import annotations

import html
import re

from ..charts import Charts
from ..text import printable
from .chaos import FAULTS
from .checklist import CHECKLISTS
from .judge import ITEMS

SIGNS = {"ok": "✓", "failed": "✗", "skipped": "–"}
REQUIREMENTS = sorted({number for entry in ITEMS for number in entry["requirements"]})


def drift(run, host):
    """What ``site.yml --check`` has told of a host, for the item of that name: ``{status, changed, tasks, said}``; empty where it did not run.

    :param run: the result of the command that called ansible-playbook.
    """
    if not isinstance(run, dict) or "rc" not in run:
        return {}
    tasks, task = [], ""
    for line in run.get("stdout", "").splitlines():
        found = re.match(r"(?:TASK|RUNNING HANDLER) \[(.*?)\] \*", line)
        if found:
            task = found[1]
        elif re.match(rf"changed: \[{re.escape(host)}[] ]", line) and task not in tasks:
            tasks.append(task)
    recap = re.search(rf"^{re.escape(host)} +: ok=\d+ +changed=(\d+)", run.get("stdout", ""), re.MULTILINE)
    fatal = re.search(r"^\[ERROR\]: (.*)$", f"{run.get('stderr', '')}\n{run.get('stdout', '')}", re.MULTILINE)
    status = run["rc"] if recap else run["rc"] or 1
    return {"status": status, "changed": int(recap[1]) if recap else 0, "tasks": tasks, "said": fatal[1][:300] if fatal else ""}


def verification(results, taken, evidence=False):
    """All hosts in one document; a host without a result was not reached, and that is a failure.

    :param results: ``{host: result of host_checklist}``.
    :param taken: when, as text.
    :param evidence: whether to take the hosts' evidence along.
    """
    hosts = {}
    for name, result in results.items():
        if not (result or {}).get("checks"):
            hosts[name] = {"checks": [_unseen(name)], "notes": []}
            continue
        hosts[name] = {"checks": result["checks"], "notes": result.get("notes") or []}
        if (result.get("chaos") or {}).get("experiments"):
            hosts[name]["chaos"] = result["chaos"]
        if evidence:
            hosts[name]["evidence"] = result["evidence"]
    checks = [check for host in hosts.values() for check in host["checks"]]
    counts = {verdict: sum(check["verdict"] == verdict for check in checks) for verdict in SIGNS}
    return {"version": 1, "taken": taken, "ok": not counts["failed"], "counts": counts, "hosts": hosts}


def _unseen(name):
    return {
        "id": "host",
        "title": "The host can be asked",
        "requirements": [],
        "checklists": list(CHECKLISTS),
        "verdict": "failed",
        "seen": "",
        "reason": "nothing is known of it: an earlier task of this run says why",
        "remedy": "Repair what the task above complains of, and run verify.yml again.",
        "host": name,
    }


def table(report):
    """The lines for a screen."""
    lines = []
    for name, host in report["hosts"].items():
        width = max(len(check["id"]) for check in host["checks"])
        lines.append(name)
        for check in host["checks"]:
            told = check["seen"] if check["verdict"] == "ok" else check["reason"]
            lines.append(printable(f"  {SIGNS[check['verdict']]} {check['id']:<{width}}  {told}"))
        lines += [printable(f"  ! {note}") for note in host["notes"]]
    counts = report["counts"]
    return [*lines, f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped"]


def message(report):
    """Every failure with what helps, for the one message at the end; empty where nothing failed."""
    failures = [check for host in report["hosts"].values() for check in host["checks"] if check["verdict"] == "failed"]
    return "\n".join(
        printable(
            f"{check['host']}: {check['id']} ({', '.join(check['requirements']) or 'no number'}): {check['reason']}. {check['remedy']}"
        )
        for check in failures
    )


STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1d2129;--dim:#5b6472;
  --line:#d9dde3;
  --ok:#116b39;--failed:#b3261e;--skipped:#5b6472;--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--page:#14171c;--text:#e6e9ee;--dim:#a3acb9;
  --line:#333a45;
  --ok:#5fcf90;--failed:#ff8a80;--skipped:#a3acb9;--card:#1c2027}}
body{background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem;color:var(--dim)}
p{margin:.2rem 0}
.dim{color:var(--dim);font-size:.88rem}
.ok b,.ok .sign{color:var(--ok)}.failed b,.failed .sign{color:var(--failed)}
.skipped b,.skipped .sign{color:var(--skipped)}
ul{list-style:none;margin:0;padding:0}
li{background:var(--card);border:1px solid var(--line);border-left-width:4px;
  border-radius:4px;margin:.4rem 0;padding:.5rem .7rem;overflow-wrap:anywhere}
li.failed{border-left-color:var(--failed)}li.ok{border-left-color:var(--ok)}.sign{display:inline-block;width:1.2em;font-weight:700}
svg{display:block;width:100%;height:5rem;background:var(--card);border:1px solid var(--line);border-radius:4px}
.line{fill:none;stroke:var(--text);stroke-width:1.5;vector-effect:non-scaling-stroke}.area{fill:var(--line);stroke:none}
.limit{fill:none;stroke:var(--failed);stroke-dasharray:4 3;vector-effect:non-scaling-stroke}
""".strip()


def page(report):
    """One HTML file that needs no other."""
    told = [_host(name, host) for name, host in report["hosts"].items()]
    counts = report["counts"]
    verdict = "All that was asked is as it should be" if report["ok"] else f"{counts['failed']} items failed"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>mainstay: verification</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>",
            f'<h1 class="{"ok" if report["ok"] else "failed"}"><b>{_text(verdict)}</b></h1>',
            f'<p class="dim">{_text(report["taken"])} · {counts["ok"]} ok, {counts["failed"]} failed, {counts["skipped"]} skipped</p>',
            *told,
            "</body>\n</html>\n",
        ]
    )


def _host(name, host):
    parts = [f"<section>\n<h2>{_text(name)}</h2>"]
    failures = [check for check in host["checks"] if check["verdict"] == "failed"]
    if failures:
        parts.append(f"<h3>What to do</h3>\n<ul>\n{''.join(map(_entry, failures))}</ul>")
    for checklist in CHECKLISTS:
        # Each once, in the first of its checklists.
        own = [check for check in host["checks"] if check["checklists"][0] == checklist and check["verdict"] != "failed"]
        if own:
            parts.append(f"<h3>{_text(checklist)}</h3>\n<ul>\n{''.join(map(_entry, own))}</ul>")
    if host.get("chaos"):
        parts.append(_chaos(host["chaos"]))
    if host["notes"]:
        parts.append(f'<h3>What could not be asked</h3>\n<p class="dim">{"<br>".join(map(_text, host["notes"]))}</p>')
    return "\n".join([*parts, "</section>"])


def _chaos(run):
    """What was broken on purpose, and what visitors and the host's memory did meanwhile."""
    charts, span = Charts(), (0, max(run["seconds"], 1))
    lines = ["<h3>What was broken on purpose</h3>\n<ul>"]
    for entry in run["experiments"]:
        told = entry["problem"] or f"noticed after {entry['detection_s'] or 0:g} s, healed after {entry['recovery_s']:g} s"
        kind = "failed" if entry["problem"] else "ok"
        begun = f"{FAULTS[entry['fault']]}, in second {entry['began']:.0f}"
        lines.append(
            f'<li class="{kind}"><p><span class="sign">{SIGNS[kind]}</span>{_text(entry["unit"])}: {_text(told)}</p><p class="dim">{begun}</p></li>'
        )
    lines.append("</ul>")
    curves = [
        (f"latency of {name} (down for {run['down_s'].get(name, 0):g} s)", points, "ms")
        for name, points in sorted(run["latency_ms"].items())
    ]
    curves.append(("memory in use", [(moment, used, used) for moment, used in run["memory_mb"]], "MB"))
    lines += [
        f'<p class="dim">{_text(title)}</p>{charts.curve(title, points, span, 1, unit, size=(600, 80))}' for title, points, unit in curves
    ]
    return "\n".join(lines)


def _entry(check):
    lines = [f'<p><span class="sign">{SIGNS[check["verdict"]]}</span>{_text(check["title"])}</p>']
    lines += [f"<p><b>{_text(check['reason'])}</b></p>"] if check["reason"] else []
    lines += [f"<p>{_text(check['remedy'])}</p>"] if check["remedy"] else []
    lines += [f'<p class="dim">seen: {_text(check["seen"])}</p>'] if check["seen"] else []
    where = f"{check['id']} · {', '.join(check['checklists'])} · {', '.join(check['requirements'])}"
    return f'<li class="{check["verdict"]}">{"".join(lines)}<p class="dim">{_text(where)}</p></li>\n'


def _text(value):
    return html.escape(printable(str(value)))
