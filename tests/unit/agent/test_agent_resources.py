# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host runs out of: when it is told, when it is over, and what is done about it, within limits."""

from __future__ import annotations

import json
import os
import queue
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from mainstay import alerts, config, measure, reclaim, resources
from mainstay.core.host.limits import MB
from mainstay.queues import Queues
from mainstay.records import fold, open_resources, read_events
from mainstay.resource_watch import CRITICAL, OK, WARNING, Reading, ResourceWatch
from mainstay.text import iso
from mainstay.trend import Trend
from mainstay.units import UnitState

DAY = 86400
SITE = "https://shop.example"
WEB = "shop-web@1.service"
PROCESS = SimpleNamespace(name="shop/web/1", place={"app": "shop", "process": "web", "instance": "1"}, unit=WEB)


def _grown(samples, apart=30, least=20, most=40):
    trend = Trend(apart, least, most)
    for index, value in enumerate(samples):
        trend.add(1000 + index * apart, value)
    return trend


@pytest.mark.parametrize(
    ("samples", "slope"),
    [
        ([100 + index for index in range(40)], 1 / 30),
        ([100 + index for index in range(10)], 0),  # too few to tell
        ([100] * 40, 0),
        ([100 - index for index in range(40)], 0),
        ([100] * 20 + [200] * 20, 0),  # one step is no growth
        ([100 + index % 5 for index in range(40)], 0),  # a saw, as a garbage collector draws it
        ([100 + index - 60 * (index == 20) for index in range(40)], 1 / 30),  # one sample that is far off bends nothing
    ],
)
def test_growth(samples, slope):
    assert _grown(samples).slope() == pytest.approx(slope, rel=0.05)


def test_when_the_limit_is_met():
    assert _grown([100 + index for index in range(40)]).left(149) == pytest.approx(300, rel=0.1)
    assert _grown([100] * 40).left(149) is None


@pytest.mark.parametrize(
    ("percent", "left", "level", "action"),
    [
        (50, None, OK, ""),
        (50, 3600, OK, ""),  # half empty: a growth of an hour is no news yet
        (65, 3600, WARNING, ""),
        (65, 2 * DAY, OK, ""),
        (79.9, None, OK, ""),
        (80, None, WARNING, ""),
        (82, 20 * 3600, CRITICAL, ""),
        (90, None, CRITICAL, ""),
        (94.9, None, CRITICAL, ""),
        (95, None, CRITICAL, "reclaim"),
    ],
)
def test_disks(percent, left, level, action):
    reading = resources.judge_disk("disk /", "disk", percent, left, True)
    assert (reading.level, reading.action) == (level, action)
    assert resources.judge_disk("disk /", "disk", percent, left, False).action == ""


@pytest.mark.parametrize(
    ("used", "left", "quiet", "killed", "kind", "level", "action"),
    [
        (90, None, True, 0, "memory", OK, ""),
        (96, None, True, 0, "memory", WARNING, ""),
        (40, 1000, True, 0, "memory", OK, ""),  # less than half of it: too early
        (60, 1000, True, 0, "leak", CRITICAL, "renew"),
        (60, 1000, False, 0, "leak", CRITICAL, ""),  # not while it works
        (60, 200, False, 0, "leak", CRITICAL, "renew"),  # unless there is no time left
        (60, 7200, True, 0, "memory", OK, ""),
        (60, None, True, 1, "oom", CRITICAL, ""),
    ],
)
def test_memory(used, left, quiet, killed, kind, level, action):
    reading = resources.judge_memory(PROCESS, used * MB, 100 * MB, left, quiet, True, killed)
    assert (reading.kind, reading.level, reading.action) == (kind, level, action)
    assert resources.judge_memory(PROCESS, used * MB, 100 * MB, left, quiet, False, killed).action == ""


