# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about faults. How a real host heals from them is proved by molecule/shared/tests/test_verify.py."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import chaos

WEB = {"app": "shop", "process": "web", "kind": "web", "unit": "shop-web@8000.service", "probe": {"kind": "tcp", "port": 8000}}
SECOND = {**WEB, "unit": "shop-web@8001.service"}
BEAT = {"app": "shop", "process": "beat", "kind": "worker", "unit": "shop-beat@1.service", "probe": None}
NGINX = {"name": "nginx", "unit": "nginx.service", "probe": {"kind": "hangup", "port": 80}}
CONFIG = {"processes": [BEAT, WEB, SECOND], "servers": [NGINX], "settings": {"restart_global": 3}}


@pytest.mark.parametrize(
    ("wanted", "units"),
    [
        ((), (["shop-web@8000.service", "shop-beat@1.service"], ["nginx.service"])),
        (["shop-web"], (["shop-web@8000.service"], [])),
        (["nginx", "shop-b"], (["shop-beat@1.service"], ["nginx.service"])),
        (["other"], ([], [])),
    ],
)
def test_one_instance_of_each_process_and_each_server_is_broken(wanted, units):
    assert tuple([item["unit"] for item in group] for group in chaos.targets(CONFIG, wanted)) == units


def test_servers_come_last_and_no_more_is_frozen_than_the_agent_restarts():
    tried, left_out = chaos.experiments(chaos.targets(CONFIG), ["kill", "freeze"], 1)
    assert [(target["unit"], fault) for target, fault in tried] == [
        ("shop-web@8000.service", "kill"),
        ("shop-beat@1.service", "kill"),
        ("shop-web@8000.service", "freeze"),
        ("nginx.service", "kill"),
    ]
    assert left_out == ["shop-beat@1.service", "nginx.service"]


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1000.0 + self.now

    def sleep(self, seconds):
        self.now += seconds


class Host:
    """A host whose unit is noticed and works again so many seconds after its fault, and whose agent says so later still."""

    def __init__(self, clock, noticed=2, healed=5, told=9, health="up", refuses=False):
        self.clock, self.noticed, self.healed, self.told, self.health, self.refuses = clock, noticed, healed, told, health, refuses
        self.broken, self.done = None, []

    def _since(self):
        return -1 if self.broken is None else self.clock.now - self.broken

    def unit(self, unit):
        return {"ActiveState": "active", "InvocationID": "new" if self.healed is not None and self._since() >= self.healed else "old"}

    def is_stopped(self, pid):
        return self.broken is not None and (self.healed is None or self._since() < self.healed)

    def agent(self, unit):
        down = self.broken is not None and self.noticed is not None and self.noticed <= self._since() < max(self.told, self.healed or 999)
        return {"health": "down" if down else self.health, "held": None, "reason": "no answer", "incident": None}

    def answers(self, probe):
        return True

    def break_it(self, unit, fault):
        if self.refuses:
            raise OSError("no such unit")
        self.broken = self.clock.now

    def arm(self, unit, seconds):
        self.done.append("arm")

    def disarm(self):
        self.done.append("disarm")

    def heal(self, unit):
        self.done.append("heal")

    def memory_mb(self):
        return 100


@pytest.mark.parametrize(
    ("script", "fault", "detection", "recovery", "words", "done"),
    [
        ({}, "kill", 2, 5, "", ["arm", "disarm"]),
        ({}, "freeze", 2, 5, "", ["arm", "disarm"]),
        ({"noticed": None}, "kill", 5, 5, "", ["arm", "disarm"]),  # who is alive again has been noticed by systemd
        ({"noticed": 31, "healed": 40}, "freeze", 31, 40, "noticed after 31 s, 30 s are allowed", ["arm", "disarm"]),
        ({"healed": 61}, "kill", 2, 61, "healed after 61 s, 60 s are allowed", ["arm", "disarm"]),
        ({"healed": None}, "freeze", 2, None, "nothing healed it within 75 s", ["arm", "heal", "disarm"]),
        ({"health": "looping"}, "kill", None, None, "it is not well: no answer", []),
    ],
)
def test_a_fault_is_watched_until_it_is_healed_or_is_ended(script, fault, detection, recovery, words, done):
    clock = Clock()
    host = Host(clock, **script)
    found = chaos.experiment(host, WEB, fault, chaos.LIMITS, clock)
    assert (found["detection_s"], found["recovery_s"]) == (detection, recovery)
    assert words in found["problem"] and bool(found["problem"]) == bool(words)
    assert host.done == done


