# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mainstay run` and `mainstay clean`: what they start, and whom they stop among real processes of this machine."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import signal
import socket
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.agent import agent_config
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from mainstay import config
from mainstay.cli import COMMANDS, main
from mainstay.commands import clean
from mainstay.commands.logs import TOO_LONG
from mainstay.core.host import ports
from mainstay.core.stack import sandbox
from mainstay.units import UnitState
from test_agent_cli import Host


@pytest.fixture
def shop(tmp_path, clock, capsys):
    """A host with an app that has a release; its user is whoever runs the tests."""
    host = Host(tmp_path, clock, capsys)
    release = tmp_path / "srv/releases/abc"
    release.mkdir(parents=True)
    (tmp_path / "srv/current").symlink_to("releases/abc")
    host.app = {"user": getpass.getuser(), "root": str(tmp_path / "srv"), "env_file": "/etc/mainstay/shop/env", "runtime": "python"}
    host.configure(shop=host.app)
    return host


class TestRun:
    def command(self, shop, *argv):
        """What it starts, and the words that a shell reads from the script."""
        seen = {}

        def call(argv):
            seen.update(argv=argv, mode=os.stat(argv[-1]).st_mode & 0o777, script=Path(argv[-1]).read_text())
            return shop.status

        shop.call = call
        assert shop.run("run", *argv)[0] == shop.status
        cut = seen["argv"].index("--")
        assert (seen["argv"][cut + 1], seen["mode"]) == ("/bin/sh", 0o640)
        assert "$" not in "".join(seen["argv"]) and not list(Path(shop.paths.run).glob("mainstay-run-*"))
        return seen["argv"][:cut], shlex.split(seen["script"].removeprefix("exec "))

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (("shop", "--", "alembic", "current"), ["alembic", "current"]),
            (("shop", "alembic", "upgrade", "head", "--sql"), ["alembic", "upgrade", "head", "--sql"]),
            (("shop", "--", "git", "log", "--", "x"), ["git", "log", "--", "x"]),
            (("shop", "sh", "-c", "echo $HOME ${X}"), ["sh", "-c", "echo $HOME ${X}"]),
        ],
    )
    def test_the_command_arrives_as_it_was_written(self, shop, argv, words):
        assert self.command(shop, *argv)[1] == ["/usr/bin/env", *words]

    def test_the_app_s_user_release_and_environment(self, shop):
        shop.status = 3
        options, _words = self.command(shop, "--memory", "1G", "shop", "true")
        release = os.path.realpath(shop.app["root"] + "/releases/abc")
        assert {"--wait", "--collect", "--pipe", f"--setenv=PATH={release}/.venv/bin:/usr/local/bin:/usr/bin:/bin"} <= set(options)
        assert "--setenv=PYTHONPATH=." in options
        properties = [item.removeprefix("--property=") for item in options if item.startswith("--property=")]
        assert {
            f"User={getpass.getuser()}",
            f"WorkingDirectory={release}",
            "Environment=HOME=/var/lib/shop",
            "EnvironmentFile=/etc/mainstay/shop/env",
            "MemoryMax=1G",
            "StateDirectory=shop",
            f"ReadWritePaths={shop.app['root']}/shared",
        } <= set(properties)

    def test_for_a_while_with_further_variables(self, shop, tmp_path, monkeypatch):
        own = tmp_path / "own"
        own.mkdir()
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(own))
        options, _words = self.command(shop, "--time-limit", "900", "--variables", "/etc/more", "shop", "true")
        places = [item.split("=", 2)[2] for item in options if item.startswith("--property=EnvironmentFile=")]
        assert places == ["/etc/mainstay/shop/env", "/etc/more"], "the last one wins"
        assert "--property=RuntimeMaxSec=900" in options and not list(own.iterdir())

    def test_the_sandbox_is_that_of_the_app_s_units(self, shop):
        options, _words = self.command(shop, "shop", "true")
        wanted = sandbox.process("shop", shop.app["root"])
        assert len(wanted) > 20 and {f"--property={line}" for line in wanted} <= set(options)
        # It would take the shared memory of the app's own processes away, which run as the same user.
        assert "--property=RemoveIPC=yes" not in options

    def test_on_a_terminal(self, shop, monkeypatch):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        options, _words = self.command(shop, "shop", "bash")
        assert "--pty" in options and "--pipe" not in options

    def test_other_runtimes(self, shop):
        shop.configure(shop={**shop.app, "runtime": "node"})
        options, _words = self.command(shop, "shop", "npm")
        assert [item.split("/")[-1] for item in options if item.startswith("--setenv")] == ["bin"]
        assert "/releases/abc/node_modules/.bin:" in " ".join(options)

    def test_in_a_container_of_its_own(self, shop, tmp_path):
        env_file = tmp_path / "env"
        env_file.write_text('# by ansible\nKEY="a secret"\nLEVEL="info"\n')
        (tmp_path / "srv/releases/abc/container.env").write_text("MAINSTAY_IMAGE=localhost/mainstay/shop:abc\nMAINSTAY_USER=990:980\n")
        shop.configure(shop={**shop.app, "runtime": "container", "env_file": str(env_file), "volumes": {"up": "/app/up"}})
        options, words = self.command(shop, "shop", "--", "sh", "-c", "echo $KEY")
        root = shop.app["root"]
        assert f"--property=EnvironmentFile={env_file}" in options
        assert not [item for item in options if item.startswith(("--property=User=", "--property=StateDirectory=", "--setenv"))], (
            "root's podman gives everything away itself; systemd would take the app's folders from it"
        )
        assert words[0] == "/usr/bin/podman" and words[-4:] == ["localhost/mainstay/shop:abc", "sh", "-c", "echo $KEY"]
        assert {
            "--user=990:980",
            "--env=KEY",
            "--env=LEVEL",
            f"--volume={root}/volumes/up:/app/up:rw,nosuid,nodev,noexec",
            "--read-only",
        } <= set(words)
        assert "a secret" not in " ".join(options + words) and "--tty" not in words
        env_file.with_name("more").write_text('OTHER="x"\n')
        assert {"--env=KEY", "--env=OTHER"} <= set(self.command(shop, "--variables", f"{env_file.with_name('more')}", "shop", "true")[1])

    def test_a_container_without_its_image(self, shop):
        shop.configure(shop={**shop.app, "runtime": "container", "volumes": {}})
        status, _out, err = shop.run("run", "shop", "ls")
        assert (status, shop.calls) == (2, []) and "releases/abc/container.env; deploy it" in err

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (("shop",), "no command to run"),
            (("shop", "--"), "no command to run"),
            (("shop", "--memory", "1G", "ls"), "options stand before the app"),
            (("shp", "ls"), "did you mean shop?"),
            (("other", "ls"), "there is no other on this host"),
        ],
    )
    def test_what_is_refused(self, shop, argv, words):
        status, _out, err = shop.run("run", *argv)
        assert (status, shop.calls) == (2, [])
        assert words in err

    def test_a_size_that_is_none(self, shop):
        with pytest.raises(SystemExit):
            shop.run("run", "--memory", "lots", "shop", "ls")
        assert "'lots' is no size; write 512M or 1G" in shop.capsys.readouterr().err

    def test_a_time_that_is_none(self, shop):
        with pytest.raises(SystemExit):
            shop.run("run", "--time-limit", "0", "shop", "ls")
        assert "'0' is no time" in shop.capsys.readouterr().err

    def test_without_a_release_or_root(self, shop):
        os.unlink(shop.app["root"] + "/current")
        assert "has no release yet" in shop.run("run", "shop", "ls")[2]
        shop.root = False
        assert "use sudo" in shop.run("run", "shop", "ls")[2]
        assert shop.calls == []

    def test_a_configuration_of_an_earlier_version(self, shop):
        shop.configure()
        assert "run the role mainstay.vps.monitoring again" in shop.run("run", "shop", "ls")[2]

    def test_a_command_that_was_killed(self, shop):
        shop.status = 255
        status, _out, err = shop.run("run", "--memory", "64M", "shop", "sort")
        assert status == 255
        assert "it may use 64M of memory (--memory)" in err

    def test_an_interrupt_ends_the_command_too(self, shop, monkeypatch):
        def call(argv):
            shop.calls.append(argv)
            if argv[0] == "systemd-run":
                raise KeyboardInterrupt

        monkeypatch.setattr(shop, "call", call)
        assert shop.run("run", "shop", "ls")[0] == 130
        started, stopped = shop.calls
        assert f"--unit={stopped[-1]}" in started and stopped[:2] == ["systemctl", "stop"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="stopping needs root")