@pytest.mark.parametrize(
    ("available", "lasts", "level", "steady"),
    [
        (500, True, OK, True),
        (100, True, OK, False),  # a tenth
        (99, True, WARNING, False),
        (99, False, OK, False),
        (50, True, WARNING, False),
        (49, True, CRITICAL, False),
        (0, False, OK, False),
    ],
)
def test_memory_of_the_host(available, lasts, level, steady):
    reading = resources.judge_host_memory(available, 1000, lasts)
    assert (reading.level, reading.steady, bool(reading.reason)) == (level, steady, level != OK)


@pytest.mark.parametrize(
    ("number", "level", "steady"), [(74, OK, True), (75, OK, False), (79, OK, False), (80, WARNING, False), (95, CRITICAL, False)]
)
def test_shares(number, level, steady):
    reading = resources.judge_share("files of x", "files", number, 100, "so many")
    assert (reading.level, reading.steady, reading.reason) == (level, steady, "" if level == OK else "so many")


REDIS = {"connected_clients": "3", "maxclients": "100", "used_memory": f"{10 * MB}", "maxmemory": f"{100 * MB}"}
REDIS |= {"maxmemory_policy": "noeviction", "role": "master"}


@pytest.mark.parametrize(
    ("told", "kinds"),
    [
        ({}, {}),
        ({"connected_clients": "80"}, {"redis-clients": WARNING}),
        ({"used_memory": f"{95 * MB}"}, {"redis-memory": CRITICAL}),
        ({"used_memory": f"{95 * MB}", "maxmemory_policy": "allkeys-lru"}, {}),  # a cache is full by design
        ({"used_memory": f"{95 * MB}", "maxmemory": "0"}, {}),
        ({"role": "slave", "master_host": "10.0.0.9", "master_port": "6379"}, {"read-only": CRITICAL}),
        ({"connected_clients": "many", "maxclients": ""}, {}),  # whatever has answered is not Redis
    ],
)
def test_what_redis_says_of_itself(told, kinds):
    server = SimpleNamespace(name="redis/shop-queue", place={"server": "redis/shop-queue"}, unit="r.service")
    readings = list(resources.judge_redis(server, REDIS | told))
    assert {reading.kind: reading.level for reading in readings if reading.level != OK} == kinds
    assert all(reading.reason for reading in readings if reading.level != OK)


@pytest.mark.parametrize(
    ("days", "life", "fits", "level", "words"),
    [
        (80, 90, True, OK, ""),
        (23, 90, True, OK, ""),
        (22, 90, True, WARNING, "it ends in 22 d"),
        (7, 90, True, CRITICAL, "it ends in 7 d"),
        (-1, 90, True, CRITICAL, "it has expired"),
        (2, 6, True, OK, ""),
        (80, 90, False, CRITICAL, "another one is served"),
    ],
)
def test_certificates(days, life, fits, level, words):
    reading = resources.judge_certificate("shop.example", (days - life) * DAY, days * DAY, fits, 0)
    assert reading.level == level and reading.reason.startswith(words)


# --- on the host ---------------------------------------------------------------------------------------------------


class Looker:
    """Gives the agent the readings that a test decides."""

    def __init__(self, host):
        self.host, self.readings, self.freed, self.looks = host, [], None, 0

    def submit(self, units):
        self.looks += 1
        done = Future()
        done.set_result(list(self.readings))
        self.host.pending.append((self.host.clock.now + 0.1, ("resources", None, done)))

    def reclaimed(self):
        return self.freed


DISK = Reading("disk /", "disk", steady=True)
FULL = replace(DISK, level=CRITICAL, reason="96 % are in use", steady=False, action="reclaim")
LEAK = Reading("memory of shop/web/1", "leak", CRITICAL, "it grows", PROCESS.place, WEB, steady=False, action="renew")


@pytest.fixture
def host(world):
    made = world()
    made.watching = lambda: made.start_agent(resources=Looker(made)) and made.agent.resources
    made.watching()
    return made


