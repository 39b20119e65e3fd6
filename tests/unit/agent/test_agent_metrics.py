# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures for Prometheus: what they tell, and that no name and no word of an app's breaks the format, of which one wrong line is enough."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import test_agent_page
from hypothesis import given, settings
from hypothesis import strategies as st
from mainstay import metrics, remember
from mainstay.records import write_state
from test_agent_page import DAY, EVIL, Context, _event

# The fixtures of the page: both are made of the same facts.
host, _resources = test_agent_page.host, test_agent_page._resources

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9][0-9.e+-]*)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')


def parse(text):
    """{(name, labels): value}, as strictly as the exporter reads it: each family once, with HELP and TYPE before it, nothing twice."""
    found, families, current = {}, set(), None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in families and line.isprintable()
            families.add(current)
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2:] in ([current, "gauge"], [current, "counter"])
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample and sample[1] == current, line
            key = (sample[1], tuple(LABEL.findall(sample[2] or "")))
            assert key not in found, line
            found[key] = float(sample[3])
    return found


def of(found, name, **labels):
    values = [value for (which, words), value in found.items() if which == name and labels.items() <= dict(words).items()]
    assert len(values) <= 1, values
    return values[0] if values else None


def _make(host, want=True, page=False, **agent):
    folder = Path(host.paths.metrics).parent
    if want:
        folder.mkdir(exist_ok=True)
    host.agent.update(written=host.clock.time() - 2, **agent)
    state = {"agent": host.agent, "processes": host.entries, "servers": host.servers, "resources": host.resources}
    write_state(host.paths.state, state)
    Path(host.paths.page_settings).write_text(json.dumps({**host.want, "page": page}))
    status = remember.main(context=Context(host))
    made = Path(host.paths.metrics)
    return status, parse(made.read_bytes().decode()) if made.exists() else None


@pytest.fixture(autouse=True)
def _paths(host, tmp_path):
    object.__setattr__(host.paths, "metrics", str(tmp_path / "metrics/mainstay.prom"))
    object.__setattr__(host.paths, "counters", str(tmp_path / "x/counters.json"))


def test_a_host_that_is_well(host):
    status, found = _make(host)
    assert status == 0 and not Path(host.paths.page).exists()
    assert of(found, "mainstay_agent_watching") == of(found, "mainstay_agent_acting") == of(found, "mainstay_app_up", app="shop") == 1
    unit = {"app": "shop", "process": "web", "unit": "shop-web@8000.service"}
    assert of(found, "mainstay_process_up", **unit) == of(found, "mainstay_process_state", state="up", **unit) == 1
    assert of(found, "mainstay_process_state", state="down", **unit) == 0
    assert of(found, "mainstay_process_latency_seconds", **unit) == pytest.approx(0.0031, abs=0.001)
    assert (
        of(found, "mainstay_process_memory_bytes", **unit) == 70 << 20
        and of(found, "mainstay_process_memory_limit_bytes", **unit) == 300 << 20
    )
    assert of(found, "mainstay_process_restarts_total", app="shop", process="web", by="agent") == 0
    assert of(found, "mainstay_site_up", site="shop.example.com", app="shop") == 1
    assert of(found, "mainstay_certificate_remaining_seconds", site="shop.example.com") == 61 * DAY
    assert of(found, "mainstay_app_availability_ratio", app="shop", window="1d") == 1
    assert of(found, "mainstay_resource_level", resource="disk /") == of(found, "mainstay_figures_missing") == 0
    assert os.stat(host.paths.metrics).st_mode & 0o777 == 0o640


def test_nobody_wants_them(host):
    assert _make(host, want=False) == (0, None)


def test_beside_the_page(host):
    status, found = _make(host, page=True)
    assert status == 0 and found and "All is well" in Path(host.paths.page).read_text()


@pytest.mark.parametrize(
    ("health", "up", "app"),
    [("down", 0, 0), ("restarting", 0, 0), ("looping", 1, 1), ("starting", None, None), ("stopped", None, 1), ("odd\nx 1", None, None)],
)
def test_states(host, health, up, app):
    active = {"restarting": "activating", "stopped": "inactive"}.get(health, "active")
    host.live["shop-web@8000.service"] = type(host.live["shop-web@8000.service"])("shop-web@8000.service", active=active, group="/x")
    host.entries[1]["health"] = health
    _status, found = _make(host)
    assert of(found, "mainstay_process_up", unit="shop-web@8000.service") == up
    told = {
        dict(words)["state"]: value
        for (name, words), value in found.items()
        if name == "mainstay_process_state" and ("unit", "shop-web@8000.service") in words
    }
    assert sum(told.values()) == 1 and set(told) == set(metrics.STATES)
    if health != "odd\nx 1":
        assert of(found, "mainstay_app_up", app="shop") == app


def test_an_agent_that_is_away(host):
    Path(host.paths.metrics).parent.mkdir()
    write_state(host.paths.state, {"agent": {**host.agent, "written": 0}, "processes": host.entries})
    Path(host.paths.page_settings).write_text(json.dumps(host.want))
    assert remember.main(context=Context(host)) == 0
    found = parse(Path(host.paths.metrics).read_text())
    assert of(found, "mainstay_agent_watching") == 0 and of(found, "mainstay_agent_acting") is None
    assert not [name for name, _labels in found if name in ("mainstay_process_up", "mainstay_app_up")]


