# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is tried only where somebody asks for it: drift, load, and faults."""

from __future__ import annotations

from .checklist import Items, failed, judged, listed, ok, skipped

ITEMS = Items()


@ITEMS.add("drift", "site.yml --check finds nothing to change", ["S0-33"], ["periodic"])
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


@ITEMS.add("load", "The site carries the load it is planned for", ["S4-27", "S3-16"], ["pre-launch", "periodic"])
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
    return judged(
        seen,
        [f"{run['url']}: {text}" for run in [*runs, *held] for text in run["missed"]],
        " ".join(dict.fromkeys(run["advice"] for run in [*runs, *held] if run["missed"])),
    )


@ITEMS.add("stability", "What is broken on purpose heals by itself", ["S3-15", "S3-16"], ["pre-launch", "periodic"])
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
    return judged(seen + left, run["problems"], "On the host: mainstay why, and mainstay diagnose.")