def _tell(host, reading, seconds=40):
    host.agent.resources.readings = [reading]
    host.live(seconds)


def test_it_is_told_at_once_and_over_after_two_looks(host):
    _tell(host, replace(DISK, level=WARNING, reason="81 %"))
    _tell(host, replace(DISK, level=CRITICAL, reason="91 %"))
    _tell(host, DISK, 35)
    (incident,) = host.incidents()
    assert (incident["state"], incident["times"], incident["level"], incident["resource"]) == ("open", 2, CRITICAL, "disk /")
    _tell(host, DISK, 35)
    (incident,) = host.incidents()
    assert incident["state"] == "closed" and 90 <= incident["recovered_after"] <= 150
    assert len(incident["events"]) == 4


def test_near_its_threshold_it_is_not_over(host):
    _tell(host, replace(DISK, level=WARNING, reason="80 %", steady=False))
    for _time in range(10):
        _tell(host, replace(DISK, steady=False))
        _tell(host, replace(DISK, level=WARNING, reason="80 %", steady=False))
    (incident,) = host.incidents()
    assert (incident["state"], len(incident["events"])) == ("open", 1)


def test_it_outlives_the_host_s_restart(host):
    _tell(host, FULL)
    Path(host.paths.state).unlink(missing_ok=True)
    host.booted_at = host.clock.now
    host.watching()
    _tell(host, FULL)
    assert len(host.incidents()) == 1
    _tell(host, DISK, 70)
    assert [incident["state"] for incident in host.incidents()] == ["closed"]
    assert open_resources(host.paths.incidents) == {}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_no_longer_declared_is_closed(host, restarted):
    _tell(host, replace(LEAK, action=""))
    if restarted:
        host.watching()
    host.agent.resources.readings = []
    host.live(40)
    assert [incident["state"] for incident in host.incidents()] == ["closed"]
    assert open_resources(host.paths.incidents) == {}


def test_a_disk_is_cleared_once_an_hour(host):
    host.live(130)
    for _minute in range(130):
        _tell(host, FULL, 60)
    asked = [when for when, action, unit in host.actions if (action, unit) == ("reclaim", "mainstay-reclaim.service")]
    assert len(asked) == 3 and min(later - earlier for earlier, later in zip(asked, asked[1:])) >= 3600


def test_what_was_freed_is_told(host):
    host.live(130)
    _tell(host, FULL)
    host.agent.resources.freed = {"time": host.clock.time(), "freed": {"packages": 120 << 20}}
    _tell(host, FULL)
    _tell(host, FULL)
    (incident,) = host.incidents()
    assert incident["actions"] == ["packages: 120 MB freed"]


def test_a_leak_is_answered_by_one_graceful_restart_an_hour(host):
    host.live(130)
    for _minute in range(130):
        _tell(host, LEAK, 60)
    renewed = [when for when, action, _unit in host.actions if action == "renew"]
    assert len(renewed) == 3 and min(later - earlier for earlier, later in zip(renewed, renewed[1:])) >= 3600
    assert {action for _when, action, _unit in host.actions} <= {"renew", "reset"}
    assert {incident["kind"] for incident in host.incidents()} == {"leak"}


@pytest.mark.parametrize("reading", [FULL, LEAK], ids=lambda reading: reading.kind)
def test_nothing_is_done_in_maintenance(host, reading):
    host.live(130)
    Path(host.paths.maintenance).write_text(json.dumps({"until": host.clock.time() + 3600}))
    _tell(host, reading, 600)
    assert host.actions == []
    assert [event["reason"] for event in host.events() if event["event"] == "held"] == ["maintenance is on"]


@pytest.mark.parametrize("settings", [{"dry_run": True}, {"restart_global": 0}])
def test_a_leak_has_no_budget_of_its_own(world, settings):
    host = world(**settings)
    host.start_agent(resources=Looker(host))
    host.live(130)
    _tell(host, LEAK, 600)
    assert host.actions == []