class TestClean:
    def own(self, shop, *numbers, **facts):
        shop.configure(shop={**shop.app, "ports": {"web": list(numbers)}, **facts})

    def test_nothing_to_do(self, shop):
        assert shop.run("clean", "shop")[:2] == (0, "shop has no ports.\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            self.own(shop, port)
            assert shop.run("clean", "shop")[:2] == (0, f"No stray process holds a port of shop ({port}).\n")

    @needs_root
    def test_shown_then_stopped(self, shop, stray):
        process, port = stray("--token=hunter2")
        self.own(shop, port)
        status, out, err = shop.run("clean", "shop")
        assert (status, process.poll()) == (2, None)
        assert "add --yes" in err and f"{port}  {process.pid}" in out and "hunter2" not in out
        status, out, _err = shop.run("clean", "shop", "--yes")
        assert (status, process.wait(5)) == (0, -signal.SIGTERM)
        assert "Stopped 1 within" in out
        assert "No stray process" in shop.run("clean", "shop")[1]

    @needs_root
    def test_by_force_after_the_grace(self, shop, stray, monkeypatch):
        monkeypatch.setattr(clean, "GRACE", 0.2)
        process, port = stray("stubborn")
        self.own(shop, port)
        assert shop.run("clean", "shop", "--yes")[0] == 0
        assert process.wait(5) == -signal.SIGKILL

    @needs_root
    @pytest.mark.parametrize(("answer", "status"), [("y", 0), ("yes ", 0), ("", 1), ("n", 1)])
    def test_the_question(self, shop, stray, monkeypatch, answer, status):
        process, port = stray()
        self.own(shop, port)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda prompt: answer)
        assert shop.run("clean", "shop")[0] == status
        assert (process.poll() is None) is bool(status)

    @needs_root
    def test_who_came_while_the_question_stood_is_not_stopped(self, shop, stray, monkeypatch):
        (first, port), (second, other) = stray(), stray()
        self.own(shop, port)

        def agree(number):
            self.own(shop, port, other)
            monkeypatch.setattr(clean, "survey", lambda *arguments: survey(ports, wide, arguments[2]))
            return True

        survey, wide = clean.survey, clean.request(ports, config.App("shop", getpass.getuser(), "/", "/"), [port, other], 1)
        monkeypatch.setattr(clean, "agreed", agree)
        status, _out, err = shop.run("clean", "shop")
        assert (status, first.poll(), second.poll()) == (2, None, None)
        assert "others" in err or "other processes have come" in err

    @needs_root
    def test_somebody_else_s_process_stops_nothing(self, shop, stray):
        (process, port), (other, second) = stray(), stray()
        self.own(shop, port, second, user="daemon")
        status, _out, err = shop.run("clean", "shop", "--yes")
        assert (status, process.poll(), other.poll()) == (2, None, None)
        assert "nothing was stopped" in err
        assert f"(pid {process.pid}, user {getpass.getuser()}" in err
        assert f"It belongs to {getpass.getuser()}, not to daemon, and is not stopped." in err

    @needs_root
    def test_the_caller_s_own_ancestors_are_protected(self, shop):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.own(shop, server.getsockname()[1])
            status, _out, err = shop.run("clean", "shop", "--yes")
        assert status == 2
        assert "It is protected" in err

    def test_without_root(self, shop):
        shop.root = False
        assert "use sudo" in shop.run("clean", "shop")[2]

    @pytest.mark.parametrize(("numbers", "words"), [([8000], "8000"), ([8000, 8001, 8002, 9000], "8000 to 8002, 9000"), ([1, 3], "1, 3")])
    def test_spans(self, numbers, words):
        assert clean.spans(numbers) == words


