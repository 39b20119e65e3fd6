# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes as a client may send them, and what of them reaches an app: never two requests where nginx saw one, never the word of a proxy."""

from __future__ import annotations

import json

import pytest
from wire import SITE, Sent, ask, post, request

SMUGGLED = "0\r\n\r\nGET /echo/smuggled HTTP/1.1\r\nHost: mole.example.com\r\n\r\n"
REFUSED = {
    # what is sent: the status that refuses it (an empty text: nothing at all is answered)
    "two lengths": (post("Content-Length: 4", "Content-Length: 6", body="abcdef"), "400"),
    "the same length twice": (post("Content-Length: 4", "Content-Length: 4", body="abcd"), "400"),
    "a length and chunks": (post("Content-Length: 4", "Transfer-Encoding: chunked", body=SMUGGLED), "400"),
    "chunks and a length": (post("Transfer-Encoding: chunked", "Content-Length: 4", body=SMUGGLED), "400"),
    "a signed length": (post("Content-Length: +4", body="abcd"), "400"),
    "a negative length": (post("Content-Length: -1", body="abcd"), "400"),
    "a length in hexadecimal": (post("Content-Length: 0x4", body="abcd"), "400"),
    "an unknown encoding": (post("Transfer-Encoding: xchunked", body=SMUGGLED), "501"),
    "two encodings": (post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=SMUGGLED), "400"),
    "an encoding in front of chunks": (post("Transfer-Encoding: gzip, chunked", body=SMUGGLED), "501"),
    "chunks in HTTP/1.0": (post("Transfer-Encoding: chunked", body=SMUGGLED, version="HTTP/1.0"), "400"),
    "a chunk without a size": (post("Transfer-Encoding: chunked", body="x\r\nabcd\r\n0\r\n\r\n"), "400"),
    "a chunk with a signed size": (post("Transfer-Encoding: chunked", body="+4\r\nabcd\r\n0\r\n\r\n"), "400"),
    "a chunk beyond all sizes": (post("Transfer-Encoding: chunked", body="FFFFFFFFFFFFFFFFF\r\nabcd\r\n0\r\n\r\n"), "400"),
    "a folded header": (request("X-A: 1", " X-Forwarded-For: 1.2.3.4"), "400"),
    "a blank before the colon": (request("X-Real-IP : 1.2.3.4"), "400"),
    "a zero in a header": (request("X-A: a\0b"), "400"),
    "a zero in the path": (request(path="/echo/%00"), "400"),
    "a blank in the path": (request(path="/echo/a b"), "400"),
    "no host": (request(host=""), "400"),
    "two hosts": (request("Host: evil.example"), "400"),
    "an undeclared host": (request(host="evil.example"), ""),
    "an address for a host": (request(host="127.0.0.1"), ""),
    "an undeclared host in the path": (request(path="http://evil.example/echo"), ""),
    "a host with a path": (request(host=f"{SITE}/../x"), "400"),
    "a tunnel": (request(method="CONNECT", path="evil.example:443"), "400"),
    "a trace": (request(method="TRACE"), "405"),
    "a method that is none": (request(method="GE(T"), "400"),
    "a path without a slash": (request(path="echo"), "400"),
    "a path above the root": (request(path="/../../etc/passwd"), "400"),
    "a version that is none": (request(version="HTTP/9.9"), "505"),
    "a header beyond 32 kB": (request("X-A: " + "a" * 40000), "400"),
    "headers beyond two buffers": (request(*(f"X-{n}: " + "a" * 30000 for n in range(4))), "400"),
    "a path beyond 32 kB": (request(path="/echo/" + "a" * 40000), "414"),
    "a body that is declared too long": (post("Content-Length: 99999999999", body=""), "413"),
    "another protocol in front": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
    "no HTTP": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "a" * 50 + "\r\n\r\n", "400"),
}
# Headers that an app could take for a proxy's, or for what a proxy has decided.
FORGED = [
    "Forwarded: for=1.2.3.4;proto=http;host=evil", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /admin", "X-Forwarded-Ssl: off", "Proxy: http://evil",
    "X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X_Forwarded_For: 1.2.3.4", "X_Real_IP: 1.2.3.4", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__",
    "X-Forwarded-Server: evil", "X-Original-Host: evil", "X-Host: evil", "X-Client-IP: 1.2.3.4", "True-Client-IP: 1.2.3.4", "CF-Connecting-IP: 1.2.3.4",
    "X-Cluster-Client-IP: 1.2.3.4", "X-ProxyUser-Ip: 1.2.3.4", "X-Forwarded: for=1.2.3.4", "Forwarded-For: 1.2.3.4", "X-Original-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Protocol: http", "X-Forwarded-By: evil", "X-HTTP-Host-Override: evil", "X-Url-Scheme: http", "Front-End-Https: on",
]  # fmt: skip
OVERWRITTEN = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": SITE}


