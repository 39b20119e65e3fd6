# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe repeated until it is healthy, or for as long as it may take."""

from __future__ import annotations

import time

from .declared import normalise
from .once import check_once, event_of

HISTORY = 5


def run(spec, clock=time, check=check_once, judge=None):
    """Try until `healthy_threshold` successes in a row, `unhealthy_threshold` failures in a row, or the deadline.

    `deadline` counts from the end of `start_delay`; at least one try is made. `clock` has monotonic() and sleep(). Where the probe has a
    `unit`, `judge(spec, result)` may say why an answer is none and the wait is over.
    """
    spec = normalise(spec)
    if spec["start_delay"]:
        clock.sleep(spec["start_delay"])
    started = clock.monotonic()
    results, reasons = [], []
    consecutive = 0
    while True:
        at = clock.monotonic() - started
        left = max(spec["deadline"] - at, 0.25)
        result = check({**spec, "timeout": min(spec["timeout"], left)})
        over = judge(spec, result) if judge and spec["unit"] else ""
        if over:
            result = {**result, "healthy": False, "reasons": [over]}
        consecutive = consecutive + 1 if results and results[-1]["healthy"] == result["healthy"] else 1
        event = event_of(round(at * 1000), result["healthy"], result["status"], result["latency_ms"]["last"], result["reasons"])
        results.append({**result, "event": event})
        reasons += [reason for reason in result["reasons"] if reason not in reasons]
        if result["healthy"] and consecutive >= spec["healthy_threshold"]:
            break
        if over:
            reasons = [over]
            break
        if not result["healthy"] and 0 < spec["unhealthy_threshold"] <= consecutive:
            break
        if clock.monotonic() - started + spec["interval"] >= spec["deadline"]:
            break
        clock.sleep(spec["interval"])
    last = results[-1]
    healthy = last["healthy"] and consecutive >= spec["healthy_threshold"]
    if last["healthy"] and not healthy:
        reasons.append(f"{consecutive} of {spec['healthy_threshold']} successes in a row when the time was up")
    latencies = sorted(result["latency_ms"]["last"] for result in results if result["latency_ms"]["last"] is not None)
    summary = {key: value for key, value in last.items() if key != "event"}
    summary.update(
        healthy=healthy,
        attempts=len(results),
        consecutive=consecutive,
        latency_ms={
            "min": latencies[0] if latencies else None,
            "p50": latencies[len(latencies) // 2] if latencies else None,
            "max": latencies[-1] if latencies else None,
            "last": last["latency_ms"]["last"],
        },
        reasons=[] if healthy else reasons[-HISTORY:],
        history=[result["event"] for result in results[-HISTORY:]],
    )
    return summary


def explain(result):
    """Why a result is not healthy, in one line."""
    target = "" if result["name"] == result["target"] else f" ({result['target']})"
    tries = f"{result['attempts']} attempt{'s' if result['attempts'] > 1 else ''}"
    return f"{result['name']}{target} is not healthy after {tries}: {'; '.join(result['reasons'])}"


def run_all(specs, clock=time, workers=64, judge=None):
    """`run` for every specification, at the same time; results in the order given."""
    specs = [normalise(spec) for spec in specs]
    if len(specs) < 2:
        return [run(spec, clock, judge=judge) for spec in specs]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(workers, len(specs))) as pool:
        return list(pool.map(lambda spec: run(spec, clock, judge=judge), specs))
