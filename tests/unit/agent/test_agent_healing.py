# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent lives through faults in a world of its own: what it does, when, and what it leaves alone."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from mainstay.outcome import Outcome
from mainstay.records import Incidents, read_events
from mainstay.text import iso

WEB = "shop-web@1.service"


@pytest.fixture(params=[0.0, 0.1, 1.0, 2.5, 4.9, 4.99])
def host(world, request):
    """A host at peace, at some moment between two looks of its agent."""
    host = world()
    host.live(20 + request.param)
    return host


def test_a_hang_is_answered_within_30_seconds_whenever_it_begins(host):
    host.units[WEB]["behaves"] = "hang"
    began = host.clock.now
    host.live(25)
    ((when, action, unit),) = host.actions
    assert (action, unit) == ("kill", WEB)
    assert when - began <= 13
    assert host.health(WEB) == "up"
    (incident,) = host.incidents()
    assert (incident["kind"], incident["state"], incident["actions"]) == ("hang", "recovered", ["kill"])
    assert incident["recovered_after"] <= 30


def test_a_wrong_answer_is_a_reason_for_a_softer_restart(world):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "error"
    host.live(25)
    assert [action for _when, action, _unit in host.actions] == ["restart"]
    assert host.incidents()[0]["kind"] == "error"


@pytest.mark.parametrize("failures", [1, 2])
def test_a_blip_is_no_reason(world, failures):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "error"
    while host.agent.watches[WEB].failures < failures:
        host.live(0.1)
    host.units[WEB]["behaves"] = "up"
    host.live(30)
    assert host.actions == []
    assert host.incidents() == []
    assert host.health(WEB) == "up"


def test_two_successes_make_it_up_again(world):
    host = world()
    host.live(20)
    host.cured = False
    host.units[WEB]["behaves"] = "error"
    host.until(WEB, "down")
    host.live(1)
    host.units[WEB]["behaves"] = "up"
    while not host.agent.watches[WEB].successes:
        host.live(0.1)
    assert host.health(WEB) == "down"
    assert host.until(WEB, "up") <= 2.5


def test_a_slow_start_has_30_seconds(world):
    host = world()
    host.live(20)
    host.begin(WEB, behaves="error")
    host.live(28)
    assert host.health(WEB) == "starting"
    assert host.actions == []
    host.live(15)
    assert [action for _when, action, _unit in host.actions] == ["restart"]


def test_the_grace_ends_at_the_first_success(world):
    host = world()
    host.live(20)
    host.begin(WEB)
    host.live(6)
    host.units[WEB]["behaves"] = "hang"
    host.live(14)
    assert [action for _when, action, _unit in host.actions] == ["kill"]


def test_a_crash_is_systemd_s_but_remembered(world):
    host = world()
    host.live(20)
    host.begin(WEB, crashed=True)
    host.live(20)
    assert host.actions == []
    (incident,) = host.incidents()
    assert (incident["kind"], incident["state"]) == ("crash", "recovered")
    assert host.agent.state.report()["processes"][0]["restarts_24h"] == 1


@pytest.mark.parametrize(("state", "ends"), [(None, "open"), ("{}", "closed")], ids=["remembered", "forgotten"])
def test_an_incident_that_nobody_remembers_is_over(world, state, ends):
    """As after a start of the host, whose /run is new."""
    host = world(dry_run=True)  # nothing is done about it
    host.live(20)
    host.units[WEB]["behaves"] = "error"
    host.live(20)
    host.start_agent(state)
    (incident,) = host.incidents()
    assert (incident["state"], incident["unit"]) == (ends, WEB)
    host.live(30)
    assert [incident["state"] for incident in host.incidents()][-1] == "open", "what is not well is seen anew"


def test_a_crash_loop_is_told_once_a_minute(world):
    host = world()
    host.live(20)
    for _crash in range(60):
        host.begin(WEB, crashed=True, behaves="error")
        host.live(2)
    (incident,) = host.incidents()
    assert len([event for event in incident["events"] if event["event"] in ("opened", "again")]) == 2
    assert host.agent.watches[WEB].incident.times > 50


@pytest.mark.parametrize("ends", [("signal", "ended by SIGSEGV"), ("exit-code", "exit status 3"), ("oom-kill", "ended by SIGKILL"), None])
def test_how_it_ended_is_told(world, ends):
    host = world()
    host.live(20)
    host.ends[WEB] = ends
    host.begin(WEB, crashed=True)
    host.live(20)
    (incident,) = host.incidents()
    assert incident["kind"] == ("oom" if ends and ends[0] == "oom-kill" else "crash")
    assert ("want of memory" if incident["kind"] == "oom" else ends[1] if ends else "the process ended and") in incident["reason"]


