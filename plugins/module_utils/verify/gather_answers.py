# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs tell a checklist: the agent and its commands, systemd, the journal and the network's interfaces."""

from __future__ import annotations

import re

from ..text import printable
from .gather_files import parsed

TOLD = (
    "app",
    "process",
    "instance",
    "server",
    "name",
    "unit",
    "kind",
    "health",
    "reason",
    "restarts_24h",
    "memory_mb",
    "memory_max_mb",
    "incident",
)


def agent(state):
    """The agent's own report, without its memory."""
    if not isinstance(state, dict) or not isinstance(state.get("agent"), dict):
        return {}
    watched = [
        {key: _plain(entry[key]) for key in TOLD if key in entry}
        for kind in ("processes", "servers")
        for entry in state.get(kind) or ()
        if isinstance(entry, dict)
    ]
    own = state["agent"]
    return {
        "written": own.get("written") if isinstance(own.get("written"), (int, float)) else None,
        "interval": own.get("interval"),
        "dry_run": own.get("dry_run"),
        "problem": own.get("problem"),
        "watched": watched,
    }


def _plain(value):
    """What an app may have said, fit for a terminal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return printable(value)[:200] if isinstance(value, str) else value


def history(told):
    """Deploys and incidents, the newest last; of an incident neither the journal's lines nor other evidence."""
    if not isinstance(told, dict):
        return {}
    incidents = [
        {key: _plain(item[key]) for key in ("id", "unit", "kind", "opened", "closed", "recovered_after", "times") if key in item}
        for item in (told.get("incidents") or ())[-100:]
        if isinstance(item, dict)
    ]
    deploys = [
        {key: _plain(item[key]) for key in ("time", "app", "from", "to", "by", "result", "seconds", "what") if key in item}
        for item in (told.get("deploys") or ())[-100:]
        if isinstance(item, dict)
    ]
    return {"incidents": incidents, "deploys": deploys}


def alert_test_of(program, text):
    if program is None:
        return None
    ended = program.process.returncode if program.process else None
    return {"status": ended, "said": [printable(line)[:200] for line in (text or program.reason).splitlines()][:20]}


def addresses(links):
    """The host's own addresses, without those of the loopback and of a link alone."""
    return [
        item["local"] for link in links or () for item in link.get("addr_info", ()) if item.get("scope") == "global" and item.get("local")
    ]


def errors(text):
    """How many entries of level error and above each unit has in the journal of the last day."""
    counts = {}
    for line in text.splitlines():
        unit = parsed(line).get("_SYSTEMD_UNIT") or "kernel"
        unit = re.sub(r"@.*(\.\w+)$", r"@*\1", unit if isinstance(unit, str) else "unknown")
        counts[unit] = counts.get(unit, 0) + 1
    return counts


def last_entry(text):
    """The second of the last entry of a journal's JSON; None where there is none."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    moment = parsed(lines[-1]).get("__REALTIME_TIMESTAMP") if lines else None
    return int(moment) // 1000000 if str(moment).isdigit() else None


def exposure(text):
    """{unit: exposure} as ``systemd-analyze security`` tells it: 0 is sealed, 10 is open."""
    return {match[1]: float(match[2]) for match in re.finditer(r"^\s*(\S+\.service)\s+(\d+\.\d)\s", text, re.MULTILINE)}
