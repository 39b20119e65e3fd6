# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that are made on purpose, one after the other: who notices, what heals them, and what visitors see of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time

from ..host import limits as host_limits
from ..host import units as host_units
from ..host.processes import systemd_path
from ..probe import declared, once
from ..text import printable, read

CONFIG, STATE = "/etc/mainstay/agent.json", "/run/mainstay/state.json"
FAULTS = {"kill": "SIGKILL to its main process", "freeze": "SIGSTOP to all of its processes"}
# Seconds, and percent: docs/healing.md and the guides' goals. A day in which each fault happens once is what availability is told of.
LIMITS = {"detection_s": 30.0, "recovery_s": 60.0, "availability_percent": 99.5}
DAY = 86400
FRESH = 60  # seconds; the agent writes its report each time it has looked, and one that is older is of an agent that is away
EVERY = 0.25  # seconds between two looks
VISIT = 1.0  # seconds that a visitor waits for an answer
PEACE = 60.0  # seconds that a unit has to become well again, before it is broken
# Seconds after its limit in which a fault is still watched, and then those until a host on its own ends it.
SPARE, ALONE = 15.0, 30.0
HEALER = "mainstay-chaos-heal"
# What ends each fault, whoever asks.
HEAL = 'systemctl kill --signal=SIGCONT "$1"; systemctl reset-failed "$1"; systemctl start "$1"'


def targets(config, wanted=()):
    """What is broken, of what the agent watches: one instance of each process, and the servers.

    :param config: the agent's configuration.
    :param wanted: the beginnings of names of units; all where there are none.
    :returns: ``(processes, servers)``
    """
    processes = {(item["app"], item["process"]): item for item in reversed(config["processes"])}
    order = {"web": 0, "celery": 1}
    found = sorted(processes.values(), key=lambda item: (order.get(item["kind"], 2), item["unit"]))
    return tuple([item for item in group if not wanted or item["unit"].startswith(tuple(wanted))] for group in (found, config["servers"]))


def experiments(groups, faults, restarts):
    """[(target, fault), …] and the units that are left out: of what is frozen the agent restarts only so many in a row (``restarts``).

    Servers come last: after one has come back, the agent gives those who need it time to notice.
    """
    tried, left_out = [], []
    for group in groups:
        for fault in faults:
            for target in group:
                if fault == "freeze" and restarts <= 0:
                    left_out.append(target["unit"])
                    continue
                restarts -= fault == "freeze"
                tried.append((target, fault))
    return tried, left_out


class Host:
    """This host: what its units do, and what breaks and heals them."""

    def unit(self, unit):
        """{ActiveState, MainPID, InvocationID} of a unit."""
        command = ["systemctl", "show", "--property=Id,ActiveState,MainPID,InvocationID", "--", unit]
        shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
        return next(iter(host_units.parse_show(shown)), {})

    def is_stopped(self, pid):
        """Whether the process, or one of its control group, is stopped by a signal, or there is none."""
        group = systemd_path(read(f"/proc/{pid}/cgroup"))
        pids = read(f"/sys/fs/cgroup{group}/cgroup.procs").split() or [pid]
        letters = [read(f"/proc/{number}/stat").rpartition(")")[2].split()[:1] for number in pids]
        return not any(letters) or ["T"] in letters

    def agent(self, unit):
        """What the agent says of a unit; {} where it says nothing."""
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            told = json.loads(read(STATE) or "{}")
            return next((item for item in [*told["processes"], *told["servers"]] if item.get("unit") == unit), {})
        return {}

    def break_it(self, unit, fault):
        options = ["--kill-who=main", "--signal=SIGKILL"] if fault == "kill" else ["--signal=SIGSTOP"]
        subprocess.run(["systemctl", "kill", *options, "--", unit], check=True, capture_output=True)

    def arm(self, unit, seconds):
        """Have systemd end the fault by itself, should nobody be there any more who does."""
        command = ["systemd-run", "--quiet", f"--unit={HEALER}", f"--on-active={seconds:.0f}", "--timer-property=AccuracySec=1s"]
        subprocess.run([*command, "/bin/sh", "-c", HEAL, "heal", unit], check=True, capture_output=True)

    def disarm(self):
        subprocess.run(["systemctl", "stop", f"{HEALER}.timer"], check=False, capture_output=True)

    def heal(self, unit):
        subprocess.run(["/bin/sh", "-c", HEAL, "heal", unit], check=False, capture_output=True)

    def answers(self, probe):
        return once.check_once({**probe, "timeout": VISIT})["healthy"]

    def memory_mb(self):
        """What is in use of the host's memory."""
        found = host_limits.memory()
        return found["memory_mb"] - found["available_mb"]


