# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that strike a host, one after the other: what was seen of each, and the sum of all."""

from __future__ import annotations

import os
import random
import statistics
import time

from healing_host import say, seconds_of, stamp

AGENT, OTHER = "mainstay-agent.service", "monit.service"
FAULTS = ("F1", "F2", "F3", "F4", "F5")
NAMES = {
    "F1": "kill -9", "F2": "kill -9 of a child", "F3": "stopped by a signal", "F4": "deadlock",
    "F4w": "deadlock, a client waits", "F5": "500", "F6": "slow",
    "F17": "children stopped by a signal", "kill": "kill -9", "freeze": "stopped by a signal",
}  # fmt: skip
CRASHES = ("F1", "F2", "kill")
LIMIT_CRASH, LIMIT = 10, 30  # seconds until it answers again
LIMIT_PATIENT = 40  # where a request is under way: monitoring_busy_limit, 25 s of it, is left for it to end
WAIT = 60  # seconds until a fault counts as not healed


def limit_of(fault):
    return LIMIT_CRASH if fault in CRASHES else LIMIT_PATIENT if fault == "F4w" else LIMIT


def kind_of(item):
    return item.get("name") or item["process"]


def drawn(count, seed, declared):
    """Faults and the units they strike, the same for everybody."""
    chance = random.Random(seed)
    units = {item["unit"]: item for item in declared["processes"]}
    web = sorted(unit for unit, item in units.items() if item["process"] == "web")
    crews = sorted(unit for unit, item in units.items() if item["kind"] == "celery")
    able = {"F1": sorted(units), "F2": crews, "F3": sorted(units), "F4": web, "F5": web, "F6": web, "F17": crews}
    return [(fault, chance.choice(able[fault])) for fault in (chance.choice(FAULTS) for _each in range(count))]


class Healer:
    """Who heals: the agent, or monit."""

    def __init__(self, host, visitor, unit, patience=90):
        self.host, self.visitor, self.unit, self.patience = host, visitor, unit, patience
        self.settled = "settled" if unit == AGENT else "works"
        self.items = {item["unit"]: item for kind in ("processes", "servers") for item in host.do("declared")[kind]}

    def peace(self):
        """Wait until nothing is left of the fault before; what is left after that is ended by hand."""
        left, quiet = [], 0
        for turn in range(2):
            end = time.time() + self.patience
            while time.time() < end:
                left = self.host.do(self.settled)["left"]
                quiet = 0 if left else quiet + 1
                if quiet >= (1 if self.unit == AGENT else 10):  # two cycles of monit's
                    return
                time.sleep(1)
            say(f"not at peace: {left}")
            for unit in self.items:
                if turn == 0:
                    self.host.do("heal", unit=unit)
        raise RuntimeError(f"{self.host.name} does not come to rest: {left}")

    def strike(self, fault, unit):
        """One fault: what was seen of it."""
        self.peace()
        item = self.items[unit]
        found = self.host.do("inject", fault=fault, unit=unit, limit=WAIT)
        began, before = found.pop("injected"), found.pop("before")
        # A crash is seen at the next look, and a second answer to the same fault would come now.
        time.sleep(max(3, began + 8 - time.time()))
        after = self.host.do("lives")
        wrong = [f"{other} was restarted" for other in before if other != unit and before[other] != after[other]]
        if fault in ("F2", "F17") and before[unit] != after[unit]:
            wrong.append(f"{unit} was restarted")
        seen = {"fault": fault, "target": kind_of(item), "unit": unit, **found, "wrong": wrong}
        seen["visitors_failed"] = self.visitor.between(began, time.time())
        if self.unit == AGENT:
            self._judge(seen, began)
        if found["seconds"] is None:
            self.host.do("heal", unit=unit)
        say(
            f"{NAMES[fault]} of {seen['target']}: answers after {found['seconds']} s, detected after {seen.get('detected')} s, "
            f"{seen.get('actions', '')} {wrong or ''}"
        )
        return seen

    def _judge(self, seen, began):
        events = self.host.do("events", since=stamp(began))["events"]
        own = [event for event in events if event["unit"] == seen["unit"]]
        told = [event["time"] for event in own if event["event"] in ("opened", "again")]
        seen["detected"] = round(seconds_of(told[0]) - began, 2) if told else None
        seen["actions"] = [", ".join(event.get("steps", [])) or event.get("error", "") for event in own if event["event"] == "done"]
        seen["wrong"] += [f"{event['unit']}: {event.get('action')}" for event in events if event["event"] == "action" and event not in own]
        most = 0 if seen["fault"] in CRASHES else 2 if seen["fault"] == "freeze" else 1
        if len(seen["actions"]) > most:
            seen["wrong"].append(f"{len(seen['actions'])} actions: {seen['actions']}")


def spread(values):
    """Median, 95th percentile and maximum, where a value that never came is larger than all."""
    known = sorted(values)
    if not known:
        return None
    return {
        "median": round(statistics.median(known), 2),
        "p95": round(known[max(0, -(-len(known) * 95 // 100) - 1)], 2),
        "max": round(known[-1], 2),
    }


def summary(seen):
    """Per fault and target, and per fault."""
    rows = {}
    for one in seen:
        for key in (one["fault"], f"{one['fault']} {one['target']}"):
            rows.setdefault(key, []).append(one)
    return {key: row(found) for key, found in sorted(rows.items())}


def row(found):
    limit = limit_of(found[0]["fault"])
    healed = [one["seconds"] for one in found if one["seconds"] is not None]
    return {
        "what": NAMES[found[0]["fault"]],
        "injected": len(found),
        "recovered": len(healed),
        "within_limit": sum(seconds <= limit for seconds in healed),
        "limit_seconds": limit,
        "answers_after_seconds": spread(healed),
        "detected_after_seconds": spread([one["detected"] for one in found if one.get("detected") is not None]),
        "wrong_actions": sum(len(one["wrong"]) for one in found),
    }


def used(first, last):
    """What a service has cost between two looks; None where it has been another process meanwhile."""
    same = first["pid"] == last["pid"]
    return {
        "mb": [first["mb"], last["mb"]],
        "cpu_percent": round(100 * (last["cpu"] - first["cpu"]) / (last["at"] - first["at"]), 2) if same else None,
    }


def attack(healer, faults):
    first = healer.host.do("cost", unit=healer.unit)
    seen, loads = [], []
    for number, (fault, unit) in enumerate(faults, 1):
        loads.append(os.getloadavg()[0])
        say(f"{number} of {len(faults)}, load {loads[-1]:.1f}")
        seen.append(healer.strike(fault, unit))
    return {
        "faults": summary(seen),
        "recovered": sum(one["seconds"] is not None for one in seen),
        "injected": len(seen),
        "wrong_actions": [f"{one['fault']} of {one['unit']}: {text}" for one in seen for text in one["wrong"]],
        "load_average": spread(loads),
        "visitors_failed": sum(one["visitors_failed"] for one in seen),
        "cost": used(first, healer.host.do("cost", unit=healer.unit)),
        "each": seen,
    }
