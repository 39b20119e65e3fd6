# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that fails soon after its deploy is left: when the agent asks for it, and what `mainstay rollback` does and refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps
from mainstay.units import UnitState
from test_agent_cli import Host

WEB = "shop-web@1.service"


def deployed(host, to="new", age=0.0, way=("new", "old"), result="succeeded"):
    """A deploy that ended so many seconds ago, and the way back that it has left."""
    line = {"time": host.clock.time() - age, "app": "shop", "from": "old", "to": to, "result": result}
    with open(host.paths.deploys, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    os.makedirs(host.paths.ways_back, exist_ok=True)
    if way:
        Path(host.paths.ways_back, "shop.json").write_text(json.dumps(dict(zip(("from", "to"), way, strict=True))))


@pytest.mark.parametrize("content", ["[]", "7", "{}", '{"from": [1]}', "null"])
def test_a_way_back_that_is_none_ends_nothing(world, content):
    host = world()
    host.live(20)
    deployed(host)
    Path(host.paths.ways_back, "shop.json").write_text(content)
    crash(host, 3)
    assert asked(host) == []


def crash(host, times, every=40, unit=WEB):
    for _each in range(times):
        host.begin(unit, crashed=True)
        host.live(every)


def asked(host):
    return [unit for _when, action, unit in host.actions if action == "rollback"]


@pytest.mark.parametrize(
    ("deploy", "times", "settings", "expected"),
    [
        ({}, 2, {}, 0),
        ({}, 3, {}, 1),
        ({}, 8, {}, 1),  # once: what did not help the first time will not the second
        ({}, 3, {"rollback": False}, 0),
        ({}, 3, {"dry_run": True}, 0),
        ({"age": 550}, 3, {}, 1),
        ({"age": 600}, 3, {}, 0),
        ({"age": -5}, 3, {}, 1),  # in the last steps of its deploy
        ({"age": -60}, 3, {}, 0),
        ({"way": None}, 3, {}, 0),
        ({"to": "other"}, 3, {}, 0),  # the way leads from another release
        ({"result": "failed"}, 3, {}, 0),
    ],
)
def test_a_release_that_ends_again_and_again_is_left(world, deploy, times, settings, expected):
    host = world(**settings)
    host.live(20)
    deployed(host, **deploy)
    crash(host, times)
    assert len(asked(host)) == expected


def test_a_start_that_fails_for_good_is_left(world):
    host = world()
    host.live(20)
    deployed(host)
    host.give_up(WEB)
    host.requests[WEB] = False
    host.live(10)
    assert asked(host) == [WEB]
    assert host.incidents()[0]["actions"] == ["rollback"]


@pytest.mark.parametrize(("long", "expected"), [(20, 0), (40, 1)])
def test_long_requests_are_no_failures_as_long_as_they_may_last(world, long, expected):
    host = world(cooldown=1, cooldown_max=1, restart_burst=10)
    host.live(20)
    deployed(host)
    for _each in range(5):
        host.units[WEB]["behaves"] = "serving"
        host.live(long)
        host.units[WEB]["behaves"] = "up"
        host.live(20)
    assert len(asked(host)) == expected
    assert bool([action for _when, action, _unit in host.actions if action == "kill"]) is bool(expected)


def test_long_requests_and_one_end_are_no_three_ends(world):
    host = world()
    host.live(20)
    deployed(host)
    for _each in range(5):
        host.units[WEB]["behaves"] = "serving"
        host.live(20)
        host.units[WEB]["behaves"] = "up"
        host.live(20)
    crash(host, 1)
    assert asked(host) == []
    assert host.incidents()[-1]["faults"] == 1


def test_what_was_wrong_before_is_not_the_new_release_s_doing(world):
    host = world()
    host.live(20)
    crash(host, 2)
    deployed(host)
    crash(host, 3)
    assert asked(host) == []


def test_it_waits_until_it_may_act(world):
    host = world()
    host.live(20)
    deployed(host)
    os.makedirs(host.paths.locks)
    lock = Path(host.paths.locks, "shop.deploy")
    lock.write_text("{}")
    os.utime(lock, (host.clock.time(), host.clock.time() + 3600))
    crash(host, 2, every=20)
    host.begin(WEB, crashed=True)
    host.units[WEB]["behaves"] = "error"
    host.live(20)
    assert asked(host) == []
    lock.unlink()
    host.live(6)
    assert asked(host) == [WEB]


def test_a_server_is_nobody_s_release(world):
    host = world(servers=["redis"])
    host.live(20)
    deployed(host)
    crash(host, 5, unit="redis.service")
    assert asked(host) == []


class TestCommand:
    @pytest.fixture
    def shop(self, tmp_path, clock, capsys):
        """A host on which release `new` serves, and `old` served before."""
        host = Host(tmp_path, clock, capsys)
        self.root = tmp_path / "srv"
        for release in ("old", "new"):
            (self.root / "releases" / release).mkdir(parents=True)
            (self.root / "releases" / release / ".complete").touch()
        (self.root / "instances").mkdir()
        (self.root / "current").symlink_to("releases/new")
        (self.root / "previous").symlink_to("releases/old")
        host.configure(shop={"user": "shop", "root": str(self.root), "env_file": "/etc/mainstay/shop/env", "runtime": "python"})
        process = {
            "name": "web",
            "unit": "shop-web",
            "port": 8000,
            "schedule": None,
            "numbers": [8000],
            "record_path": str(tmp_path / "shop-web"),
            "record": {"release": "old"},
            "way_back": "old:12ef:8000",
            "same_settings": True,
        }
        app = {"name": "shop", "root": str(self.root), "release": "new", "previous": "old", "rollback": False, "target": "shop.target"}
        entry = steps._way_back({**app, "processes": [process], "stale_records": [], "orphans": []}, True)
        os.makedirs(host.paths.ways_back)
        Path(host.paths.ways_back, "shop.json").write_text(entry["content"])
        deployed(host, age=100, way=None)
        host.record = tmp_path / "shop-web"
        host.configuration = json.loads(Path(host.paths.config).read_text())
        for process in host.configuration["processes"]:
            process.pop("probe", None)
        Path(host.paths.config).write_text(json.dumps(host.configuration))
        return host

    def links(self):
        return {path.name: os.readlink(path) for path in (*self.root.iterdir(), *(self.root / "instances").iterdir()) if path.is_symlink()}

    @pytest.mark.parametrize("failed", [True, False])
    def test_it_returns(self, shop, failed):
        status, out, err = shop.run("rollback", "shop", *(["--failed"] if failed else []))
        assert (status, err) == (0, "") and "shop: new -> old in" in out
        assert self.links() == {"current": "releases/old", "web@8000": "../releases/old"}
        assert os.readlink(shop.record) == "old:12ef:8000"
        assert [argv[1] for argv in shop.calls] == ["reset-failed", "restart"] * 2
        last = json.loads(Path(shop.paths.deploys).read_text().splitlines()[-1])
        assert (last["from"], last["to"], last["result"], last["by"].startswith("agent@")) == ("new", "old", "succeeded", failed)
        assert (self.root / "releases/new/.complete").exists() is not failed
        assert not os.listdir(shop.paths.locks) and not os.listdir(shop.paths.ways_back)
        assert shop.run("rollback", "shop")[0] == 2, "there is no way further back"

    def test_it_tells_what_does_not_come_back_and_leaves_what_was_stopped(self, shop):
        shop.live["shop-beat@1.service"] = UnitState("shop-beat@1.service", active="inactive")
        shop.status = 1
        status, out, _err = shop.run("rollback", "shop")
        assert status == 1 and "shop/web/8000: systemctl restart ended with 1" in out
        assert {argv[-1] for argv in shop.calls} == {"shop-web@8000.service"}
        assert os.readlink(shop.record) == "old:12ef:8000", "what runs is on record all the same"

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda self, shop: os.unlink(f"{shop.paths.ways_back}/shop.json"), "no way back of its own"),
            (lambda self, shop: Path(shop.paths.ways_back, "shop.json").write_text("{"), "no way back of its own"),
            (lambda self, shop: (os.unlink(self.root / "current"), (self.root / "current").symlink_to("releases/x")), "no way back"),
            (lambda self, shop: deployed(shop, to="x", way=None), "is not new any more"),
            (lambda self, shop: shop.clock.sleep(1200), "is not new any more"),
            (lambda self, shop: setattr(shop, "root", False), "needs root"),
        ],
    )
    def test_what_it_refuses(self, shop, spoil, words):
        spoil(self, shop)
        before = self.links()
        status, _out, err = shop.run("rollback", "--failed", "shop")
        assert status == 2 and words in err
        assert self.links() == before and not shop.calls

    @pytest.mark.parametrize(("left", "status"), [(60, 2), (-1, 0)])
    def test_a_deploy_under_way_comes_first(self, shop, left, status):
        os.makedirs(shop.paths.locks)
        lock = Path(shop.paths.locks, "shop.deploy")
        lock.write_text("{}")
        os.utime(lock, (0, shop.clock.time() + left))
        assert shop.run("rollback", "shop")[0] == status
        assert lock.exists() is (status == 2)
