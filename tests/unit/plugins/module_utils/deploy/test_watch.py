# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import watch

LINE = '192.0.2.1 - - [22/Nov/2026:14:00:00 +0000] "GET / HTTP/1.1" {status} 5 "-" "curl" {upstream} {upstream_status} {time}'
HTTP = {"name": "shop-web@8002.service", "kind": "http", "url": "http://127.0.0.1:8002/health"}
WORKER = {
    "name": "shop-worker@1.service",
    "kind": "command",
    "command": ["systemctl", "is-active", "shop-worker@1.service"],
    "deadline": 20,
}
DRAIN = {"name": "shop-web", "kind": "command", "command": ["true"], "deadline": 10}
WEB = {"shop-web@8002.service": (0, "active")}
WELL = {**WEB, "shop-worker@1.service": (1, "active")}


def _line(status=200, upstream="127.0.0.1:8002", upstream_status=None, time="0.010"):
    return LINE.format(status=status, upstream=upstream, upstream_status=upstream_status or status, time=time).encode()


def _json(upstream="127.0.0.1:8002", upstream_status="200", time="0.010", agent="curl"):
    return (
        f'{{"time":"2026-11-22T14:00:00+00:00","client":"192.0.2.1","status":200,"agent":"{agent}",'
        f'"upstream":"{upstream}","upstream_status":"{upstream_status}","upstream_seconds":"{time}"}}'
    ).encode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (_json(), [(200, 10)]),
        (_json("127.0.0.1:8000, [fd00::1]:8002", "502, 200", "0.001, 0.250"), [(200, 250)]),
        (
            _json("", "", "", agent='\\"upstream\\":\\"127.0.0.1:8002\\",\\"upstream_status\\":\\"500\\",\\"upstream_seconds\\":\\"1\\"}'),
            [],
        ),
        (_json("", "", "", agent="127.0.0.1:8002 500 1"), []),
        (_line(upstream="[fd00::1]:8002"), [(200, 10)]),
        (_line(), [(200, 10)]),
        (_line(502), [(502, 10)]),
        (_line(upstream="127.0.0.1:8000"), []),
        (_line(upstream="127.0.0.1:8000, 127.0.0.1:8002", upstream_status="502, 200", time="0.001, 0.250"), [(200, 250)]),
        (_line(upstream="127.0.0.1:8002, 127.0.0.1:8000", upstream_status="502, 200", time="0.001, 0.250"), [(502, 1)]),
        (_line(upstream="127.0.0.1:8002, 127.0.0.1:8003", upstream_status="502, -", time="0.001, 0.250"), [(502, 1)]),
        (_line(upstream="-", upstream_status="-", time="-"), []),
        (_line(101, time="600.000"), []),
        (b"", []),
    ],
)
def test_requests_to_the_new_release_are_found_in_the_log(line, expected):
    assert watch.requests([line], {8002, 8003}) == expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([(500, 5)] * 19, []),
        ([(200, 5)] * 20, []),
        ([(404, 5)] * 20, []),
        ([(200, 5)] * 19 + [(500, 5)], []),
        ([(200, 5)] * 18 + [(500, 5)] * 2, ["2 of 20 requests got an error of the server, and 5% may"]),
        ([(200, 5)] * 19 + [(200, 900)], ["95 of 100 requests took up to 900 ms, and 500 ms are allowed"]),
        ([(200, 5)] * 39 + [(200, 900)], []),
        ([(200, 700)] * 9, []),
        ([(200, 700)] * 10, ["each of 10 requests took at least 700 ms, and 500 ms are allowed"]),
        ([(200, 700)] * 18 + [(200, 5)], []),
    ],
)
def test_the_load_is_judged_once_there_is_enough_of_it(found, words):
    assert watch.judge_errors(found, 0.05) + watch.judge_latency(found, 500) == words


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += max(seconds, 0.01)


def _watch(answers=(), counts=(), lines=(), seconds=3, settled=(), drained=(), paced=0, first=0, elapsed=0.0, before=None):
    """Watch with scripted answers of probes, counts of restarts and lines of the log; the last of each goes on."""
    clock, answers, counts, settled = Clock(), list(answers) or [True], list(counts) or [WELL], list(settled) or [True]
    drained = list(drained)
    drains = [DRAIN] if drained else []

    class Log:
        def lines(self):
            return lines[: first + int(clock.now * paced)] if paced else list(lines)

    def script(items):
        return items.pop(0) if len(items) > 1 else items[0]

    def check(spec):
        healthy = script({HTTP["name"]: answers, WORKER["name"]: settled, DRAIN["name"]: drained}[spec["name"]])
        return {"healthy": healthy, "reasons": [] if healthy else ["status 500, expected 200"]}

    since = {"elapsed": elapsed, "before": before}
    found = watch.watch([HTTP, WORKER], seconds, Log(), 0.05, 500, drains, clock, check, lambda _units: script(counts), **since)
    return found, clock.now