@pytest.fixture(scope="module")
def send(host):
    return lambda texts, name=SITE: ask(host, [Sent((text,), name) for text in texts])


@pytest.fixture(scope="module")
def refusals(send):
    return dict(zip(REFUSED, send([text for text, _statuses in REFUSED.values()])))


@pytest.fixture(scope="module")
def forgeries(send):
    return dict(zip(FORGED, send([request(line) for line in FORGED])))


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_app_may_see_is_refused(refusals, name):
    answer = refusals[name]
    assert " ".join(answer.statuses) == REFUSED[name][1], answer
    assert "smuggled" not in answer.bytes


def _echo(answer):
    assert answer.statuses == ["200"], answer
    return json.loads(answer.body)


@pytest.mark.parametrize("line", FORGED)
def test_no_word_of_a_proxy_s_is_a_client_s(forgeries, line):
    name = line.partition(":")[0].lower()
    assert name not in dict(_echo(forgeries[line])["headers"])


@pytest.mark.parametrize("name", OVERWRITTEN)
@pytest.mark.parametrize("drop", [False, True], ids=["", "and asked to drop it"])
def test_what_a_client_says_of_itself_is_overwritten(send, name, drop):
    lines = [f"{name}: 1.2.3.4", f"Connection: close, {name}"] if drop else [f"{name}: 1.2.3.4", "Connection: close"]
    (answer,) = send([request(*lines, close=False)])
    assert [value for key, value in _echo(answer)["headers"] if key == name.lower()] == [OVERWRITTEN[name]]


def test_one_request_in_one_connection_is_one_for_the_app(send):
    """Chunks that are whole reach the app as one body with a length, whatever stands behind them."""
    (answer,) = send([post("Transfer-Encoding: chunked", body="4\r\nabcd\r\n" + SMUGGLED)])
    said = _echo(answer)
    assert (said["method"], said["body"]) == ("POST", "abcd") and "smuggled" not in answer.bytes
    assert [value for key, value in said["headers"] if key in ("content-length", "transfer-encoding")] == ["4"]


@pytest.mark.parametrize("host_name", [SITE.upper(), f"{SITE}:443", f"{SITE}."])
def test_the_host_that_an_app_sees_is_the_declared_one(send, host_name):
    (answer,) = send([request(host=host_name)])
    assert dict(_echo(answer)["headers"])["host"] == SITE


def test_an_app_does_not_send_nginx_to_files(send):
    (answer,) = send([request(path="/echo/accel")])
    assert _echo(answer)["path"] == "/echo/accel"


@pytest.mark.parametrize("name", ["evil.example", "example.com", ""])
def test_a_name_that_no_site_declares_has_no_certificate(send, name):
    (answer,) = send([request(host=name or "evil.example")], name=name or None)
    assert answer.bytes == "" and answer.error in ("TLSV1_UNRECOGNIZED_NAME", "ConnectionResetError", "")


@pytest.mark.parametrize(
    "path", ["/files../README.md", "/filesx", "/files/../attempts.py", "/files/%2e%2e/attempts.py", "/files/.hidden", "//files/.hidden"]
)
def test_no_path_leads_out_of_what_is_served(send, path):
    (answer,) = send([request(path=path)])
    assert "A hostile app" not in answer.bytes and "def outcome" not in answer.bytes and answer.body != "hidden"
