# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mainstay env` and `mainstay top`: what an app runs with, and what it uses, without a single value."""

from __future__ import annotations

import hashlib
import json
import os
import re

import pytest
from fixture_host import Host as Files
from mainstay import environments
from mainstay.units import SystemdError, UnitState
from test_agent_cli import Host

WEB, BEAT = "shop-web@8000.service", "shop-beat@1.service"
SECRET = "hunter2-hunter2-hunter2"


class Environment(Host):
    """A host with an app of which two processes run."""

    def __init__(self, tmp_path, clock, capsys):
        super().__init__(tmp_path, clock, capsys)
        self.app = {"user": "shop", "root": str(tmp_path / "srv"), "env_file": str(tmp_path / "env"), "runtime": "python"}
        self.configure(shop=self.app)
        self.files, self.file, self.unit = Files(str(tmp_path)), {"SECRET_KEY": SECRET, "LOG_LEVEL": "info"}, {"PORT": "8000"}
        self.filesystem = str(tmp_path)
        (tmp_path / "env").write_text("".join(f'{name}="{value}"\n' for name, value in self.file.items()))
        self.live = {BEAT: UnitState(BEAT, main_pid=71, group="/beat"), WEB: UnitState(WEB, main_pid=72, group="/web", memory_mb=84)}
        self.pip = ""
        for pid in (71, 72):
            self.start(pid)

    def start(self, pid, **other):
        words = {**self.file, **self.unit, "INVOCATION_ID": "f" * 32, **other}
        self.files.write(f"proc/{pid}/environ", "".join(f"{name}={value}\0" for name, value in words.items() if value is not None))

    def release(self, name, link, **packages):
        for package, version in packages.items():
            os.makedirs(f"{self.app['root']}/releases/{name}/.venv/lib/python3.11/site-packages/{package}-{version}.dist-info")
        os.makedirs(f"{self.app['root']}/releases/{name}/.venv/bin")
        os.symlink("/usr/bin/python3", f"{self.app['root']}/releases/{name}/.venv/bin/python")
        os.symlink(f"releases/{name}", f"{self.app['root']}/{link}")

    def ask(self, argv, timeout=5, text=""):
        assert SECRET not in " ".join(argv)
        if argv[-2:] == ["/usr/bin/env", "-0"]:
            return "".join(f"{name}={value}\0" for name, value in {**self.file, "HOME": "/"}.items())
        if argv[:2] == ["systemctl", "show"]:
            return " ".join(f'"{name}={value}"' for name, value in self.unit.items()) + "\n"
        if any("mainstay-check-shop" in word for word in argv):
            return self.pip
        raise SystemdError("no")


@pytest.fixture
def host(tmp_path, clock, capsys, monkeypatch):
    monkeypatch.setattr(environments, "PIP", str(tmp_path / "pip-*.whl"))
    (tmp_path / "pip-1.whl").touch()
    monkeypatch.setattr(
        environments.commands.grp, "getgrnam", lambda name: os.stat(tmp_path) and type("Group", (), {"gr_gid": os.getgid()})
    )
    return Environment(tmp_path, clock, capsys)


def test_names_are_shown_and_no_value(host):
    status, out, _err = host.run("env", "shop")
    assert status == 0 and SECRET not in out
    digest = hashlib.sha256(SECRET.encode()).hexdigest()[:8]
    assert [line.split() for line in out.splitlines()] == [
        ["VARIABLE", "FROM", "LENGTH", "SHA-256", "IN"],
        ["LOG_LEVEL", "file", "4", "-", "all"],
        ["PORT", "unit", "4", "-", "all"],
        ["SECRET_KEY", "file", str(len(SECRET)), digest, "all"],
    ]
    told = json.loads(host.run("env", "shop/web", "--json")[1])
    assert [process["name"] for process in told["processes"]] == ["shop/web/8000"] and SECRET not in json.dumps(told)


@pytest.mark.parametrize(
    ("has", "differs"),
    [
        ({}, {}),
        ({"SECRET_KEY": "another-secret-of-the-past"}, {"SECRET_KEY": "changed"}),
        ({"LOG_LEVEL": None}, {"LOG_LEVEL": "not there yet"}),
        ({"OLD_FLAG": "1"}, {"OLD_FLAG": "gone"}),
        ({"PORT": "8001"}, {"PORT": "changed"}),
        ({"STATE_DIRECTORY": "/var/lib/shop", "HOME": "/x", "LISTEN_FDS": "1"}, {}),  # systemd's own
    ],
)
def test_what_a_start_would_change(host, has, differs):
    host.start(72, **has)
    status, out, _err = host.run("env", "shop", "--json")
    found = {process["name"]: process["differs"] for process in json.loads(out)["processes"]}
    assert found == {"shop/beat/1": {}, "shop/web/8000": differs}
    assert status == bool(differs)
    words = ", ".join(f"{name} ({word})" for name, word in differs.items())
    assert not differs or f"shop/web/8000 would start with others: {words}\n  mainstay restart shop/web/8000" in host.run("env", "shop")[1]