class Visitors:
    """Ask each site all the time, each in a thread of its own, since one that hangs must not hold up the others."""

    def __init__(self, probes, clock=time):
        self.clock, self.seen, self.over = clock, [], False
        probes = [declared.normalise({**item, "timeout": VISIT}) for item in probes]
        self.threads = [threading.Thread(target=self._visit, args=(probe,), daemon=True) for probe in probes]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self.over = True
        for thread in self.threads:
            thread.join(2 * VISIT)

    def _visit(self, probe):
        while not self.over:
            began = self.clock.monotonic()
            answer = once.check_once(probe)
            self.seen.append((began, probe["name"], answer["healthy"], answer["latency_ms"]["last"]))
            self.clock.sleep(max(0.0, began + EVERY - self.clock.monotonic()))


def works(host, target, shown):
    """Whether a unit, of which systemd has ``shown`` this, does what it is for, as far as it can be asked."""
    probe = target.get("probe") or {}
    if shown.get("ActiveState") != "active" or host.is_stopped(shown.get("MainPID")):
        return False
    return host.answers(probe) if probe.get("kind") in declared.KINDS else True


def await_peace(host, target, clock):
    """Wait until a unit works and the agent says so; "" or why it is not broken."""
    end = clock.monotonic() + PEACE
    while True:
        told = host.agent(target["unit"])
        if told.get("health") == "up" and not told.get("held") and works(host, target, host.unit(target["unit"])):
            return ""
        if clock.monotonic() >= end:
            held = (told.get("held") or {}).get("reason")
            return printable(f"it is not well: {held or told.get('reason') or told.get('health') or 'the agent does not tell of it'}")
        clock.sleep(1)


def experiment(host, target, fault, limits, clock=time):
    """Break one thing, and watch until it works again: {unit, fault, detection_s, recovery_s, problem}."""
    unit = target["unit"]
    result = {"unit": unit, "fault": fault, "began": clock.monotonic(), "detection_s": None, "recovery_s": None}
    result["problem"] = await_peace(host, target, clock)
    if result["problem"]:
        return result
    longest = limits["recovery_s"] + SPARE
    before = host.unit(unit).get("InvocationID")
    host.arm(unit, longest + ALONE)
    try:
        began = result["began"] = clock.monotonic()
        opened = clock.time()
        host.break_it(unit, fault)
        well_since = None
        while result["recovery_s"] is None and clock.monotonic() - began < longest:
            clock.sleep(EVERY)
            passed = round(clock.monotonic() - began, 1)
            told, shown = host.agent(unit), host.unit(unit)
            is_new = shown.get("InvocationID") != before
            incident = told.get("incident") or {}
            noticed = is_new or told.get("health") not in ("up", None) or (incident.get("opened") or 0) >= opened
            if noticed and result["detection_s"] is None:
                result["detection_s"] = passed
            if (is_new or fault == "freeze") and works(host, target, shown):
                well_since = passed if well_since is None else well_since
                result["recovery_s"] = well_since if passed > well_since else None
            else:
                well_since = None
    finally:
        if result["recovery_s"] is None:
            host.heal(unit)
        host.disarm()
    return {**result, "problem": judge(result, limits)}


