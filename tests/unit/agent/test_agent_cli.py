# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `mainstay` as people see it."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pty
import sys
import time
from pathlib import Path

import pytest
from mainstay import cli, config, maintenances, text
from mainstay.commands import logs
from mainstay.paths import Paths
from mainstay.records import Incidents, write_state
from mainstay.units import SystemdError, UnitState

PROCESSES = [
    {"app": "shop", "process": "beat", "instance": "1", "unit": "shop-beat@1.service", "kind": "worker"},
    {
        "app": "shop",
        "process": "web",
        "instance": "8000",
        "unit": "shop-web@8000.service",
        "kind": "web",
        "probe": {"kind": "http", "url": "http://127.0.0.1:8000/health"},
        "memory_max_mb": 300,
    },
]


class Host:
    """A host as the commands see it."""

    def __init__(self, tmp_path, clock, capsys):
        self.clock, self.capsys = clock, capsys
        self.paths = Paths(
            *(
                str(tmp_path / name)
                for name in ("agent.json", "state.json", "incidents.jsonl", "maintenance.json", "locks", "s", "deploys")
            ),
            run=str(tmp_path),
            ways_back=str(tmp_path / "ways-back"),
            maintenances=str(tmp_path / "maintenances.json"),
        )
        self.configure()
        self.live = {
            "shop-beat@1.service": UnitState("shop-beat@1.service", memory_mb=40, memory_max_mb=192),
            "shop-web@8000.service": UnitState("shop-web@8000.service", memory_mb=84),
        }
        self.calls, self.status, self.root = [], 0, True
        self.agent = {
            "version": "0.1.0",
            "pid": 7,
            "started": 0,
            "written": clock.time() - 2,
            "interval": 5,
            "dry_run": False,
        }
        self.agent |= {"paused": None, "problem": None}
        self.entries, self.servers = [self.entry(unit) for unit in self.live], []
        self.rules, self.filesystem = "", "/"

    def configure(self, servers=(), **apps):
        Path(self.paths.config).write_text(json.dumps({"processes": PROCESSES, "servers": list(servers), "apps": apps}))

    def entry(self, unit, **facts):
        entry = {
            "unit": unit,
            "health": "up",
            "since": self.clock.time() - 7300,
            "restarts_24h": 0,
            "unit_state": "active (running)",
        }
        entry |= {
            "reason": "",
            "latency_ms": 3.0,
            "held": None,
            "cooldown_until": None,
            "next_start": None,
            "incident": None,
        }
        return entry | facts

    def show(self, units):
        return {unit: self.live[unit] for unit in units if unit in self.live}

    def run(self, *argv):
        write_state(self.paths.state, {"version": 1, "agent": self.agent, "processes": self.entries, "servers": self.servers})
        context = cli.Context(
            paths=self.paths,
            systemd=self,
            clock=self.clock,
            call=self.call,
            call_apart=self.call,
            show=self.call,
            run=self.ask,
            root=self.root,
            filesystem=self.filesystem,
        )
        status = cli.main(argv, context)
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def ask(self, argv, timeout=5, text=""):
        if argv[0] == "nft" and self.rules:
            return self.rules
        raise SystemdError(f"{argv[0]}: exit status 1")

    def call(self, argv):
        self.calls.append(argv)
        return self.status


@pytest.fixture
def host(tmp_path, clock, capsys):
    return Host(tmp_path, clock, capsys)


RULES = """table inet mainstay {
    chain input {
        type filter hook input priority filter; policy drop;
        tcp dport 22 ct state new add @ssh_ipv4 { ip saddr limit rate over 60/minute burst 60 packets } counter packets 7 bytes 420 drop
        tcp dport 443 ct state new add @held_443_ipv4 { ip saddr ct count over 102 } counter packets 5 bytes 300 reject with tcp reset
        tcp dport 22 accept comment "ssh"
        counter packets 1230 bytes 70000 comment "closed ports"
    }

    chain published {
        meta l4proto tcp ct original proto-dst 443 accept
        counter packets 4 bytes 240 drop comment "published ports"
    }
}
"""


