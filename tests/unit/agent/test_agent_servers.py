# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers: when they count as dead or frozen, what is done about it, and that no app is restarted for it."""

from __future__ import annotations

import os
import queue
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from mainstay import actuator, config, signs
from mainstay.prober import Prober
from mainstay.signs import Activity
from mainstay.units import UnitState

ROLES = Path(__file__).parents[3] / "roles"
WEB, DB, CACHE = "shop-web@1.service", "db.service", "cache.service"
SERVER = {"name": "redis/shop-cache", "unit": "redis-server@shop-cache.service", "probe": {"kind": "redis", "port": 6379}}


@pytest.mark.parametrize(
    ("behaves", "actions", "health", "kinds"),
    [
        ("stopped", ["continue"], "up", ["hang"]),
        ("stuck", ["kill"], "up", ["hang"]),
        ("busy", [], "down", ["hang"]),  # a long script, a starved host: a restart would only lose its work
        ("deaf", [], "down", ["deaf"]),
        ("full", [], "down", ["full"]),  # whoever holds its connections is not ended by ending what it holds
        ("error", [], "down", ["error"]),  # something else at its port
        ("starting", [], "starting", []),  # such as a recovery after a crash
        ("unknown", [], "up", []),
    ],
)
def test_what_is_done_about_a_server(world, behaves, actions, health, kinds):
    host = world(servers=["db"])
    host.live(20)
    host.units[DB]["behaves"] = behaves
    host.live(30)
    assert [action for _when, action, _unit in host.actions] == actions
    assert host.health(DB) == health
    assert [incident["kind"] for incident in host.incidents()] == kinds


@pytest.mark.parametrize("moment", [0.0, 0.1, 1.0, 2.5, 4.9, 4.99])
@pytest.mark.parametrize("behaves", ["stopped", "stuck"])
def test_a_frozen_server_is_found_within_15_seconds_whenever_it_begins(world, behaves, moment):
    host = world(servers=["db"])
    host.live(20 + moment)
    host.units[DB]["behaves"] = behaves
    began = host.clock.now
    host.live(25)
    ((when, _action, unit),) = host.actions
    assert unit == DB and when - began <= 15
    assert host.incidents()[0]["state"] == "recovered"


def test_a_signal_that_does_not_help_is_followed_by_a_harder_one(world):
    host = world(servers=["db"])
    host.live(20)
    host.continues = False
    host.units[DB]["behaves"] = "stopped"
    began = host.clock.now
    host.live(30)
    assert [action for _when, action, _unit in host.actions] == ["continue", "kill"]
    assert host.actions[-1][0] - began <= 25
    assert host.incidents()[0]["times"] == 1


def test_who_is_stopped_again_and_again_is_not_helped_for_ever(world):
    host = world(servers=["db"])
    host.live(20)
    for _time in range(40):
        host.units[DB]["behaves"] = "stopped"
        host.live(15)
    kills = [when for when, action, _unit in host.actions if action == "kill"]
    assert len(kills) <= 3  # restart_burst within restart_window
    assert len(host.actions) <= 15


def test_a_busy_server_says_so(world):
    host = world(servers=["db"])
    host.live(20)
    host.units[DB]["behaves"] = "busy"
    host.live(30)
    assert "at work" in host.agent.state.report()["servers"][0]["reason"]


@pytest.mark.parametrize(
    ("active", "journal", "health", "actions"),
    [
        ("failed", False, "up", ["revive"]),
        ("inactive", False, "up", ["revive"]),  # it ended, and nobody had asked for it
        ("failed", True, "stopped", []),
        ("inactive", True, "stopped", []),  # systemctl stop
        ("inactive", None, "stopped", []),  # nobody knows
    ],
)
def test_a_dead_server_is_started_unless_somebody_stopped_it(world, active, journal, health, actions):
    host = world(servers=["db"])
    host.live(20)
    host.stop(DB, active)
    host.requests[DB] = journal
    host.units[DB]["result"] = "start-limit-hit" if active == "failed" else "success"
    host.live(100)
    assert ([action for _when, action, _unit in host.actions], host.health(DB)) == (actions, health)


