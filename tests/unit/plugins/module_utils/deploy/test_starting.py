# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.starting import Starting
from ansible_collections.mainstay.vps.plugins.module_utils.host.listeners import Listener
from ansible_collections.mainstay.vps.plugins.module_utils.probe import repeat

UNIT = "shop-web@8000.service"
PROBE = {"name": UNIT, "unit": UNIT, "url": "http://127.0.0.1:8000/health", "interval": 1, "deadline": 90}
# As systemctl of Debian 12 tells them of a program that is not there: while it is started again, and when systemd has given up.
AGAIN = {"Id": UNIT, "ActiveState": "activating", "NRestarts": "0", "Result": "exit-code", "ExecMainStatus": "127"}
OWN = Listener("tcp", "127.0.0.1", 8000, 1, (7,), "gunicorn", "shop", "", UNIT, 0)
FOREIGN = OWN._replace(pids=(9,), name="python3", user="alice", unit="session-3.scope")


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def answer(healthy, status=None):
    return {"healthy": healthy, "name": UNIT, "target": "", "status": 200 if healthy else status, "reasons": [] if healthy else ["connection refused"],
            "latency_ms": {"last": 1.0}}  # fmt: skip


def wait(shown, healthy=False, listening=()):
    """(seconds it took, the result) of a wait in which systemctl tells one thing after the other."""
    clock, rows = Clock(), iter(shown)
    judge = Starting(tell=lambda _unit: next(rows), listening=lambda _port: list(listening))
    found = repeat.run(PROBE, clock, lambda _spec: answer(healthy), judge)
    return clock.now, found


def test_the_wait_for_what_ends_again_and_again_is_short():
    seconds, found = wait([AGAIN, {**AGAIN, "NRestarts": "1"}, {**AGAIN, "NRestarts": "2", "Result": "success", "ExecMainStatus": "0"}])
    assert seconds == 2
    assert found["reasons"] == ["it has ended 2 times with status 127 (the program was not found)"]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (
            {"ActiveState": "failed", "Result": "oom-kill", "ExecMainStatus": "9", "MemoryMax": "infinity"},
            "it has ended with oom-kill, status 9: killed by the kernel, most likely for the host's memory",
        ),
        (
            {"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9", "MemoryMax": "243269632"},
            (
                "it has ended with signal, status 9: killed by the kernel, most likely for its limit of 232 MB; "
                "memory of the process gives it more, such as memory: 464M"
            ),
        ),
        ({"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "11"}, "it has ended with signal, status 11"),
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}, "it has ended with status 1"),
    ],
)
def test_so_is_that_for_what_has_failed(shown, words):
    assert wait([{**AGAIN, **shown}])[1]["reasons"] == [words]


@pytest.mark.parametrize(("status", "seconds"), [(302, 30), (400, 30), (404, 30), (500, 30), (502, 89), (503, 89), (None, 89)])
def test_one_wrong_answer_for_some_time_is_no_slow_start(status, seconds):
    clock = Clock()
    judge = Starting(tell=lambda _unit: {"ActiveState": "active"}, listening=lambda _port: [], now=clock.monotonic)
    found = repeat.run(PROBE, clock, lambda _spec: answer(False, status), judge)
    assert clock.now == seconds and found["reasons"] == ["connection refused"]


def test_who_answers_something_else_first_has_its_time():
    clock, answers = Clock(), iter([404] * 10 + [503] * 10 + [404] * 10)
    judge = Starting(tell=lambda _unit: {"ActiveState": "active"}, listening=lambda _port: [], now=clock.monotonic)
    found = repeat.run({**PROBE, "deadline": 30}, clock, lambda _spec: answer(False, next(answers)), judge)
    assert clock.now == 29 and not found["healthy"]


def test_who_starts_slowly_has_its_time():
    seconds, found = wait([{**AGAIN, "ActiveState": "active", "NRestarts": str(number // 80)} for number in range(100)])
    assert seconds > 85 and found["reasons"] == ["connection refused"]


def test_a_stranger_s_answer_is_none():
    _seconds, found = wait([], healthy=True, listening=[FOREIGN])
    assert not found["healthy"] and "held by python3 (pid 9, user alice) of session-3.scope" in found["reasons"][0]
    assert wait([], healthy=True, listening=[FOREIGN, OWN])[1]["healthy"]
    assert wait([], healthy=True, listening=[])[1]["healthy"]  # where /proc tells nothing, the answer does


@pytest.mark.parametrize(
    ("asked", "address", "refused"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::", True),
        ("[::1]", "::", True),
        ("10.0.0.5", "10.0.0.5", False),
        ("10.0.0.5", "0.0.0.0", False),
    ],
)
def test_who_listens_for_everybody_is_told_before_visitors_come(monkeypatch, asked, address, refused):
    """On a tier of its own the firewall lets the proxies in, whatever address a process has."""
    monkeypatch.setitem(PROBE, "url", f"http://{asked}:8000/health")
    found = wait([], healthy=True, listening=[OWN._replace(address=address)])[1]
    assert found["healthy"] is not refused
    assert not refused or "it listens on every address of the host" in found["reasons"][0]
    monkeypatch.setitem(PROBE, "any_address", True)
    assert wait([], healthy=True, listening=[OWN._replace(address=address)])[1]["healthy"]


def test_who_cannot_have_its_port_is_told_who_has_it():
    _seconds, found = wait([{**AGAIN, "ActiveState": "failed", "ExecMainStatus": "1"}], listening=[FOREIGN])
    assert "it has ended with status 1; its port 8000 is held by python3" in found["reasons"][0]


@pytest.mark.parametrize(
    ("listening", "told"),
    [
        ([OWN._replace(port=3000, address="::")], "it listens on :: port 3000, and not on $HOST:$PORT, which is port 8000 here"),
        ([OWN._replace(port=3000), OWN], ""),
        ([FOREIGN._replace(port=3000)], ""),
        ([], ""),
    ],
)
def test_who_listens_elsewhere_is_told_where(listening, told):
    found = Starting(listening=lambda _port: listening).elsewhere(UNIT, PROBE["url"])
    assert found.startswith(told) if told else found == ""
    assert Starting(listening=lambda _port: listening).elsewhere(None, PROBE["url"]) == ""


@pytest.mark.parametrize(
    ("limit", "held", "told"),
    [
        ("243269632", 220 << 20, "it holds 220 MB of its limit of 232 MB; memory of the process gives it more, such as memory: 464M"),
        ("243269632", 150 << 20, ""),
        ("infinity", 150 << 20, ""),
        ("243269632", None, ""),
    ],
)
def test_who_fills_its_memory_is_told(limit, held, told):
    """As with MemoryHigh, beyond which a process is slowed down and not killed."""
    shown = {"Id": UNIT, "ActiveState": "active", "MemoryMax": limit, "ControlGroup": f"/system.slice/{UNIT}"}
    assert Starting(tell=lambda _unit: shown, held_by=lambda _group: held).crowded(UNIT) == told
    assert Starting().crowded(None) == ""