def test_a_fault_of_the_looking_is_told_and_not_the_end(host):
    said = []
    host.agent.log = lambda text, level=6: said.append(text)
    done = Future()
    done.set_exception(OSError("no"))
    host.agent.receive(("resources", None, done))
    assert said == ["the resources cannot be read: OSError: no"]
    _tell(host, FULL)
    assert len(host.incidents()) == 1


# --- what is told --------------------------------------------------------------------------------------------------


def test_a_warning_is_told_once_and_what_gets_worse_once_more(host):
    def told(known):
        incidents = fold(read_events(host.paths.incidents))
        known, messages = alerts.due(incidents, known, {}, host.clock.time(), 1800)
        return known, [(message["kind"], alerts.sentence(message)) for message in messages]

    _tell(host, replace(DISK, level=WARNING, reason="81 %", steady=False))
    known, messages = told({})
    assert messages == [("warned", "disk / is nearly full")]
    _tell(host, replace(DISK, level=WARNING, reason="81 %", steady=False), 7200)
    known, messages = told(known)
    assert messages == []
    _tell(host, FULL)
    known, messages = told(known)
    assert [kind for kind, _words in messages] == ["opened"]
    _tell(host, DISK, 70)
    known, messages = told(known)
    assert messages[0][0] == "ended" and messages[0][1].startswith("disk / is well again after 2 h")
    assert told(known)[1] == []


# --- how it is read ------------------------------------------------------------------------------------------------


def _config(**more):
    app = {"user": "root", "root": "/srv/shop", "env_file": "/etc/mainstay/shop/env", **more}
    processes = [
        {"app": "shop", "process": "worker", "instance": "1", "unit": "w.service", "kind": "celery"},
        {"app": "shop", "process": "web", "instance": "1", "unit": WEB, "kind": "web"},
    ]
    return config.parse(
        {
            "processes": processes,
            "apps": {"shop": app},
            "sites": [{"name": "shop.example", "app": "shop", "tls": True, "paths": ["/health"]}],
        }
    )


def _write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def looker(tmp_path, clock):
    paths = SimpleNamespace(
        backup=str(tmp_path / "backup"), recovery=str(tmp_path / "recovery"), reclaimed=str(tmp_path / "reclaimed.json")
    )
    asked = []
    made = resources.Resources(
        _config(connections=10),
        paths,
        queue.SimpleQueue(),
        clock,
        root=str(tmp_path),
        ask=lambda urls: asked.append(urls) or {SITE: [clock.time() - 80 * DAY, clock.time() + 10 * DAY, True]},
    )
    made.asked_sites = asked
    return made


def test_the_host_s_memory_is_scarce_when_it_stays_so(looker, tmp_path, clock):
    def look(available):
        _write(tmp_path, "proc/meminfo", f"MemTotal: {1000 * 1024} kB\nMemAvailable: {available * 1024} kB\n")
        (reading,) = looker.host_memory(clock.monotonic())
        clock.sleep(30)
        return reading.level

    levels = [look(available) for available in (500, 60, 500, 60, 60, 60, 60, 20, 500, 60)]
    assert levels == [OK, OK, OK, OK, OK, WARNING, WARNING, CRITICAL, OK, OK]


ROW = "  0: 0100007F:{local:04X} 0100007F:{remote:04X} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"


