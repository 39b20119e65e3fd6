# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe: every kind against a real socket on loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import http.server
import json
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.probe import connection, declared, once, repeat, tls
from ansible_collections.mainstay.vps.plugins.module_utils.probe.web import json_value

KEYS = {
    "healthy", "name", "kind", "target", "status", "cause", "attempts", "consecutive", "latency_ms", "reasons",
    "history", "body", "tls_days_left",
}  # fmt: skip


@pytest.fixture
def serve():
    """Start a server for a handler(socket) function; gives its port, or starts it on a Unix socket."""
    servers = []

    def start(handler, path=None):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):  # the probe hangs up when it has heard enough
                    handler(self.request)

        kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
        server = kind(path or ("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return path or server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


HEALTH = {"status": "healthy", "checks": [{"name": "disk", "ok": True}], "a.b": 1, "load": 0.5, "nothing": None}


@pytest.fixture
def web(serve):
    """An HTTP server whose answers the path decides; remembers the requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            requests.append((self.command, self.path, dict(self.headers)))
            path = self.path.partition("?")[0]
            if path == "/health":
                self.answer(200, json.dumps(HEALTH).encode(), X_Version="1.4.2", Set_Cookie="id=letmein")
            elif path == "/moved":
                self.answer(302, Location="/health")
            elif path == "/elsewhere":
                self.answer(302, Location=f"http://localhost:{self.server.server_address[1]}/health")
            elif path == "/loop":
                self.answer(302, Location="/loop")
            elif path == "/slow":
                time.sleep(0.3)
                self.answer(200, b"late")
            elif path == "/deep":
                self.answer(200, b"[" * 60000)
            elif path == "/big":
                self.answer(200, b'{"x": "' + b"x" * 100_000 + b'"}')
            elif path == "/echo":
                self.answer(500, json.dumps(dict(self.headers)).encode())
            else:
                self.answer(503, b"<h1>maintenance</h1>\n  back   soon")

        do_POST = do_HEAD = do_GET

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    server.requests = requests
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


# --- http --------------------------------------------------------------------------------------------------------

HTTP = [
    ("plain", "/health", {}, 200, []),
    ("status list", "/nowhere", {"status": [200, "5xx"]}, 503, []),
    ("status range", "/moved", {"status": ["301-302"]}, 302, []),
    ("status is one value", "/moved", {"status": 302}, 302, []),
    ("wrong status", "/nowhere", {}, 503, ["status 503, expected 2xx: <h1>maintenance</h1> back soon"]),
    ("redirects are not followed", "/moved", {}, 302, ["status 302, expected 2xx: moved to /health"]),
    ("redirects are followed when asked", "/moved", {"follow_redirects": True}, 200, []),
    ("but not for ever", "/loop", {"follow_redirects": True}, 302, ["more than 5 redirects"]),
    ("json", "/health", {"json": {"status": "healthy", "checks.0.ok": True, "checks[-1].name": "disk"}}, 200, []),
    ("json key with a dot", "/health", {"json": {r"a\.b": 1}}, 200, []),
    ("json null and float", "/health", {"json": {"nothing": None, "load": 0.5}}, 200, []),
    ("json number is not text", "/health", {"json": {r"a\.b": "1"}}, 200, [r'json a\.b is 1, expected "1"']),
    ("json true is not 1", "/health", {"json": {"checks.0.ok": 1}}, 200, ["json checks.0.ok is true, expected 1"]),
    ("json path missing", "/health", {"json": {"checks.1.ok": True}}, 200, ["json checks.1.ok is missing, expected true"]),
    ("json list", "/health", {"json": {"checks": [{"name": "disk", "ok": True}]}}, 200, []),
    ("not json", "/slow", {"json": {"a": 1}}, 200, ["the body is not JSON: late"]),
    ("json without a bottom", "/deep", {"json": {"a": 1}}, 200, [f"the body is not JSON: {connection.excerpt('[' * 60000)}"]),
    ("json too long", "/big", {"json": {"x": 1}}, 200, ["the body is longer than 64 KiB, too long to read its JSON"]),
    ("body", "/health", {"body_regex": '"healthy"'}, 200, []),
    ("wrong body", "/slow", {"body_regex": "early$"}, 200, ["the body does not match 'early$': late"]),
    ("header", "/health", {"header_regex": {"x-version": r"^1\.4"}}, 200, []),
    ("wrong header", "/health", {"header_regex": {"X-Version": "^2"}}, 200, ["header X-Version is '1.4.2', expected to match '^2'"]),
    ("missing header", "/health", {"header_regex": {"X-Other": "."}}, 200, ["header X-Other is missing"]),
    ("HEAD", "/health", {"method": "HEAD"}, 200, []),
    ("method", "/health", {"method": "POST"}, 200, []),
    ("letters in the path", "/health?q=ä|b", {}, 200, []),
]  # fmt: skip


@pytest.mark.parametrize(("path", "options", "status", "reasons"), [row[1:] for row in HTTP], ids=[row[0] for row in HTTP])
def test_http(web, path, options, status, reasons):
    result = once.check_once({"url": web.url + path, **options})
    assert (result["status"], result["reasons"], result["healthy"]) == (status, reasons, not reasons)
    assert set(result) == KEYS
    assert result["latency_ms"]["last"] > 0
    assert result["tls_days_left"] is None


def test_http_over_a_unix_socket(serve, tmp_path):
    path = serve(lambda sock: (sock.recv(999), sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")), str(tmp_path / "s"))
    result = once.check_once({"url": "http://shop.test/health", "path": path, "body_regex": "^hello$"})
    assert result["healthy"], result


def test_http_keeps_the_name_and_connects_elsewhere(web):
    port = web.server_address[1]
    result = once.check_once({"url": f"http://shop.test:{port}/health", "connect_to": "127.0.0.1"})
    assert result["healthy"], result
    assert web.requests[-1][2]["Host"] == f"shop.test:{port}"
    result = once.check_once({"url": "http://shop.test/health", "connect_to": f"127.0.0.1:{port}", "host_header": "b.test"})
    assert result["healthy"], result
    assert web.requests[-1][2]["Host"] == "b.test"


def test_http_uses_no_proxy(web, monkeypatch, closed_port):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    assert once.check_once({"url": web.url + "/health"})["healthy"]


def test_latency_has_a_limit(web):
    result = once.check_once({"url": web.url + "/slow", "max_latency_ms": 100})
    assert result["cause"] == "slow"
    assert result["reasons"][0].endswith("allowed are 100 ms")
    assert once.check_once({"url": web.url + "/slow", "max_latency_ms": 5000})["healthy"]


def test_secrets_are_sent_and_never_returned(web):
    spec = {
        "url": web.url.replace("//", "//jane:open%20sesame@") + "/echo?token=abc123&page=2",
        "headers": {"Cookie": "session=opensesame", "X-Api-Key": "key-12345"},
    }
    result = once.check_once(spec)
    sent = web.requests[-1][2]
    assert sent["Authorization"] == "Basic " + base64.b64encode(b"jane:open sesame").decode()
    assert sent["Cookie"] == "session=opensesame"
    shown = json.dumps([result, repeat.explain(result)])
    for secret in ("opensesame", "key-12345", "open%20sesame", "abc123", "letmein"):
        assert secret not in shown
    assert "page=2" in result["target"]


def test_bearer_token_is_masked_without_its_scheme(serve):
    port = serve(lambda sock: (sock.recv(999), sock.sendall(b"HTTP/1.0 401 No\r\n\r\nbad token tok-98765")))
    result = once.check_once({"url": f"http://127.0.0.1:{port}", "headers": {"Authorization": "Bearer tok-98765"}})
    assert result["reasons"] == ["status 401, expected 2xx: bad token ********"]
    assert result["body"] == "bad token ********"


def test_a_redirect_to_another_host_takes_no_credentials_along(web):
    spec = {"url": web.url + "/elsewhere", "follow_redirects": True}
    result = once.check_once({**spec, "headers": {"Authorization": "Bearer x-y-z", "X-Note": "1"}})
    assert result["healthy"], result
    assert "Authorization" not in web.requests[-1][2]
    assert web.requests[-1][2]["X-Note"] == "1"
    assert web.requests[-1][2]["Host"].startswith("localhost:")


ANSWERS = [
    ("nothing", b"", "connection closed without an answer", "closed"),
    ("rubbish", b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP", "protocol"),
    ("cut short", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "connection closed in the middle of the answer", "closed"),
    ("cut chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab", "connection closed in the middle of the answer", "closed"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason", "cause"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_http_broken_answers(serve, answer, reason, cause):
    port = serve(lambda sock: (sock.recv(999), sock.sendall(answer)))
    result = once.check_once({"url": f"http://127.0.0.1:{port}/"})
    assert (result["reasons"], result["cause"], result["healthy"]) == ([reason], cause, False)


def test_the_time_limit_holds_against_dripping_headers_and_bodies(serve):
    def drip(start):
        def handler(sock):
            sock.recv(999)
            sock.sendall(start)
            for _time in range(100):
                sock.sendall(b"x")
                time.sleep(0.05)

        return handler

    for start, words in (
        (b"HTTP/1.1 200 OK\r\nA: ", "no answer within 0.4 s"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "status 200, but the answer did not end within 0.4 s"),
    ):
        began = time.monotonic()
        result = once.check_once({"url": f"http://127.0.0.1:{serve(drip(start))}/", "timeout": 0.4})
        assert time.monotonic() - began < 1.5
        assert (result["reasons"], result["cause"]) == ([words], "timeout")


def test_silence_is_a_timeout(serve):
    port = serve(lambda sock: time.sleep(1))
    result = once.check_once({"url": f"http://127.0.0.1:{port}/", "timeout": 0.2})
    assert result["reasons"] == ["no answer within 0.2 s"]
    assert result["latency_ms"] == dict.fromkeys(("min", "p50", "max", "last"))


def test_names_that_do_not_resolve():
    result = once.check_once({"url": "http://nobody.invalid/"})
    assert (result["reasons"], result["cause"]) == (["the name nobody.invalid does not resolve"], "dns")


def test_a_name_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(1))
    result = once.check_once({"url": "http://slow.test/", "timeout": 0.2})
    assert (result["reasons"], result["cause"]) == (["the name slow.test was not resolved within 0.2 s"], "dns")


def test_the_second_address_of_a_name_serves_when_the_first_does_not(monkeypatch, web):
    port = web.server_address[1]
    rows = [(socket.AF_INET, 1, 6, "", (host, port)) for host in ("127.0.0.99", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: rows)
    assert once.check_once({"url": f"http://two.test:{port}/health"})["healthy"]


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=shop.test",
         "-addext", "subjectAltName=DNS:shop.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def secure(serve, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    names = []
    context.sni_callback = lambda _sock, name, _context: names.append(name)

    def handler(sock):
        with context.wrap_socket(sock, server_side=True) as wrapped:
            wrapped.recv(999)
            wrapped.sendall(b"HTTP/1.0 200 OK\r\n\r\nsafe")

    return serve(handler), names


def test_tls_with_a_trusted_certificate(secure, certificate):
    port, names = secure
    spec = {"url": "https://shop.test/", "connect_to": f"127.0.0.1:{port}", "ca_path": str(certificate / "cert.pem")}
    result = once.check_once({**spec, "tls_expiry_days": 20})
    assert result["healthy"], result
    assert result["tls_days_left"] == 29
    assert names == ["shop.test"]
    assert once.check_once({**spec, "ca_path": str(certificate / "none.pem")})["cause"] == "tls"


def test_tls_expiry_is_seen_without_validation(secure):
    port, _names = secure
    result = once.check_once({"url": f"https://127.0.0.1:{port}/", "validate_certs": False, "tls_expiry_days": 60})
    assert result["reasons"] == ["the certificate expires in 29 days, at least 60 are wanted"]
    assert (result["status"], result["tls_days_left"], result["cause"]) == (200, 29, "tls")


def test_tls_refusals(secure, certificate, web):
    port, _names = secure
    result = once.check_once({"url": f"https://127.0.0.1:{port}/"})
    assert result["cause"] == "tls"
    assert result["reasons"][0].startswith("the certificate is not trusted: self")
    wrong_name = {"url": f"https://127.0.0.1:{port}/", "ca_path": str(certificate / "cert.pem")}
    assert "IP address mismatch" in once.check_once(wrong_name)["reasons"][0]
    result = once.check_once({"url": web.url.replace("http", "https"), "validate_certs": False, "timeout": 2})
    assert result["reasons"][0].startswith("the TLS handshake failed: ")


def _der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _certificate(not_after, version=True, tag=0x17):
    validity = _der(0x30, _der(0x17, b"200101000000Z") + _der(tag, not_after))
    fields = _der(0xA0, _der(2, b"\2")) if version else b""
    fields += _der(2, b"\1" * 20) + _der(0x30, b"") + _der(0x30, b"n" * 300) + validity + _der(0x30, b"rest")
    return _der(0x30, _der(0x30, fields) + _der(0x30, b"") + _der(3, b"signature"))


EXPIRY = [
    (_certificate(b"260101000000Z"), "2026-01-01 00:00:00"),
    (_certificate(b"491231235959Z"), "2049-12-31 23:59:59"),
    (_certificate(b"500101000000Z"), "1950-01-01 00:00:00"),
    (_certificate(b"20500101000000Z", tag=0x18), "2050-01-01 00:00:00"),
    (_certificate(b"260101000000Z", version=False), "2026-01-01 00:00:00"),
]


@pytest.mark.parametrize(("der", "expected"), EXPIRY)
def test_the_end_of_a_certificate(der, expected):
    found = datetime.datetime.fromtimestamp(tls.not_after(der), datetime.timezone.utc)
    assert found.strftime("%Y-%m-%d %H:%M:%S") == expected
    assert tls.days_left(der, tls.not_after(der) - 86400 * 3 + 1) == 2
    assert tls.days_left(der, tls.not_after(der) + 1) == -1


def test_the_end_agrees_with_openssl(certificate):
    pem = (certificate / "cert.pem").read_text()
    told = subprocess.run(["openssl", "x509", "-noout", "-enddate"], input=pem, capture_output=True, text=True, check=True)
    assert tls.not_after(ssl.PEM_cert_to_DER_cert(pem)) == ssl.cert_time_to_seconds(told.stdout.strip().partition("=")[2])


@pytest.mark.parametrize("der", [b"", b"0", b"\x30\x03\x30\x01\x30", b"\x30\x82", _certificate(b"x")[:40], _certificate(b"not a date")])
def test_what_is_no_certificate_has_no_end(der):
    assert tls.days_left(der, 0) is None


# --- websocket ---------------------------------------------------------------------------------------------------


def _websocket(accept):
    def handler(sock):
        request = sock.recv(4096).decode()
        headers = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        assert headers["Upgrade"] == "websocket"
        digest = hashlib.sha1((headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        key = base64.b64encode(digest).decode() if accept else "wrong"
        answer = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
        sock.sendall(answer.encode())
        sock.recv(99)

    return handler


def test_websocket(serve, web):
    result = once.check_once({"kind": "websocket", "url": f"ws://127.0.0.1:{serve(_websocket(True))}/ws"})
    assert (result["healthy"], result["status"]) == (True, 101)
    result = once.check_once({"kind": "websocket", "url": f"http://127.0.0.1:{serve(_websocket(False))}/ws"})
    assert result["cause"] == "protocol"
    result = once.check_once({"kind": "websocket", "url": web.url + "/health"})
    assert result["reasons"][0].startswith("status 200, expected 101")


# --- tcp, unix ---------------------------------------------------------------------------------------------------


def test_tcp_and_unix(serve, tmp_path, closed_port):
    port = serve(lambda sock: (sock.sendall(b"220 mail.test ESMTP\r\n"), time.sleep(0.5)))
    assert once.check_once({"kind": "tcp", "port": port})["status"] == "open"
    result = once.check_once({"kind": "tcp", "port": port, "body_regex": "^220 "})
    assert (result["healthy"], result["body"]) == (True, "220 mail.test ESMTP\r\n")
    result = once.check_once({"kind": "tcp", "port": port, "body_regex": "^554 ", "timeout": 0.2})
    assert result["reasons"] == ["what it says does not match '^554 ' within 0.2 s: 220 mail.test ESMTP"]
    result = once.check_once({"kind": "tcp", "port": closed_port})
    assert (result["reasons"], result["cause"], result["status"]) == (["connection refused"], "refused", None)
    path = serve(lambda sock: sock.sendall(sock.recv(99).upper()), str(tmp_path / "echo"))
    assert once.check_once({"kind": "unix", "path": path})["healthy"]
    assert once.check_once({"kind": "unix", "path": path, "send": "ping", "body_regex": "^PING$"})["healthy"]
    result = once.check_once({"kind": "unix", "path": str(tmp_path / "none")})
    assert (result["reasons"], result["cause"]) == (["socket does not exist"], "refused")


# --- redis -------------------------------------------------------------------------------------------------------


def _redis(password=None, user="default", ping=b"+PONG\r\n"):
    """As much of Redis as a probe meets."""

    def handler(sock):
        let_in = password is None
        stream = sock.makefile("rb")
        while True:
            head = stream.readline()
            if not head:
                return
            words = []
            for _word in range(int(head[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2].decode())
            if words[0] == "AUTH":
                given = (words[1], words[2]) if len(words) == 3 else ("default", words[1])
                let_in = given == (user, password)
                sock.sendall(b"+OK\r\n" if let_in else b"-WRONGPASS invalid username-password pair\r\n")
            else:
                sock.sendall(ping if let_in else b"-NOAUTH Authentication required.\r\n")

    return handler


REDIS = [
    ("no password", {}, {}, "PONG", "ok", []),
    ("password", {"password": "s3cret"}, {"password": "s3cret"}, "PONG", "ok", []),
    ("user", {"password": "s3cret", "user": "jane"}, {"password": "s3cret", "username": "jane"}, "PONG", "ok", []),
    ("none given", {"password": "s3cret"}, {}, "NOAUTH", "auth", ["it wants a password and none was given"]),
    ("wrong", {"password": "s3cret"}, {"password": "guess"}, "WRONGPASS", "auth", ["it refuses the password"]),
    ("loading", {"ping": b"-LOADING Redis is loading the dataset in memory\r\n"}, {}, "LOADING", "starting", ["it is still loading its data"]),
    (
        "busy",
        {"ping": b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"},
        {},
        "BUSY",
        "degraded",
        ["a script keeps it busy, and it refuses all else; SCRIPT KILL or a restart ends that"],
    ),
    ("other error", {"ping": b"-ERR max number of clients reached\r\n"}, {}, "ERR", "status", ["it answers: ERR max number of clients reached"]),
    ("no redis", {"ping": b"HTTP/1.1 400 Bad Request\r\n"}, {}, None, "protocol", ["the answer is not Redis"]),
    ("gone", {"ping": b""}, {"timeout": 0.2}, None, "timeout", ["no answer within 0.2 s"]),
]  # fmt: skip


@pytest.mark.parametrize(("server", "options", "status", "cause", "reasons"), [row[1:] for row in REDIS], ids=[row[0] for row in REDIS])
def test_redis(serve, server, options, status, cause, reasons):
    result = once.check_once({"kind": "redis", "port": serve(_redis(**server)), **options})
    assert (result["status"], result["cause"], result["reasons"]) == (status, cause, reasons)
    assert "s3cret" not in json.dumps(result)


# --- postgresql --------------------------------------------------------------------------------------------------


def _message(kind, payload):
    return kind + struct.pack("!i", len(payload) + 4) + payload


def _error(code, text):
    return _message(b"E", b"SFATAL\0C" + code.encode() + b"\0M" + text.encode() + b"\0\0")


SCRAM = _message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
LET_IN = (
    _message(b"R", struct.pack("!i", 0)) + _message(b"S", b"server_version\x0015.10\0") + _message(b"K", b"\0" * 8) + _message(b"Z", b"I")
)
ONE = (
    _message(b"T", b"\0\1?column?\0" + b"\0" * 18)
    + _message(b"D", b"\0\1\0\0\0\x011")
    + _message(b"C", b"SELECT 1\0")
    + _message(b"Z", b"I")
)


def _postgresql(answer, query=b"", asked=None):
    def handler(sock):
        size = struct.unpack("!i", sock.recv(4))[0]
        packet = sock.recv(size - 4)
        assert struct.unpack("!i", packet[:4])[0] == 3 << 16
        words = packet[4:-2].decode().split("\0")
        if asked is not None:
            asked.update(zip(words[::2], words[1::2]))
        sock.sendall(answer)
        if query and sock.recv(99) == _message(b"Q", b"SELECT 1\0"):
            sock.sendall(query)
        sock.recv(99)

    return handler


STARTING = "the database system is starting up"
POSTGRESQL = [
    ("wants a password", _postgresql(SCRAM), {}, "accepting", "ok", []),
    ("lets in", _postgresql(LET_IN, ONE), {}, "ready", "ok", []),
    ("lets in, query fails", _postgresql(LET_IN, _error("53100", "disk full")), {}, "53100", "status", ["disk full"]),
    ("starting", _postgresql(_error("57P03", STARTING)), {}, "57P03", "starting", [f"it does not accept connections yet: {STARTING}"]),
    ("too many", _postgresql(_error("53300", "sorry, too many clients already")), {}, "53300", "exhausted",
     ["all its connections are in use: sorry, too many clients already"]),
    ("refuses the host", _postgresql(_error("28000", "no pg_hba.conf entry")), {}, "accepting", "ok", []),
    ("no database of ours", _postgresql(_error("3D000", 'database "postgres" does not exist')), {}, "accepting", "ok", []),
    ("no database", _postgresql(_error("3D000", 'database "shop" does not exist')), {"database": "shop"}, "3D000", "status",
     ['database "shop" does not exist']),
    ("no postgresql", lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request"), {}, None, "protocol", ["the answer is not PostgreSQL"]),
    ("hangs up", lambda sock: sock.recv(9999), {}, None, "closed", ["connection closed without an answer"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("handler", "options", "status", "cause", "reasons"),
    [row[1:] for row in POSTGRESQL],
    ids=[row[0] for row in POSTGRESQL],
)
def test_postgresql(serve, handler, options, status, cause, reasons):
    result = once.check_once({"kind": "postgresql", "port": serve(handler), **options})
    assert (result["status"], result["cause"], result["reasons"]) == (status, cause, reasons)


def test_postgresql_names_itself_and_finds_the_socket_in_a_directory(serve, tmp_path):
    asked = {}
    serve(_postgresql(SCRAM, asked=asked), str(tmp_path / ".s.PGSQL.5433"))
    spec = {"kind": "postgresql", "path": str(tmp_path), "port": 5433, "username": "shop", "database": "orders"}
    assert once.check_once(spec)["healthy"]
    assert asked == {"user": "shop", "database": "orders", "application_name": "mainstay-probe"}


# --- mysql -------------------------------------------------------------------------------------------------------


def _packet(payload):
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def _greets(payload):
    return lambda sock: sock.sendall(_packet(payload))


GREETING = b"\x0a5.5.5-10.11.6-MariaDB\0" + b"\0" * 60
MYSQL = [
    ("greets", _greets(GREETING), "accepting", "ok", []),
    ("too many", _greets(b"\xff\x10\x04Too many connections"), 1040, "exhausted",
     ["all its connections are in use: Too many connections"]),
    ("with a state", _greets(b"\xff\x10\x04#08004Too many connections"), 1040, "exhausted",
     ["all its connections are in use: Too many connections"]),
    ("no account for this host", _greets(b"\xff\x6a\x04Host '127.0.0.1' is not allowed"), "accepting", "ok", []),
    ("stops", _greets(b"\xff\x1d\x04Server shutdown in progress"), 1053, "starting",
     ["it does not accept connections: Server shutdown in progress"]),
    ("another error", _greets(b"\xff\x69\x04Host is blocked"), 1129, "status", ["Host is blocked"]),
    ("no mysql", lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request"), None, "protocol", ["the answer is not MariaDB or MySQL"]),
    ("another protocol", _greets(b"\x09old"), None, "protocol", ["the answer is not MariaDB or MySQL"]),
    ("nothing in it", _greets(b""), None, "protocol", ["the answer is not MariaDB or MySQL"]),
    ("hangs up", lambda sock: None, None, "closed", ["connection closed without an answer"]),
]  # fmt: skip


@pytest.mark.parametrize(("handler", "status", "cause", "reasons"), [row[1:] for row in MYSQL], ids=[row[0] for row in MYSQL])
def test_mysql(serve, handler, status, cause, reasons):
    result = once.check_once({"kind": "mysql", "port": serve(handler)})
    assert (result["status"], result["cause"], result["reasons"]) == (status, cause, reasons)


def test_mysql_has_a_port_and_may_use_a_socket(serve, tmp_path):
    assert declared.normalise({"kind": "mysql"})["port"] == 3306
    serve(_greets(GREETING), str(tmp_path / "mysqld.sock"))
    assert once.check_once({"kind": "mysql", "path": str(tmp_path / "mysqld.sock")})["healthy"]


# --- command -----------------------------------------------------------------------------------------------------

COMMANDS = [
    ("works", ["true"], {}, 0, []),
    ("fails", ["sh", "-c", "echo no disk >&2; exit 3"], {}, 3, ["exit status 3, expected 0: no disk"]),
    ("may fail", ["sh", "-c", "exit 3"], {"status": [0, 3]}, 3, []),
    ("output", ["echo", "ready"], {"body_regex": "^ready"}, 0, []),
    ("wrong output", ["echo", "ready"], {"body_regex": "^done"}, 0, ["its output does not match '^done': ready"]),
    ("missing", ["/nowhere/tool"], {}, None, ["/nowhere/tool: no such program"]),
    ("killed", ["sh", "-c", "kill -9 $$"], {}, -9, ["ended by signal 9"]),
    ("too long", ["sh", "-c", "echo waiting; sleep 5"], {"timeout": 0.3}, None, ["no end within 0.3 s"]),
    ("leaves a child behind", ["sh", "-c", "echo done; sleep 3 &"], {"body_regex": "done", "timeout": 2}, 0, []),
]


@pytest.mark.parametrize(("command", "options", "status", "reasons"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_command(command, options, status, reasons):
    result = once.check_once({"kind": "command", "command": command, **options})
    assert (result["status"], result["reasons"]) == (status, reasons)
    assert result["target"] == command[0]


def test_a_command_that_takes_too_long_is_ended_with_its_children():
    began = time.monotonic()
    spec = {"kind": "command", "command": ["sh", "-c", "sleep 30 & echo $!; wait"], "timeout": 1}
    child = once.check_once(spec)["body"].strip()
    assert time.monotonic() - began < 5
    assert _ends(child)


def _ends(pid):
    """Whether a process is gone, or dead and waiting for its parent, within two seconds."""
    for _time in range(20):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
                if stream.read().split()[2] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_a_command_may_say_more_than_anyone_reads():
    loud = {"kind": "command", "command": [sys.executable, "-c", "print('x' * 1_000_000)"], "timeout": 10}
    result = once.check_once(loud)
    assert (result["healthy"], len(result["body"])) == (True, 512)


# --- specifications ----------------------------------------------------------------------------------------------

WRONG = [
    ({"kind": "ftp"}, "kind is 'ftp'"),
    ({}, "kind http needs url"),
    ({"url": "shop.test/health"}, "begins with http://"),
    ({"url": "http://a b/"}, "blank"),
    ({"url": "http://[::1/"}, "cannot be read"),
    ({"url": "http://a:99999/"}, "cannot be read"),
    ({"url": "http://a/", "connect_to": "a:x"}, "connect_to is 'a:x'"),
    ({"kind": "tcp"}, "kind tcp needs port"),
    ({"kind": "unix"}, "kind unix needs path"),
    ({"kind": "command"}, "kind command needs command"),
    ({"kind": "command", "command": "ls -l"}, "kind command needs command"),
    ({"url": "http://a/", "status": ["ok"]}, "status 'ok'"),
    ({"url": "http://a/", "body_regex": "("}, "body_regex: '(' is not a regular expression"),
    ({"url": "http://a/", "timeout": 0}, "timeout is 0"),
    ({"url": "http://a/", "interval": -1}, "interval is -1"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_what_can_never_work_is_refused(spec, message):
    with pytest.raises(declared.ProbeError) as caught:
        once.check_once(spec)
    assert message in str(caught.value)


def test_refusals_keep_credentials_to_themselves():
    with pytest.raises(declared.ProbeError) as caught:
        once.check_once({"url": "ftp://jane:sesame@shop.test/"})
    assert "sesame" not in str(caught.value)


PATHS = [
    ({"a": {"b": 1}}, "a.b", 1),
    ({"a": [{"b": 2}]}, "a.0.b", 2),
    ({"a": [{"b": 2}]}, "a[0].b", 2),
    ([[1, 2]], "[0][1]", 2),
    ([1, 2], "-1", 2),
    ({"0": "text key"}, "0", "text key"),
    ({"a.b": {"c": 3}}, r"a\.b.c", 3),
]


@pytest.mark.parametrize(("document", "path", "value"), PATHS)
def test_json_paths(document, path, value):
    assert json_value(document, path) == value


@pytest.mark.parametrize(("document", "path"), [({"a": 1}, "b"), ({"a": 1}, "a.b"), ([1], "1"), ([1], "-2"), ([1], "x"), ("text", "0")])
def test_json_paths_that_lead_nowhere(document, path):
    with pytest.raises(KeyError):
        json_value(document, path)


# --- repeating ---------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def play(script, **options):
    """Run a probe against a script of outcomes: + healthy, - refused; the last one repeats. Each try takes 0.1 s."""
    clock, asked = Clock(), []

    def check(spec):
        good = script[min(len(asked), len(script) - 1)] == "+"
        asked.append((round(clock.now - 1000, 3), round(spec["timeout"], 3)))
        clock.now += 0.1
        reasons = [] if good else ["connection refused"]
        latency = 100.0 if good else None
        return {
            "healthy": good, "name": "x", "kind": "tcp", "target": "x", "status": "open" if good else None,
            "cause": "ok" if good else "refused", "attempts": 1, "consecutive": 1,
            "latency_ms": dict.fromkeys(("min", "p50", "max", "last"), latency), "reasons": reasons,
            "history": [], "body": "", "tls_days_left": None,
        }  # fmt: skip

    result = repeat.run({"kind": "tcp", "port": 1, **options}, clock, check)
    return result, asked, round(clock.now - 1000, 3)


RUNS = [
    ("at once", "+", {}, True, 1, 1),
    ("after a while", "---+", {}, True, 4, 1),
    ("twice in a row", "+-++", {"healthy_threshold": 2}, True, 4, 2),
    ("gives up at the deadline", "-", {"deadline": 5}, False, 5, 5),
    ("gives up early", "+--", {"healthy_threshold": 2, "unhealthy_threshold": 2}, False, 3, 2),
    ("one success interrupts failures", "--+--+---", {"healthy_threshold": 2, "unhealthy_threshold": 3}, False, 9, 3),
    ("one try without time", "-", {"deadline": 0}, False, 1, 1),
    ("one good try without time", "+", {"deadline": 0}, True, 1, 1),
    ("good but not often enough", "+", {"deadline": 0, "healthy_threshold": 2}, False, 1, 1),
]


@pytest.mark.parametrize(
    ("script", "options", "healthy", "attempts", "consecutive"), [row[1:] for row in RUNS], ids=[row[0] for row in RUNS]
)
def test_thresholds(script, options, healthy, attempts, consecutive):
    result, asked, _took = play(script, **options)
    assert (result["healthy"], result["attempts"], result["consecutive"]) == (healthy, attempts, consecutive)
    assert len(asked) == attempts
    assert set(result) == KEYS
    assert len(result["history"]) == min(attempts, 5)
    assert bool(result["reasons"]) is not healthy


def test_the_rhythm_and_the_last_timeout():
    _result, asked, took = play("-", interval=2, deadline=7, timeout=4, start_delay=3)
    assert asked == [(3.0, 4), (5.1, 4), (7.2, 2.8), (9.3, 0.7)]
    assert took == 9.4


def test_history_and_latency_of_a_run():
    result, _asked, _took = play("--+-+", healthy_threshold=9, deadline=5)
    assert [event["healthy"] for event in result["history"]] == [False, False, True, False, True]
    assert [event["at_ms"] for event in result["history"]] == [0, 1100, 2200, 3300, 4400]
    assert result["history"][0]["reason"] == "connection refused"
    assert result["latency_ms"] == {"min": 100.0, "p50": 100.0, "max": 100.0, "last": 100.0}
    assert result["reasons"] == ["connection refused", "1 of 9 successes in a row when the time was up"]
    assert repeat.explain(result) == "x is not healthy after 5 attempts: " + "; ".join(result["reasons"])


def test_many_at_once_take_as_long_as_the_slowest(serve, closed_port):
    silent = serve(lambda sock: time.sleep(1))
    spec = {"kind": "tcp", "port": silent, "body_regex": ".", "timeout": 0.4, "deadline": 0}
    began = time.monotonic()
    results = repeat.run_all([{**spec, "name": str(number)} for number in range(10)] + [{**spec, "port": closed_port}])
    assert time.monotonic() - began < 2
    assert [result["name"] for result in results[:10]] == [str(number) for number in range(10)]
    assert results[10]["cause"] == "refused"


def test_importing_it_is_light():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from module_utils.probe import connection, once, repeat;"
        "heavy = {'http.client', 'ssl', 'json', 'asyncio', 'email', 'subprocess', 'urllib.request'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-S", "-c", code, once.__file__.rpartition("/module_utils/")[0]], check=True)


def test_the_agent_stays_small(web):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from module_utils.probe import connection, once\n"
        "for _ in range(300): assert once.check_once({'url': sys.argv[2], 'json': {'status': 'healthy'}})['healthy']\n"
        "once.check_once({'url': sys.argv[2].replace('http', 'https'), 'validate_certs': False, 'timeout': 1})\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    arguments = [sys.executable, "-S", "-c", code, once.__file__.rpartition("/module_utils/")[0], web.url + "/health"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 40 * 1024
