# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a day: counted from events whose sums are known, kept among torn and foreign files, told with hostile names."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mainstay import config, maintenances, records, report, reports
from mainstay.commands import report as command
from mainstay.records import read_events
from test_agent_cli import Host

DAY = 86400
NOW = 1_700_000_000.0
MEMORY = {"memory_mb": 2000, "available_mb": 500}
PROCESSES = [
    {"app": "shop", "process": name, "instance": number, "unit": f"shop-{name}@{number}.service", "kind": name}
    for name, number in (("web", "1"), ("web", "2"), ("worker", "1"))
]
CONFIG = config.parse({"host": "web1", "processes": PROCESSES, "servers": [{"name": "postgresql", "unit": "postgresql@15-main.service"}]})


def _at(seconds_ago):
    return datetime.fromtimestamp(NOW - seconds_ago, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _incident(where, began, lasted=None, kind="hang", actions=0, name=None, **facts):
    """The events of one: so many seconds ago, over after so many; None is not over."""
    app, process, instance = (*where.split("/"), "", "")[:3]
    place = {"app": app, "process": process, "instance": instance, "unit": f"{app}-{process}@{instance}.service"}
    place = place if process else {"server": app, "unit": f"{app}@15-main.service"}
    name = name or f"{began}-{where}"
    found = [{"time": _at(began), "incident": name, "event": "opened", **place, "kind": kind, "reason": "no answer", **facts}]
    found += [{"time": _at(began - 1), "incident": name, "event": "action", **place, "action": "kill"}] * actions
    if lasted is not None:
        found.append({"time": _at(began - lasted), "incident": name, "event": "recovered", **place, "seconds": lasted, "times": 1})
    return found


def _state(**agent):
    told = {"written": NOW - 2, "interval": 5, "started": NOW - 10 * DAY}
    disk = {"resource": "disk /", "kind": "disk", "level": "ok", "value": 27.4, "limit": 100}
    return {"agent": {**told, **agent}, "resources": [disk, {"resource": "backup"}, 7, {"resource": ["x"], "value": 1}]}


def _figures(*incidents, state=None, seconds=DAY, before=None, apart=()):
    events = sorted((event for found in incidents for event in found), key=lambda event: event["time"])
    return report.figures(CONFIG, events, _state() if state is None else state, MEMORY, NOW, seconds, before, apart)


def test_a_quiet_day():
    found = _figures()
    quiet = {"availability": 100.0, "down_s": 0, "incidents": 0, "restarts": {"by_agent": 0, "by_systemd": 0}, "slowest_recovery": None}
    assert (found["apps"], found["servers"]) == ({"shop": quiet}, {"postgresql": quiet})
    assert (found["watched_s"], found["incidents"], found["compared_with"]) == (DAY, [], None)


@pytest.mark.parametrize(
    ("incidents", "down"),
    [
        ([("shop/worker/1", 1000, 100)], 100),
        ([("shop/web/1", 1000, 100)], 0),  # the other one has answered
        ([("shop/web/1", 1000, 100), ("shop/web/2", 950, 100)], 50),
        ([("shop/web/1", 1000, 100), ("shop/web/2", 800, 100)], 0),
        ([("shop/web/1", 1000, 100), ("shop/web/1", 980, 100)], 0),  # one instance, twice
        ([("shop/web/7", 1000, 100), ("shop/web/8", 1000, 100)], 100),  # of a former release
        ([("shop/worker/1", 1000, 100), ("shop/web/1", 950, 100), ("shop/web/2", 950, 100)], 150),
        ([("shop/worker/1", DAY + 50, 100)], 50),
        ([("shop/worker/1", DAY + 500, 100)], 0),
        ([("shop/worker/1", 300, None)], 300),
        ([("shop/worker/1", 2 * DAY, None)], DAY),
        ([("blog/web/1", 1000, 100)], 0),
    ],
)
def test_an_app_is_available_while_each_process_has_an_instance_that_is_well(incidents, down):
    found = _figures(*(_incident(*incident) for incident in incidents))["apps"]["shop"]
    assert found["down_s"] == pytest.approx(down, abs=0.1)
    assert found["availability"] == pytest.approx(100 * (1 - down / DAY), abs=0.001)


@pytest.mark.parametrize(
    ("apart", "maintenance", "down"),
    [
        ([(1000, 900)], 100, 0),
        ([(1050, 950)], 100, 50),
        ([(1050, 975), (925, 800)], 200, 50),
        ([(2 * DAY, DAY - 100)], 100, 100),
        ([(5000, 4000)], 1000, 100),
        ([], 0, 100),
    ],
)
def test_maintenance_counts_neither_way(apart, maintenance, down):
    found = _figures(_incident("shop/worker/1", 1000, 100), apart=[(NOW - begin, NOW - end) for begin, end in apart])
    assert (found["maintenance_s"], found["apps"]["shop"]["down_s"]) == (maintenance, pytest.approx(down, abs=0.1))
    assert found["apps"]["shop"]["availability"] == pytest.approx(100 * (1 - down / (DAY - maintenance)), abs=0.001)
    shown = command.render(found)
    assert ("of maintenance count neither way" in shown) == bool(maintenance)


def test_the_times_of_maintenance_are_kept(tmp_path):
    path = str(tmp_path / "maintenances.json")
    assert maintenances.read(path) == []
    maintenances.note(path, 100, 200)
    maintenances.note(path, 150, 400)  # longer than was said
    maintenances.note(path, 300, 300)  # and over before that
    maintenances.note(path, 350, 350)
    assert maintenances.read(path) == [(100, 150), (150, 300)]
    for number in range(600):
        maintenances.note(path, 1000 + number, 1000 + number + 0.5)
    assert len(maintenances.read(path)) == maintenances.KEPT
    for torn in ("[[1", '{"a": 1}', "[[1]]", "[[2, 1]]", '[["a", "b"]]', "[[1, 1e99]]", "[3]"):
        Path(path).write_text(torn)
        assert maintenances.read(path) == []


def test_what_was_done_and_how_long_it_took():
    found = _figures(
        _incident("shop/web/1", 3000, 12.5, actions=1),
        _incident("shop/worker/1", 2000, 40, kind="crash"),
        _incident("postgresql", 1000, 8, kind="failed", actions=2),
        _incident("shop/web/1", DAY + 3000, 99, actions=3),
    )
    assert found["apps"]["shop"]["restarts"] == {"by_agent": 1, "by_systemd": 1}
    assert found["servers"]["postgresql"]["restarts"] == {"by_agent": 2, "by_systemd": 0}
    assert (found["servers"]["postgresql"]["down_s"], found["incidents_total"]) == (8, 3)
    assert found["slowest_recovery"] == {"where": "shop/worker/1", "kind": "crash", "seconds": 40, "id": "2000-shop/worker/1"}
    assert [(entry["where"], entry["lasted_s"]) for entry in found["incidents"]] == [
        ("shop/web/1", 12.5),
        ("shop/worker/1", 40),
        ("postgresql", 8),
    ]


def test_one_incident_with_several_times_down():
    events = _incident("shop/worker/1", 1000, 20, kind="crash", name="1")
    more = _incident("shop/worker/1", 900, 30, kind="crash", name="1")
    more[0] |= {"event": "again", "times": 4}
    more[1] |= {"times": 5}
    (entry,) = (found := _figures(events, more))["incidents"]
    assert (entry["lasted_s"], entry["times"]) == (50, 5)
    assert found["apps"]["shop"]["restarts"]["by_systemd"] == 5
    (entry,) = (found := _figures(events, more, seconds=920))["incidents"]  # the first life is over, the second is counted
    assert found["apps"]["shop"]["restarts"]["by_systemd"] == 4 and found["apps"]["shop"]["down_s"] == 30
    stopped = {**more[0], "event": "stopped", "time": _at(890)}
    assert _figures(events, more[:1], [stopped])["apps"]["shop"]["down_s"] == pytest.approx(30)


def test_a_resource_is_told_and_is_no_time_down():
    events = [
        {"time": _at(500), "incident": "9", "event": "opened", "resource": "disk /", "kind": "disk", "level": "warning", "reason": "85 %"}
    ]
    found = _figures(events)
    assert found["apps"]["shop"]["availability"] == 100.0
    assert [(entry["where"], entry["state"], entry["lasted_s"]) for entry in found["incidents"]] == [("disk /", "open", 500)]


@pytest.mark.parametrize(
    ("state", "watched", "availability"),
    [
        (_state(started=NOW - 1000), 1000, 90.0),  # the agent has just been installed
        (_state(written=NOW - 600), DAY - 600, 100.0),  # it has not seen the end of the incident, nor its beginning
        ({}, 1000, 90.0),
        ({"agent": "x", "resources": "y"}, 1000, 90.0),
    ],
)
def test_only_what_was_watched_counts(state, watched, availability):
    begin = 100 if watched < DAY / 2 else 500
    found = _figures(_incident("shop/worker/1", begin, None), state=state)
    if state.get("agent") in (None, "x"):
        assert found["apps"]["shop"]["availability"] is None and not found["agent"]["watching"]
    else:
        assert (found["watched_s"], found["apps"]["shop"]["availability"]) == (watched, availability)


def test_what_was_used_when_the_agent_looked_last_is_not_told_as_of_now():
    assert list(_figures(state=_state(written=NOW - 600))["used"]) == ["memory of the host"]


def test_the_difference_to_the_report_before():
    before = _figures()
    assert before["used"] == {
        "memory of the host": {"value": 1500, "limit": 2000, "unit": "MB", "change": None},
        "disk /": {"value": 27.4, "limit": 100, "unit": "%", "change": None},
    }
    before["used"]["disk /"]["value"] = 30
    found = _figures(before=before)
    assert (found["used"]["disk /"]["change"], found["used"]["memory of the host"]["change"], found["compared_with"]) == (-2.6, 0, NOW)
    for torn in ({"used": 7}, {"used": {"disk /": 7}}, {"used": {"disk /": {"value": "x"}}, "time": "x", "watched_s": []}):
        assert _figures(before=torn)["used"]["disk /"]["change"] is None


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10**12)
    | st.floats()
    | st.text(max_size=5)
    | st.just(_at(50))
    | st.lists(st.text(max_size=2), max_size=2)
)
KEYS = [
    "time",
    "incident",
    "event",
    "app",
    "process",
    "instance",
    "unit",
    "kind",
    "reason",
    "seconds",
    "times",
    "steps",
    "action",
    "server",
]
KINDS = st.sampled_from(["opened", "again", "recovered", "closed", "stopped", "done", "action", "held"])


