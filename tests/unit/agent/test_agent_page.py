# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: what it tells, that it loads and runs nothing whatever an app says, and that a part without its record is only missing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mainstay import page, page_facts, page_style, remember
from mainstay.core import charts
from mainstay.records import write_state
from mainstay.units import UnitState
from test_agent_cli import Host

DAY = 86400
EVIL = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\x1b[2J\x9b\u202e\x00</title></style></svg>&#60;\ud800\n'
# fmt: off
TAGS = {
    "html", "head", "meta", "title", "link", "style", "body", "header", "h1", "h2", "h3", "p", "span", "time", "main", "section", "div",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "code", "a", "svg", "desc", "path", "rect", "figure",
    "figcaption", "b", "footer",
}
# fmt: on
EMPTY = {"meta", "link"}


class Page(HTMLParser):
    """Reads a page as a strict browser would: what is not closed, not known or from elsewhere is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.words, self.errors, self.links = [], [], [], [], []
        self.captions = self.tables = self.drawings = self.titles = 0
        self.feed(text)
        self.close()
        assert not self.open and not self.errors, (self.open, self.errors[:5])

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag not in TAGS or len(facts) != len(attrs):
            self.errors.append((tag, attrs))
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "srcset", "xlink:href", "style", "action", "formaction"):
                self.errors.append((tag, name, value))
            if name == "id":
                self.ids.append(value)
            if name == "href":
                self.links.append((tag, value))
        self.captions += tag == "caption"
        self.tables += tag == "table"
        if tag == "svg":
            self.drawings += 1
            if facts.get("role") != "img" or not set(facts["aria-labelledby"].split()):
                self.errors.append((tag, attrs))
        self.titles += tag == "desc"
        if tag not in EMPTY and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.get_starttag_text().endswith("/>") and tag in ("path", "rect") and (not self.open or self.open[-1] != tag):
            return
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> where {self.open[-1:]} is open")

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def host(tmp_path, clock, capsys, monkeypatch):
    monkeypatch.setattr(page_facts.limits, "held_by", lambda group, root="/": 70 << 20)
    found = Host(tmp_path, clock, capsys)
    for name in ("samples", "page", "plan", "page_settings", "backup"):
        object.__setattr__(found.paths, name, str(tmp_path / f"x/{name}" if name == "samples" else tmp_path / name))
    found.live["shop-web@8000.service"] = UnitState("shop-web@8000.service", memory_mb=84, group="/x")
    site = {"name": "shop.example.com", "url": "https://shop.example.com/", "app": "shop", "processes": ["web"]}
    found.want = {"version": 1, "sites": [site], "alerts": True, "ping": False}
    found.servers = []
    return found


class Context:
    """What the program may touch."""

    def __init__(self, host):
        self.paths, self.clock, self.filesystem = host.paths, host.clock, "/"
        self.host = host

    @property
    def systemd(self):
        return self

    def show(self, units):
        return {unit: self.host.live.get(unit, UnitState(unit, load="not-found", active="inactive")) for unit in units}

    def run(self, argv, **_options):
        return ""

    def config(self):
        return remember.config.load(self.paths.config)


def _make(host, want=True, **agent):
    host.agent.update(written=host.clock.time() - 2, **agent)
    state = {"agent": host.agent, "processes": host.entries, "servers": host.servers, "resources": host.resources}
    write_state(host.paths.state, state)
    Path(host.paths.page_settings).write_text(json.dumps(host.want if want else {}))
    status = remember.main(context=Context(host))
    made = Path(host.paths.page)
    return status, made.read_text("utf-8") if made.exists() else None


@pytest.fixture(autouse=True)
def _resources(monkeypatch):
    disk = {"resource": "disk /", "kind": "disk", "level": "ok", "reason": "", "value": 41.0, "limit": 100}
    certificate = {"resource": "certificate of shop.example.com", "kind": "certificate", "level": "ok", "reason": "", "value": 61.0}
    monkeypatch.setattr(Host, "resources", [disk, certificate], raising=False)


def _event(host, ago, **facts):
    moment = datetime.fromtimestamp(host.clock.time() - ago, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    unit = {"app": "shop", "process": "web", "instance": "8000", "unit": "shop-web@8000.service"}
    with open(host.paths.incidents, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": moment, "incident": "i1", **unit, **facts}) + "\n")


def test_a_host_that_is_well(host):
    status, made = _make(host)
    found = Page(made)
    assert status == 0 and "✓ All is well" in found.text
    for words in ("shop.example.com", "✓ 61 d left", "shop/web", "shop/web/8000", "✓ up", "3 ms", "70 of 300 MB", "41 %", "100 %"):
        assert words in found.text, words
    assert found.tables == found.captions == 5 and found.drawings == found.titles > 3
    assert len(found.ids) == len(set(found.ids))
    assert found.links == [("link", "data:,"), ("a", "https://shop.example.com/")]
    assert os.stat(host.paths.page).st_mode & 0o777 == 0o640 and os.stat(Path(host.paths.samples).parent).st_mode & 0o077 == 0
    assert "Nobody would notice" in found.text and "Incidents are told" in found.text


def test_nobody_wants_a_page_any_more_and_yet_it_is_remembered(host):
    assert _make(host)[1] and _make(host, want=False) == (0, None) == _make(host, want=False)
    with contextlib.closing(sqlite3.connect(host.paths.samples)) as base:
        names = {row[0] for row in base.execute("SELECT name FROM series")}
    assert {
        "shop/web/8000 up",
        "shop/web/8000 latency",
        "shop/web/8000 memory",
        "app shop up",
        "disk /",
        "host memory",
        "host load",
    } <= names


@pytest.mark.parametrize(
    ("health", "verdict", "app", "up"),
    [
        ("up", "✓ All is well", "✓ up", 1),
        ("down", "✗ 1 thing is wrong", "✗ down", 0),
        ("restarting", "✗ 1 thing is wrong", "✗ down", 0),
        ("failing", "✗ 1 thing is wrong", "▲ degraded", 1),
        ("looping", "✗ 1 thing is wrong", "▲ degraded", 1),
        ("starting", "✓ All is well", "… starting", None),
        ("stopped", "▲ 1 thing to look at", "▲ degraded", 1),
    ],
)
def test_a_state_is_told_and_remembered(host, health, verdict, app, up):
    active = {"down": "active", "restarting": "activating", "stopped": "inactive"}.get(health, "active")
    host.live["shop-web@8000.service"] = UnitState("shop-web@8000.service", active=active, group="/x")
    host.entries[1]["health"] = health
    found = Page(_make(host)[1])
    site = "■ stopped" if health == "stopped" else app
    assert verdict in found.text and f"shop {app}" in found.text and f"shop.example.com {site}" in found.text
    with contextlib.closing(sqlite3.connect(host.paths.samples)) as base:
        values = dict(base.execute("SELECT name, value FROM samples JOIN series ON id = series"))
    assert values.get("app shop up") == up and values.get("shop/web/8000 up") == (None if health == "stopped" else up)
    assert ("shop/web/8000 latency" in values) == (health == "up")


def test_an_agent_that_is_away_is_neither_up_nor_down(host):
    host.agent["written"] = 0
    write_state(host.paths.state, {"agent": {**host.agent, "written": 0}, "processes": host.entries})
    Path(host.paths.page_settings).write_text(json.dumps(host.want))
    assert remember.main(context=Context(host)) == 0
    found = Page(Path(host.paths.page).read_text())
    assert "✗ The agent is not watching" in found.text and "? unknown" in found.text and "✓ up" not in found.text
    with contextlib.closing(sqlite3.connect(host.paths.samples)) as base:
        names = {row[0] for row in base.execute("SELECT name FROM series")}
    assert not [name for name in names if name.endswith(" up")] and "host memory" in names


def test_what_happened(host):
    _event(host, 3000, event="opened", kind="hang", reason="no answer within 2 s")
    _event(host, 2990, event="done", ok=True, steps=["SIGKILL", "started"])
    _event(host, 2700, event="recovered", seconds=300, times=1)
    deploy = {"time": host.clock.time() - 5000, "app": "shop", "by": "anna@desk", "from": "a1", "to": "b2", "seconds": 27.1}
    lines = [json.dumps({**deploy, "result": result}) for result in ("succeeded", "refused: /health answers 500")]
    Path(host.paths.deploys).write_text("\n".join([*lines, '{"time": "x"}', "torn"]))
    found = Page(_make(host)[1])
    for words in ("gives no answer", "no answer within 2 s", "5 min", "SIGKILL, started", "✓ recovered", "a1 → b2", "anna@desk", "27 s"):
        assert words in found.text, words
    assert "✓ succeeded" in found.text and "✗ refused: /health answers 500" in found.text
    assert re.search(r"shop ✓ up 9\d\.\d\d %", found.text)


def test_curves_have_gaps_and_days_tell_of_time_down(host):
    host.clock.offset += DAY - (host.clock.time() % DAY) + 40000
    for minute in range(0, 300, 5):
        if not 100 < minute < 200:
            host.entries[1]["health"] = "down" if 50 < minute < 60 else "up"
            host.entries[1]["latency_ms"] = 3.0 + minute
            _make(host)
        host.clock.now += 300
    made = _make(host)[1]
    found = Page(made)
    latency = re.search(r"latency of shop/web/8000 in the last 24 hours</title>.*?</svg>", made, re.DOTALL)[0]
    assert latency.count("M") >= 4 and "lowest 3" in latency and re.search(r"highest 29\d ms", latency)
    assert re.search(r"1 of 30 days are known; with time down: \d{4}-\d\d-\d\d 9\d\.\d %", made)
    assert not found.errors


# --- what apps say ---------------------------------------------------------------------------------------------------------


def test_nothing_that_is_said_reaches_the_browser(host):
    host.entries[1].update(health="down", reason=EVIL, incident={"kind": EVIL, "opened": 0, "recovered_after": None, "reason": EVIL})
    host.resources = [{"resource": EVIL, "kind": "disk", "level": "warning", "reason": EVIL, "value": 91, "limit": 100}]
    host.resources += [{"resource": "x", "kind": EVIL, "level": EVIL, "reason": EVIL, "value": 1}]
    host.agent["problem"] = EVIL
    _event(host, 100, event="opened", kind=EVIL, reason=EVIL)
    _event(host, 90, event="done", ok=True, steps=[EVIL])
    deploy = dict.fromkeys(("app", "by", "from", "to", "result"), EVIL)
    Path(host.paths.deploys).write_text(json.dumps({**deploy, "time": 1, "seconds": EVIL}))
    Path(host.paths.backup).mkdir()
    Path(host.paths.backup, "limits.json").write_text(json.dumps({"max_age_hours": 1, "drill_max_age_days": 1}))
    Path(host.paths.backup, "status.json").write_text(json.dumps({"last": {"ok": False, "time": 1, "failed": [EVIL]}}))
    made = _make(host)[1]
    found = Page(made)
    assert "<script" not in made and "<img" not in made and "evil.example" in found.text
    assert not {"\x1b", "\x9b", "\u202e", "\x00"} & set(made)
    assert {href for tag, href in found.links if tag == "a"} == {"https://shop.example.com/"}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20) | st.just(EVIL),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["resource", "kind", "level", "value", "unit", "health"]), inner)
    ),
    max_leaves=8,
)
KEYS = ("health", "since", "reason", "latency_ms", "restarts_24h", "incident", "held")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(KEYS), JUNK),
    st.dictionaries(st.sampled_from(["agent", "processes", "servers", "resources"]), JUNK),
    st.lists(st.dictionaries(st.sampled_from(["time", "app", "by", "from", "to", "result", "seconds"]), JUNK), max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["event", "kind", "reason", "steps", "seconds", "times"]), JUNK), max_size=3),
    JUNK,
)
def test_any_record_makes_a_page_that_is_sound(host, entry, state, deploys, events, wanted):
    told = {"agent": {**host.agent, "written": host.clock.time()}, "processes": [{**host.entries[1], **entry}], **state}
    Path(host.paths.state).write_text(json.dumps(told))
    Path(host.paths.deploys).write_text("\n".join(json.dumps({"app": "shop", "time": 5, **deploy}) for deploy in deploys))
    Path(host.paths.incidents).write_text("")
    for event in events:
        _event(host, 50, **{"event": "opened", "kind": "hang", "reason": "x", **event})
    for path in (host.paths.plan, host.paths.backup):
        if not os.path.isdir(path):
            Path(path).write_text(json.dumps(wanted))
    Path(host.paths.page_settings).write_text(json.dumps({"sites": wanted, "alerts": wanted, "version": 1}))
    assert remember.main(context=Context(host)) == 0
    made = Path(host.paths.page).read_bytes().decode()
    Page(made)
    assert "<script" not in made and "<img" not in made


# --- what can fail ---------------------------------------------------------------------------------------------------------


def test_a_page_without_a_past(host):
    os.makedirs(host.paths.samples)  # a folder where the file should be
    status, made = _make(host)
    assert status == 0 and "Could not be read: the past" in Page(made).text


def test_a_page_that_cannot_be_written_leaves_the_one_before(host, capsys):
    before = _make(host)[1]
    os.mkdir(f"{host.paths.page}.new")
    status, made = _make(host)
    assert status == 1 and made == before
    assert "<3>the status page cannot be written: " in capsys.readouterr().err


def test_the_folder_of_the_page_may_hold_a_link(host, tmp_path):
    (tmp_path / "secret").write_text("mine")
    os.symlink(tmp_path / "secret", f"{host.paths.page}.new")
    assert _make(host)[0] == 1 and (tmp_path / "secret").read_text() == "mine"


def test_a_configuration_that_cannot_be_read(host, capsys):
    Path(host.paths.config).write_text("{")
    assert remember.main(context=Context(host)) == 1 and capsys.readouterr().err.startswith("<3>")


# --- how it looks ----------------------------------------------------------------------------------------------------------


def test_contrast_by_day_and_by_night():
    """Of each text on each ground it may lie on, as the guidelines for accessible pages (WCAG 2.2, AA) reckon it."""
    for theme in re.findall(r":root \{(.*?)\}", page_style.STYLE, re.DOTALL):
        colours = dict(re.findall(r"--([\w-]+): (#\w+)", theme))
        for name in ("ink", "soft", "good", "warn", "bad", "idle"):
            grounds = [colours["card"], colours["ground"], *([colours[f"{name}-soft"]] if f"{name}-soft" in colours else [])]
            for ground in grounds:
                on = _over(ground, colours["card"])
                assert _contrast(_over(colours[name], colours["card"]), on) >= 4.5, (name, ground)


def _over(colour, ground):
    """A colour, which may be transparent, on another: (red, green, blue)."""
    digits = colour[1:] if len(colour) > 4 else "".join(2 * digit for digit in colour[1:])
    part = int(digits[6:8] or "ff", 16) / 255
    below = _over(ground, ground) if part < 1 else (0, 0, 0)
    return tuple(part * int(digits[at : at + 2], 16) + (1 - part) * below[at // 2] for at in (0, 2, 4))


def _contrast(one, other):
    def light(colour):
        parts = [value / 255 / 12.92 if value / 255 <= 0.03928 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("value", "words"), [(100, "100 %"), (99.9999, "99.99 %"), (99.5, "99.50 %"), (0, "0.00 %")])
def test_what_is_not_whole_never_reads_so(value, words):
    assert page.percent(value) == words


@pytest.mark.parametrize(
    ("healths", "word"),
    [
        ([("web", "up"), ("worker", "up")], "up"),
        ([("web", "up"), ("web", "down"), ("worker", "up")], "degraded"),
        ([("web", "up"), ("worker", "failed")], "down"),
        ([("web", "up"), ("worker", "stopped")], "degraded"),
        ([("web", "stopped"), ("worker", "stopped")], "stopped"),
        ([("web", "down"), ("worker", "stopped")], "down"),
        ([("web", "unknown")], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_state_of_an_app(healths, word):
    entries = [{"app": "shop", "process": process, "health": health} for process, health in healths]
    assert page_facts.app_state("shop", entries) == word


def test_a_limit_far_above_is_not_drawn():
    drawn = charts.Charts().curve("x", [(0, 1, 1), (600, 1, 1)], (0, DAY), 600, "MB", 500)
    assert "limit is 500" in drawn and 'class="limit"' not in drawn
