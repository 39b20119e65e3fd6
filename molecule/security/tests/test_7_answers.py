# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients of all kinds get, to the letter: status, headers and how the connection ends. What is refused is in test_4_wire.py."""

from __future__ import annotations

import json
import os
import re

import pytest
from wire import SITE, Sent, ask, post, request

EDGE, LOCKED, SHOP = "edge.example.com", "locked.example.com", "localhost"
FILE, SIZE = "/files/index.html", 7
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
SOCKET = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)
HTML = {"content-type": "text/html", "x-content-type-options": "nosniff"}


def file(*lines, path=FILE, **options):
    return request(*lines, path=path, **options)


def edge(*lines, **options):
    return request(*lines, host=EDGE, **options)


def sent(*parts, **options):
    return Sent(parts, **options)


# What is sent; all statuses that come back, one after the other; and headers of the last answer as patterns, None for one that must not be there.
ANSWERS = {
    # methods
    "GET of a file": (sent(file()), "200", {**HTML, "content-length": str(SIZE), "accept-ranges": "bytes", "etag": '".+"'}),
    "HEAD of a file": (sent(file(method="HEAD")), "200", {**HTML, "content-length": str(SIZE)}),
    "POST to a file": (sent(post("Content-Length: 0", body="", path=FILE)), "405", HTML),
    "PUT to a file": (sent(file("Content-Length: 0", method="PUT")), "405", HTML),
    "DELETE of a file": (sent(file(method="DELETE")), "405", HTML),
    "OPTIONS of a file": (sent(file(method="OPTIONS")), "405", HTML),
    "PATCH to an app that has none": (sent(request("Content-Length: 0", method="PATCH")), "501", {"x-content-type-options": "nosniff"}),
    "PUT to an app": (sent(edge("Content-Length: 1", method="PUT", body="x")), "200", {"content-security-policy": "default-src 'self'"}),
    # hosts, and port 80
    "a name in capitals": (sent(file(host=SITE.upper())), "200", HTML),
    "a name with its port": (sent(file(host=f"{SITE}:443")), "200", HTML),
    "a name with a dot": (sent(file(host=f"{SITE}.")), "200", HTML),
    "a name in the path": (sent(request(path=f"https://{SITE}{FILE}")), "200", HTML),
    "a name in the path that goes before": (sent(request(path=f"https://{SITE}{FILE}", host="evil.example")), "200", HTML),
    "a name below a wildcard": (sent(request(host=f"a.{EDGE}"), name=f"a.{EDGE}"), "200", {"content-security-policy": "default-src 'self'"}),
    "another name of a site": (
        sent(request(host=f"www.{SITE}", path="/x?y=1"), name=f"www.{SITE}"),
        "301",
        {"location": rf"https://{SITE}/x\?y=1", "x-content-type-options": "nosniff"},
    ),
    "another name of a site, without TLS": (sent(request(host=f"www.{SITE}", path="/x?y=1"), name=None), "301", {"location": rf"https://{SITE}/x\?y=1"}),
    "without TLS": (sent(file(path="/x?y=1"), name=None), "301", {"location": rf"https://{SITE}/x\?y=1"}),
    "without TLS, a line break in the path": (
        sent(file(path="/%0d%0aX-A:1"), name=None), "301", {"location": f"https://{SITE}/%0d%0aX-A:1", "x-a": None},
    ),
    "without TLS, a path that looks like a host": (sent(file(path="//evil.example"), name=None), "301", {"location": f"https://{SITE}//evil.example"}),
    "without TLS, to nobody": (sent(file(host="evil.example"), name=None), "", {}),
    "a challenge that nobody waits for": (sent(file(path="/.well-known/acme-challenge/x"), name=None), "301", {}),
    # traversals
    "above a folder": (sent(file(path="/files/../attempts.py")), "200", {"content-type": None}),
    "above a folder, in percents": (sent(file(path="/files/%2e%2e/attempts.py")), "200", {"content-type": None}),
    "above a folder, its slash in percents": (sent(file(path="/files/..%2fattempts.py")), "200", {"content-type": None}),
    "above a folder, twice in percents": (sent(file(path="/files/%252e%252e/attempts.py")), "404", HTML),
    "above a folder, by backslashes": (sent(file(path="/files/..\\attempts.py")), "404", HTML),
    "above a folder, in overlong UTF-8": (sent(file(path="/files/%c0%ae%c0%ae/attempts.py")), "404", HTML),
    "a link out of a folder": (sent(file(path="/files/passwd")), "403", HTML),
    "a link above a folder": (sent(file(path="/files/above/README.md")), "404", HTML),
    "a hidden file": (sent(file(path="/files/.hidden")), "404", HTML),
    "a folder": (sent(file(path="/files/")), "200", HTML),
    "below a file": (sent(file(path=f"{FILE}/x")), "404", HTML),
    "two slashes": (sent(file(path="//files//index.html")), "200", HTML),
    "a parameter behind two dots": (sent(file(path="/files/..;/attempts.py")), "404", HTML),
    "a route that is closed, by a way round": (sent(edge(path="/api/../docs/x")), "404", {"content-security-policy": "default-src 'self'"}),
    "a route that is closed, in percents": (sent(edge(path="/%64ocs")), "404", {"content-security-policy": "default-src 'self'"}),
    # sizes
    "a path of 30 kB": (sent(request(path="/echo/" + "a" * 30000)), "200", {}),
    "a header of 30 kB": (sent(edge("X-A: " + "a" * 30000)), "200", {}),
    "ninety headers": (sent(request(*(f"X-{number}: 1" for number in range(90)))), "200", {}),
    "a body of what a route takes": (sent(edge("Content-Length: 1024", method="POST", path="/api/echo", body="x" * 1024)), "200", {}),
    "a byte more": (sent(edge("Content-Length: 1025", method="POST", path="/api/echo", body="x" * 1025)), "413", HTML),
    "a byte more, in chunks": (
        sent(edge("Transfer-Encoding: chunked", method="POST", path="/api/echo", body="401\r\n" + "x" * 1025 + "\r\n0\r\n\r\n")), "413", HTML,
    ),
    "a body that is announced": (sent(post("Expect: 100-continue", "Content-Length: 1", body="x")), "100 200", {}),
    "a body that is announced too long": (
        sent(edge("Expect: 100-continue", "Content-Length: 1025", method="POST", path="/api/echo")), "413", HTML,
    ),
    "a body that is longer than a site takes by itself": (
        sent(edge("Expect: 100-continue", f"Content-Length: {10 * 2**20 + 1}", method="POST", path="/echo")), "413", HTML,
    ),
    "no body": (sent(post("Content-Length: 0", body="")), "200", {}),
    # requests behind one another
    "two requests": (sent(file(close=False) + file()), "200 200", HTML),
    "a request behind one that is refused": (sent(request("Content-Length: x", close=False) + file()), "400", HTML),
    "a request behind a body": (sent(post("Content-Length: 4", body="abcd", close=False) + file()), "200 200", HTML),
    "a chunk that says more of itself": (sent(post("Transfer-Encoding: chunked", body="4;x=1\r\nabcd\r\n0\r\n\r\n")), "200", {}),
    "headers behind chunks": (sent(post("Transfer-Encoding: chunked", body="1\r\na\r\n0\r\nX-Real-IP: 1.2.3.4\r\n\r\n")), "200", {}),
    "a blank behind the name of an encoding": (sent(post("Transfer-Encoding : chunked", body="0\r\n\r\n")), "400", HTML),
    # HTTP/1.0 and before
    "HTTP/1.0": (sent(file(version="HTTP/1.0", close=False)), "200", {**HTML, "connection": "close"}),
    "HTTP/1.0 that stays": (sent(file("Connection: keep-alive", version="HTTP/1.0", close=False), patience=1), "200", {"connection": "keep-alive"}),
    "HTTP/1.0 without a host": (sent(file(host="", version="HTTP/1.0")), "", {}),
    "HTTP/1.0 without a host or TLS": (sent(file(host="", version="HTTP/1.0"), name=None), "", {}),
    "HTTP/1.0 to an app": (sent(request(version="HTTP/1.0")), "200", {"connection": "close", "transfer-encoding": None}),
    "HTTP/0.9 without TLS": (sent("GET /\r\n", name=None), "", {}),
    # parts of files
    "the first bytes": (sent(file("Range: bytes=0-3")), "206", {"content-range": f"bytes 0-3/{SIZE}", "content-length": "4"}),
    "the last bytes": (sent(file("Range: bytes=-4")), "206", {"content-range": rf"bytes {SIZE - 4}-{SIZE - 1}/{SIZE}", "content-length": "4"}),
    "all but the first bytes": (sent(file("Range: bytes=4-")), "206", {"content-range": f"bytes 4-{SIZE - 1}/{SIZE}"}),
    "two parts": (sent(file("Range: bytes=0-1,4-5")), "206", {"content-type": "multipart/byteranges; boundary=.+"}),
    "a part behind the end": (sent(file(f"Range: bytes={SIZE}-")), "416", {"content-range": rf"bytes \*/{SIZE}"}),
    "a part that is none": (sent(file("Range: bytes=b-a")), "416", {"content-range": rf"bytes \*/{SIZE}"}),
    "a part in another unit": (sent(file("Range: lines=0-1")), "200", {"content-length": str(SIZE)}),
    "a thousand times the whole": (sent(file("Range: bytes=" + ",".join(["0-"] * 1000))), "200", {"content-length": str(SIZE)}),
    "a part of what has changed": (sent(file("Range: bytes=0-3", 'If-Range: "other"')), "200", {"content-length": str(SIZE)}),
    # conditions
    "unless there is one": (sent(file("If-None-Match: *")), "304", {"content-length": None, "etag": '".+"'}),
    "unless it is another": (sent(file('If-None-Match: "other"')), "200", {"content-length": str(SIZE)}),
    "if it is another": (sent(file('If-Match: "other"')), "412", HTML),
    "if there is one": (sent(file("If-Match: *")), "200", {"content-length": str(SIZE)}),
    "if it is from before": (sent(file("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT")), "412", HTML),
    "if it is newer, by another date": (sent(file("If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT")), "200", {"content-length": str(SIZE)}),
    # other protocols
    "a websocket": (
        sent(request(*SOCKET, host=SHOP, path="/ws", close=False), name=SHOP, patience=2), "101",
        {"upgrade": "websocket", "sec-websocket-accept": r"s3pPLMBiTxaQ9kYGzzhZRbK\+xOo="},
    ),
    "a websocket without a key": (sent(request(*SOCKET[:3], host=SHOP, path="/ws", close=False), name=SHOP, patience=2), "400", {}),
    "a websocket by HTTP/1.0": (
        sent(request(*SOCKET, host=SHOP, path="/ws", version="HTTP/1.0", close=False), name=SHOP, patience=2), "101", {},
    ),
    "a websocket where none is declared": (sent(edge(*SOCKET, path="/echo", close=False), patience=2), "200", {"upgrade": None}),
    "HTTP/2 without TLS": (sent(file("Upgrade: h2c", "Connection: Upgrade", "HTTP2-Settings: AAMAAABk"), name=None), "301", {"upgrade": None}),
    # names in TLS
    "another site's host": (sent(edge()), "200", {"content-security-policy": "default-src 'self'"}),
    "a locked site behind another's name": (sent(request(host=LOCKED)), "401", {"www-authenticate": f'basic realm="{LOCKED}"'}),
    "TLS 1.2": (sent(file(), version="TLSv1_2"), "200", HTML),
    "TLS 1.1": (sent(file(), version="TLSv1_1"), "TLSV1_ALERT_PROTOCOL_VERSION", {}),
    "TLS 1.2 without forward secrecy": (sent(file(), version="TLSv1_2", ciphers="AES128-GCM-SHA256"), "SSLV3_ALERT_HANDSHAKE_FAILURE", {}),
    "HTTP/1.1 by ALPN": (sent(file(), protocols=("http/1.1",)), "200", HTML),
    "a protocol that is none": (sent(file(), protocols=("spdy/3",)), "SSLError", {}),
}  # fmt: skip


