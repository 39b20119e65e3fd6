# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no reason for the agent to act, and what becomes of the agent itself."""

from __future__ import annotations

import contextlib
import time

from healing_faults import AGENT, kind_of, used
from healing_host import say, stamp


def actions(healer, since):
    return [
        f"{event['unit']}: {event.get('action')}"
        for event in healer.host.do("events", since=stamp(since))["events"]
        if event["event"] == "action"
    ]


@contextlib.contextmanager
def untouched(healer, result, name, but=()):
    """Nothing in here is a reason to restart anything."""
    healer.peace()
    before, began = healer.host.do("lives"), time.time()
    row = result[name] = {"seconds": None, "wrong": []}
    try:
        yield row
    finally:
        after = healer.host.do("lives")
        row["seconds"] = round(time.time() - began, 1)
        row["wrong"] += [f"{unit} was restarted" for unit in before if unit not in but and before[unit] != after[unit]]
        row["wrong"] += actions(healer, began)
        say(f"{name}: {row}")


def freeze(host, unit, seconds, lift):
    """Stop a process by a signal for a while; what keeps the agent's hands off it is lifted when it has had time to be well again."""
    try:
        host.sh(f"systemctl kill --signal=SIGSTOP {unit}")
        time.sleep(seconds)
    finally:
        host.sh(f"systemctl kill --signal=SIGCONT {unit}")
        time.sleep(12)
        host.sh(lift)


def hands_off(healer, short, quiet):
    """What is no reason to act, one after the other; the last is nothing at all, for so many seconds."""
    host, result = healer.host, {}
    web = sorted(unit for unit, item in healer.items.items() if item.get("process") == "web")
    mailer = next(unit for unit, item in healer.items.items() if item.get("process") == "mailer")
    port = int(healer.items[web[0]]["instance"])
    rest = 15 if short else 45
    servers = [unit for unit, item in healer.items.items() if "name" in item]
    for unit in (*servers, mailer, web[0]):
        with untouched(healer, result, f"{kind_of(healer.items[unit])} is stopped by somebody", but=[unit]) as row:
            try:
                host.sh(f"systemctl stop {unit}")
                time.sleep(rest)
                if host.sh(f"systemctl is-active {unit}", check=False) == "active":
                    row["wrong"].append(f"{unit} was started again")
            finally:
                host.sh(f"systemctl start {unit}")
            if unit in servers:
                row["ready_after_seconds"] = host.do("wait_ready", port=port, limit=60)["seconds"]
                time.sleep(35 if not short else 5)  # and the agent's patience after its return
    with untouched(healer, result, "maintenance, and a frozen process"):
        host.sh("mainstay maintenance on --for 10m")
        freeze(host, web[0], rest, "mainstay maintenance off")
    with untouched(healer, result, "one request of 20 s"):
        host.sh(f"curl --silent --fail --request POST 'http://127.0.0.1:{port}/faults/block?seconds=20'")
        time.sleep(10)
    with untouched(healer, result, "processor taken by eight others"):
        try:
            for number in range(8):
                host.sh(f"systemd-run --quiet --collect --unit=prove-hog-{number} sh -c 'while :; do :; done'")
            time.sleep(15 if short else 60)
        finally:
            host.sh("systemctl stop 'prove-hog-*'", check=False)
    with untouched(healer, result, "deploy of this app"):
        lock = "/run/lock/mainstay/shop.deploy"
        host.sh(f"touch --date='+10 min' {lock}")
        freeze(host, web[0], rest, f"rm -f {lock}")
    with untouched(healer, result, "nothing happens") as row:
        first = host.do("cost", unit=AGENT)
        time.sleep(quiet)
        row["cost"] = used(first, host.do("cost", unit=AGENT))
    return result


def agent_itself(healer):
    """Seconds until the agent watches again after each of its own faults."""
    host, result = healer.host, {}
    faults = {
        "kill -9": f"systemctl kill --signal=SIGKILL {AGENT}",
        "stopped by a signal": f"systemctl kill --signal=SIGSTOP {AGENT}",
        "corrupt state": f"systemctl stop {AGENT}; head -c 3000 /dev/urandom > /run/mainstay/state.json; systemctl start {AGENT}",
    }
    for name, command in faults.items():
        healer.peace()
        before, began = host.do("cost", unit=AGENT)["pid"], time.time()
        host.sh(command)
        while time.time() - began < 90:
            now = host.do("cost", unit=AGENT)["pid"]
            if now not in (0, before) and not host.do("settled")["left"]:
                break
            time.sleep(0.5)
        result[name] = {"watches_after_seconds": round(time.time() - began, 1)}
        say(f"agent, {name}: {result[name]}")
    return result