class TestStatus:
    def test_root_sees_what_the_firewall_has_refused(self, host):
        assert "Firewall" not in host.run("status")[1]
        host.rules = RULES
        said = "Firewall: since its rules were loaded, 1234 packets to closed ports and 12 connections beyond an address's part refused"
        assert host.run("status")[1].splitlines()[-1] == said
        assert json.loads(host.run("status", "--json")[1])["firewall"]["beyond"] == 12
        host.root = False
        assert "Firewall" not in host.run("status")[1]

    def test_all_well(self, host):
        status, out, _err = host.run("status")
        assert status == 0
        assert out.splitlines() == [
            "APP   PROCESS  INSTANCE  UNIT              HEALTH  SINCE  RESTARTS  MEMORY        LAST INCIDENT",
            "shop  beat     1         active (running)  up      2 h    0         40 MB of 192  -",
            "shop  web      8000      active (running)  up      2 h    0         84 MB of 300  -",
        ]

    def test_a_reboot_that_is_due(self, host):
        due = Path(host.paths.run, "reboot-required")
        due.write_text("")
        os.utime(due, (host.clock.time() - 7200,) * 2)
        assert host.run("status")[1].splitlines()[-1] == "Reboot due since 2 h"
        due.with_suffix(".pkgs").write_text("linux-image-6\nlibc6\nlibc6\ndbus\x1b[2J\nsystemd\n")
        status, out, _err = host.run("status")
        assert status == 0  # nothing is unwell
        assert out.splitlines()[-1] == "Reboot due since 2 h for dbus\\x1b[2J, libc6, linux-image-6, 1 more"
        assert json.loads(host.run("status", "--json")[1])["reboot"]["packages"][1] == "libc6"

    def test_something_is_down(self, host):
        now = host.clock.time()
        incident = {
            "id": "i",
            "kind": "hang",
            "reason": "no answer",
            "opened": now - 90,
            "times": 2,
            "actions": 1,
            "recovered_after": None,
        }
        host.entries[1] |= {"health": "down", "reason": "no answer within 2 s", "incident": incident}
        host.entries[1] |= {"held": {"reason": "cool-down after the last restart", "until": now + 50}, "since": now - 8}
        status, out, _err = host.run("status")
        assert status == 1
        assert "active (running)  down    8 s" in out
        assert "hang 90 s ago, open" in out
        assert out.endswith("shop/web/8000: no answer within 2 s; waiting: cool-down after the last restart, 50 s left\n")

    @pytest.mark.parametrize(
        ("live", "seen", "health", "status"),
        [
            ({"active": "inactive", "sub": "dead"}, "up", "stopped", 0),
            ({"active": "failed", "sub": "failed"}, "up", "failed", 1),
            ({"active": "failed", "sub": "failed"}, "stopped", "stopped", 0),
            ({"active": "activating", "sub": "auto-restart"}, "up", "restarting", 1),
            ({"load": "not-found", "active": "inactive"}, "up", "missing", 1),
            ({}, "stopped", "starting", 0),
            ({}, "failing", "failing", 1),
        ],
    )
    def test_systemd_s_word_is_newer_than_the_agent_s(self, host, live, seen, health, status):
        host.live["shop-web@8000.service"] = UnitState("shop-web@8000.service", **live)
        host.entries[1]["health"] = seen
        found, out, _err = host.run("status", "--json", "shop/web")
        assert (json.loads(out)["processes"][0]["health"], found) == (health, status)

    def test_what_the_agent_said_before_a_change_is_not_repeated(self, host):
        host.live["shop-web@8000.service"] = UnitState("shop-web@8000.service", active="failed", sub="failed")
        host.entries[1] |= {"health": "restarting", "reason": "activating (auto-restart)"}
        entry = json.loads(host.run("status", "--json", "shop/web")[1])["processes"][0]
        assert (entry["reason"], entry["since"]) == ("", None)

    @pytest.mark.parametrize("break_it", [lambda host: host.agent.update(written=host.clock.time() - 60), lambda host: host.agent.clear()])
    def test_the_agent_is_away(self, host, break_it):
        break_it(host)
        status, out, _err = host.run("status")
        assert status == 3
        assert out.startswith("The agent is not watching: systemctl status mainstay-agent.service\n")
        assert "unknown" in out

    def test_the_agent_is_paused(self, host):
        host.agent["paused"] = {"reason": "maintenance is on", "until": host.clock.time() + 600}
        assert host.run("status")[1].startswith("The agent watches but does not act: maintenance is on, for 10 min\n")

    def test_json_has_the_same_keys_whatever_happens(self, host):
        full = json.loads(host.run("status", "--json")[1])
        host.agent, host.entries, host.live = {}, [], {}
        bare = json.loads(host.run("status", "--json")[1])
        assert set(full["agent"]) == set(bare["agent"])
        assert [set(entry) for entry in full["processes"]] == [set(entry) for entry in bare["processes"]]
        assert {entry["health"] for entry in bare["processes"]} == {"unknown"}

    def serve(self, host, **facts):
        """The host has a server, too; in another part of the agent's state than the processes."""
        host.configure([{"name": "redis/shop-cache", "unit": "redis-server@shop-cache.service", "probe": {"kind": "redis", "port": 6379}}])
        host.live["redis-server@shop-cache.service"] = UnitState("redis-server@shop-cache.service", memory_mb=9, memory_max_mb=46)
        host.servers = [host.entry("redis-server@shop-cache.service", **facts)]

    def test_servers_have_a_table_of_their_own(self, host):
        self.serve(host)
        status, out, _err = host.run("status")
        assert status == 0
        assert out.splitlines()[3:] == [
            "",
            "SERVER            UNIT              HEALTH  SINCE  RESTARTS  MEMORY      LAST INCIDENT",
            "redis/shop-cache  active (running)  up      2 h    0         9 MB of 46  -",
        ]
        assert host.run("status", "redis")[1].splitlines() == out.splitlines()[4:]
        found = json.loads(host.run("status", "--json")[1])
        assert [entry["server"] for entry in found["servers"]] == ["redis/shop-cache"]
        assert len(found["processes"]) == 2

    @pytest.mark.parametrize(
        ("live", "seen", "health"),
        [
            ({"active": "activating", "sub": "auto-restart"}, "up", "restarting"),
            ({"active": "inactive", "sub": "dead"}, "failed", "failed"),  # nobody stopped it
            ({"active": "inactive", "sub": "dead"}, "stopped", "stopped"),
            ({}, "down", "down"),
            ({}, "starting", "starting"),
        ],
    )
    def test_how_a_server_is(self, host, live, seen, health):
        self.serve(host, health=seen, reason="no answer within 2 s")
        host.live["redis-server@shop-cache.service"] = UnitState("redis-server@shop-cache.service", **live)
        status, out, _err = host.run("status", "--json", "redis")
        assert json.loads(out)["servers"][0]["health"] == health
        assert status == (0 if health in ("stopped", "starting") else 1)
        if health == "down":
            assert host.run("status")[1].endswith("\nredis/shop-cache: no answer within 2 s\n")

    def test_nothing_declared(self, host):
        Path(host.paths.config).write_text('{"processes": []}')
        assert host.run("status")[:2] == (0, "No process is declared on this host.\n")

    def test_a_name_that_is_not_declared(self, host):
        assert host.run("status", "shp") == (2, "", "mainstay: there is no shp on this host; did you mean shop?\n")


