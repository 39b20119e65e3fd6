# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's switch: what is told when, to a server that answers well, wrongly, slowly, or as somebody else."""

from __future__ import annotations

import http.server
import io
import json
import shutil
import ssl
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from mainstay import channels, ping
from mainstay.commands import alert
from mainstay.records import write_state

NOW = 1_700_000_000.0
AGENT = {"written": NOW - 3, "interval": 5, "started": NOW - 600, "problem": None}


def _state(processes=(), servers=(), **agent):
    return {"agent": {**AGENT, **agent}, "processes": list(processes), "servers": list(servers)}


@pytest.mark.parametrize(
    ("state", "told", "names"),
    [
        (_state(), {}, ["start", ""]),
        (_state(), {"started": NOW - 600}, [""]),
        (_state(started=NOW - 20), {"started": NOW - 600}, ["start", ""]),
        (_state(problem="systemctl did not answer"), {"started": NOW - 600}, ["fail"]),
        (_state(problem="systemctl did not answer"), {}, ["start", "fail"]),
        (_state(written=NOW - 26), {}, ["fail"]),
        (_state(written=NOW + 3600), {}, ["fail"]),
        ({}, {}, ["fail"]),
        ({"agent": None}, {}, ["fail"]),
        ({"agent": []}, {}, ["fail"]),
        ({"agent": "well"}, {}, ["fail"]),
        ({"agent": {"written": "now", "interval": 5}}, {}, ["fail"]),
        ({**_state(), "processes": None, "servers": 7}, {"started": NOW - 600}, [""]),
    ],
)
def test_what_is_told(state, told, names):
    due, started = ping.signals(state, told, NOW)
    assert [name for name, _text in due] == names
    assert started == (state["agent"]["started"] if "systemctl" in str(state) or names[-1] == "" else None)


def test_the_summary_has_no_names():
    entries = [{"unit": "shop-web@1.service", "health": health} for health in ("up", "stopped", "down")]
    assert ping.summary(_state(entries, [{"unit": "nginx.service", "health": "up"}, "nonsense", {}])) == "3 well, 1 down, 1 None"
    assert ping.summary({}) == "nothing to watch"