@pytest.mark.parametrize(
    ("apps", "words"),
    [
        ([], "apps is []"),
        ({"shop": {}}, "apps.shop has no"),
        ({"shop": {"user": "shop", "root": "srv", "env_file": "/e"}}, "apps.shop.root is 'srv'; use an absolute path"),
        ({"shop": {"user": "shop", "root": "/s", "env_file": "/e", "ports": [1]}}, "a list of ports for each process"),
        ({"shop": {"user": "shop", "root": "/s", "env_file": "/e", "ports": {"web": [0]}}}, "apps.shop.ports.web is 0"),
        ({"shop": {"user": "shop", "root": "/s", "env_file": "/e", "prots": {}}}, "did you mean 'ports'?"),
    ],
)
def test_apps_in_the_configuration_that_make_no_sense(apps, words):
    with pytest.raises(config.ConfigError, match=re.escape(words)):
        config.parse({"processes": [], "apps": apps})


def test_the_commands_read_what_the_role_writes():
    parsed = config.parse(agent_config(SHOP, {}, "web1"))
    assert parsed.app("shop") == config.App("shop", "shop", "/srv/shop", "/etc/mainstay/shop/env", "python", {"web": [8000, 8001]})


def test_a_configuration_without_apps_is_read():
    assert config.parse({"processes": []}).apps == {}