# Clients that take their time: what comes back, and after how many seconds nginx has had enough.
SLOW = {
    "no head": (sent("", patience=14), "", 10),
    "a head that is not ended": (sent(f"GET / HTTP/1.1\r\nHost: {SITE}\r\n", patience=14), "", 10),
    "a head, letter by letter": (sent(f"GET / HTTP/1.1\r\nHost: {SITE}\r\nX-A: ", *"abcdefgh", pause=1.5, patience=14), "", 10),
    "a body that is not ended": (sent(post("Content-Length: 4", body="ab"), patience=19), "", 15),
    "a body, letter by letter": (sent(post("Content-Length: 4", body="a"), *"bcd", pause=1.5, patience=14), "200", 4.5),
    "a connection that stays": (sent(file(close=False), patience=25), "200", None),
}


@pytest.fixture(scope="module")
def answers(host):
    return dict(zip(ANSWERS, ask(host, [row[0] for row in ANSWERS.values()])))


@pytest.mark.parametrize("name", ANSWERS)
def test_who_asks_gets_what_the_table_says(answers, name):
    answer, (_sent, statuses, headers) = answers[name], ANSWERS[name]
    if not (statuses + " ")[0].isalpha():
        assert " ".join(answer.statuses) == statuses, answer
    else:
        assert answer.error == statuses and answer.bytes == "", answer
    head = answer.head if statuses else {}
    for header, pattern in headers.items():
        assert (header not in head) if pattern is None else re.fullmatch(pattern, head.get(header, ""), re.IGNORECASE), (header, head)