def test_incidents_and_restarts_are_counted_for_good(host):
    _event(host, 300, event="opened", kind="crash", reason="x", times=1)
    _event(host, 290, event="again", kind="crash", reason="x", times=2)
    _event(host, 280, event="action", action="restart")
    _status, found = _make(host)
    web = {"app": "shop", "process": "web"}
    assert of(found, "mainstay_incidents_total", kind="crash") == 1
    assert (
        of(found, "mainstay_process_restarts_total", by="systemd", **web) == 2
        and of(found, "mainstay_process_restarts_total", by="agent", **web) == 1
    )
    assert of(found, "mainstay_incident_open", subject="shop/web/8000", kind="crash") == 1
    Path(host.paths.incidents).write_text("")  # the file has been rotated away
    _event(host, 10, event="opened", kind="hang", reason="x")
    _event(host, 5, event="recovered", seconds=5)
    for _again in range(2):
        _status, found = _make(host)
    assert of(found, "mainstay_incidents_total", kind="crash") == of(found, "mainstay_incidents_total", kind="hang") == 1
    assert of(found, "mainstay_process_restarts_total", by="systemd", **web) == 2 and of(found, "mainstay_incident_open") is None
    for torn in ('{"restarts": 3, "until": 5}', '{"restarts": {"shop/web/agent": "x"}}', "", "[]", "\0"):
        Path(host.paths.counters).write_text(torn)
        assert of(_make(host)[1], "mainstay_incidents_total", kind="hang") == 1


def test_backups_and_the_plan(host):
    folder, now = Path(host.paths.backup), host.clock.time()
    folder.mkdir()
    (folder / "limits.json").write_text(json.dumps({"max_age_hours": 30, "drill_max_age_days": 9}))
    run = {"time": now - 3600, "ok": True, "bytes": 12 << 20, "seconds": 7, "rows": 5, "failed": []}
    (folder / "status.json").write_text(
        json.dumps({"last": {**run, "ok": False, "failed": ["x"]}, "last_good": run, "drill": run, "drill_good": run})
    )
    plan = {
        "version": 1,
        "host": "web1",
        "users": 100,
        "plan": {"memory": {"total_mb": 2048, "reserve_mb": 205, "free_mb": 100, "parts": {"agent": 48, "shop.web": 600}}},
    }
    Path(host.paths.plan).write_text(json.dumps(plan))
    _status, found = _make(host)
    assert (
        of(found, "mainstay_backup_problems") == 1
        and of(found, "mainstay_backup_last_ok") == 0
        and of(found, "mainstay_drill_last_ok") == 1
    )
    assert of(found, "mainstay_backup_last_success_timestamp_seconds") == pytest.approx(now - 3600)
    assert of(found, "mainstay_backup_size_bytes") == 12 << 20 and of(found, "mainstay_drill_duration_seconds") == 7
    assert of(found, "mainstay_plan_memory_bytes", part="shop.web") == 600 << 20 and of(found, "mainstay_plan_users") == 100


def test_a_folder_that_cannot_be_written_is_said(host, capsys, monkeypatch):
    def full(*_words):
        raise OSError(28, "No space left on device")

    Path(host.paths.metrics).parent.mkdir()
    monkeypatch.setattr(metrics, "write", full)
    assert _make(host) == (1, None) and "the figures cannot be written" in capsys.readouterr().err


def test_a_link_in_its_place_is_not_followed(host, tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "precious").write_text("x")
    (tmp_path / "metrics/mainstay.prom.new").symlink_to(tmp_path / "precious")
    assert _make(host)[0] == 1 and (tmp_path / "precious").read_text() == "x"


def test_whatever_an_app_says_stays_a_label_s_value(host):
    host.want["sites"][0]["name"] = EVIL
    host.entries[1].update(reason=EVIL, incident={"id": EVIL, "kind": EVIL, "reason": EVIL, "opened": 1, "times": 1, "actions": 0})
    evil = [
        {"resource": f"{kind} of {EVIL}", "kind": EVIL, "level": "critical", "reason": EVIL, "value": 3.0}
        for kind in ("certificate", "connections")
    ]
    host.resources = [*evil, {**evil[0], "value": float("nan")}, {**evil[0], "level": EVIL}]
    _event(host, 20, event="opened", kind=EVIL, reason=EVIL)
    status, found = _make(host)
    assert status == 0 and [words for name, words in found if name == "mainstay_site_up"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", Path(host.paths.metrics).read_text())


@given(st.text(), st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text()))
@settings(max_examples=300, deadline=None)
def test_no_label_and_no_number_breaks_the_format(text, value):
    exposition = metrics.Exposition()
    for label in (text, text, text[::-1]):
        exposition.add("mainstay_site_up", value, site=label, app=text)
    exposition.add("mainstay_agent_watching", True)
    found = parse(exposition.render().encode("utf-8").decode())
    assert of(found, "mainstay_agent_watching") == 1 and len(found) <= 3


def test_families_follow_the_conventions():
    for name, (kind, labels, meaning) in metrics.FAMILIES.items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(mb|ms|percent|minutes|hours|days|milliseconds)(_|$)", name), name
        assert "\n" not in meaning and "\\" not in meaning and not set(labels) & {"instance", "job", "le", "quantile"}, name
    page = (Path(__file__).parents[3] / "docs/healing.md").read_text()
    assert [name for name in metrics.FAMILIES if f"`{name}" not in page] == []