def test_what_cannot_be_broken_leaves_no_timer_behind():
    clock = Clock()
    host = Host(clock, refuses=True)
    with pytest.raises(OSError, match="no such unit"):
        chaos.experiment(host, WEB, "kill", chaos.LIMITS, clock)
    assert host.done == ["arm", "heal", "disarm"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"agent": {"written": 940.5, "paused": None}}, ""),
        ({"agent": {"written": 900, "paused": None}}, "the agent does not run, its report is 100 s old"),
        (
            {"agent": {"written": 999, "paused": {"reason": "maintenance is on\x1b[2J", "until": None}}},
            "the agent only watches: maintenance is on",
        ),
        ({"agent": {"written": "today", "paused": None}}, "the agent does not tell how it is"),
        ({}, "the agent does not tell how it is"),
        ([], "the agent does not tell how it is"),
    ],
)
def test_nothing_is_broken_unless_an_agent_acts(monkeypatch, tmp_path, told, words):
    monkeypatch.setattr(chaos, "STATE", str(tmp_path / "state.json"))
    (tmp_path / "state.json").write_text(json.dumps(told))
    found = chaos.is_away(1000)
    assert words in found and bool(found) == bool(words) and "\x1b" not in found


def test_nothing_is_broken_where_no_agent_has_ever_looked(monkeypatch, tmp_path):
    monkeypatch.setattr(chaos, "STATE", str(tmp_path / "none"))
    assert "systemctl status mainstay-agent" in chaos.is_away(1000)


def test_a_site_is_down_from_its_first_wrong_answer_to_its_next_right_one():
    seen = [
        (0, "a", True, 5.0),
        (1, "a", False, None),
        (2, "b", True, 9.0),
        (3.5, "a", True, 7.0),
        (4, "b", False, None),
        (6, "b", False, 1.0),
    ]
    assert chaos.down(seen) == {"a": 2.5, "b": 2.0}
    assert chaos.latencies([*seen, (3.9, "a", True, 9.0)], 0) == {"a": [(0, 5.0, 5.0), (3, 8.0, 9.0)], "b": [(2, 9.0, 9.0)]}


class Seen:
    """What visitors saw of one long fault."""

    seen = ((0.0, "shop", False, None), (500.0, "shop", True, 5.0))

    def __init__(self, sites):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass


def test_a_run_ends_when_the_agent_too_has_seen_that_all_is_well():
    clock = Clock()
    host = Host(clock, told=20)
    chaos.run(host, CONFIG, [], ["kill"], ["nginx"], {}, clock, Seen)
    assert host.agent("nginx.service")["health"] == "up" and 20 <= clock.now - host.broken < 25
    (problem,) = [
        words
        for words in chaos.run(Host(clock, told=900), CONFIG, [], ["kill"], ["nginx"], {}, clock, Seen)["problems"]
        if "sites" not in words
    ]
    assert problem == "nginx.service: it was healed, but 60 s later it is not well: no answer"


def test_a_day_in_which_all_of_it_happens_is_compared_with_what_is_wanted():
    clock = Clock()
    host = Host(clock)
    found = chaos.run(host, CONFIG, [], ["kill"], ["nginx"], {}, clock, Seen)
    assert found["availability_percent"] == 99.421
    assert found["problems"] == ["sites were down for 500 s, which leaves 99.421 % of a day, 99.5 % are wanted"]