def test_all_is_read_from_the_host(looker, tmp_path, clock):
    group = "sys/fs/cgroup/system.slice/web"
    for name, text in {
        "memory.current": f"{99 * MB}\n",
        "memory.stat": "inactive_file 0\n",
        "memory.high": f"{100 * MB}\n",
        "memory.max": f"{110 * MB}\n",
        "memory.events": "oom 0\noom_kill 0\n",
        "cpu.stat": "usage_usec 5000000\n",
    }.items():
        _write(tmp_path, f"{group}/{name}", text)
    rows = "".join(ROW.format(local=40000 + number, remote=5432, state="01", inode=number) for number in range(9))
    rows += ROW.format(local=40099, remote=5432, state="06", inode=99) + ROW.format(local=8000, remote=40100, state="01", inode=98)
    _write(tmp_path, "proc/net/tcp", "head\n" + rows)
    _write(tmp_path, "run/reboot-required", "")
    _write(tmp_path, "run/reboot-required.pkgs", "linux-image-amd64\nlibc6\nlibc6\n")
    states = {WEB: UnitState(WEB, invocation="a", group="/system.slice/web", active_since=1.0)}
    _write(tmp_path, f"{group}/pids.current", "110\n")
    _write(tmp_path, f"{group}/pids.max", "128\n")
    _write(tmp_path, f"{group}/cgroup.procs", "7\n8\n")
    for pid, threads in ((7, 4), (8, 2)):
        _write(tmp_path, f"proc/{pid}/stat", f"{pid} (my (odd) name) S {' '.join(['0'] * 16)} {threads} 0 0\n")
        _write(tmp_path, f"proc/{pid}/limits", "Limit   Soft Limit  Hard Limit  Units\nMax open files            10    20    files\n")
        for number in range(pid):
            _write(tmp_path, f"proc/{pid}/fd/{number}", "")
    found = {reading.name: reading for reading in looker.look(states)}
    assert found["tasks of shop/web/1"].reason.startswith("110 of the 128 processes and threads")
    assert found["tasks of shop/web/1"].reason.endswith("104 of them ended and never waited for")
    assert found["files of shop/web/1"].reason.startswith("8 of the 10 files and connections")  # of the one that is nearest
    assert found["files of shop/web/1"].place == PROCESS.place
    assert found["connections of shop"].level == WARNING and found["connections of shop"].value == 9
    assert found["memory of shop/web/1"].level == WARNING and found["memory of shop/web/1"].limit == 100
    assert found["certificate of shop.example"].level == WARNING
    assert found["system"].reason == "a reboot is required for libc6, linux-image-amd64"
    assert found["disk /"].value > 0 and "backup" not in found and "recovery" not in found
    assert measure.clients(8000, str(tmp_path)) == 1
    # Who only knocks is nobody whose request is under way: the kernel has taken the connection, or the words, and the process has not.
    knocks = [ROW.format(local=8000, remote=40100, state="01", inode=0)]
    knocks.append(ROW.format(local=8000, remote=40101, state="01", inode=97).replace("00000000:00000000", "00000000:000000F1"))
    _write(tmp_path, "proc/net/tcp", "head\n" + "".join(knocks))
    assert measure.clients(8000, str(tmp_path)) == 0
    clock.sleep(30)
    _write(tmp_path, f"{group}/memory.events", "oom_kill 1\n")
    found = {reading.name: reading for reading in looker.look(states)}
    assert found["memory of shop/web/1"].kind == "oom"
    _write(tmp_path, "recovery/limits.json", '{"max_age_hours": 36}')
    _write(tmp_path, "recovery/status.json", '{"watch": {"ok": false, "reason": "it is away"}}')
    told = next(reading for reading in looker.look(states) if reading.name == "log for recovery")
    assert told.level == CRITICAL and "PostgreSQL's log is not kept: it is away" in told.reason
    assert looker.asked_sites == [[SITE, f"{SITE}/health"]]  # once a minute
    clock.sleep(30)
    looker.look(states)
    assert len(looker.asked_sites) == 2