def test_a_dead_server_is_left_to_systemd_first_and_tried_ever_more_rarely(world):
    host = world(servers=["db"], interval=20)
    host.cured = False
    host.live(40)
    host.give_up(DB)
    host.requests[DB] = False
    start = host.clock.now
    host.live(3 * 3600)
    times = [round((when - start) / 60) for when, action, unit in host.actions if action == "revive" and unit == DB]
    assert times == pytest.approx([1, 6, 21, 81, 141], abs=1)


AWAY = {
    "frozen": lambda host: host.units[DB].update(behaves="busy"),
    "dead": lambda host: (host.give_up(DB), host.requests.update({DB: False})),
    "full": lambda host: host.units[DB].update(behaves="full"),
    "starting": lambda host: host.units[DB].update(behaves="starting"),
    "restarting": lambda host: host.stop(DB, "activating"),
    "stopped": lambda host: (host.stop(DB), host.requests.update({DB: True})),
}


@pytest.mark.parametrize("fault", list(AWAY))
@pytest.mark.parametrize("symptom", ["error", "hang"])
def test_no_app_is_restarted_while_its_server_is_away(world, fault, symptom):
    host = world(servers=["db", "cache"], revive_delays=[600])
    host.live(20)
    AWAY[fault](host)
    host.units[WEB]["behaves"] = symptom
    host.live(120)
    assert [unit for _when, _action, unit in host.actions if unit == WEB] == []
    assert host.held(WEB).startswith("it needs db, which is ")
    host.begin(DB)
    back = host.clock.now
    host.until(DB, "up")
    host.live(29)
    assert [unit for _when, _action, unit in host.actions if unit == WEB] == []
    assert host.held(WEB) == "db has just come back"
    host.live(10)
    assert [unit for _when, _action, unit in host.actions if unit == WEB] == [WEB]
    assert host.actions[-1][0] - back < 45


def test_an_app_that_systemd_gave_up_waits_for_its_server_too(world):
    host = world(servers=["db"], revive_delays=[60])
    host.live(20)
    host.units[DB]["behaves"] = "busy"
    host.give_up(WEB)
    host.requests[WEB] = False
    host.live(200)
    assert host.actions == []
    host.units[DB]["behaves"] = "up"
    host.live(60)
    assert [(action, unit) for _when, action, unit in host.actions] == [("revive", WEB)]


def test_an_app_that_needs_nothing_of_it_is_restarted(world):
    host = world(servers=["db"])
    watch = host.agent.watches[WEB]
    watch.process = replace(watch.process, needs=())
    host.live(20)
    host.units[DB]["behaves"] = "busy"
    host.units[WEB]["behaves"] = "hang"
    host.live(30)
    assert [(action, unit) for _when, action, unit in host.actions] == [("kill", WEB)]


def test_an_agent_that_has_just_started_holds_no_app_up(world):
    host = world(servers=["db"])
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(15)
    assert [(action, unit) for _when, action, unit in host.actions] == [("kill", WEB)]


@pytest.mark.parametrize("lock", ["shop.deploy", "other.deploy"])
def test_hands_off_a_server_while_anything_is_deployed(world, lock):
    host = world(servers=["db"])
    host.live(20)
    os.makedirs(host.paths.locks)
    path = Path(host.paths.locks, lock)
    path.touch()
    os.utime(path, (host.clock.time() + 60,) * 2)
    host.units[DB]["behaves"] = "stopped"
    host.live(40)
    assert host.actions == [] and "is being deployed" in host.held(DB)
    host.live(40)
    assert [action for _when, action, _unit in host.actions] == ["continue"]


def test_hands_off_a_server_during_maintenance(world):
    host = world(servers=["db"])
    Path(host.paths.maintenance).write_text(f'{{"until": {host.clock.time() + 100}}}')
    host.live(20)
    host.units[DB]["behaves"] = "stopped"
    host.live(60)
    assert host.actions == [] and host.held(DB) == "maintenance is on"