@pytest.mark.parametrize(
    ("script", "words", "after"),
    [
        ({}, "", 3),
        ({"counts": [WEB, WEB, WELL]}, "", 3),
        ({"settled": [False, False, True]}, "", 4),
        ({"settled": [False], "counts": [WELL] * 6 + [{**WELL, "shop-worker@1.service": (2, "active")}]}, "was restarted 1 times", 4.5),
        ({"settled": [False]}, "shop-worker@1.service: status 500", 20),
        # systemd is still to stop it, which may take a task's time
        ({"settled": [False], "counts": [WEB] * 30 + [WELL]}, "shop-worker@1.service: status 500", 36.5),
        ({"counts": [WEB, {**WEB, "shop-worker@1.service": (0, "failed")}]}, "shop-worker@1.service is failed", 1),
        ({"seconds": 0}, "", 0),
        ({"drained": [True]}, "", 3),
        ({"drained": [False, False, True]}, "", 4),
        ({"drained": [False]}, "", 10),
        ({"drained": [False], "counts": [WELL] * 9 + [{**WELL, "shop-web@8002.service": (1, "active")}]}, "was restarted 1 times", 6),
        ({"answers": [True, False, True, False, True]}, "", 3.5),  # not with the last word a failure
        ({"answers": [True, False, False, True]}, "shop-web@8002.service: http://127.0.0.1:8002/health: status 500", 2),
        ({"counts": [WELL, {**WELL, "shop-worker@1.service": (3, "active")}]}, "shop-worker@1.service was restarted 2 times", 1),
        ({"counts": [{**WELL, "shop-web@8002.service": (0, "failed")}]}, "shop-web@8002.service is failed", 0),
        ({"elapsed": 2.0}, "", 1),
        ({"elapsed": 9.0}, "", 0),
        ({"elapsed": 9.0, "settled": [False, True]}, "", 0.5),
        ({"elapsed": 9.0, "answers": [False, True]}, "", 0.5),  # once may have been a busy moment, so it is asked again
        ({"elapsed": 9.0, "answers": [False]}, "shop-web@8002.service: http://127.0.0.1:8002/health: status 500", 0.5),
        ({"elapsed": 9.0, "drained": [False]}, "", 1),
        ({"elapsed": 9.0, "before": {"shop-worker@1.service": (0, "active")}}, "shop-worker@1.service was restarted 1 times", 0),
        # Slow it stays where so few visitors come that they tell nothing: of none, of five a second, and of enough in the end.
        ({"elapsed": 9.0, "lines": [_line(time="2.189")] * 20}, "95 of 100 requests took up to 2189 ms", 6),
        ({"elapsed": 9.0, "lines": [_line(time="2.189")] * 35, "paced": 5, "first": 20}, "each of 15 requests took at least 2189 ms", 6),
        ({"elapsed": 9.0, "lines": [_line(time="2.189")] * 20 + [_line()] * 40, "paced": 5, "first": 20}, "", 3),
        # A machine that has much else to do answers few.
        ({"lines": [_line(time="2.189")] * 200, "paced": 4}, "each of 12 requests took at least 2189 ms", 9),
        ({"lines": [_line(time="2.189")] * 200, "paced": 3}, "", 3),
        ({"lines": [_line(500)] * 20}, "20 of 20 requests", 0),
        ({"lines": [_line()] * 20}, "", 3),
        ({"lines": [_line(time="2.189")] * 40 + [_line()] * 80, "paced": 20}, "", 6),
        ({"lines": [_line(time="2.189")] * 80 + [_line()] * 80, "paced": 20}, "", 9),
        ({"lines": [_line(time="2.189")] * 200, "paced": 20}, "95 of 100 requests took up to 2189 ms, and 500 ms are allowed", 9),
    ],
)
def test_the_first_thing_that_is_wrong_ends_the_watch(script, words, after):
    found, passed = _watch(**script)
    assert words in "; ".join(found["reasons"]) and bool(found["reasons"]) == bool(words)
    assert passed == pytest.approx(after, abs=0.1)
    assert all(unit in "; ".join(found["reasons"]) or "requests" in words for unit in found["units"])
    assert bool(found["units"]) == bool(words)


def test_a_log_is_read_from_where_it_was(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(b"old\n")
    log = watch.Log(str(path))
    with path.open("ab") as file:
        file.write(b"new\n")
    assert log.lines() == [b"new"]
    path.write_bytes(b"x\n")  # rotated
    assert log.lines() == [b"x"]
    assert watch.Log(str(tmp_path / "none")).lines() == []


def test_a_watch_begins_with_where_the_log_ends_and_what_has_been_restarted(tmp_path, monkeypatch):
    """As the shell of a host and systemctl tell it; the log is a real one."""
    log = tmp_path / "access.log"
    log.write_bytes(_line() + b"\n")
    (tmp_path / "systemctl").write_text(
        "#!/bin/sh\ncase $* in *--no-pager*) ;; *) printf '\\033[?1h' ;; esac\nprintf '%s\\n' NRestarts=2 Id=shop-web@8002.service ActiveState=active\n"
    )
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def begin(path):
        command = ["sh", "-c", watch.mark_script(["shop-web@8002.service"], path)]
        return watch.began(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    since = begin(str(log))
    assert since == {"position": log.stat().st_size, "restarts": {"shop-web@8002.service": (2, "active")}}
    with log.open("ab") as file:
        file.write(_line(500) + b"\n")
    assert watch.Log(str(log), since["position"]).lines() == [_line(500)]
    assert begin(str(tmp_path / "no.log"))["position"] is None
    assert begin(None)["position"] is None


@pytest.mark.parametrize("told", ["plugins/modules/release_watch.py", "roles/backend/meta/argument_specs.yml"])
def test_how_many_requests_are_enough_is_told_where_their_limits_are(told):
    text = " ".join((Path(__file__).parents[5] / told).read_text().split())
    assert f"at least {watch.ENOUGH_REQUESTS}. Of {watch.FEW_REQUESTS} to {watch.ENOUGH_REQUESTS - 1} requests one must be" in text