DEPLOYS = [
    {"time": 1_700_000_000, "app": "shop", "by": "ada@desk", "from": "", "to": "abc", "result": "succeeded", "seconds": 61.2},
    {"time": 1_700_000_300, "app": "blog", "by": "ada@desk", "from": "1", "to": "2", "result": "failed", "seconds": 9.0},
    {"time": 1_700_000_600, "app": "shop", "by": "bob@ci", "from": "abc", "to": "def", "result": "failed", "seconds": 200},
]


class TestHistory:
    def fill(self, host):
        incidents = Incidents(host.paths.incidents, 1, host.clock)
        place = {
            "incident": "1-shop-web@8000",
            "app": "shop",
            "process": "web",
            "instance": "8000",
            "unit": "shop-web@8000.service",
        }
        for event in (
            {"event": "opened", "kind": "hang", "reason": "no answer within 2 s"},
            {"event": "action", "action": "kill"},
            {
                "event": "done",
                "steps": ["SIGKILL", "restart"],
                "evidence": {
                    "unit": {"state": "active (running)"},
                    "processes": [
                        {
                            "pid": 9,
                            "name": "uvicorn",
                            "state": "stopped by a signal",
                            "wchan": "",
                            "threads": 3,
                            "rss_mb": 80,
                        }
                    ],
                    "journal": ["the last words"],
                },
            },
            {"event": "recovered", "seconds": 12.4},
        ):
            incidents.append({**place, **event})

    def test_a_table(self, host):
        self.fill(host)
        status, out, _err = host.run("history")
        assert status == 0
        assert "shop/web/8000  hang  1      SIGKILL, restart  well after 12 s  no answer within 2 s" in out
        assert out.startswith("No deploy is recorded.\n\nSTARTED")

    def test_one_with_its_evidence(self, host):
        self.fill(host)
        out = host.run("history", "--id", "1-shop-web@8000")[1]
        assert "9 uvicorn: stopped by a signal, 3 threads, 80 MB" in out
        assert "| the last words" in out

    def test_json_without_evidence(self, host):
        self.fill(host)
        (incident,) = json.loads(host.run("history", "--json", "shop")[1])["incidents"]
        assert (incident["kind"], incident["recovered_after"], incident["actions"]) == (
            "hang",
            12.4,
            ["SIGKILL, restart"],
        )
        assert "evidence" not in json.dumps(incident)

    def test_of_something_else(self, host):
        self.fill(host)
        assert json.loads(host.run("history", "--json", "shop/beat")[1]) == {"deploys": [], "incidents": []}

    def test_nothing_yet(self, host):
        assert host.run("history")[:2] == (0, "No deploy is recorded.\n\nNo incident is recorded.\n")

    def deploys(self, host):
        lines = [json.dumps(deploy) for deploy in DEPLOYS]
        Path(host.paths.deploys).write_text("\n".join(["{torn", '{"app": 1}', *lines]) + "\n")

    def test_deploys(self, host):
        self.deploys(host)
        lines = host.run("history", "shop")[1].splitlines()
        assert [" ".join(line.split()[2:]) for line in lines[1:3]] == [
            "shop ada@desk - abc 61 s succeeded",
            "shop bob@ci abc def 3 min failed",
        ]
        assert lines[3:] == ["", "No incident is recorded."]
        assert "blog" in host.run("history")[1]
        assert len(host.run("history", "-n", "1")[1].splitlines()) == 4

    def test_deploys_as_json(self, host):
        self.deploys(host)
        assert json.loads(host.run("history", "--json")[1]) == {"deploys": DEPLOYS, "incidents": []}

    def test_no_right_to_read_the_deploys(self, host, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied")

        self.fill(host)
        monkeypatch.setattr("mainstay.commands.history.read_deploys", refuse)
        status, out, _err = host.run("history")
        assert status == 0
        assert out.startswith("This user may not read the deploys: use sudo.\n\nSTARTED")
        assert json.loads(host.run("history", "--json")[1])["deploys"] is None

    def test_an_id_that_does_not_exist(self, host):
        assert host.run("history", "--id", "x")[0] == 2

    def test_no_right_to_look(self, host, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("mainstay.commands.history.read_events", refuse)
        assert host.run("history") == (2, "", "mainstay: this user may not read the incidents: use sudo\n")


class TestSteering:
    BEAT, WEB = "shop-beat@1.service", "shop-web@8000.service"

    def test_start(self, host):
        assert host.run("start", "shop")[0] == 0
        # However often they have failed or were started before.
        assert host.calls == [["systemctl", verb, "--", self.BEAT, self.WEB] for verb in ("reset-failed", "start")]

    def test_stop_takes_a_failed_unit_out_of_the_agent_s_hands(self, host):
        host.live[self.WEB] = UnitState(self.WEB, active="failed")
        host.run("stop", "shop/web")
        assert host.calls == [["systemctl", "stop", "--", self.WEB], ["systemctl", "reset-failed", "--", self.WEB]]

    def test_restart_one_after_the_other_and_not_past_a_broken_one(self, host, monkeypatch):
        from mainstay.core.probe import repeat

        answers = iter([{"healthy": False, "reasons": ["connection refused"]}])
        monkeypatch.setattr(repeat, "run", lambda spec, clock: next(answers))
        status, out, _err = host.run("restart", "shop")
        assert status == 1
        assert host.calls == [["systemctl", verb, "--", unit] for unit in (self.BEAT, self.WEB) for verb in ("reset-failed", "restart")]
        assert "shop/beat/1: runs after 0.0 s" in out
        assert "shop/web/8000: no healthy answer within 60 s: connection refused" in out

    def test_restart_that_systemd_refuses(self, host):
        host.status = 5
        status, out, _err = host.run("restart", "shop")
        assert (status, host.calls[-1]) == (1, ["systemctl", "restart", "--", self.BEAT])
        assert "systemctl restart ended with 5" in out

    @pytest.mark.parametrize("argv", [("start", "shop"), ("stop", "shop"), ("restart", "shop"), ("maintenance", "on")])
    def test_without_root(self, host, argv):
        host.root = False
        status, _out, err = host.run(*argv)
        assert status == 2
        assert "use sudo" in err
        assert host.calls == []

    @pytest.mark.parametrize(
        ("argv", "command"),
        [
            (("shop",), ["--no-pager", "--unit=shop-beat@*.service", "--unit=shop-web@*.service"]),
            (("shop/web", "-f", "-n", "5"), ["--follow", "--unit=shop-web@*.service"]),
            (("shop/web/8000",), ["--no-pager", "--unit=shop-web@8000.service"]),
            (("shop-web@8000",), ["--no-pager", "--unit=shop-web@8000.service"]),
            (("agent",), ["--no-pager", *(f"--unit={unit}" for unit in logs.AGENT)]),
        ],
    )
    def test_logs(self, host, argv, command):
        assert host.run("logs", *argv)[0] == 0
        assert host.calls[0][0] == "journalctl"
        assert host.calls[0][3:] == command

    @pytest.mark.parametrize(
        ("argv", "commands"),
        [
            (("nginx",), [["journalctl", "--output=short-iso", "--lines=100"], ["tail", "--lines=100"]]),
            (("nginx", "-f", "-n", "5"), [["tail", "-F", "--lines=5"]]),
        ],
    )
    def test_logs_of_a_server_with_a_file(self, host, tmp_path, monkeypatch, argv, commands):
        file = tmp_path / "error.log"
        file.write_text("")
        host.configure(servers=[{"name": "nginx", "unit": "nginx.service"}])
        monkeypatch.setitem(logs.FILES, "nginx", str(file).lstrip("/"))
        assert host.run("logs", *argv)[0] == 0
        assert [call[: len(words)] for call, words in zip(host.calls, commands)] == commands
        assert host.calls[-1][-1] == str(file)

    def test_what_a_server_logs_of_an_app_moves_no_cursor(self, capfd):
        with contextlib.redirect_stdout(cli.Plain(sys.stdout)):
            status = cli.show(["printf", r"STATEMENT: \033]0;owned\007 \302\233 \377 \342\200\256\n"])
        assert status == 0 and capfd.readouterr().out == "STATEMENT: \\x1b]0;owned\\x07 \\x9b \ufffd \\u202e\n"
        assert cli.show(["false"]) == 1

    def test_maintenance(self, host):
        assert host.run("maintenance")[1] == "Maintenance is off: the agent acts.\n"
        status, out, _err = host.run("maintenance", "on", "--for", "30m", "--reason", "new disk")
        assert status == 0
        assert "30 min left" in out and "new disk" in out
        host.clock.now += 1799
        assert json.loads(host.run("maintenance", "--json")[1])["on"] is True
        host.clock.now += 1
        assert json.loads(host.run("maintenance", "--json")[1]) == {"on": False}
        begun = host.clock.time()
        host.run("maintenance", "on")
        host.clock.now += 60
        assert host.run("maintenance", "off")[1] == "Maintenance is off: the agent acts.\n"
        assert maintenances.read(host.paths.maintenances)[1:] == [(begun, begun + 60)]

    def test_maintenance_has_an_end(self, host):
        assert host.run("maintenance", "on", "--for", "8d")[0] == 2

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"until": null}', '{"until": "never"}', "{}"])
    def test_a_flag_that_cannot_be_read_is_no_flag(self, host, content):
        Path(host.paths.maintenance).write_text(content)
        assert json.loads(host.run("maintenance", "--json")[1]) == {"on": False}


class TestCheck:
    def test_the_configuration(self, host):
        assert host.run("check")[:2] == (0, "2 processes and 0 servers declared\n")
        Path(host.paths.config).write_text('{"processes": [], "settings": {"intervall": 5}}')
        status, _out, err = host.run("check")
        assert status == 2
        assert "did you mean 'interval'?" in err

    def test_the_agent(self, host):
        assert host.run("check", "--running")[:2] == (0, "2 processes and 0 servers watched\n")

    @pytest.mark.parametrize(
        ("break_it", "words"),
        [
            (lambda host: host.agent.update(written=0), "not running"),
            (lambda host: host.agent.update(problem="systemd does not answer"), "systemd does not answer"),
            (lambda host: host.entries.pop(), "another configuration (shop-web@8000.service)"),
            (lambda host: host.entries.append(host.entry("old@1.service")), "another configuration (old@1.service)"),
            (lambda host: host.entries[0].update(unit_state=""), "has not seen shop-beat@1.service"),
        ],
    )
    def test_an_agent_that_does_not_watch(self, host, break_it, words):
        break_it(host)
        status, out, _err = host.run("check", "--running")
        assert status == 1
        assert words in out


class TestApart:
    """A program that may be in hostile hands, at a terminal whose other uses are none of its business."""

    ASKS = "import os, sys; print([os.isatty(end) for end in (0, 1, 2)], file=sys.stderr); print(sys.stdin.readline()); sys.exit(7)"

    def at_a_terminal(self, code, typed=b""):
        """What a program gets and says there; its end is printed behind it."""
        child, terminal = pty.fork()
        if not child:
            os.write(1, f"ended with {cli.call_apart([sys.executable, '-c', code])}".encode())
            os._exit(0)
        os.write(terminal, typed)
        said = b""
        with contextlib.suppress(OSError):  # the last one has left it
            while chunk := os.read(terminal, 4096):
                said += chunk
        os.close(terminal)
        return os.waitpid(child, 0)[1], said.decode()

    def test_it_has_no_end_of_the_terminal_and_speaks_by_it(self):
        status, said = self.at_a_terminal(self.ASKS, b"typed\n")
        assert status == 0 and "[False, False, False]" in said and said.count("typed") == 2 and "ended with 7" in said

    def test_who_keeps_the_pipe_open_is_not_waited_for(self):
        began = time.monotonic()
        status, said = self.at_a_terminal("import subprocess; print('well'); subprocess.Popen(['sleep', '20'], start_new_session=True)")
        assert status == 0 and "well" in said and "ended with 0" in said and time.monotonic() - began < 10

    def test_who_writes_on_is_not_waited_for(self):
        began = time.monotonic()
        status, said = self.at_a_terminal("import subprocess; subprocess.Popen(['timeout', '20', 'yes'], start_new_session=True)")
        assert status == 0 and "ended with 0" in said and time.monotonic() - began < 10


class TestUsage:
    def test_every_command_is_listed_and_explains_itself(self, host, capsys):
        modules = {path.stem for path in Path(importlib.import_module("mainstay.commands").__file__).parent.glob("*.py")} - {"__init__"}
        assert modules == set(cli.COMMANDS)
        assert cli.main(["--help"]) == 0
        usage = capsys.readouterr().out
        for name in cli.COMMANDS:
            assert f"\n  {name} " in usage
            with pytest.raises(SystemExit) as end:
                cli.main([name, "--help"])
            assert end.value.code == 0
            module = importlib.import_module(f"mainstay.commands.{name}")
            assert module.__doc__.split("\n")[0] in capsys.readouterr().out

    def test_mistakes(self, host):
        assert host.run()[0] == 2
        status, _out, err = host.run("stauts")
        assert status == 2
        assert "there is no command 'stauts'" in err

    def test_version(self, host):
        assert host.run("version")[1] == "mainstay 0.1.0\n"
        host.agent["version"] = "0.0.9"
        assert host.run("--version")[1] == "mainstay 0.1.0, agent 0.0.9\n"

    def test_without_a_configuration(self, host):
        Path(host.paths.config).unlink()
        status, _out, err = host.run("status")
        assert status == 2
        assert "run the role mainstay.vps.monitoring" in err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0, "0 s"), (99, "99 s"), (100, "1 min"), (5999, "99 min"), (6000, "1 h"), (172800, "2 d")],
)
def test_spans(seconds, words):
    assert text.span(seconds) == words


@pytest.mark.parametrize(("words", "seconds"), [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_durations(words, seconds):
    assert text.duration(words) == seconds


@pytest.mark.parametrize("words", ["", "0", "0m", "-5m", "m", "1w", "1.5h"])
def test_what_is_no_duration(words):
    with pytest.raises(ValueError, match="no duration"):
        text.duration(words)


def test_version_is_the_collection_s():
    galaxy = (Path(__file__).parents[3] / "galaxy.yml").read_text()
    from mainstay import __version__

    assert f"\nversion: {__version__}\n" in galaxy


def test_limits_cover_every_number():
    from dataclasses import fields

    numbers = {item.name for item in fields(config.Settings) if not isinstance(item.default, (bool, tuple))}
    assert set(config.LIMITS) == numbers