def test_an_agent_s_own_restart_forgets_nothing_of_a_server(world):
    host = world(servers=["db"])
    host.live(20)
    host.continues = False
    host.units[DB]["behaves"] = "stopped"
    host.until(DB, "down")
    host.live(1)
    host.start_agent()
    host.live(20)
    assert [action for _when, action, _unit in host.actions] == ["continue", "kill"]


# --- signs of life -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (Activity(5, "S"), Activity(5, "S"), True),
        (Activity(5, "S"), Activity(6, "S"), False),
        (Activity(5, "S"), Activity(9, "T"), True),  # it worked until the signal came
        (Activity(5, "SS"), Activity(5, "ST"), True),
        (Activity(5, "S"), Activity(5, "R"), False),  # wants to run, and the host does not let it
        (Activity(5, "S"), Activity(5, "D"), False),  # waits for a disk, which no signal cures
        (Activity(5, "S"), Activity(0, ""), False),  # gone
        (None, Activity(5, "T"), False),
        (Activity(5, "S"), None, False),
    ],
)
def test_what_is_frozen(first, last, expected):
    assert signs.frozen(first, last) is expected


@pytest.mark.parametrize(("kind", "expected"), [("hangup", Activity(36, "ST")), ("postgresql", Activity(12, "S"))])
def test_whose_work_counts(tmp_path, kind, expected):
    for pid, children, state, ticks in ((10, "11 12", "S", 12), (11, "", "T", 24), (12, "", "Z", 99)):
        (tmp_path / f"{pid}/task/{pid}").mkdir(parents=True)
        (tmp_path / f"{pid}/task/{pid}/children").write_text(children)
        rest = [state, *["0"] * 10, str(ticks - 2), "2", *["0"] * 10]
        (tmp_path / f"{pid}/stat").write_text(f"{pid} (my (odd) name) {' '.join(rest)}\n")
        (tmp_path / f"{pid}/task/{pid}/schedstat").write_text(f"{ticks}000 5 1\n")
    assert signs.activity({"kind": kind}, 10, str(tmp_path)) == expected
    assert signs.on_cpu(10, str(tmp_path)) == 12000
    assert signs.on_cpu(99, str(tmp_path)) == 0


@pytest.mark.parametrize(("answers", "cause"), [(True, "ok"), (False, "timeout")])
def test_who_hangs_up_is_hung_up_on_by_a_server_that_lives(answers, cause):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _address = server.accept()
            assert connection.recv(1) == b""
            connection.close()

        if answers:
            threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        assert signs.ask({"kind": "hangup", "port": port, "timeout": 0.5})[0] == cause
    assert signs.ask({"kind": "hangup", "port": port, "timeout": 0.5})[0] == "refused"


@pytest.mark.parametrize(
    ("cause", "healthy", "kind"),
    [
        ("ok", True, ""),
        ("auth", True, ""),
        ("closed", True, ""),
        ("exhausted", False, "full"),
        ("degraded", False, "refuses"),
        ("status", True, ""),
        ("timeout", False, "hang"),
        ("refused", False, "deaf"),
        ("protocol", False, "error"),
        ("starting", False, "starting"),
        ("permission", None, ""),
        ("network", None, ""),
    ],
)
def test_what_an_answer_means(clock, monkeypatch, cause, healthy, kind):
    monkeypatch.setattr(signs, "ask", lambda probe: (cause, "because", 1.0))
    outcome = Prober(config.Settings(), queue.SimpleQueue(), clock).probe(SERVERS[0], UnitState("x", main_pid=os.getpid()))
    assert (outcome.healthy, outcome.kind) == (healthy, kind)
    assert (outcome.activity is not None) == (healthy is False)


def test_mariadb_is_not_asked_while_it_works(clock, monkeypatch):
    asked = []
    monkeypatch.setattr(signs, "ask", lambda probe: asked.append(probe) or ("timeout", "because", None))
    ran = iter([5, 6, 6, 7])
    state = iter(["S", "S", "T", "T"])
    monkeypatch.setattr(signs, "on_cpu", lambda pid: next(ran))
    monkeypatch.setattr(signs, "activity", lambda probe, pid: Activity(1, next(state)))
    prober = Prober(config.Settings(), queue.SimpleQueue(), clock)
    server = config.parse({"processes": [], "servers": [{**SERVER, "probe": {"kind": "mysql", "port": 3306}}]}).servers[0]
    outcomes = [prober.probe(server, UnitState("x", main_pid=7)).healthy for _look in range(3)]
    assert outcomes == [False, True, False] and len(asked) == 2  # unknown yet, has run, has not


