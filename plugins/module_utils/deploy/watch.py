# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a release that has just taken over: do its units stay up, do its probes pass, and how does its real load fare?"""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import time
from urllib.parse import urlsplit

from ..host import units as host_units
from ..probe import declared, once

# Fewer requests say nothing about a share of them; as few as these still say something where all of them were slow.
ENOUGH_REQUESTS = 20
FEW_REQUESTS = 10
UNIT_PROPERTIES = "Id,NRestarts,ActiveState,Job"
# A probe that fails once may have met a busy moment; twice in a row it has not.
FAILURES_IN_A_ROW = 2
PERCENTILE = 0.95
# How many times more a release is watched whose answers were slow: a moment in which the machine was busy passes.
MORE_TIMES = 2
# The end of a line of both log formats (role nginx): the upstreams that were tried, their statuses and their times.
UPSTREAMS = re.compile(
    rb'(?:^|[ "])((?:[^\s"]+:\d+, )*[^\s"]+:\d+)(?: |","upstream_status":")((?:[\d-]+, )*[\d-]+)'
    rb'(?: |","upstream_seconds":")((?:[\d.-]+, )*[\d.-]+)(?:"\})?$'
)


# How an action without Python asks for what :func:`began` reads. Where the connection has a terminal, systemctl would take a pager.
MARK = "stat -c 'size %s' -- {log} 2>/dev/null; exec systemctl show --no-pager --property={properties} -- {units}"


def mark_script(units, log):
    """A shell command that tells where the log ends, and of each unit what :func:`restarts` reads."""
    return MARK.format(log=shlex.quote(log or ""), properties=UNIT_PROPERTIES, units=" ".join(map(shlex.quote, units)))


def began(answer):
    """What :func:`mark_script` printed, as what a watch is counted from: {position, restarts}."""
    size = re.match(r"size (\d+)\n", answer)
    return {"position": int(size[1]) if size else None, "restarts": restarts_shown(answer[size.end() if size else 0 :])}


class Log:
    """What is appended to a log from a position, or from now, on; nothing where there is no such file."""

    def __init__(self, path, position=None):
        self.path = path
        if position is None and path and os.path.exists(path):
            position = os.path.getsize(path)
        self.position = position

    def lines(self):
        if self.position is None or not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as file:
            if os.fstat(file.fileno()).st_size >= self.position:  # else it was rotated
                file.seek(self.position)
            return file.read().splitlines()


def requests(lines, ports):
    """The status and the time in ms of each try at one of the ports, also where another one then answered.

    Websockets last as long as they like, and a client that left has no status.
    """
    found = []
    for line in lines:
        match = UPSTREAMS.search(line)
        for address, status, seconds in zip(*(field.split(b", ") for field in match.groups())) if match else ():
            if int(address.rpartition(b":")[2]) in ports and status not in (b"-", b"101"):
                found.append((int(status), round(float(seconds) * 1000)))
    return found