def test_packages_against_the_release_before(host):
    host.release("new", "current", Flask="3.0", SQLAlchemy="2.1", redis="5")
    host.release("old", "previous", flask="3.0", SQLAlchemy="2.0", celery="5")
    told = json.loads(host.run("env", "shop", "--json")[1])
    assert told["release_before"] == "old"
    assert told["packages_changed"] == ["celery is gone", "redis 5 is new", "sqlalchemy 2.0 -> 2.1"]
    assert "Packages that differ from release old:\n  celery is gone\n" in host.run("env", "shop")[1]


def test_packages_of_npm(tmp_path):
    (tmp_path / "node_modules").mkdir()
    lock = tmp_path / "node_modules/.package-lock.json"
    for written, expected in (('{"packages": {"node_modules/ws": {"version": "8.1"}}}', {"ws": "8.1"}), ("[]", {}), ("{", {})):
        lock.write_text(written)
        assert environments.packages(str(tmp_path)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("No broken requirements found.\n", []),
        ("a 1 has requirement b<2, but you have b 3.\n", ["a 1 has requirement b<2, but you have b 3."]),
        ("a 1 requires c, which is not installed.\nx\n", ["a 1 requires c, which is not installed."]),
    ],
)
def test_packages_that_do_not_fit(host, said, expected):
    host.release("new", "current")
    host.pip = said
    status, out, _err = host.run("env", "shop", "--json")
    assert (json.loads(out)["packages_broken"], status) == (expected, bool(expected))


def test_nothing_runs(host):
    host.live = {}
    assert host.run("env", "shop")[:2] == (0, "Nothing of shop runs: there is nothing to compare.\n")


@pytest.mark.parametrize("command", [("env", "shop"), ("top",)])
def test_only_root_may(host, command):
    host.root = False
    assert host.run(*command)[0] == 2


def test_an_app_that_would_start_with_others_is_diagnosed(host):
    host.start(72, SECRET_KEY="another-secret-of-the-past")
    (found,) = json.loads(host.run("diagnose", "--json")[1])["findings"]
    assert (found["where"], found["kind"]) == ("shop/web/8000", "environment")
    assert found["what"] == "a start would give it other variables: SECRET_KEY (changed)"


def test_why_an_app_does_not_start_may_be_its_packages(host):
    host.release("new", "current")
    host.pip = "a 1 requires c, which is not installed.\n"
    assert host.run("diagnose")[0] == 0  # what works is not wrong
    host.live[WEB] = UnitState(WEB, active="failed")
    host.entries = [host.entry(BEAT), host.entry(WEB, health="failed")]
    found = json.loads(host.run("diagnose", "--json")[1])["findings"]
    assert [item["kind"] for item in found] == ["failed", "packages"]


@pytest.mark.parametrize(
    ("cgroup", "port", "found"),
    [
        ("/system.slice/system-shop.slice/shop-web@8000.service", 8000, []),
        ("/system.slice/system-shop.slice/shop-web@8001.service", 8001, []),  # of a deploy
        ("/system.slice/ssh.service", 8000, ["its port 8000 is held by hog of root, process 99"]),
        ("/system.slice/ssh.service", 9000, []),  # not the app's
    ],
)
def test_who_has_an_app_s_port(host, cgroup, port, found):
    host.configure(shop={**host.app, "ports": {"web": [8000, 8001]}})
    host.files.process(99, "hog", cgroup=cgroup, inodes=[77])
    host.files.listen("127.0.0.1", port, 77)
    assert [item["what"] for item in json.loads(host.run("diagnose", "--json")[1])["findings"]] == found


def test_what_each_uses(host):
    for pid, name in ((71, "beat"), (72, "web")):
        host.files.process(pid, name, cgroup=f"/{name}", inodes=[500 + pid])
        host.files.write(f"sys/fs/cgroup/{name}/cgroup.procs", f"{pid}\n")
        host.files.write(f"sys/fs/cgroup/{name}/cpu.stat", "usage_usec 1000000\n")
        host.files.write(f"proc/{pid}/limits", "Max open files            1024    4096    files\n")
    host.files.write("sys/fs/cgroup/web/pids.current", "5\n")
    host.files.write("sys/fs/cgroup/web/pids.max", "128\n")
    host.files.listen("127.0.0.1", 8000, 572)
    sleep = host.clock.sleep

    def works(seconds):
        sleep(seconds)
        host.files.write("sys/fs/cgroup/web/cpu.stat", "usage_usec 1250000\n")

    host.clock.sleep = works
    assert [re.split(" {2,}", line) for line in host.run("top")[1].splitlines() if "web" in line] == [
        ["shop/web/8000", "25 %", "84 of 300", "5 of 128", "2 of 1024", "0", "127.0.0.1:8000/tcp"]
    ]
    told = json.loads(host.run("top", "shop/beat", "--json")[1])
    assert [(entry["cpu_percent"], entry["tasks"], entry["files"], entry["listens"]) for entry in told] == [(0.0, None, 2, [])]