def test_a_process_that_ends_every_8_seconds_is_not_up(world):
    host = world()
    host.live(20)
    for _crash in range(40):
        host.begin(WEB, crashed=True)
        host.live(9)
    assert host.health(WEB) == "looping"
    assert host.agent.state.report()["processes"][0]["reason"].startswith("it has ended or been down ")
    (incident,) = host.incidents()
    assert incident["kind"] == "loop" and incident["reason"].startswith("it has ended 5 times within 1 min")
    told = [event["kind"] for event in incident["events"] if event["event"] in ("opened", "again")]
    assert told.count("loop") == 1 and len(told) <= 4
    assert incident["state"] == "open"
    assert host.actions == []
    assert host.until(WEB, "up") <= 130
    host.live(5)
    assert host.incidents()[0]["state"] == "recovered"


def test_four_crashes_are_no_loop(world):
    host = world()
    host.live(20)
    for _crash in range(4):
        host.begin(WEB, crashed=True)
        host.live(20)
    assert host.health(WEB) == "up"
    assert host.incidents()[0]["kind"] == "crash"


def test_flapping_is_told_once(world):
    host = world(dry_run=True)
    host.live(20)
    for _time in range(10):
        host.units[WEB]["behaves"] = "error"
        host.live(15)
        host.units[WEB]["behaves"] = "up"
        host.live(15)
    (incident,) = host.incidents()
    told = [event["kind"] for event in incident["events"] if event["event"] in ("opened", "again")]
    assert told.count("flapping") == 1 and host.health(WEB) == "looping"


@pytest.mark.parametrize(
    ("behaves", "seconds", "actions"),
    [
        ("burning", 600, []),  # ten minutes in one task: left alone
        ("stale", 30, ["restart"]),
        ("ticking", 30, ["restart"]),  # a loop's own timers are no work
        ("working", 30, []),  # a request that takes 25 s
        ("serving", 30, []),
        ("working", 50, ["kill"]),
        ("serving", 50, ["kill"]),
        ("stopped", 20, ["kill"]),
        ("stuck", 20, ["kill"]),
    ],
)
def test_who_is_at_work_is_left_alone(world, behaves, seconds, actions):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = behaves
    host.live(seconds)
    assert [action for _when, action, _unit in host.actions] == actions
    if not actions:
        assert host.incidents()[0]["reason"].endswith("but it is at work: it is left alone")
        host.units[WEB]["behaves"] = "up"
        host.live(10)
        assert host.health(WEB) == "up" and host.actions == []


def test_who_answers_too_late_is_slow_and_not_at_work(host):
    host.units[WEB]["behaves"] = "slow"
    began = host.clock.now
    host.live(30)
    ((when, action, _unit),) = host.actions
    assert action == "restart" and 12 <= when - began <= 20  # then 5 s to end, and its start
    assert host.health(WEB) == "up"


def test_whose_long_request_has_just_ended_is_not_slow(host):
    """Who was asked with more patience meanwhile is answered then, late."""
    host.units[WEB]["behaves"] = "serving"
    host.live(18)
    host.units[WEB]["behaves"] = "up"
    host.agent.receive(("late", (WEB, host.agent.watches[WEB].invocation, host.clock.now - 6), 6.0))
    host.live(10)
    assert host.health(WEB) == "up" and host.actions == []


@pytest.mark.parametrize(("behaves", "patience"), [("overloaded", None), ("slow", 120)])
def test_who_computes_or_may_take_long_is_not_slow(world, behaves, patience):
    host = world()
    host.live(20)
    watch = host.agent.watches[WEB]
    watch.process = replace(watch.process, patience=patience)
    host.units[WEB]["behaves"] = behaves
    host.live(27)
    assert host.actions == []
    assert host.agent.state.report()["processes"][0]["reason"].endswith("it is at work: it is left alone")
    host.units[WEB]["behaves"] = "up"
    host.live(10)
    assert host.agent.watches[WEB].late is None


def test_a_worker_that_has_computed_and_then_sticks_is_restarted(world):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "burning"
    host.live(600)
    host.units[WEB]["behaves"] = "stale"
    host.live(20)
    assert [action for _when, action, _unit in host.actions] == ["restart"]