def judge(result, limits):
    """What is wrong with how a fault was healed; "" where nothing is."""
    if result["recovery_s"] is None:
        return f"nothing healed it within {limits['recovery_s'] + SPARE:g} s, so it was ended here"
    late = [
        f"{word} after {result[key]:g} s, {limits[key]:g} s are allowed"
        for key, word in (("detection_s", "noticed"), ("recovery_s", "healed"))
        if (result[key] or 0) > limits[key]
    ]
    return "; ".join(late)


def down(seen):
    """{site: seconds in which it did not answer}, from the first answer that failed to the next that did not."""
    found, since = {}, {}
    for moment, name, is_well, _latency in sorted(seen, key=lambda item: item[0]):
        found.setdefault(name, 0.0)
        if is_well and name in since:
            found[name] += moment - since.pop(name)
        elif not is_well:
            since.setdefault(name, moment)
    for name, began in since.items():
        found[name] += max(item[0] for item in seen) - began
    return {name: round(seconds, 1) for name, seconds in found.items()}


def latencies(seen, start):
    """{site: [(second, mean, highest), …]} of the answers in ms; a second without an answer is not there."""
    found = {}
    for moment, name, is_well, latency in seen:
        if is_well and latency is not None:
            found.setdefault(name, {}).setdefault(int(moment - start), []).append(latency)
    return {
        name: [(second, round(sum(values) / len(values), 1), max(values)) for second, values in sorted(seconds.items())]
        for name, seconds in found.items()
    }


def run(host, config, sites, faults, wanted, limits, clock=time, visitors=Visitors):
    """All experiments, with what visitors saw meanwhile and how much memory was in use."""
    limits = {**LIMITS, **limits}
    restarts = config.get("settings", {}).get("restart_global", 5) - 1
    tried, left_out = experiments(targets(config, wanted), faults, restarts)
    results, memory, start, over = [], [], clock.monotonic(), threading.Event()

    def look():
        while not over.wait(1.0):
            memory.append((round(clock.monotonic() - start, 1), host.memory_mb()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        with visitors(sites) as visit:
            for target, fault in tried:
                results.append(experiment(host, target, fault, limits, clock))
            clock.sleep(2 * EVERY)
    finally:
        over.set()
        watcher.join(2)
    # What is asked next of this host is asked of the agent, who looks now and then: its last look may be of a start that is over.
    broken = {target["unit"]: target for (target, _fault), item in zip(tried, results) if item["recovery_s"] is not None}
    restless = {unit: await_peace(host, target, clock) for unit, target in broken.items()}
    away = down(visit.seen)
    # Were each of them to happen once a day.
    share = round(100 * (1 - max(away.values(), default=0.0) / DAY), 3)
    problems = [f"{item['unit']}, {FAULTS[item['fault']]}: {item['problem']}" for item in results if item["problem"]]
    problems += [f"{unit}: it was healed, but {PEACE:g} s later {reason}" for unit, reason in restless.items() if reason]
    if share < limits["availability_percent"]:
        problems.append(
            f"sites were down for {max(away.values()):g} s, which leaves {share:g} % of a day, {limits['availability_percent']:g} % are wanted"
        )
    return {
        "experiments": [{**item, "began": round(item["began"] - start, 1)} for item in results],
        "left_out": left_out,
        "down_s": away,
        "availability_percent": share,
        "latency_ms": latencies(visit.seen, start),
        "memory_mb": memory,
        "seconds": round(clock.monotonic() - start, 1),
        "problems": problems,
    }


def load_config():
    """The agent's configuration; ValueError with what to do where there is none."""
    try:
        with open(CONFIG, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"the agent's configuration cannot be read ({error}): run site.yml first.") from error


def is_away(now):
    """Why nothing may be broken now; "" where it may."""
    try:
        agent = json.loads(read(STATE) or "{}")["agent"]
        age, paused = now - agent["written"], agent["paused"]
    except (ValueError, TypeError, KeyError):
        return "the agent does not tell how it is: systemctl status mainstay-agent"
    if age > FRESH:
        return f"the agent does not run, its report is {age:.0f} s old: systemctl status mainstay-agent"
    return printable(f"the agent only watches: {paused['reason']}") if paused else ""
