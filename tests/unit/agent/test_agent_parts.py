# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the agent one by one: configuration, systemd, probes, actions, records."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.derive.agent import agent_config
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from mainstay import act, actuator, config, evidence, records, signs, units
from mainstay.prober import Prober
from mainstay.units import Systemd, SystemdError, UnitState

ROLE = Path(__file__).parents[3] / "roles/monitoring"
PROCESS = {
    "app": "shop",
    "process": "web",
    "instance": "8000",
    "unit": "shop-web@8000.service",
    "kind": "web",
    "probe": {"kind": "http", "url": "http://127.0.0.1:8000/health"},
}


class TestConfig:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ([], ["the configuration", "mapping"]),
            ({}, ["no processes", "add it"]),
            ({"processes": {}}, ["processes", "list"]),
            ({"processes": [], "setings": {}}, ["'setings'", "did you mean 'settings'"]),
            ({"processes": [], "version": 2}, ["version is 2", "run the role again"]),
            ({"processes": [{**PROCESS, "unti": "x"}]}, ["processes[0]", "'unti'", "did you mean 'unit'"]),
            ({"processes": [{key: PROCESS[key] for key in ("app", "process")}]}, ["processes[0] has no instance"]),
            ({"processes": [PROCESS, PROCESS]}, ["shop-web@8000.service", "twice"]),
            ({"processes": [{**PROCESS, "unit": "--all"}]}, ["processes[0].unit", "'--all'"]),
            ({"processes": [{**PROCESS, "unit": "ssh.socket"}]}, ["processes[0].unit", "service"]),
            ({"processes": [{**PROCESS, "app": "a/b"}]}, ["processes[0].app", "'a/b'"]),
            ({"processes": [{**PROCESS, "memory_max_mb": 0}]}, ["memory_max_mb is 0", "from 1"]),
            ({"processes": [{**PROCESS, "probe": "http"}]}, ["processes[0].probe", "mapping"]),
            ({"processes": [{**PROCESS, "probe": {"kind": "ftp"}}]}, ["processes[0].probe", "ftp"]),
            ({"processes": [{**PROCESS, "probe": {"kind": "http"}}]}, ["processes[0].probe", "url"]),
            (
                {"processes": [{**PROCESS, "probe": {"kind": "http", "url": "x", "pth": 1}}]},
                ["processes[0].probe", "'pth'"],
            ),
            (
                {"processes": [{**PROCESS, "probe": {"kind": "heartbeat", "file": "x", "max_age": 9}}]},
                ["file", "'x'", "absolute"],
            ),
            ({"processes": [{**PROCESS, "probe": {"kind": "heartbeat", "file": "/x"}}]}, ["no max_age"]),
            ({"processes": [], "settings": {"interval": 0}}, ["settings.interval is 0", "from 1 to 300"]),
            ({"processes": [], "settings": {"interval": "5"}}, ["settings.interval is '5'", "number"]),
            ({"processes": [], "settings": {"failures": 2.5}}, ["settings.failures is 2.5", "whole"]),
            ({"processes": [], "settings": {"failures": True}}, ["settings.failures is True"]),
            ({"processes": [], "settings": {"intervall": 5}}, ["'intervall'", "did you mean 'interval'"]),
            ({"processes": [], "settings": {"dry_run": "yes"}}, ["settings.dry_run", "true or false"]),
            ({"processes": [], "settings": {"revive_delays": []}}, ["settings.revive_delays", "list of seconds"]),
            (
                {"processes": [], "settings": {"cooldown": 90, "cooldown_max": 60}},
                ["cooldown_max", "less than cooldown"],
            ),
        ],
    )
    def test_a_mistake_is_named_with_its_remedy(self, data, words):
        with pytest.raises(config.ConfigError) as refusal:
            config.parse(data)
        for word in words:
            assert word in str(refusal.value)

    @pytest.mark.parametrize("text", ["", "{", "\0", "[" * 100])
    def test_a_file_that_is_no_json(self, tmp_path, text):
        path = tmp_path / "agent.json"
        path.write_text(text)
        with pytest.raises(config.ConfigError, match="cannot be read as JSON"):
            config.load(str(path))

    def test_a_file_that_is_missing(self):
        with pytest.raises(config.ConfigError, match="run the role mainstay.vps.monitoring"):
            config.load("/nonexistent/agent.json")

    def test_the_role_s_defaults_are_the_agent_s(self):
        defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
        passed = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__monitoring_settings"]
        assert set(passed) == {item.name for item in fields(config.Settings)}
        # A number of the command line is a text, and the agent takes numbers alone.
        cast = {"float": " | float", "int": " | int", "bool": "", "list": " | map('int')"}
        options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        for name, value in passed.items():
            assert value == f"{{{{ monitoring_{name}{cast[options[f'monitoring_{name}']['type']]} }}}}"
        given = {name: defaults[f"monitoring_{name}"] for name in passed}
        assert config.parse({"processes": [], "settings": given}).settings == config.Settings()

    def test_what_the_filter_writes_the_agent_reads(self):
        written = agent_config(SHOP, {}, "web1")
        read = config.parse(written)
        assert [process.unit for process in read.processes] == [item["unit"] for item in written["processes"]]

    @pytest.mark.parametrize(
        ("target", "units"),
        [
            ("shop", ["shop-beat@1.service", "shop-web@8000.service", "shop-web@8001.service"]),
            ("shop/", ["shop-beat@1.service", "shop-web@8000.service", "shop-web@8001.service"]),
            ("shop/web", ["shop-web@8000.service", "shop-web@8001.service"]),
            ("shop/web/8001", ["shop-web@8001.service"]),
            ("shop-web@8001", ["shop-web@8001.service"]),
            ("shop-web@8001.service", ["shop-web@8001.service"]),
        ],
    )
    def test_selection(self, target, units):
        assert [process.unit for process in CONFIG.select(target)] == units

    @pytest.mark.parametrize(
        ("target", "hint"),
        [("shp", "did you mean shop?"), ("xyzzy", "declared here: shop, shop/beat"), ("shop/w", "shop/web")],
    )
    def test_a_selection_that_fits_nothing(self, target, hint):
        with pytest.raises(config.ConfigError, match=hint.replace("?", r"\?")):
            CONFIG.select(target)