@given(
    st.lists(
        st.fixed_dictionaries({"event": KINDS | VALUES}, optional=dict.fromkeys(["resource", *set(KEYS) - {"event"}], VALUES))
        | st.builds(
            lambda base, key, value: {**base, key: value}, st.sampled_from(_incident("shop/web/1", 90, 9)), st.sampled_from(KEYS), VALUES
        ),
        max_size=6,
    ),
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["agent", "resources", "value"]), inner)
    ),
)
@example([{**event, "seconds": ""} for event in _incident("shop/web/1", 90, 9)], None)
def test_nothing_that_stands_in_the_records_breaks_it(events, state):
    state = state if isinstance(state, dict) else {"agent": state, "resources": [state]}
    found = report.figures(CONFIG, events, state, {}, NOW, DAY)
    json.dumps(found)
    command.render(found)


# --- what is kept ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "agent.json").write_text(json.dumps({"host": "web1", "processes": PROCESSES, "settings": {"reports_keep": 3}}))
    names = {
        "config": "agent.json",
        "state": "state.json",
        "incidents": "incidents.jsonl",
        "reports": "reports",
        "maintenances": "times.json",
    }
    return SimpleNamespace(**{key: str(tmp_path / name) for key, name in names.items()})


def _kept(paths):
    return sorted(os.listdir(paths.reports))


