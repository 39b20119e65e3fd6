# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks one thing of a host after the other, and watches from outside of it until it works again.

scripts/prove_healing runs this on the host and talks to it: one JSON object per line each way, {"do": NAME, ...}. It needs nothing but
Python, asks the processes as visitors do, and believes neither the agent nor systemd about whether they work.

F1 kill -9 of the main process; F2 kill -9 of a child; F3 the main process stopped by a signal; F4 a deadlock: connections are taken,
nothing is answered; F4w the same in a request whose client waits; F5 /health answers 500; F6 answers take 8 s; F17 a child stopped by a
signal.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

AGENT = "mainstay-agent.service"
CONFIG, STATE, INCIDENTS = "/etc/mainstay/agent.json", "/run/mainstay/state.json", "/var/lib/mainstay/agent/incidents.jsonl"
REQUESTS = {"F4": "/faults/hang?seconds=300", "F5": "/faults/error", "F6": "/faults/slow?seconds=8"}
EVERY = 0.2  # seconds between two questions
IN_A_ROW = 3  # right answers until it counts as answering
TICKS = os.sysconf("SC_CLK_TCK")


def call(*command):
    """What a command prints; of one that fails, nothing."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def declared():
    return json.loads(Path(CONFIG).read_text())


def entry(unit):
    told = declared()
    return next(item for item in [*told["processes"], *told["servers"]] if item["unit"] == unit)


def show(units, *properties):
    """{unit: {property: value}}"""
    found = {}
    for block in call("systemctl", "show", f"--property=Id,{','.join(properties)}", *units).strip().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        found[values.get("Id", "")] = values
    return found


def lives():
    """Which life of each unit this is: a restart by anybody changes it."""
    told = declared()
    units = [item["unit"] for item in [*told["processes"], *told["servers"]]]
    return {unit: f"{values['InvocationID']} {values['MainPID']}" for unit, values in show(units, "InvocationID", "MainPID").items()}


def main_pid(unit):
    return int(show([unit], "MainPID")[unit]["MainPID"])


def read(path):
    with contextlib.suppress(OSError):
        return Path(path).read_text()
    return ""


def letter(pid):
    """The state of a process, such as S or T; nothing where there is none."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]


def children(pid):
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]


def tree(pid):
    return [pid, *(found for child in children(pid) for found in tree(child))]


