# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what, and when, of incidents that an agent has recorded on a host: two instances killed, a Redis frozen twice."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from mainstay import alerts, channels, records
from mainstay.commands import alert
from mainstay.text import iso

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "recorded/incidents.jsonl").read_text().splitlines()]
REDIS = "1795879758-redis-server@shop-queue"


def _until(moment):
    """The incidents as they stood at a moment, and that moment."""
    now = iso(f"2026-11-28T{moment}Z")
    return records.fold([event for event in RECORDED if iso(event["time"]) <= now]), now


def _told(moment, told, needs=None, escalate_after=1800):
    incidents, now = _until(moment)
    told, messages = alerts.due(incidents, told, needs or {}, now, escalate_after)
    return told, [(message["kind"], message["where"]) for message in messages]


def test_one_cause_is_told_once_and_its_end_once():
    told, messages = _told("15:29:19.000", {})
    passed = [("passed", f"edge/web/{port}") for port in (8300, 8301, 8302)]
    assert messages == [*passed, ("opened", "redis/shop-queue")]
    told, messages = _told("15:29:19.500", told)
    assert messages == []
    told, messages = _told("15:29:30.000", told)
    assert messages == [("ended", "redis/shop-queue")]
    told, messages = _told("15:31:30.000", told)  # both happened once more within ten minutes: one story
    assert messages == []


def test_what_lasts_is_told_once_more():
    told, _messages = _told("15:29:19.000", {})
    told, messages = _told("15:29:21.000", told, escalate_after=1)
    assert ("lasting", "redis/shop-queue") in messages
    assert _told("15:29:21.500", told, escalate_after=1)[1] == []
    assert ("ended", "redis/shop-queue") in _told("15:29:30.000", told)[1]


@pytest.mark.parametrize(
    ("needs", "moment", "kinds"),
    [
        ({}, "15:31:25.000", {"edge/web/8302", "redis/shop-queue"}),
        ({"edge-web@8302.service": ("redis/shop-queue",)}, "15:31:25.000", {"redis/shop-queue"}),
        ({"edge-web@8302.service": ("postgresql",)}, "15:31:25.000", {"edge/web/8302", "redis/shop-queue"}),
    ],
)
def test_what_an_app_suffers_for_its_server_is_told_with_the_server(needs, moment, kinds):
    """The second fault of both, as if it were their first."""
    second = [event for event in RECORDED if event["time"] >= "2026-11-28T15:31:17"]
    second = [{**event, "event": "opened"} if event["event"] == "again" else event for event in second]
    now = iso(f"2026-11-28T{moment}Z")
    incidents = records.fold([{"times": 1, **event} for event in second if iso(event["time"]) <= now])
    _told_now, messages = alerts.due(incidents, {}, needs, now, 1800)
    assert {message["where"] for message in messages} == kinds
    affected = [message["affects"] for message in messages if message["where"] == "redis/shop-queue"]
    assert affected == [["edge/web/8302"] if "edge/web/8302" not in kinds else []]


def test_a_host_that_had_no_alerts_before_tells_nothing_old():
    incidents, now = _until("15:31:30.000")
    told, messages = alerts.due(incidents, {}, {}, now + alerts.OLD + 600, 1800)
    assert messages == [] and len(told) == 4
    assert alerts.due([], told, {}, now, 1800) == ({}, [])


def test_words():
    incidents, now = _until("15:29:19.000")
    _told_now, messages = alerts.due(incidents[-1:], {}, {}, now, 1800)
    composed = alerts.compose("web1", messages)
    assert composed["title"] == "web1: redis/shop-queue gives no answer" and composed["urgent"]
    assert composed["text"].splitlines()[0] == "no answer within 2 s" and REDIS in composed["text"]
    together = alerts.compose("web1", messages * 2)
    assert together["title"] == "web1: 2 things to know" and together["text"].count("redis/shop-queue gives no answer") == 2


@pytest.fixture
def receiver():
    """A chat that answers as it is told to, and keeps what it got."""
    got, paths = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_POST(self):
            paths.append(self.path)
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(self.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/token", got=got, paths=paths, handler=Handler)
        server.shutdown()


@pytest.fixture
def context(tmp_path):
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/incidents.jsonl").write_text("".join(json.dumps(event) + "\n" for event in RECORDED))
    return SimpleNamespace(
        paths=SimpleNamespace(incidents=str(tmp_path / "agent/incidents.jsonl")),
        config=lambda: SimpleNamespace(processes=()),
        clock=SimpleNamespace(time=lambda: iso("2026-11-28T15:31:40Z")),
    )


def test_what_cannot_be_sent_waits_and_is_sent_once(tmp_path, receiver, context, capsys):
    channel = {"kind": "webhook", "url": receiver.url}
    settings = {"host": "web1", "escalate_after": 1800, "channels": [channel, {"kind": "ntfy", "url": receiver.url}]}
    path = str(tmp_path / "told.json")
    receiver.handler.status = 503
    assert alert.deliver(settings, path, context) == 2
    said = capsys.readouterr().err
    assert said == "webhook: the answer was 503\nntfy: the answer was 503\n" and "token" not in said
    receiver.handler.status = 200
    receiver.got.clear()
    assert alert.deliver(settings, path, context) == 0
    assert [json.loads(body)["title"] for _headers, body in receiver.got[:1]] == ["web1: 4 things to know"]
    assert receiver.got[1][0]["Title"] == "web1: 4 things to know"
    receiver.got.clear()
    assert alert.deliver(settings, path, context) == 0 and receiver.got == []


@pytest.mark.parametrize(
    ("environment", "target", "asked"),
    [
        ({"http_proxy": "{proxy}"}, "http://chat.example.com/token", ["http://chat.example.com/token"]),
        ({"HTTP_PROXY": "{proxy}"}, "http://chat.example.com/token", ["http://chat.example.com/token"]),
        ({"http_proxy": "{proxy}", "no_proxy": "example.com"}, "http://chat.example.com/token", None),
        ({"http_proxy": "http://127.0.0.1:9"}, "{proxy}/token", ["/token"]),  # what goes to the host itself takes none
        ({}, "{proxy}/token", ["/token"]),
    ],
)
def test_alerts_and_signs_of_life_take_the_proxy(receiver, monkeypatch, environment, target, asked):
    proxy = receiver.url.removesuffix("/token")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    channels.take_proxies({name: value.format(proxy=proxy) for name, value in environment.items()})
    url = target.format(proxy=proxy)
    for send in (lambda: channels.send({"kind": "webhook", "url": url}, "web1", alert.TEST), lambda: channels.ping(url, "", "x")):
        receiver.paths.clear()
        if asked is None:
            with pytest.raises(OSError, match=r"webhook|ping"):
                send()
        else:
            send()
        assert receiver.paths == (asked or [])


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"kind": "webhook", "url": "http://127.0.0.1:9/token"}, "webhook: [Errno 111] Connection refused"),
        (
            {"kind": "email", "to": ["a@b"], "from": "c@d", "host": "127.0.0.1", "port": 9, "tls": "none", "password": "token"},
            "email: [Errno 111]",
        ),
    ],
)
def test_a_failure_is_told_without_a_token(channel, words):
    with pytest.raises(OSError, match=r".") as failure:
        channels.send(channel, "web1", alert.TEST)
    assert words in str(failure.value) and "token" not in str(failure.value)