def restarts(units):
    """How often systemd has restarted each unit, and whether it runs: {unit: (number, state)}; without those on their way."""
    if not units:
        return {}
    return restarts_shown(
        subprocess.run(
            ["systemctl", "show", f"--property={UNIT_PROPERTIES}", "--", *units], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


def restarts_shown(shown):
    """The same out of what ``systemctl show`` printed."""
    return {
        unit["Id"]: (int(unit.get("NRestarts") or 0), unit.get("ActiveState", ""))
        for unit in host_units.parse_show(shown)
        if not unit.get("Job")
    }


def judge_units(before, after):
    """What is wrong with each unit that is not well."""
    return {
        unit: f"{unit} was restarted {number - before[unit][0]} times" if number > before[unit][0] else f"{unit} is {state}"
        for unit, (number, state) in sorted(after.items())
        if number > before[unit][0] or state not in ("active", "reloading")
    }


def judge_errors(found, max_error_rate):
    """What is wrong with the statuses of the load's answers; nothing where there were too few to tell."""
    errors = sum(status >= 500 for status, dummy in found)
    if len(found) < ENOUGH_REQUESTS or errors / len(found) <= max_error_rate:
        return []
    return [f"{errors} of {len(found)} requests got an error of the server, and {max_error_rate:.0%} may"]


def judge_latency(found, max_latency_ms):
    """What is wrong with the times of the load's answers; nothing where there were too few to tell."""
    latencies = sorted(latency for dummy, latency in found)
    if len(found) >= ENOUGH_REQUESTS:
        slow = latencies[int(len(found) * PERCENTILE)]
        return [f"95 of 100 requests took up to {slow} ms, and {max_latency_ms} ms are allowed"] if slow > max_latency_ms else []
    if len(found) < FEW_REQUESTS or latencies[0] <= max_latency_ms:
        return []
    return [f"each of {len(found)} requests took at least {latencies[0]} ms, and {max_latency_ms} ms are allowed"]


def watch(
    probes,
    seconds,
    log,
    max_error_rate,
    max_latency_ms,
    drains=(),
    clock=time,
    check=once.check_once,
    count=restarts,
    elapsed=0.0,
    before=None,
):
    """Watch for a while, and stop at the first thing that is wrong. Returns the reasons, the units they concern and what was seen.

    Only slow answers are no reason to stop: they are judged at the end, and what was slow is watched for as long again. Slow it
    stays until enough requests say otherwise: fewer tell as little against a release as for it.

    :param probes: the names of probes are names of units. Those of kind ``http`` are asked each second, the others must
        pass at the end, which waits for them: for what systemd is still to restart as long as systemd lets it end, then for
        the ``deadline`` of each.
    :param log: a :class:`Log` opened when the release took over.
    :param drains: probes that pass when nobody is connected to what served before. Until then, or until the deadline of each,
        everything can still return to it, so for so long the watch lasts.
    :param elapsed: seconds since the release took over. They count, though nobody has asked a probe in them.
    :param before: what :func:`restarts` told then; {} to begin with what it tells now.
    """
    asked = [declared.normalise(item) for item in probes if item["kind"] == "http"]
    awaited = [declared.normalise(item) for item in probes if item["kind"] != "http"]
    ports = {urlsplit(item["url"]).port for item in asked}
    units, before = sorted({item["name"] for item in probes}), dict(before or {})
    start = clock.monotonic() - elapsed
    drained = [(item, start + item["deadline"]) for item in map(declared.normalise, drains)]
    failures, settled, tries, end = {}, {}, 0, start + seconds
    since, more, slow = 0, MORE_TIMES, []
    while True:
        began = clock.monotonic()
        reasons, sick = [], set()
        for number, item in enumerate(asked):
            answer = check(item)
            tries += 1
            failures[number] = 0 if answer["healthy"] else failures.get(number, 0) + 1
            if failures[number] >= FAILURES_IN_A_ROW:
                reasons.append(f"{item['name']}: {item['url']}: {'; '.join(answer['reasons'])}")
                sick.add(item["name"])
        seen = count(units)
        before = {**seen, **before}
        settled = {**dict.fromkeys(seen, clock.monotonic()), **settled}
        unwell = judge_units(before, seen)
        found = requests(log.lines(), ports)
        overloaded = judge_errors(found, max_error_rate)
        late = clock.monotonic() >= end
        waiting = [(item, answer) for item in awaited if not (answer := check(item))["healthy"]] if late else []
        overdue = [
            (item, answer) for item, answer in waiting if clock.monotonic() >= settled.get(item["name"], math.inf) + item["deadline"]
        ]
        reasons += [f"{item['name']}: {'; '.join(answer['reasons'])}" for item, answer in overdue if item["name"] not in unwell]
        sick |= {item["name"] for item, _answer in overdue}
        done = late and not waiting and not any(failures.values())
        done = done and all(clock.monotonic() >= latest or check(item)["healthy"] for item, latest in drained)
        if done and len(found) >= since + FEW_REQUESTS:
            slow, since = judge_latency(found[since:], max_latency_ms), len(found)
        if done and slow and more:
            done, late, more = False, False, more - 1
            end = clock.monotonic() + seconds
        elif done and not overloaded:
            overloaded = slow
        reasons += [*unwell.values(), *overloaded]
        sick |= {*unwell, *(item["name"] for item in asked if overloaded)}
        if reasons or done:
            return {
                "reasons": reasons,
                "units": sorted(sick),
                "probes": tries,
                "requests": len(found),
                "seconds": round(clock.monotonic() - start, 1),
            }
        clock.sleep(max(0.0, (began + 0.5 if late else min(began + 1, end)) - clock.monotonic()))


def watch_log(access_log, position=None, **options):
    """:func:`watch` with the path of the log, and where in it the watch begins."""
    return watch(log=Log(access_log, position), **options)