# --- configuration, actions, units -------------------------------------------------------------------------------

SERVERS = config.parse({"processes": [], "servers": [SERVER, {"name": "nginx", "unit": "nginx.service"}]}).servers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unti": "x"}, ["servers[0]", "did you mean 'unit'"]),
        ({"unit": "--all"}, ["servers[0].unit", "'--all'"]),
        ({"name": ""}, ["servers[0].name", "text"]),
        ({"probe": {"kind": "http", "port": 80}}, ["servers[0].probe.kind is 'http'", "hangup"]),
        ({"probe": {"kind": "redis"}}, ["servers[0].probe has no port"]),
        ({"probe": {"kind": "redis", "port": 0}}, ["servers[0].probe.port is 0", "from 1"]),
        ({"probe": {"kind": "redis", "port": 1, "password": "x"}}, ["'password'"]),
    ],
)
def test_a_mistake_is_named_with_its_remedy(change, words):
    with pytest.raises(config.ConfigError) as refusal:
        config.parse({"processes": [], "servers": [{**SERVER, **change}]})
    for word in words:
        assert word in str(refusal.value)


def test_servers_are_a_list_and_each_unit_is_there_once():
    for servers in ({}, [SERVER, SERVER]):
        with pytest.raises(config.ConfigError, match="list"):
            config.parse({"processes": [], "servers": servers})


@pytest.mark.parametrize("target", ["redis", "redis/shop-cache", "redis-server@shop-cache", "redis-server@shop-cache.service"])
def test_a_server_is_found_by_its_names(target):
    assert config.parse({"processes": [], "servers": [SERVER]}).find(target) == [SERVERS[0]]


@pytest.mark.parametrize(
    ("action", "state", "journal", "asked"),
    [
        ("continue", {"invocation": "a"}, None, ["continue"]),
        ("continue", {"invocation": "b"}, None, []),  # somebody has restarted it
        ("revive", {"active": "inactive"}, False, ["reset-failed", "start"]),
        ("revive", {"active": "inactive"}, True, []),  # somebody has stopped it meanwhile
        ("revive", {"active": "inactive"}, None, []),
    ],
)
def test_what_is_asked_of_the_helper(clock, action, state, journal, asked):
    class Systemd:
        def show(self, units):
            return {units[0]: UnitState(units[0], **state)}

        def journal(self, unit, lines):
            return []

        def stopped_on_request(self, unit):
            return journal

    verbs = []
    subject = actuator.Actuator(config.Settings(), lambda verb, unit: verbs.append(verb), Systemd(), queue.SimpleQueue(), clock)
    assert subject.perform(action, SERVERS[1], "a").ok is bool(asked)
    assert verbs == asked


DROPINS = [
    "mariadb/templates/mariadb.service.conf.j2",
    "nginx/templates/nginx.service.conf.j2",
    "pgbouncer/templates/pgbouncer.service.conf.j2",
    "postgresql/templates/limits.conf.j2",
    "redis/templates/redis.service.conf.j2",  # Debian's unit has Restart=always
]


@pytest.mark.parametrize("path", DROPINS)
def test_systemd_starts_every_server_again_that_dies(path):
    head, service = (ROLES / path).read_text().split("[Service]")
    assert "[Unit]" in head and "StartLimitIntervalSec=300\nStartLimitBurst=10\n" in head
    assert "RestartSec=1\n" in service and ("Restart=on-failure\n" in service or path.startswith("redis/"))


def test_a_redis_that_hears_no_signal_holds_up_no_reboot():
    """Debian's unit waits without an end, and a script without one hears nothing but SIGKILL."""
    assert "\nTimeoutStopSec=30\n" in (ROLES / "redis/templates/redis.service.conf.j2").read_text()