@pytest.mark.skipif(not os.environ.get("MAINSTAY_PROVE"), reason="it waits; make prove has the time")
def test_who_takes_his_time_makes_room_for_others(host):
    plan = json.loads(host.file("/etc/mainstay/plan.json").content_string)["plan"]
    for name, answer in zip(SLOW, ask(host, [row[0] for row in SLOW.values()])):
        _sent, statuses, seconds = SLOW[name]
        assert " ".join(answer.statuses) == statuses, (name, answer)
        assert abs(answer.seconds - (seconds or plan["nginx"]["keepalive_timeout_s"])) < 2, (name, answer)


def test_no_request_is_taken_before_the_handshake_is_over(host):
    """Early data of TLS 1.3 could be sent again by whoever has seen it."""
    host.check_output(f"printf 'GET {FILE} HTTP/1.1\\r\\nHost: {SITE}\\r\\n\\r\\n' >/run/early")
    again = f"timeout 10 openssl s_client -connect 127.0.0.1:443 -servername {SITE} -tls1_3"
    host.check_output(f"(cat /run/early; sleep 1) | {again} -sess_out /run/early.session >/dev/null 2>&1; test -s /run/early.session")
    said = host.run(f"(sleep 1) | {again} -sess_in /run/early.session -early_data /run/early 2>&1").stdout
    assert "Reused, TLSv1.3" in said and "Early data was not sent" in said, said