def test_a_route_says_how_long_a_request_may_take(world):
    host = world()
    host.live(20)
    watch = host.agent.watches[WEB]
    watch.process = replace(watch.process, patience=120)
    host.units[WEB]["behaves"] = "serving"
    host.live(115)
    assert host.actions == []
    host.live(30)
    assert [action for _when, action, _unit in host.actions] == ["kill"]


def test_the_operator_s_restart_is_no_incident(world):
    host = world()
    host.live(20)
    host.begin(WEB)
    host.live(20)
    assert host.incidents() == []
    assert host.health(WEB) == "up"


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_what_was_stopped_stays_stopped(world, active):
    host = world()
    host.live(20)
    host.stop(WEB, active)
    host.requests[WEB] = True  # the journal: the last job was a stop
    host.live(1000)
    assert host.actions == []
    assert host.health(WEB) == "stopped"


def test_a_stop_ends_the_incident(world):
    host = world()
    host.cured = False
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(20)
    host.stop(WEB)
    host.live(1000)
    assert host.incidents()[0]["state"] == "stopped"
    assert len(host.actions) == 1


def test_a_failed_unit_is_started_again_at_1_5_15_60_minutes(world):
    host = world(interval=20)
    host.cured = False
    host.live(40)
    host.give_up(WEB)
    host.requests[WEB] = False
    start = host.clock.now
    host.live(3 * 3600)
    times = [round((when - start) / 60) for when, action, _unit in host.actions if action == "revive"]
    assert times == pytest.approx([1, 6, 21, 81, 141], abs=1)


def test_a_revived_unit_that_stays_well_starts_afresh(world):
    host = world()
    host.live(20)
    host.give_up(WEB)
    host.requests[WEB] = False
    host.live(75)
    assert host.health(WEB) == "up"
    host.live(620)
    assert [action for _when, action, _unit in host.actions] == ["revive", "reset"]
    assert host.incidents()[0]["state"] == "closed"
    assert host.agent.watches[WEB].revivals == 0


@pytest.mark.parametrize(
    ("says", "result", "restarts", "expected"),
    [
        (None, "exit-code", 0, "stopped"),  # nobody knows: hands off
        (None, "exit-code", 3, "failed"),  # systemd had restarted it: a crash
        (None, "start-limit-hit", 0, "failed"),
        (True, "exit-code", 3, "stopped"),
        (False, "exit-code", 0, "failed"),
    ],
)
def test_who_stopped_a_failed_unit(world, says, result, restarts, expected):
    host = world()
    host.live(20)
    host.give_up(WEB)
    host.requests[WEB] = says
    host.units[WEB].update(result=result, restarts=restarts)
    host.live(10)
    assert host.health(WEB) == expected


def test_restarts_of_a_hopeless_process_are_bounded(world):
    host = world(interval=30, retry_interval=30)
    host.cured = False
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(24 * 3600 - 60)
    times = [when for when, _action, _unit in host.actions]
    assert len(times) == 10
    assert max(sum(1 for other in times if 0 <= other - when < 600) for when in times) <= 3
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps[0] >= 60 and gaps[1] >= 120 and min(gaps[3:]) >= 480
    assert host.held(WEB) == "10 restarts of this unit within 86400 s are spent"


def test_after_ten_good_minutes_the_past_is_forgotten(world):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(30)
    assert host.agent.limits.pauses
    host.live(620)
    assert not host.agent.limits.pauses
    assert [action for _when, action, _unit in host.actions] == ["kill", "reset"]
    assert host.incidents()[0]["state"] == "closed"


def test_one_restart_at_a_time_even_if_all_are_down(world):
    host = world("a-web@1", "b-web@1", "c-web@1")
    host.live(20)
    for facts in host.units.values():
        facts["behaves"] = "hang"
    host.live(60)
    times = [when for when, _action, _unit in host.actions]
    assert len(times) == 3
    assert all(later - earlier >= 4 for earlier, later in zip(times, times[1:]))
    assert {host.health(unit) for unit in host.units} == {"up"}


def test_all_down_for_a_common_cause_is_not_answered_by_restarting_everything(world):
    host = world(*(f"{name}-web@1" for name in "abcdefgh"))
    host.cured = False
    host.live(20)
    for facts in host.units.values():
        facts["behaves"] = "hang"
    host.live(590)
    assert len(host.actions) == 5
    times = [when for when, _action, _unit in host.actions]
    assert all(later - earlier >= 35 for earlier, later in zip(times, times[1:]))