def test_so_many_are_kept_and_nothing_else_is_touched(paths, clock):
    for day in range(5):
        assert reports.main(paths=paths, clock=clock) == 0
        clock.now += DAY
        if day == 0:
            Path(paths.reports, "notes.txt").write_text("mine")
            Path(paths.reports, "20000101T000000Z.json.new").write_text("torn")
    names = _kept(paths)
    assert len(names) == 4 and names[-1] == "notes.txt" and all(reports.NAME.fullmatch(name) for name in names[:-1])
    assert os.stat(Path(paths.reports, names[0])).st_mode & 0o777 == 0o640


def test_the_newest_that_can_be_read_is_compared_with(paths, clock, tmp_path):
    assert reports.newest(paths.reports) is None
    reports.main(paths=paths, clock=clock)
    first = reports.newest(paths.reports)["time"]
    clock.now += 60
    folder = Path(paths.reports)
    (folder / "29990101T000000Z.json").write_bytes(b'{"version": 1, "time": \xff')
    (folder / "29990102T000000Z.json").write_text("[]")
    (folder / "29990103T000000Z.json").write_text(json.dumps({"version": 2, "time": 1}))
    (tmp_path / "secret").write_text(json.dumps({"version": 1, "time": 5, "used": {}}))
    (folder / "29990104T000000Z.json").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "29990105T000000Z.json")
    (folder / "29990106T000000Z.json").mkdir()
    with open(folder / "29990107T000000Z.json", "wb") as file:
        file.truncate(reports.LARGEST + 1)
    assert reports.newest(paths.reports)["time"] == first
    assert reports.now(config.load(paths.config), paths, clock, DAY)["compared_with"] == first


