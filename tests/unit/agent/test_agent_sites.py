# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites of a host as their visitors find them: what keeps them out, and when that is told."""

from __future__ import annotations

import http.server
import json
import queue
import socket
import threading
import time
from concurrent.futures import Future

import pytest
from mainstay import alerts, config, resources, visits
from mainstay.resource_watch import CRITICAL, OK

SITE = {"name": "shop.example", "app": "shop", "tls": True, "paths": ["/health"]}


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"], self.headers["User-Agent"]))
        time.sleep(self.server.wait)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    """A real server in nginx's place."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.asked, server.wait, server.status = [], 0, 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setitem(visits.PORTS, "http", server.server_port)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "wrong"),
    [(200, ""), (301, ""), (401, ""), (405, ""), (500, ""), (503, ""), (502, "nginx answers 502"), (504, "nginx answers 504")],
)
def test_what_an_app_answers_is_its_own_affair(site, capsys, status, wrong):
    site.status = status
    assert visits.main(["http://shop.example/health"]) == 0
    found = json.loads(capsys.readouterr().out)["http://shop.example/health"]
    assert found.startswith(wrong) and bool(found) == bool(wrong)
    assert site.asked == [("/health", "shop.example", "mainstay")]


def test_who_waits_is_not_kept_out(site, monkeypatch):
    site.wait = 0.5
    monkeypatch.setattr(visits, "TIMEOUT", 0.1)
    assert visits.visit("http://shop.example/") == ""


def test_who_finds_nobody_is(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setitem(visits.PORTS, "http", taken.getsockname()[1])
    assert "refused" in visits.visit("http://shop.example/")


def test_who_is_answered_without_tls_is(site, monkeypatch):
    monkeypatch.setitem(visits.PORTS, "https", site.server_port)
    assert visits.visit("https://shop.example/").startswith("the TLS handshake failed")


def test_certificates_are_those_that_visitors_are_served(monkeypatch, capsys):
    """A site that nobody serves has none; one that is for another name is told from one that is for this."""

    def served(site):
        if site == "gone.example":
            raise OSError
        return b"certificate of \x82\x0cshop.example", "TLSv1.3"

    monkeypatch.setattr("mainstay.core.probe.tls.served", served)
    monkeypatch.setattr("mainstay.core.probe.tls.validity", lambda certificate: (1, len(certificate)))
    assert visits.main([f"https://{name}.example" for name in ("shop", "gone", "blog")]) == 0
    assert list(json.loads(capsys.readouterr().out).values()) == [[1, 29, True], None, [1, 29, False]]


def test_two_visits_in_a_row_are_needed(clock):
    said = iter(["", "502", "502", "", "502", ""])
    looker = resources.Resources(
        config.parse({"processes": [], "sites": [SITE]}),
        None,
        queue.SimpleQueue(),
        clock,
        ask=lambda urls: {url: next(said) if url.endswith("/health") else None for url in urls},
    )

    def look():
        (reading,) = looker.sites(clock.monotonic())
        clock.sleep(30)
        return reading.level

    assert [look() for _half_a_minute in range(12)] == [OK, OK, OK, OK, CRITICAL, CRITICAL, OK, OK, OK, OK, OK, OK]


class Looker:
    """Gives the agent the same readings again and again."""

    def __init__(self, host):
        self.host, self.readings = host, []

    def submit(self, units):
        done = Future()
        done.set_result(list(self.readings))
        self.host.pending.append((self.host.clock.now + 0.1, ("resources", None, done)))

    def reclaimed(self):
        return None


@pytest.mark.parametrize(
    ("unwell", "told"),
    [
        (None, True),
        ("nginx.service", False),
        ("shop-web@1.service", False),
        ("blog-web@1.service", True),  # of another app
        ("redis.service", True),  # of which nobody knows whether the site needs it: the processes that do tell of themselves
    ],
)
def test_what_explains_it_is_told_in_its_place(world, unwell, told):
    host = world("shop-web@1", "blog-web@1", servers=("nginx", "redis"))
    host.start_agent(resources=Looker(host))
    host.live(130)
    host.cured = False
    if unwell:
        host.units[unwell]["behaves"] = "hang"
        host.live(40)
    host.agent.resources.readings = [resources.judge_site(config.Site(**SITE), "status 502", 2)]
    host.live(70)
    found = [incident for incident in host.incidents() if incident.get("resource") == "site shop.example"]
    assert [incident["reason"] for incident in found] == ["status 502"] * told
    if not unwell:
        _known, messages = alerts.due(found, {}, {}, host.clock.time(), 1800)
        assert [alerts.sentence(message) for message in messages] == ["site shop.example keeps visitors out"]


@pytest.mark.parametrize(
    "wrong", [{"name": "a/b"}, {"name": 5}, {"tls": "yes"}, {"app": None}, {"more": 1}, {"paths": "/"}, {"paths": ["health"]}]
)
def test_a_site_that_is_none_is_refused(wrong):
    with pytest.raises(config.ConfigError, match=r"sites\[0\]"):
        config.parse({"processes": [], "sites": [{**SITE, **wrong}]})