@pytest.mark.parametrize("reason", ["booting", "maintenance", "deploying", "dry run"])
def test_hands_off(world, reason):
    host = world(dry_run=reason == "dry run")
    if reason == "booting":
        host.booted_at = host.clock.now - 20
        host.start_agent()
    host.live(10)
    if reason == "maintenance":
        Path(host.paths.maintenance).write_text(json.dumps({"until": host.clock.time() + 60}))
    if reason == "deploying":
        os.makedirs(host.paths.locks)
        lock = Path(host.paths.locks, "shop.deploy")
        lock.touch()
        os.utime(lock, (host.clock.time() + 600,) * 2)
    host.units[WEB]["behaves"] = "hang"
    host.live(40)
    assert host.actions == []
    assert host.held(WEB)
    held = [event for event in host.events() if event["event"] == "held"]
    assert len(held) == 1, "told once"
    host.live(900)
    assert bool(host.actions) is (reason != "dry run"), "it ends by itself"


def test_a_lock_of_another_app_does_not_matter(world):
    host = world()
    os.makedirs(host.paths.locks)
    lock = Path(host.paths.locks, "blog.deploy")
    lock.touch()
    os.utime(lock, (host.clock.time() + 600,) * 2)
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(20)
    assert len(host.actions) == 1


def test_a_probe_that_cannot_tell_is_no_failure(world):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "unknown"
    host.live(600)
    assert host.actions == []
    assert host.agent.state.report()["processes"][0]["reason"].startswith("cannot tell")


def test_a_suspended_agent_does_not_blame_the_process(world):
    host = world()
    host.live(20)
    host.units[WEB]["behaves"] = "hang"
    host.live(2.5)
    failures = host.agent.watches[WEB].failures
    host.clock.now += 60  # the machine slept: probes that were under way have failed for that
    host.agent.step()
    for _moment, message in host.pending:
        host.agent.receive(message)
    assert host.agent.watches[WEB].failures == failures
    host.pending.clear()
    host.live(30)
    assert host.agent.watches[WEB].failures == 0, "and later ones count again, so that it was restarted"


def test_a_jump_of_the_wall_clock_changes_nothing(world):
    host = world()
    host.live(20)
    host.clock.offset += 86400
    host.live(60)
    host.clock.offset -= 2 * 86400
    host.live(60)
    assert host.actions == []
    assert host.health(WEB) == "up"


def test_without_a_probe_the_unit_s_state_counts(world):
    host = world(probe=False)
    host.live(20)
    assert host.health(WEB) == "up"
    host.units[WEB]["behaves"] = "hang"
    host.live(100)
    assert host.actions == []
    host.give_up(WEB)
    host.requests[WEB] = False
    host.live(70)
    assert [action for _when, action, _unit in host.actions] == ["revive"]
    assert host.health(WEB) == "up"


@pytest.mark.parametrize("moment", [0.0, 0.1, 1.0, 2.5, 4.9, 4.99])
@pytest.mark.parametrize("behaves", ["halted", "maimed"])  # a child that is stopped holds its task for ever, however busy the others are
def test_a_worker_that_nobody_can_ask_is_told_to_go_on(world, behaves, moment):
    host = world(probe=False)
    host.live(20 + moment)
    host.units[WEB]["behaves"] = behaves
    began = host.clock.now
    host.live(30)
    ((when, action, _unit),) = host.actions
    assert action == "continue" and when - began <= 12
    (incident,) = host.incidents()
    assert (incident["kind"], incident["state"], incident["actions"]) == ("hang", "recovered", ["continue"])
    assert host.health(WEB) == "up"


def test_a_worker_that_does_not_go_on_is_killed_and_one_whose_child_does_not_is_left(world):
    for behaves, actions in (("halted", ["continue", "kill"]), ("maimed", ["continue", "continue"])):
        host = world(probe=False)
        host.actions, host.continues = [], False
        host.live(20)
        host.units[WEB]["behaves"] = behaves
        host.live(85)
        assert [action for _when, action, _unit in host.actions] == actions, behaves


def test_one_call_to_systemd_serves_all_units(world):
    host = world(*(f"{name}-web@1" for name in "abcdefgh"))
    host.live(20)
    host.units["a-web@1.service"]["behaves"] = "error"  # disturbs the rhythm of one
    host.live(40)
    host.shows = 0
    host.live(100)
    assert host.shows <= 21


def test_an_answer_of_a_former_life_does_not_count(world):
    host = world()
    host.live(20)
    watch = host.agent.watches[WEB]
    former = watch.invocation
    host.begin(WEB, behaves="error")
    watch.observe_unit(host.state(WEB))
    for _answer in range(3):
        watch.observe_probe(Outcome(True), former)
    assert (watch.health, watch.successes) == ("starting", 0)