def ask(port, method, path, timeout, body=None):
    """(status, text) of a web process; OSError where it gives none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Host": "localhost", "X-Forwarded-Proto": "https", **({"Content-Type": "application/json"} if body else {})}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()


class Web:
    """It answers /health."""

    def __init__(self, item):
        self.port = int(item["instance"])

    def works(self, since):
        with contextlib.suppress(OSError):
            return ask(self.port, "GET", "/health", 1)[0] == 200
        return False


class Heartbeat:
    """Its loop turns: the file is younger than the fault."""

    def __init__(self, item):
        self.file = item["probe"]["file"]

    def works(self, since):
        with contextlib.suppress(OSError):
            return os.stat(self.file).st_mtime > since
        return False


class Connected:
    """A process that nobody can ask: it is not stopped, and has a connection to its queue."""

    def __init__(self, item):
        self.unit, self.queue = item["unit"], declared()["apps"][item["app"]]["queue"]["port"]

    def works(self, since):
        pid = main_pid(self.unit)
        if not pid or letter(pid) in (["T"], ["Z"], []):
            return False
        return f"pid={pid}," in call("ss", "-Htnp", "state", "established", "dport", f"= :{self.queue}")


class Consumer:
    """A worker takes orders that were placed after the fault."""

    def __init__(self, item):
        self.port = min(int(other["instance"]) for other in declared()["processes"] if other["process"] == "web")
        self.unit, self.placed, self.children = item["unit"], [], 0
        self.children = len(children(main_pid(self.unit)))

    def works(self, since):
        try:
            status, text = ask(self.port, "POST", "/orders", 2, json.dumps({"item": "tea"}))
            if status == 202:
                self.placed = [*self.placed, json.loads(text)["id"]][-6:]
            done = any(json.loads(ask(self.port, "GET", f"/orders/{name}", 2)[1]).get("status") == "done" for name in self.placed)
        except (OSError, ValueError):
            return False
        pid = main_pid(self.unit)
        crew = [child for child in children(pid) if letter(child) not in (["T"], ["Z"], [])]
        return done and len(crew) >= self.children


class Server:
    """A server answers somebody without a login."""

    def __init__(self, item):
        self.name, self.port = item["name"], item["probe"]["port"]

    def works(self, since):
        if self.name == "postgresql":
            return subprocess.run(["pg_isready", "-qh", "127.0.0.1", "-t", "1"], check=False).returncode == 0
        if self.name == "nginx":  # its catch-all hangs up without a word; 7 and 28 are no answer
            rest = ["--output", "/dev/null", "--max-time", "1", "http://127.0.0.1/"]
            return subprocess.run(["curl", "--silent", *rest], check=False).returncode >= 52
        command = ["timeout", "1", "redis-cli", "-p", str(self.port), "ping"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return "PONG" in said.stdout or "NOAUTH" in said.stdout


def watcher(item):
    if "name" in item:
        return Server(item)
    if item["kind"] == "celery":
        return Consumer(item)
    if not item["probe"] or item["probe"]["kind"] == "beat":
        return Connected(item)
    return Heartbeat(item) if item["probe"]["kind"] == "heartbeat" else Web(item)


def break_it(fault, item):
    pid = main_pid(item["unit"])
    if fault == "F1":
        os.kill(pid, signal.SIGKILL)
    elif fault == "F2":
        os.kill(random.choice(children(pid)), signal.SIGKILL)
    elif fault == "F3":
        os.kill(pid, signal.SIGSTOP)
    elif fault == "F17":
        os.kill(random.choice(children(pid)), signal.SIGSTOP)
    elif fault == "F4w":
        command = ["curl", "--silent", "--request", "POST", f"http://127.0.0.1:{item['instance']}/faults/block?seconds=300"]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elif fault == "freeze":  # all of a server
        for each in tree(pid):
            os.kill(each, signal.SIGSTOP)
    else:
        status, text = ask(int(item["instance"]), "POST", REQUESTS[fault], 5)
        if status != 204:
            raise SystemExit(f"{REQUESTS[fault]} answers {status} {text}")


def inject(fault, unit, limit):
    """Break it, and ask until it works again: seconds from the fault, or None."""
    item = entry(unit)
    watch, before = watcher(item), lives()
    break_it(fault, item)
    injected, failed, right, first = time.time(), False, 0, None
    while time.time() - injected < limit:
        began = time.time()
        if watch.works(injected + 0.02):
            right, first = right + 1, first or began
            # What never failed has to hold for long enough that a fault would have shown.
            if right >= IN_A_ROW and (failed or time.time() - injected > 3):
                break
        else:
            failed, right, first = True, 0, None
        time.sleep(max(0, EVERY - (time.time() - began)))
    else:
        first = None
    seconds = None if first is None else round(max(0.0, first - injected), 2) if failed else 0.0
    return {"injected": injected, "seconds": seconds, "failed": failed, "before": before}


def heal(unit):
    """End whatever is left of a fault."""
    item = entry(unit)
    for pid in tree(main_pid(unit)) if main_pid(unit) else ():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)
    if item.get("kind") == "web":
        with contextlib.suppress(OSError):
            ask(int(item["instance"]), "POST", "/faults/clear", 1)
        if not Web(item).works(0):
            call("systemctl", "kill", "--signal=SIGKILL", unit)
    call("systemctl", "reset-failed", unit)
    call("systemctl", "start", unit)
    return {}


def events(since):
    """What the agent has recorded."""
    found = []
    for line in read(f"{INCIDENTS}.1").splitlines() + read(INCIDENTS).splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if event.get("time", "") >= since and "unit" in event:
                event.pop("evidence", None)
                found.append(event)
    return {"events": found}


def settled():
    """What keeps the agent from being quiet: nothing, at the end."""
    with contextlib.suppress(ValueError):
        state = json.loads(read(STATE))
        if time.time() - state["agent"]["written"] > 15:
            return {"left": ["the agent is silent"]}
        agent = show([AGENT], "MainPID", "ActiveState")[AGENT]
        if agent["ActiveState"] != "active" or int(agent["MainPID"]) != state["agent"]["pid"]:
            return {"left": ["the agent is another one"]}
        left = [item for item in [*state["processes"], *state["servers"]] if item["health"] != "up" or item["incident"]]
        return {
            "left": [f"{item['unit']} is {item['health']}" for item in left]
            + ([str(state["agent"]["paused"])] * bool(state["agent"]["paused"]))
        }
    return {"left": ["there is no state"]}


def works():
    """Whether everything that can be asked at once works: what settles without an agent."""
    told = declared()
    left = [
        item["unit"]
        for item in [*told["processes"], *told["servers"]]
        if item.get("kind") != "celery" and not watcher(item).works(time.time() - 5)
    ]
    return {"left": left}


def cost(unit):
    """Memory in MB and seconds of processor time of a service, those of the programs it has run included."""
    pid = main_pid(unit)
    words = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    resident = next((int(line.split()[1]) for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS")), 0)
    return {"pid": pid, "mb": round(resident / 1024, 1), "cpu": sum(map(int, words[11:15])) / TICKS if words else 0, "at": time.time()}


def wait_ready(port, limit):
    """Seconds until an instance is ready for all of its work."""
    began = time.time()
    while time.time() - began < limit:
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/ready", 3)[0] == 200:
                return {"seconds": round(time.time() - began, 2)}
        time.sleep(EVERY)
    return {"seconds": None}


def shell(command):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    return {"code": done.returncode, "out": done.stdout[-20000:], "err": done.stderr[-2000:]}


DO = {
    "inject": inject, "heal": heal, "events": events, "settled": settled, "works": works, "cost": cost, "wait_ready": wait_ready,
    "shell": shell, "lives": lives, "declared": declared,
}  # fmt: skip

if __name__ == "__main__":
    for asked in sys.stdin:
        wanted = json.loads(asked)
        print(json.dumps(DO[wanted.pop("do")](**wanted)), flush=True)