def test_a_folder_that_is_a_link_is_not_followed(paths, clock, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/20230101T000000Z.json").write_text(json.dumps({"version": 1, "time": 5}))
    os.symlink(tmp_path / "elsewhere", paths.reports)
    assert reports.newest(paths.reports) is None


def test_what_cannot_be_kept_is_said(paths, clock, capsys):
    Path(paths.config).write_text("{")
    assert reports.main(paths=paths, clock=clock) == 1
    assert capsys.readouterr().err.startswith("<3>the report cannot be kept: ")


def test_lines_that_are_json_and_no_events(paths, clock):
    good = _incident("shop/web/1", 3000, 12)
    torn = [
        "{",
        "[]",
        '{"event": "opened", "incident": "x"}',
        '{"event": "opened", "incident": "x", "time": 7}',
        "\x00" * 50,
        '{"event": 7}',
    ]
    bad = [json.dumps({**good[0], **change}) for change in ({"app": 7}, {"reason": []}, {"times": "x"}, {"time": "yesterday"})]
    bad += [json.dumps({**good[1], **change}) for change in ({"seconds": "long"}, {"steps": [7]}, {"steps": "x"})]
    Path(paths.incidents).write_text("\n".join([*torn, *bad, *map(json.dumps, good)]) + '\n{"time": "2026')
    (incident,) = records.fold(read_events(paths.incidents))
    assert (incident["app"], incident["state"], len(incident["events"])) == ("shop", "recovered", 2)


# --- the command -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path, clock, capsys):
    found = Host(tmp_path, clock, capsys)
    object.__setattr__(found.paths, "reports", str(tmp_path / "reports"))
    return found


def test_the_command(host, clock):
    status, out, _err = host.run("report")
    assert status == 0 and "shop  100.000 %  0 s   0          0         -" in out
    assert "No incident." in out and "There is no report yet to compare with." in out
    assert "no report is kept yet" in host.run("report", "--last")[2]
    reports.keep(host.paths.reports, json.loads(host.run("report", "--json")[1]), 30)
    clock.now += 3600
    assert "Compared with the report of" in host.run("report", "--since", "12h")[1]
    assert json.loads(host.run("report", "--last", "--json")[1])["compared_with"] is None
    assert json.loads(host.run("report", "--json", "--since", "12h")[1])["since"] == pytest.approx(clock.time() - 43200, abs=0.1)


def test_hostile_names(host, clock):
    evil = "\x1b[2J\x9b31m\u202e\n2026-11-28 04:00:00  all  well<script>"
    moment = datetime.fromtimestamp(clock.time() - 60, timezone.utc).isoformat()
    event = {"time": moment, "incident": "1", "event": "opened", "kind": "hang", "reason": evil, "unit": "u"}
    Path(host.paths.incidents).write_text(json.dumps({**event, "app": evil, "process": evil, "instance": evil}) + "\n")
    for argv in (["report"], ["report", "--json"]):
        out = host.run(*argv)[1]
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
        assert not [line for line in out.splitlines() if line.startswith("2026-11-28 04:00:00  all")]
