# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/2 frame by frame: requests that are none, and floods of frames, of which no other visitor may notice anything."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import wire
from wire import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 6, 9
RESET = f"reset {PROTOCOL_ERROR}"


def asked(*more, stream=1, flags=END_HEADERS | END_STREAM, **pseudo):
    return wire.frame(HEADERS, stream, wire.block(*wire.fields(*more, **pseudo)), flags)


def posted(body, length):
    return asked(("content-length", length), method="POST", flags=END_HEADERS) + wire.frame(DATA, 1, body, END_STREAM)


# What is sent, and what answers it: the status of a stream, that one is reset, or that the whole connection is left, and for which error.
ANSWERS = {
    "a request": (asked(), "200"),
    "two requests": (asked() + asked(stream=3), "200 200"),
    "a request in three frames": (
        wire.frame(HEADERS, 1, wire.block(*wire.fields())[:5], END_STREAM) + wire.frame(CONTINUATION, 1, wire.block(*wire.fields())[5:9])
        + wire.frame(CONTINUATION, 1, wire.block(*wire.fields())[9:], END_HEADERS), "200",
    ),
    "a body of its length": (posted(b"abcd", "4"), "200"),
    "a body longer than it says": (posted(b"abcde", "4"), "400"),
    "a body shorter than it says": (posted(b"abc", "4"), "400"),
    "a length that is signed": (posted(b"abcd", "+4"), "400 reset 0"),
    "a host instead of an authority": (asked(("host", wire.SITE), authority=None), "200"),
    "no host": (asked(authority=None), "400"),
    "an authority and another host": (asked(("host", "evil.example")), "400"),
    "an authority of nobody's": (asked(authority="evil.example"), RESET),
    "no path": (asked(path=None), "400"),
    "an empty path": (asked(path=""), "400"),
    "a path without a slash": (asked(path="echo"), "400"),
    "a path above the root": (asked(path="/../../etc/passwd"), "400"),
    "a path with a request in it": (asked(path="/echo HTTP/1.1\r\nHost: x\r\n\r\nGET /echo/smuggled"), RESET),
    "a value with a line in it": (asked(("x-a", "1\r\nX-Real-IP: 1.2.3.4")), RESET),
    "a name with a line in it": (asked(("x-a: 1\r\nx-b", "2")), RESET),
    "a value with a zero in it": (asked(("x-a", "a\0b")), RESET),
    "a method with a blank": (asked(method="GET /x"), "400"),
    "a tunnel": (asked(method="CONNECT"), "405"),
    "a trace": (asked(method="TRACE"), "405"),
    "a field of a proxy's": (asked(("x-forwarded-for", "1.2.3.4")), "200"),
    "a field in front in the back": (wire.frame(HEADERS, 1, wire.block(("x-a", "1"), *wire.fields()), END_HEADERS | END_STREAM), "200"),
    "a field in front that is unknown": (asked(x="1"), "400"),
    "a field in front twice": (asked((":path", "/echo/smuggled")), "400"),
    "an even stream": (asked(stream=2), f"left {PROTOCOL_ERROR}"),
    "a stream of before": (asked(stream=3) + asked(stream=1), f"left {PROTOCOL_ERROR}"),
    "a body without a head": (wire.frame(DATA, 1, b"abcd"), ""),
    "a head that is not ended": (asked(flags=END_STREAM) + asked(stream=3), f"left {PROTOCOL_ERROR}"),
    "a window of nothing": (wire.frame(WINDOW_UPDATE, 0, bytes(4)), f"left {PROTOCOL_ERROR}"),
    "a window beyond all sizes": (wire.frame(WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff"), f"left {FLOW_CONTROL_ERROR}"),
    "a ping of the wrong size": (wire.frame(PING, 0, b"1234"), f"left {FRAME_SIZE_ERROR}"),
    "a table that grows beyond bounds": (wire.frame(HEADERS, 1, b"\x3f\xe1\xff\xff\x7f", END_HEADERS | END_STREAM), f"left {COMPRESSION_ERROR}"),
}  # fmt: skip
# Floods of one connection. The first is "rapid reset" (CVE-2023-44487), the second CVE-2024-27316 and its like.
FLOODS = {
    "requests that are taken back": [asked(stream=number) + wire.frame(RST_STREAM, number, bytes(4)) for number in range(1, 8001, 2)],
    "a head without an end": [asked(flags=END_STREAM), *[wire.frame(CONTINUATION, 1, wire.block(("x-a", "b" * 100)))] * 20000],
    "a head of a thousand times the same": [
        wire.frame(
            HEADERS, 1, wire.block(*wire.fields()) + b"\x40\x03x-a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 12000, END_HEADERS | END_STREAM
        )
    ],
    "pings": [wire.frame(PING, 0, b"12345678")] * 600000,
    "settings": [wire.frame(SETTINGS, 0, b"\0\4\0\0\xff\xff")] * 600000,
    "empty parts of a body": [asked(method="POST", flags=END_HEADERS), *[wire.frame(DATA)] * 600000],
    "windows that grow by one": [asked(method="POST", flags=END_HEADERS), *[wire.frame(WINDOW_UPDATE, 1, b"\0\0\0\1")] * 600000],
}


def _said(answer):
    """What came back, in the words of the table."""
    assert answer.spoken == "h2" or answer.bytes == "", answer
    said = []
    for kind, _stream, payload in wire.frames(answer):
        if kind == HEADERS:
            said.append(wire.status_of(payload))
        elif kind == RST_STREAM:
            said.append(f"reset {int.from_bytes(payload, 'big')}")
        elif kind == wire.GOAWAY:
            said.append(f"left {int.from_bytes(payload[4:8], 'big')}")
    return said


@pytest.fixture(scope="module")
def answers(host):
    return dict(zip(ANSWERS, wire.ask(host, [wire.http2(row[0], patience=1.5) for row in ANSWERS.values()])))


@pytest.mark.parametrize("name", ANSWERS)
def test_frames_get_what_the_table_says(answers, name):
    assert " ".join(_said(answers[name])) == ANSWERS[name][1], answers[name]
    assert "smuggled" not in answers[name].bytes


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_ends_and_nobody_notices(host, shop, name):
    workers = host.check_output("pgrep --parent $(cat /run/nginx.pid)")
    visit = "curl --silent --output /dev/null --insecure --max-time 9 --write-out '%{http_code} %{time_total}\\n' https://localhost/health"
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(lambda: wire.ask(host, [wire.http2(*FLOODS[name])])[0])
        visits = []
        while not flood.done() or len(visits) < 5:
            visits.append(host.check_output(visit).split())
            time.sleep(0.1)
    print(
        f"{name}: {json.dumps(_said(flood.result())[-3:])} after {flood.result().seconds:.1f} s; slowest visit {max(float(v[1]) for v in visits)} s"
    )
    assert flood.result().seconds < 9, flood.result()
    assert {status for status, _seconds in visits} == {"200"} and max(float(seconds) for _status, seconds in visits) < 2
    assert host.check_output("pgrep --parent $(cat /run/nginx.pid)") == workers
    assert shop() == "healthy"