def test_each_problem_of_the_backups_is_an_incident_of_its_own(looker, tmp_path, clock):
    """Whoever knows that no drill was made has not been told that the backup fails."""
    watches, told = {}, []

    def look(**public):
        _write(tmp_path, "backup/limits.json", '{"max_age_hours": 36, "drill_max_age_days": 9}')
        os.utime(tmp_path / "backup/limits.json", (clock.time() - 30 * DAY,) * 2)
        _write(tmp_path, "backup/status.json", json.dumps({"last_good": {"time": clock.time(), "bytes": 1}, **public}))
        clock.sleep(30)
        for reading in looker.look({}):
            if reading.kind == "backup":
                events = watches.setdefault(reading.name, ResourceWatch(reading.name, clock)).observe(reading)
                told.extend((event["event"], event["resource"]) for event in events)

    failed = {"ok": False, "time": clock.time(), "failed": ["host"]}
    look()
    look(last=failed)
    look(last=failed, upkeep=failed)
    for _look in range(2):
        look(upkeep=failed)
    assert told == [
        ("opened", "age of the drill"),
        ("opened", "backup"),
        ("opened", "upkeep"),
        ("recovered", "backup"),
        ("closed", "backup"),
    ]


def test_a_real_leak_is_found_before_its_limit(looker, tmp_path, clock):
    group = "sys/fs/cgroup/web"
    _write(tmp_path, f"{group}/memory.max", f"{100 * MB}\n")
    states = {WEB: UnitState(WEB, invocation="a", group="/web", active_since=clock.now)}
    kinds = []
    for step in range(100):
        _write(tmp_path, f"{group}/memory.current", f"{int((40 + step * 0.5) * MB)}\n")
        _write(tmp_path, f"{group}/cpu.stat", f"usage_usec {step * 1000}\n")
        (reading,) = looker.memory(clock.now, states)
        kinds.append((reading.kind, reading.action))
        clock.sleep(30)
    first = next(index for index, (kind, _action) in enumerate(kinds) if kind == "leak")
    assert 55 <= first <= 65 and kinds[first] == ("leak", "renew")


@pytest.mark.parametrize("record", [{}, {"time": 1}, [], "x"])
def test_a_record_of_something_else_frees_nothing(looker, record):
    Path(looker.paths.reclaimed).write_text(json.dumps(record))
    assert looker.reclaimed() is None


# --- queues --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "pushed", "ran", "stuck"),
    [
        (lambda step: 5, lambda step: 5, lambda step: 0, True),  # nothing is taken, and the workers rest
        (lambda step: 5 + step, lambda step: 5 + step, lambda step: step * 1000, True),  # it grows
        (lambda step: 5, lambda step: 5 + step, lambda step: 0, False),  # as many are taken as come
        (lambda step: 50 - step, lambda step: 50, lambda step: 0, False),
        (lambda step: 5, lambda step: 5, lambda step: step * 30_000_000, False),  # one long task that computes
        (lambda step: 0, lambda step: 5, lambda step: 0, False),
        (lambda step: 5 * (step % 4 > 0), lambda step: 5, lambda step: 0, False),
    ],
)
def test_alive_means_consuming(clock, tmp_path, length, pushed, ran, stuck):
    step, group = [0], tmp_path / "sys/fs/cgroup/w/cpu.stat"

    def ask(address, port, commands):
        assert commands == [("LLEN", "celery"), ("LLEN", "mail"), ("INFO", "commandstats")]
        pushes = f"cmdstat_lpush:calls={pushed(step[0])},usec=1\r\ncmdstat_brpop:calls=7,usec=1\r\n"
        return [length(step[0]), 0, pushes]

    watched = Queues(_config(queue={"port": 6380, "names": ["celery", "mail"]}), clock, str(tmp_path), ask)
    states = {"w.service": UnitState("w.service", invocation="a", group="/w"), WEB: UnitState(WEB)}
    _write(tmp_path, "sys/fs/cgroup/w/cpu.stat", "usage_usec 0\n")
    found = []
    for number in range(14):
        step[0] = number
        group.write_text(f"usage_usec {ran(number)}\n")
        found += watched.look(clock.now, states)
        clock.sleep(30)
    assert (found[-1].level == CRITICAL) is stuck
    assert all(reading.level == OK for reading in found[:9])
    assert found[-1].value == length(13)