@pytest.fixture
def serve():
    """Makes servers that keep what they are asked, and answer as they are told to."""
    started = []

    def make(certificate=None):
        got, rule = [], SimpleNamespace(status=200, body=b"OK", headers={}, raw=None, delay=0)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
                time.sleep(rule.delay)
                if rule.raw is not None:
                    self.wfile.write(rule.raw)
                    return
                self.send_response(rule.status)
                for name, value in {"Content-Length": str(len(rule.body)), **rule.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(rule.body)

            do_GET = do_POST

            def log_message(self, *_arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return SimpleNamespace(url=f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/secret", got=got, rule=rule)

    yield make
    for server in started:
        server.shutdown()
        server.server_close()


class Clock:
    """A clock that moves while somebody sleeps."""

    def __init__(self):
        self.now = 50.0

    def time(self):
        return NOW

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the program as systemd does: (exit status, what it said)."""
    monkeypatch.setattr("signal.alarm", lambda seconds: None)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))

    def start(url, state):
        if state is not None:
            write_state(str(tmp_path / "state.json"), state)
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"host": "web\x1b[2J1", "url": url})))
        status = ping.main(paths=SimpleNamespace(state=str(tmp_path / "state.json")), clock=Clock())
        return status, capsys.readouterr().err

    return start


def test_a_start_is_told_once_and_each_success(serve, run):
    server = serve()
    assert run(server.url, _state([{"unit": "shop-web@1.service", "health": "up"}])) == (0, "")
    assert run(server.url, _state()) == (0, "")
    assert [path for path, _text in server.got] == ["/secret/start", "/secret", "/secret"]
    assert server.got[1][1] == "web\\x1b[2J1: 1 well"
    assert run(server.url, {}) == (0, "")
    assert server.got[-1] == ("/secret/fail", "web\\x1b[2J1: the agent is not watching")


def test_a_state_that_cannot_be_read_is_no_success(serve, run, tmp_path):
    server = serve()
    (tmp_path / "state.json").write_bytes(b'{"agent": \xff')
    assert run(server.url, None)[0] == 0
    (tmp_path / "state.json").unlink()
    (tmp_path / "told.json").write_text("[1]")
    assert run(server.url, None)[0] == 0
    assert [path for path, _text in server.got] == ["/secret/fail", "/secret/fail"]


def test_what_could_not_be_told_is_tried_again_within_limits(serve, run):
    server = serve()
    server.rule.status = 503
    status, said = run(server.url, _state())
    assert (status, said) == (1, "<4>ping: the answer was 503\n")
    assert 3 <= len(server.got) <= ping.LIMIT / ping.PAUSE
    server.rule.status = 200
    server.got.clear()
    assert run(server.url, _state())[0] == 0
    assert [path for path, _text in server.got] == ["/secret/start", "/secret"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"body": b"OK (not found)"}, "the answer was not found"),
        ({"body": b"OK (rate limited)"}, "the answer was rate limited"),
        ({"status": 404}, "the answer was 404"),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "the answer was 302"),
        ({"status": 307, "headers": {"Location": "/elsewhere"}}, "the answer was 307"),
        ({"raw": b"\x1b[2J secret\r\n\r\n"}, "BadStatusLine"),
        ({"raw": b""}, "ping: "),
        ({"delay": 2}, "timed out"),
    ],
)
def test_a_wrong_answer_is_told_without_the_url(serve, rule, words):
    server = serve()
    vars(server.rule).update(rule)
    with pytest.raises(OSError, match=r".") as failure:
        channels.ping(server.url, "", "text", timeout=0.5)
    said = str(failure.value)
    assert words in said and "secret" not in said and "\x1b" not in said
    assert len(server.got) == 1


def test_any_other_answer_is_one(serve):
    server = serve()
    server.rule.body = b'{"ok": true}' + b" " * 100_000
    channels.ping(server.url + "/?create=1", "start", "text")
    assert server.got == [("/secret/start?create=1", "text")]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/secret", "http://127.0.0.1:99999/secret", "http://[secret", "http://a b/secret", "secret"]
)
def test_nobody_there_is_told_without_the_url(url):
    with pytest.raises(OSError, match=r".") as failure:
        channels.ping(url, "fail", "text")
    assert "secret" not in str(failure.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_certificate_of_nobody_s_is_refused(serve, tmp_path, monkeypatch):
    pair = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]]
    subprocess.run(command, check=True, capture_output=True)
    server = serve(pair)
    with pytest.raises(OSError, match="certificate verify failed"):
        channels.ping(server.url, "", "text")
    assert server.got == []
    monkeypatch.setenv("SSL_CERT_FILE", pair[0])
    channels.ping(server.url, "", "text")
    with pytest.raises(OSError, match="mismatch"):
        channels.ping(server.url.replace("127.0.0.1", "localhost"), "", "text")
    assert len(server.got) == 1


def test_a_test_of_the_channels_is_a_line_in_the_log(serve, tmp_path, capsys):
    server = serve()
    paths = SimpleNamespace(alerts=str(tmp_path / "alerts.json"), ping=str(tmp_path / "ping.json"))
    context = SimpleNamespace(paths=paths, need_root=lambda what: None)
    options = SimpleNamespace(test=True, json=False)
    (tmp_path / "ping.json").write_text(json.dumps({"host": "web1", "url": server.url}))
    assert alert.run(options, context) == 0 and capsys.readouterr().out == "ping: sent\n"
    assert server.got == [("/secret/log", "web1: This channel works.")]
    server.rule.status = 500
    assert alert.run(options, context) == 1 and capsys.readouterr().out == "ping: the answer was 500\n"
    assert alert.run(SimpleNamespace(test=True, json=True), context) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["results"] == [{"name": "ping", "ok": False, "problem": "ping: the answer was 500"}]


def test_a_chat_that_answers_nonsense_is_told_as_one_that_does_not_answer(serve):
    server = serve()
    server.rule.raw = b"nonsense\r\n\r\n"
    with pytest.raises(OSError, match="webhook: .*BadStatusLine"):
        channels.send({"kind": "webhook", "url": server.url}, "web1", alert.TEST)
