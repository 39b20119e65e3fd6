# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the visits; the visits themselves are real ones in molecule-default (test_verify.py)."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import websocket_load


def visitor(status=101, ended="kept", pongs=(2.0, 3.0), handshake=12.0):
    made = websocket_load.Visitor()
    made.status, made.ended, made.pongs_ms, made.handshake_ms = status, ended, list(pongs), handshake
    return made


def refused(status):
    return visitor(status, "no answer", (), None)


def judged(visitors, cpu_percent=20.0):
    result = {**websocket_load.summary(visitors), "cpu_percent": cpu_percent}
    lines = websocket_load.missed(result)
    return result, lines, websocket_load.bound(result, lines, 2)


@pytest.mark.parametrize(
    ("visitors", "cpu_percent", "lines", "bound", "advice"),
    [
        ([visitor()] * 100, 20.0, [], "none", ""),
        ([visitor()] * 199 + [visitor(ended="closed with 1001")], 20.0, [], "none", ""),
        (
            [visitor()] * 200 + [refused(429)] * 400,
            20.0,
            ["33.33 % were kept, not more than 99 % (400 refused with 429)"],
            "limit",
            "400 handshakes were refused as too many: max_connections",
        ),
        ([refused(401)] * 50, 20.0, [], "login", "Every handshake got 50 times 401: give headers"),
        ([refused(403)] * 30 + [refused(401)] * 20, 20.0, [], "login", "20 times 401, 30 times 403"),
        # Who lets some in and refuses others has another reason.
        ([visitor()] * 10 + [refused(403)] * 40, 20.0, ["20 % were kept, not more than 99 % (40 refused with 403)"], "app", "40 times 403"),
        ([refused(404)] * 50, 20.0, ["0 % were kept, not more than 99 % (50 refused with 404)"], "app", "50 times 404"),
        (
            [visitor(ended="closed with 1013", pongs=())] * 50,
            20.0,
            ["0 % were kept, not more than 99 % (50 closed with 1013)"],
            "app",
            "50 times closed with 1013",
        ),
        (
            [visitor(None, "no answer", (), None)] * 50,
            20.0,
            ["0 % were kept, not more than 99 % (50 no answer)"],
            "connections",
            "50 handshakes had no answer",
        ),
        (
            [visitor(pongs=[900.0])] * 50,
            20.0,
            ["99 % of the pongs came within 900 ms, not less than 500 ms"],
            "app",
            "keeps its event loop from answering",
        ),
        ([visitor(pongs=[900.0])] * 50, 97.0, ["99 % of the pongs came within 900 ms, not less than 500 ms"], "cpu", "busy to 97 %"),
        ([visitor(ended="silent")] * 50, None, ["0 % were kept, not more than 99 % (50 silent)"], "app", "keeps its event loop"),
    ],
)
def test_what_gave_way_is_told(visitors, cpu_percent, lines, bound, advice):
    _result, found, (kind, words) = judged(visitors, cpu_percent)
    assert (found, kind) == (lines, bound)
    assert advice in words


def test_figures_are_of_all_visits_together():
    result, _lines, _bound = judged([visitor(pongs=range(1, 51)), visitor(pongs=range(51, 101), handshake=40.0)])
    assert (result["pongs"], result["mean_ms"], result["handshake_p50_ms"], result["handshake_p99_ms"]) == (100, 50.5, 12.0, 40.0)
    assert (result["p50_ms"], result["p95_ms"], result["p99_ms"], result["max_ms"]) == (50, 95, 99, 100)


@pytest.mark.parametrize(
    ("url", "connections", "seconds", "headers", "words"),
    [
        ("https://shop.example.com/ws", 1, 1, {}, "url: 'https://shop.example.com/ws'"),
        ("wss://user:secret@shop.example.com/ws", 1, 1, {}, "url: 'wss://user:secret@shop.example.com/ws'"),
        ("wss://shop.example.com/a b", 1, 1, {}, "Write blanks as %20"),
        ("wss://shop.example.com/ws", 1001, 1, {}, "connections: 1001 cannot be used. Write a number from 1 to 1000"),
        ("wss://shop.example.com/ws", 1, 0, {}, "seconds: 0"),
        ("wss://shop.example.com/ws", 1, 1, {"Cookie": "a\r\nb"}, "headers: 'Cookie'"),
    ],
)
def test_what_is_no_test_is_refused(url, connections, seconds, headers, words):
    with pytest.raises(ValueError, match="cannot be used") as refusal:
        websocket_load.check(url, connections, seconds, headers)
    assert words in str(refusal.value)


def test_a_websocket_of_the_host_s_own_passes():
    assert websocket_load.check("ws://localhost:8765/ws?room=1", 1000, 600, {"Cookie": "a=b"}) is None