@pytest.mark.parametrize(
    ("length", "each_look", "kind"),
    [
        (200, 4, "backlog"),  # 25 minutes
        (200, 40, "stuck"),  # many, and soon done
        (90, 1, "stuck"),  # few tasks that are long
        (1000, 0, "stuck"),  # its workers compute: how long it will take, nobody knows
    ],
)
def test_a_backlog_is_what_nobody_wants_to_wait_for(clock, tmp_path, length, each_look, kind):
    watched, found = Queues(_config(queue={"port": 6380, "names": ["celery"]}), clock, str(tmp_path)), []
    for step in range(13):
        found.append(watched.judge("shop", clock.now, length, step * each_look, step * 30_000_000))
        clock.sleep(30)
    assert {reading.level for reading in found[:10]} == {OK}  # five minutes are looked at first
    assert (found[-1].kind, found[-1].level) == (kind, WARNING if kind == "backlog" else OK)
    assert kind != "backlog" or found[-1].reason == "200 tasks wait, the last of them for 25 min at the pace of the last minutes"
    watched.judge("shop", clock.now, length, 0, 0)  # Redis has started anew
    assert watched.judge("shop", clock.now, length, each_look, 0).level == OK


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_a_queue_without_a_running_worker_is_its_unit_s_matter(clock, tmp_path, active):
    watched = Queues(_config(queue={"port": 6380, "names": ["celery"]}), clock, str(tmp_path), lambda *_arguments: [9, ""])
    assert list(watched.look(clock.now, {"w.service": UnitState("w.service", active=active), WEB: UnitState(WEB)})) == []


# --- what root throws away -----------------------------------------------------------------------------------------


def _steps(root, done):
    return {"a": (str(root), done.append), "b": (f"{root}/none", done.append)}


@pytest.mark.parametrize(("percent", "age", "runs"), [(96, None, 1), (94, None, 0), (96, 3599, None), (96, 3601, 1)])
def test_only_a_full_disk_is_cleared_and_once_an_hour(tmp_path, percent, age, runs):
    record, done, now = tmp_path / "reclaimed.json", [], 1_800_000_000
    if age is not None:
        record.write_text(json.dumps({"time": now - age, "freed": {}}))
    free = iter([100, 300])
    freed = reclaim.reclaim(
        str(record),
        now,
        _steps(tmp_path, done),
        lambda folder: 0 if folder.endswith("none") else percent,
        lambda folder: next(free),
    )
    assert freed == ({"a": 200} if runs else {} if runs == 0 else None)
    assert len(done) == (runs or 0)
    if runs is not None:
        assert json.loads(record.read_text()) == {"time": now, "freed": freed}


def test_only_rotated_logs_in_folders_of_root_s_go(tmp_path):
    own, shared, elsewhere = tmp_path / "log", tmp_path / "log/app", tmp_path / "elsewhere"
    gone = ["syslog.1", "syslog.2.gz", "access.log-20261128", "access.log-2026112803.zst", "nginx/access.log.10.xz"]
    kept = ["syslog", "app/mine.log.1", "a.1.txt", "folder.1/x", "journal.sqlite", "deep/er/x.log.1"]
    for name in [*gone, *kept]:
        _write(own, name, "x")
    _write(elsewhere, "data.1", "x")
    (own / "link.1").symlink_to(elsewhere / "data.1")
    (own / "linked").symlink_to(elsewhere)
    shared.chmod(0o777)
    reclaim.rotated_logs(str(own))
    left = {str(path.relative_to(own)) for path in own.rglob("*") if path.is_file() and not path.is_symlink()}
    assert left == set(kept) if os.geteuid() == 0 else set(kept) <= left
    assert (elsewhere / "data.1").exists()


def test_times(host):
    _tell(host, FULL)
    found = open_resources(host.paths.incidents)["disk /"]
    assert found["opened"] == pytest.approx(iso(host.events()[0]["time"]))