CONFIG = config.parse(
    {
        "processes": [
            {
                **PROCESS,
                "process": "beat",
                "instance": "1",
                "unit": "shop-beat@1.service",
                "kind": "worker",
                "probe": None,
            },
            PROCESS,
            {**PROCESS, "instance": "8001", "unit": "shop-web@8001.service"},
        ]
    }
)

SHOW = """\
Id=shop-web@8000.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
InvocationID=be273f8afd3843a491c3c1d2aa232455
MainPID=40
NRestarts=2
ExecMainCode=0
ExecMainStatus=0
ActiveEnterTimestampMonotonic=1330242298
StateChangeTimestampMonotonic=1330242298
MemoryCurrent=88080384
MemoryMax=infinity

Id=shop-web@8001.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=signal
InvocationID=
MainPID=0
NRestarts=0
ExecMainCode=2
ExecMainStatus=9
ActiveEnterTimestampMonotonic=0
StateChangeTimestampMonotonic=5000000
MemoryCurrent=18446744073709551615
MemoryMax=[not set]

Id=nothing@1.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""


class TestUnits:
    def test_show(self):
        found = units.parse_show(SHOW)
        web = found["shop-web@8000.service"]
        assert (web.running, web.restarts, web.main_pid, web.active_since, web.memory_mb, web.memory_max_mb) == (
            True,
            2,
            40,
            1330.242298,
            84,
            None,
        )
        assert web.words == "active (running)"
        other = found["shop-web@8001.service"]
        assert (other.running, other.exit, other.memory_mb, other.changed) == (False, "ended by SIGKILL", None, 5.0)
        assert found["nothing@1.service"].words == "not-found"

    @pytest.mark.parametrize("text", ["", "\n\n", "garbage", "Id=\nX=1", "Id=a.service\nNRestarts=[not set]\nMainPID=x"])
    def test_show_survives_anything(self, text):
        assert set(units.parse_show(text)) <= {"a.service"}

    def test_no_units_no_question(self):
        def run(argv):
            raise AssertionError("not to be asked")

        assert Systemd(run).show([]) == {}

    def test_a_line_of_an_app_s_takes_no_more_room_than_others(self):
        """journalctl cuts it off; the agent has less memory than an app may write at once."""
        asked = []
        Systemd(lambda argv: asked.append(argv) or "").journal("shop-web@8000.service", 50)
        assert asked[0][:6] == ["choom", "--adjust=1000", "--", "env", "COLUMNS=400", "journalctl"] and "--no-full" in asked[0]

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            (json.dumps({"MESSAGE_ID": units.MESSAGE_STOPPING}) + "\n", True),
            (json.dumps({"MESSAGE_ID": units.MESSAGE_STARTED}) + "\n", False),
            (json.dumps({"MESSAGE_ID": units.MESSAGE_STARTING}) + "\n", False),
            ("", None),
            ("{", None),
            ("{}", None),
            (SystemdError("no journal"), None),
        ],
    )
    def test_who_stopped_it(self, output, expected):
        def run(argv):
            assert "UNIT=shop-web@8000.service" in argv and "_PID=1" in argv
            if isinstance(output, Exception):
                raise output
            return output

        assert Systemd(run).stopped_on_request("shop-web@8000.service") is expected

    def test_a_program_that_fails_is_told_in_words(self):
        for argv, words in (
            (["false"], "exit status 1"),
            (["/nonexistent"], "cannot be run"),
            (["sleep", "5"], "within 0.1 s"),
        ):
            with pytest.raises(SystemdError, match=words):
                units.run(argv, timeout=0.1)


class TestProber:
    def beat(self, tmp_path, clock, age):
        path = tmp_path / "beat"
        path.touch()
        os.utime(path, (clock.time() - age,) * 2)
        return {"kind": "heartbeat", "file": str(path), "max_age": 60}

    def prober(self, clock):
        return Prober(config.Settings(), queue.SimpleQueue(), clock)

    def test_a_fresh_heartbeat_and_an_old_one(self, tmp_path, clock):
        unit = UnitState("x", active_since=1.0)
        assert self.prober(clock).heartbeat(self.beat(tmp_path, clock, 59), unit).healthy is True
        old = self.prober(clock).heartbeat(self.beat(tmp_path, clock, 70), unit)
        assert (old.healthy, old.kind, old.reason) == (False, "stale", "no heartbeat for 70 s, allowed are 60 s")

    def test_silence_counts_from_the_start_of_the_unit(self, tmp_path, clock):
        unit = UnitState("x", active_since=clock.now - 30)
        assert self.prober(clock).heartbeat(self.beat(tmp_path, clock, 4000), unit).healthy is True
        missing = {"kind": "heartbeat", "file": str(tmp_path / "none"), "max_age": 60}
        assert self.prober(clock).heartbeat(missing, unit).healthy is True
        clock.now += 31
        outcome = self.prober(clock).heartbeat(missing, unit)
        assert (outcome.healthy, outcome.reason) == (False, f"{tmp_path}/none does not exist")

    @pytest.mark.parametrize("jump", [86400, -86400])
    def test_a_jump_of_the_clock_is_no_silence(self, tmp_path, clock, jump):
        prober, probe, unit = self.prober(clock), self.beat(tmp_path, clock, 5), UnitState("x", active_since=1.0)
        assert prober.heartbeat(probe, unit).healthy
        clock.offset += jump
        clock.now += 10
        assert prober.heartbeat(probe, unit).healthy is True
        clock.now += 50
        assert prober.heartbeat(probe, unit).healthy is False
        os.utime(probe["file"], (clock.time(),) * 2)
        assert prober.heartbeat(probe, unit).healthy is True

    def test_a_heartbeat_that_may_not_be_seen_tells_nothing(self, clock, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "stat", refuse)
        outcome = self.prober(clock).heartbeat({"file": "/x", "max_age": 60}, UnitState("x"))
        assert outcome.healthy is None
        assert "Permission denied" in outcome.reason

    @pytest.mark.parametrize(
        ("cause", "healthy", "kind"),
        [
            ("timeout", False, "hang"),
            ("refused", False, "hang"),
            ("closed", False, "hang"),
            ("status", False, "error"),
            ("content", False, "error"),
            ("permission", None, ""),
            ("network", None, ""),
            ("something new", None, ""),
        ],
    )
    def test_what_a_failure_means(self, clock, monkeypatch, cause, healthy, kind):
        from mainstay.core.probe import once

        answer = {"healthy": False, "cause": cause, "reasons": ["because"], "latency_ms": {"last": None}}
        monkeypatch.setattr(once, "check_once", lambda spec: answer)
        outcome = self.prober(clock).probe(CONFIG.processes[1], UnitState("x"))
        assert (outcome.healthy, outcome.kind) == (healthy, kind)

    def test_a_probe_that_was_starved_tells_nothing(self, clock, monkeypatch):
        from mainstay.core.probe import once

        def late(spec):
            clock.now += 6
            return {"healthy": False, "cause": "timeout", "reasons": ["no answer"], "latency_ms": {"last": None}}

        monkeypatch.setattr(once, "check_once", late)
        assert self.prober(clock).probe(CONFIG.processes[1], UnitState("x")).healthy is None

    def test_the_declared_timeout_wins(self, clock, monkeypatch):
        from mainstay.core.probe import once

        seen = []
        monkeypatch.setattr(once, "check_once", lambda spec: seen.append(spec) or {"healthy": True, "latency_ms": {"last": 1.0}})
        process = config.parse({"processes": [{**PROCESS, "probe": {**PROCESS["probe"], "timeout": 7}}]}).processes[0]
        self.prober(clock).probe(process, UnitState("x"))
        self.prober(clock).probe(CONFIG.processes[1], UnitState("x"))
        assert [spec["timeout"] for spec in seen] == [7, 2]

    @pytest.mark.parametrize(
        ("states", "healthy"), [("SSR", True), ("", True), ("TSS", False), ("STS", False), ("tSS", True)],
        ids=["well", "gone", "stopped", "a child is", "being traced"],
    )  # fmt: skip
    def test_who_cannot_be_asked_may_still_be_seen_stopped(self, tmp_path, clock, monkeypatch, states, healthy):
        monkeypatch.setattr(signs, "work", lambda pid: signs.Activity(7, states))
        beating = config.parse({"processes": [{**PROCESS, "probe": self.beat(tmp_path, clock, 1)}]}).processes[0]
        for process in (CONFIG.processes[0], beating):
            outcome = self.prober(clock).probe(process, UnitState("x", main_pid=10, active_since=1.0))
            assert outcome.healthy is healthy
            assert outcome.kind == ("" if healthy else "hang")

    @pytest.mark.parametrize(("took", "told"), [(8000.0, 8.0), (100.0, None), (None, None)], ids=["late", "well again", "never"])
    def test_who_gave_no_answer_is_asked_with_more_patience(self, clock, monkeypatch, took, told):
        from mainstay.core.probe import once

        seen, go, prober = [], threading.Event(), self.prober(clock)

        def check(spec):
            seen.append(spec["timeout"])
            go.wait(5)
            return {"healthy": took is not None, "latency_ms": {"last": took}}

        monkeypatch.setattr(once, "check_once", check)
        for _time in range(3):  # one at a time for each
            prober.wait_longer(CONFIG.processes[1], "token")
        go.set()
        prober.late_pool.shutdown()
        assert seen == [10] and not prober.waiting
        assert ([] if prober.inbox.empty() else [prober.inbox.get()]) == ([("late", "token", told)] if told else [])

    def test_a_fault_of_the_probe_itself_arrives_as_one(self, clock, monkeypatch):
        def fail(*_arguments):
            raise RuntimeError("broken")

        monkeypatch.setattr(signs, "work", fail)
        prober = self.prober(clock)
        prober.submit(CONFIG.processes[0], UnitState("x"), "token")
        kind, token, outcome = prober.inbox.get(timeout=5)
        assert (kind, token, outcome.healthy) == ("probe", "token", None)
        assert "itself failed" in outcome.reason

    def test_with_a_real_server(self, clock):
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/health" else 500)
                self.end_headers()

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            for path, healthy, kind in (("health", True, ""), ("x", False, "error")):
                probe = {"kind": "http", "url": f"http://127.0.0.1:{port}/{path}"}
                process = config.parse({"processes": [{**PROCESS, "probe": probe}]}).processes[0]
                outcome = self.prober(clock).probe(process, UnitState("x"))
                assert (outcome.healthy, outcome.kind) == (healthy, kind)
        finally:
            server.shutdown()
            server.server_close()


class TestActuator:
    """What is asked of the helper, in which order."""

    class Systemd:
        def __init__(self, states):
            self.states = states

        def show(self, names):
            return {names[0]: self.states.pop(0) if len(self.states) > 1 else self.states[0]}

        def journal(self, unit, lines):
            return ["the last words"]

    def perform(self, clock, action, states, invocation="a"):
        asked = []
        systemd = self.Systemd(states)
        subject = actuator.Actuator(config.Settings(), lambda *request: asked.append(request[0]), systemd, queue.SimpleQueue(), clock)
        return subject.perform(action, CONFIG.processes[1], invocation), asked

    RUNNING = UnitState("shop-web@8000.service", invocation="a")
    NEXT = UnitState("shop-web@8000.service", invocation="b")
    STOPPING = UnitState("shop-web@8000.service", invocation="a", active="deactivating")
    FAILED = UnitState("shop-web@8000.service", invocation="a", active="failed")

    @pytest.mark.parametrize(
        ("action", "states", "asked"),
        [
            ("kill", [RUNNING], ["kill", "restart"]),
            ("restart", [RUNNING, RUNNING, NEXT], ["restart"]),
            ("restart", [RUNNING, RUNNING, STOPPING], ["restart", "kill"]),
            ("revive", [FAILED], ["reset-failed", "start"]),
            ("reset", [RUNNING], ["reset-failed"]),
            ("observe", [RUNNING], []),
            ("rollback", [FAILED], ["rollback"]),
        ],
    )
    def test_the_verbs(self, clock, action, states, asked):
        done, verbs = self.perform(clock, action, list(states))
        assert done.ok
        assert verbs == asked

    def test_evidence_is_taken_before(self, clock):
        done, _asked = self.perform(clock, "kill", [self.RUNNING])
        assert done.evidence["journal"] == ["the last words"]
        assert done.steps == ["SIGKILL", "restart"]

    @pytest.mark.parametrize(
        ("action", "state"),
        [
            ("kill", NEXT),  # somebody has restarted it
            ("restart", NEXT),
            ("kill", UnitState("shop-web@8000.service", active="inactive")),  # the operator has stopped it
            ("restart", STOPPING),
            ("revive", RUNNING),
            ("revive", UnitState("shop-web@8000.service", active="inactive")),
        ],
    )
    def test_what_has_changed_meanwhile_is_left_alone(self, clock, action, state):
        done, asked = self.perform(clock, action, [state])
        assert not done.ok
        assert done.error.startswith("left alone")
        assert asked == []

    def test_patience_ends_after_the_stop_grace(self, clock):
        before = clock.now
        self.perform(clock, "restart", [self.RUNNING, self.STOPPING])
        assert clock.now - before == pytest.approx(5, abs=0.3)

    def test_a_fault_of_the_actuator_ends_the_action(self, clock):
        subject = actuator.Actuator(config.Settings(), None, None, queue.SimpleQueue(), clock)
        subject.submit("kill", CONFIG.processes[1], "a", "token")
        kind, token, done = subject.inbox.get(timeout=5)
        assert (kind, token, done.ok) == ("action", "token", False)


class TestHelper:
    UNITS = ("shop-web@8000.service",)

    @pytest.mark.parametrize("verb", list(act.VERBS))
    def test_what_is_granted(self, verb):
        own = {"reclaim": act.RECLAIM, "rollback": "mainstay-rollback@shop.service"}
        unit = own.get(verb, self.UNITS[0])
        argv = act.command(json.dumps({"verb": verb, "unit": unit}), self.UNITS, ["shop"])
        assert argv[0] == "systemctl"
        assert argv[-2:] == ["--", unit]
        for other in {*own.values(), *self.UNITS, "mainstay-rollback@blog.service"} - {unit}:
            with pytest.raises(ValueError, match="is not declared"):
                act.command(json.dumps({"verb": verb, "unit": other}), self.UNITS, ["shop"])

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "null",
            "[]",
            "{",
            "3",
            '{"verb": "kill"}',
            '{"verb": "kill", "unit": "ssh.service"}',
            '{"verb": "kill", "unit": ["shop-web@8000.service"]}',
            '{"verb": "stop", "unit": "shop-web@8000.service"}',
            '{"verb": ["kill"], "unit": "shop-web@8000.service"}',
            '{"verb": "kill", "unit": "shop-web@8000.service", "signal": "SIGHUP"}',
            '{"verb": "kill", "unit": "shop-web@8000.service ssh.service"}',
        ],
    )
    def test_what_is_refused(self, line):
        def run(*args, **kwargs):
            raise AssertionError("not to be run")

        answer = act.answer(line, self.UNITS, run)
        assert not answer["ok"]
        assert answer["error"].startswith("refused")

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (b'{"ok": true, "error": ""}\n', None),
            (b'{"ok": false, "error": "no such unit"}\n', "no such unit"),
            (b"", "without an answer"),
            (b"x\n", "does not answer"),
        ],
    )
    def test_the_client(self, tmp_path, reply, error):
        path = str(tmp_path / "sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        seen = []

        def serve():
            connection, _address = server.accept()
            seen.append(connection.recv(4096))
            connection.sendall(reply)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        helper = actuator.Helper(path)
        if error:
            with pytest.raises(actuator.HelperError, match=error):
                helper("kill", "x.service")
        else:
            helper("kill", "x.service")
        thread.join()
        server.close()
        assert json.loads(seen[0]) == {"verb": "kill", "unit": "x.service"}

    def test_a_helper_that_is_not_there(self, tmp_path):
        with pytest.raises(actuator.HelperError, match="does not answer"):
            actuator.Helper(str(tmp_path / "none"))("kill", "x.service")


class TestRecords:
    def test_the_file_never_outgrows_its_size(self, tmp_path, clock):
        path = str(tmp_path / "incidents.jsonl")
        incidents = records.Incidents(path, 1, clock)
        for number in range(300):
            incidents.append({"event": "opened", "incident": str(number), "text": "x" * 10000})
            assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= 1 << 20
        events = records.read_events(path)
        assert events[-1]["incident"] == "299"
        assert len(events) > 45
        assert os.stat(path).st_mode & 0o777 == 0o640

    def test_lines_that_cannot_be_read_are_passed_over(self, tmp_path, clock):
        path = tmp_path / "incidents.jsonl"
        records.Incidents(str(path), 1, clock).append({"event": "opened", "incident": "a"})
        with path.open("a") as file:
            file.write('[]\n3\n{"half": \n\0\n{"event": "closed", "incident": "a"}\n{"event": "rec')
        assert [event["event"] for event in records.read_events(str(path))] == ["opened", "closed"]

    def test_nothing_there_yet_and_no_right_to_look_differ(self, tmp_path):
        assert records.read_events(str(tmp_path / "incidents.jsonl")) == []
        with pytest.raises(FileNotFoundError):
            records.read_events(str(tmp_path / "none" / "incidents.jsonl"))

    def test_the_state_is_replaced_whole(self, tmp_path):
        path = str(tmp_path / "state.json")
        before = os.umask(0o077)  # as in the agent's unit
        try:
            records.write_state(path, {"a": 1})
        finally:
            os.umask(before)
        assert os.stat(path).st_mode & 0o777 == 0o640
        assert records.read_state(path) == {"a": 1}
        with pytest.raises(TypeError):
            records.write_state(path, {"a": object()})
        assert records.read_state(path) == {"a": 1}

    @pytest.mark.parametrize(
        "make",
        [
            lambda path, _other: os.mkfifo(path),
            lambda path, other: os.symlink(other, path),
            lambda path, _other: os.symlink("/dev/zero", path),
            lambda path, _other: os.mkdir(path),
            lambda path, _other: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)) or os.truncate(path, 1 << 40),
        ],
        ids=["a pipe", "a link", "a device", "a folder", "a file without end"],
    )
    def test_root_reads_nothing_else_in_the_agent_s_place(self, tmp_path, make):
        other = tmp_path / "other"
        other.write_text('{"event": "opened", "incident": "a"}\n')
        path = str(tmp_path / "file")
        make(path, str(other))
        assert records.read_state(path) == {}
        with pytest.raises(OSError, match="what the agent writes|symbolic"):
            records.read_events(path)


def test_evidence_of_processes(tmp_path):
    proc = tmp_path
    for pid, children, state in ((10, "11 12", "S"), (11, "", "T"), (12, "", "Z")):
        (proc / f"{pid}/task/{pid}").mkdir(parents=True)
        (proc / f"{pid}/task/{pid}/children").write_text(children)
        rest = [state, *["0"] * 16, "4", "0", "0", "0", "2560"]
        (proc / f"{pid}/stat").write_text(f"{pid} (my (odd) name) {' '.join(rest)}\n")
        (proc / f"{pid}/wchan").write_text("do_wait")
    assert evidence.tree(10, str(proc)) == [10, 11, 12]
    found = evidence.describe(11, str(proc))
    assert (found["name"], found["state"], found["threads"], found["wchan"]) == (
        "my (odd) name",
        "stopped by a signal",
        4,
        "do_wait",
    )
    assert evidence.describe(99, str(proc)) is None


def test_every_module_is_installed_by_the_role():
    pattern = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__monitoring_modules"]
    for path in (ROLE / "files/mainstay").rglob("*.py"):
        assert f"/files/{path.parent.relative_to(ROLE / 'files')}/*.py" in pattern


def test_signals_have_names():
    assert units._signal(signal.SIGKILL) == "SIGKILL"
    assert units._signal(63) == "signal 63"