def test_an_answer_while_we_act_does_not_count(world):
    host = world()
    host.live(20)
    host.agent.acting.add(WEB)
    for _answer in range(3):
        host.agent.receive(("probe", (WEB, host.agent.watches[WEB].invocation, host.clock.now), Outcome(False, "hang", "late")))
    assert host.agent.watches[WEB].failures == 0


def test_between_reset_failed_and_start_nobody_has_stopped_it(world):
    host = world()
    host.live(20)
    watch = host.agent.watches[WEB]
    host.give_up(WEB)
    host.requests[WEB] = False
    watch.observe_unit(host.state(WEB))
    watch.acted("revive")
    host.stop(WEB)
    assert watch.observe_unit(host.state(WEB)) == []
    assert watch.health == "restarting"


class TestMemory:
    def test_a_restarted_agent_keeps_counting(self, world):
        host = world()
        host.cured = False
        host.live(20)
        host.units[WEB]["behaves"] = "hang"
        while len(host.actions) < 3:
            host.live(10)
        host.start_agent()
        host.live(120)
        assert len(host.actions) == 3
        assert len(host.incidents()) == 1

    def test_a_crash_during_its_absence_is_seen(self, world):
        host = world()
        host.live(20)
        host.begin(WEB, crashed=True)
        host.start_agent()
        host.live(20)
        assert [incident["kind"] for incident in host.incidents()] == ["crash"]

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"memory": 3}', '{"memory": {"booted": 0.0, "saved": 1, "limits": {}}}'])
    def test_a_state_that_cannot_be_read_is_no_state(self, world, text):
        host = world()
        host.live(20)
        host.start_agent(text)
        host.live(20)
        assert host.health(WEB) == "up"

    def test_the_state_of_another_boot_is_no_state(self, world):
        host = world()
        host.live(20)
        host.units[WEB]["behaves"] = "hang"
        host.live(20)
        host.booted_at = 900.0
        host.start_agent()
        assert host.agent.limits.actions == []

    def test_the_state_survives_json(self, world):
        host = world()
        host.live(20)
        host.units[WEB]["behaves"] = "hang"
        host.live(12)
        before = host.agent.state.memory()
        host.start_agent()
        assert json.loads(json.dumps(host.agent.state.memory()["watches"])) == json.loads(json.dumps(before["watches"]))


def test_a_fault_of_the_disk_does_not_stop_the_healing(world, tmp_path):
    host = world()
    host.live(20)
    host.agent.incidents.path = str(tmp_path / "missing" / "incidents.jsonl")
    host.units[WEB]["behaves"] = "hang"
    host.live(25)
    assert len(host.actions) == 1


def test_a_systemd_that_does_not_answer_is_waited_for(world):
    from mainstay.units import SystemdError

    host = world()
    host.live(20)
    answer = host.show

    def fail(units):
        raise SystemdError("systemctl did not answer within 5 s")

    host.show = fail
    host.live(60)
    assert host.agent.state.report()["agent"]["problem"] == "systemctl did not answer within 5 s"
    assert host.actions == []
    host.show = answer
    host.live(10)
    assert host.agent.state.report()["agent"]["problem"] is None


def test_what_cannot_be_recorded_waits_and_is_told_of(world):
    host = world()
    host.live(20)
    recorded = host.agent.incidents.append

    def full(event):
        raise OSError(errno.ENOSPC, "No space left on device")

    host.agent.incidents.append = full
    host.units[WEB]["behaves"] = "hang"
    host.live(60)
    assert host.agent.state.report()["agent"]["problem"] == "incidents cannot be recorded: No space left on device"
    assert host.health(WEB) == "up" and host.events() == []
    host.agent.incidents.append = recorded
    host.live(10)
    (incident,) = host.incidents()
    assert incident["state"] == "recovered" and host.clock.time() - iso(incident["opened"]) > 40
    assert host.agent.state.report()["agent"]["problem"] is None


def test_half_a_line_is_taken_back(tmp_path, clock, monkeypatch):
    """As on a disk that is full, on which a part of it has found room."""
    incidents = Incidents(str(tmp_path / "incidents.jsonl"), 5, clock)
    incidents.append({"incident": "1", "event": "opened"})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "incidents.jsonl").stat().st_size + 20, limits[1]))
        with pytest.raises(OSError, match="No space left"):
            incidents.append({"incident": "2", "event": "opened"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    incidents.append({"incident": "3", "event": "opened"})
    assert [event["incident"] for event in read_events(incidents.path)] == ["1", "3"]