class TestAnswers:
    """`--json` of what does something: one object of one shape, whatever happens."""

    def ask(self, host, *argv):
        status, out, _err = host.run(*argv, "--json")
        told = json.loads(out)
        assert set(told) == {"command", "ok", "message", "results"}
        assert (told["command"], told["ok"]) == (argv[0], status == 0)
        assert all({"name", "ok", "problem"} <= set(result) and result["ok"] is (result["problem"] is None) for result in told["results"])
        return status, told

    def test_start_and_stop(self, shop):
        assert self.ask(shop, "start", "shop/beat") == (
            0,
            {
                "command": "start",
                "ok": True,
                "message": None,
                "results": [{"name": "shop/beat/1", "ok": True, "problem": None, "unit": "shop-beat@1.service"}],
            },
        )
        shop.status, shop.live = 1, {"shop-beat@1.service": UnitState("shop-beat@1.service", active="failed", sub="failed")}
        status, told = self.ask(shop, "start", "shop")
        assert (status, [result["problem"] for result in told["results"]]) == (1, ["it is failed (failed)", "it is unknown"])
        shop.status = 0
        assert [result["ok"] for result in self.ask(shop, "stop", "shop")[1]["results"]] == [True, True]
        shop.live = {"shop-beat@1.service": UnitState("shop-beat@1.service", active="deactivating", sub="stop-sigterm")}
        assert self.ask(shop, "stop", "shop/beat")[1]["results"][0]["problem"] == "it is deactivating (stop-sigterm)"

    def test_restart(self, shop):
        status, told = self.ask(shop, "restart", "shop/beat")
        (result,) = told["results"]
        assert (status, result["name"], result["seconds"]) == (0, "shop/beat/1", 0.0)
        shop.status = 1
        status, told = self.ask(shop, "restart", "shop")
        assert [(result["name"], result["problem"]) for result in told["results"]] == [("shop/beat/1", "systemctl restart ended with 1")]

    def test_check(self, shop):
        status, told = self.ask(shop, "check")
        assert (status, told["message"]) == (0, "2 processes and 0 servers declared")
        assert told["results"] == [{"name": "configuration", "ok": True, "problem": None, "processes": 2, "servers": 0}]
        assert [result["name"] for result in self.ask(shop, "check", "--running")[1]["results"]] == ["configuration", "agent"]
        shop.agent["written"] = 0
        status, told = self.ask(shop, "check", "--running")
        assert status == 1 and "is not running" in told["results"][1]["problem"]

    @needs_root
    def test_clean(self, shop, stray, monkeypatch):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        shop.configure(shop={**shop.app, "ports": {"web": []}})
        assert self.ask(shop, "clean", "shop")[1]["message"] == "shop has no ports."
        process, port = stray("--token=hunter2")
        shop.configure(shop={**shop.app, "ports": {"web": [port]}})
        status, told = self.ask(shop, "clean", "shop")
        assert (status, process.poll()) == (2, None) and "add --yes" in told["message"]
        status, told = self.ask(shop, "clean", "shop", "--yes")
        (result,) = told["results"]
        assert (status, process.wait(5)) == (0, -signal.SIGTERM) and "Stopped 1 within" in told["message"]
        assert (result["name"], result["port"], result["pids"]) == (f"port {port}", port, [process.pid])
        assert "hunter2" not in json.dumps(told)

    def test_logs(self, shop, monkeypatch):
        said = {"__REALTIME_TIMESTAMP": "1700000000500000", "PRIORITY": "3", "_SYSTEMD_UNIT": "shop-web@8000.service"}
        entries = [
            {**said, "MESSAGE": list(b"\x1b[2J\xffred\x7f")},
            {**said, "MESSAGE": ["a\u2028b\x85", [99]], "_SYSTEMD_UNIT": "init.scope", "UNIT": "shop-web@8000.service", "_PID": "1"},
            {**said, "MESSAGE": None},
            {**said, "UNIT": "ssh.service", "PRIORITY": "x", "_PID": "1234"},
            {**said, "UNIT": "ssh.service", "PRIORITY": ["3", "4"]},
        ]
        asked = []

        def run(argv, timeout=5, text=""):
            asked.append(argv)
            return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)

        monkeypatch.setattr(shop, "ask", run)
        status, out, _err = shop.run("logs", "shop/web", "--json")
        assert status == 0 and not {"\x1b", "\x7f"} & set(out)
        first, second, third, *forged = json.loads(out)["results"]
        assert (first["name"], first["time"], first["level"]) == ("shop-web@8000.service", 1700000000.5, 3)
        assert [first["text"], second["text"], third["text"]] == ["\x1b[2J\ufffdred\x7f", "a\u2028b\x85 c", TOO_LONG]
        assert second["name"] == "shop-web@8000.service"
        assert [(entry["name"], entry["level"]) for entry in forged] == [("shop-web@8000.service", 6)] * 2, "what an app writes into fields"
        assert asked[0][:2] == ["journalctl", "--output=json"] and "--unit=shop-web@*.service" in asked[0]
        assert "--all" not in asked[0], "a line of 50 MB takes a gigabyte that way"
        assert "leave --follow" in self.ask(shop, "logs", "shop", "--follow")[1]["message"]

    @pytest.mark.parametrize("command", ["start", "stop", "restart", "clean", "logs", "status", "history", "why"])
    def test_a_refusal_is_an_answer(self, shop, command):
        status, told = self.ask(shop, command, "shp\x1b\x7f")
        assert status == 2 and told["results"] == [] and "there is no shp" in told["message"]

    def test_every_command_that_tells_has_it(self, capsys):
        for command in set(COMMANDS) - {"run"}:  # what that tells is the command's own
            with pytest.raises(SystemExit):
                main([command, "--help"])
            assert "--json" in capsys.readouterr().out, command

    def test_what_a_terminal_obeys_does_not_spoil_it(self, shop):
        shop.entries[0] |= {"health": "failed", "reason": "\x7f\x1b[31m\u202e"}
        shop.live["shop-beat@1.service"] = UnitState("shop-beat@1.service", active="failed")
        out = shop.run("status", "--json")[1]
        assert json.loads(out)["processes"][0]["reason"] == "\x7f\x1b[31m\u202e" and out.isascii() and "\x7f" not in out
