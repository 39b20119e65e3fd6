# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mainstay why` and `mainstay diagnose`: what is wrong, why it matters, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mainstay import advice, alerts, cli, outcome
from mainstay.commands import diagnose
from mainstay.paths import Paths
from mainstay.records import Incidents, write_state
from mainstay.units import SystemdError, UnitState

WEB, DB = "shop-web@8000.service", "postgresql@15-main.service"
PLACE = {"app": "shop", "process": "web", "instance": "8000", "unit": WEB}
EVIDENCE = {"unit": {"state": "active"}, "processes": [], "journal": [f"line {number}\x1b[2J" for number in range(50)]}
HANG = {"incident": "1-a", "event": "opened", **PLACE, "kind": "hang", "reason": "no answer within 2 s"}
DONE = {"incident": "1-a", "event": "done", "unit": WEB, "ok": True, "steps": ["SIGKILL", "restart"], "evidence": EVIDENCE}
WELL = {"incident": "1-a", "event": "recovered", **PLACE, "seconds": 12.0, "times": 1}
DISK = {"incident": "2-disk", "event": "opened", "resource": "disk /var", "kind": "disk", "level": "critical", "reason": "91 % are in use"}
STUCK = {
    "incident": "3-q",
    "event": "opened",
    "resource": "queue of shop",
    "app": "shop",
    "kind": "stuck",
    "level": "critical",
    "reason": "5 wait",
}


class Host:
    def __init__(self, tmp_path, clock, capsys):
        self.clock, self.capsys = clock, capsys
        self.paths = Paths(
            str(tmp_path / "agent.json"), str(tmp_path / "state.json"), str(tmp_path / "incidents.jsonl"), backup=str(tmp_path / "backup")
        )
        processes = [{key: PLACE[key] for key in PLACE} | {"kind": "web"}]
        servers = [
            {"name": "postgresql", "unit": DB},
            {"name": "redis/shop-queue", "unit": "redis-server@shop-queue.service", "probe": {"kind": "redis", "port": 6380}},
        ]
        Path(self.paths.config).write_text(
            json.dumps(
                {
                    "host": "web1",
                    "processes": processes,
                    "servers": servers,
                    "sites": [{"name": "shop.example", "app": "shop", "tls": True, "paths": ["/health"]}],
                }
            )
        )
        self.root, self.states, self.servers, self.resources, self.failed = True, {}, {}, [], ""
        self.answers = {"pg_is_in_recovery": {"used": 5, "limit": 100, "idle": 0}, "pg_stat_statements": {"total_ms": 0, "statements": []}}
        self.written, self.problem, self.names = clock.time(), None, True

    def show(self, units):
        failed = self.states.get("health") == "failed"
        return {unit: UnitState(unit, active="failed" if failed and unit == WEB else "active") for unit in units}

    def ask(self, argv, timeout=5, text=""):
        if argv[0] == "systemctl":
            return self.failed
        if argv[0] == "getent" and self.names:
            return "192.0.2.7 STREAM shop.example\n"
        for words, answer in self.answers.items():
            if words in text:
                return json.dumps(answer)
        raise SystemdError("psql: no")

    def record(self, *events):
        for event in events:
            Incidents(self.paths.incidents, 5, self.clock).append(event)
            self.clock.sleep(1)

    def run(self, *argv):
        entries = {
            "processes": [{"unit": WEB, "health": "up", "restarts_24h": 0, "reason": "", **self.states}],
            "servers": [
                {"unit": DB, "health": "up", "restarts_24h": 0, **self.servers},
                {"unit": "redis-server@shop-queue.service", "health": "up"},
            ],
        }
        agent = {"written": self.written, "interval": 5, "problem": self.problem}
        write_state(self.paths.state, {"version": 1, "agent": agent, "resources": self.resources, **entries})
        context = cli.Context(paths=self.paths, systemd=self, clock=self.clock, run=self.ask, root=self.root)
        status = cli.main(argv, context)
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err


@pytest.fixture
def host(tmp_path, clock, capsys):
    return Host(tmp_path, clock, capsys)


def test_every_kind_has_its_advice():
    told = {kind for kind in alerts.VERBS if kind not in ("error",)} | {outcome.LOOP, outcome.FLAPPING, outcome.OOM}
    assert told <= set(advice.ADVICE)
    for kind in advice.ADVICE:
        why, commands = advice.advice(kind, "shop/web", "/var")
        assert why and commands and "{" not in "".join(commands)


def test_why(host):
    host.record(HANG, DONE)
    status, out, _err = host.run("why", "shop/web")
    assert status == 1
    for words in ("no answer within 2 s", "Now: not over", "Done: SIGKILL, restart", "line 49\\x1b[2J", "mainstay logs shop/web/8000"):
        assert words in out
    assert "line 34" not in out and "\x1b" not in out
    host.record(WELL)
    status, out, _err = host.run("why", "shop")
    assert status == 0 and "Now: recovered, well after 12 s" in out
    assert json.loads(host.run("why", "--json")[1])["evidence"]["unit"] == {"state": "active"}


@pytest.mark.parametrize(("target", "kind"), [((), "disk"), (("shop/web",), "hang"), (("shop",), "hang"), (("postgresql",), None)])
def test_whose_incident_it_is(host, target, kind):
    host.record(HANG, DISK)
    found = json.loads(host.run("why", *target, "--json")[1])
    assert (found and found["kind"]) == kind


def test_an_app_s_queue_is_the_app_s(host):
    host.record(HANG, WELL, STUCK, DISK)
    found = json.loads(host.run("why", "shop", "--json")[1])
    assert (found["kind"], found["do"][0]) == ("stuck", "mainstay logs shop --since '30 min ago'")
    assert "du -xh --max-depth=2 /var" in host.run("why")[1]


def test_nothing_has_happened(host):
    assert host.run("why", "shop")[:2] == (0, "Nothing has happened to shop that is on record.\n")
    assert host.run("diagnose")[:2] == (0, "Nothing is wrong that could be seen.\n")
    assert json.loads(host.run("diagnose", "--json")[1])["findings"] == []


def _resource(kind, level, value=None, **more):
    return {"resource": f"{kind} of x", "kind": kind, "level": level, "reason": "so", "value": value, **more}


def _incident(kind):
    return {"id": "x", "kind": kind, "reason": "so", "opened": 5.0, "times": 1, "actions": 0, "recovered_after": None}


FAULTS = {
    "down": ("hang", lambda host: host.states.update(health="down", incident=_incident("hang"))),
    "failed": ("failed", lambda host: host.states.update(health="failed")),
    "looping": ("loop", lambda host: host.states.update(health="looping", incident=_incident("loop"))),
    "restarts": ("restarts", lambda host: host.states.update(restarts_24h=7)),
    "agent": ("agent", lambda host: setattr(host, "written", 0)),
    "blind": ("agent", lambda host: setattr(host, "problem", "systemctl: Failed to connect to bus")),
    "names": ("dns", lambda host: setattr(host, "names", False)),
    "disk": ("disk", lambda host: host.resources.append(_resource("disk", "warning"))),
    "stuck": ("stuck", lambda host: host.resources.append(_resource("stuck", "critical", 9, app="shop"))),
    "backlog": ("backlog", lambda host: host.resources.append(_resource("backlog", "warning", 5000, app="shop"))),
    "unit": ("unit", lambda host: setattr(host, "failed", "apt-daily.service loaded failed failed Daily\n")),
    "connections": ("connections", lambda host: host.answers.update({"pg_is_in_recovery": {"used": 85, "limit": 100, "idle": 0}})),
    "idle": ("pool", lambda host: host.answers.update({"pg_is_in_recovery": {"used": 5, "limit": 100, "idle": 2}})),
    "waiting": ("locks", lambda host: host.answers["pg_is_in_recovery"].update(waiting=3, holders=[77])),
    "recovery": ("read-only", lambda host: host.answers["pg_is_in_recovery"].update(readonly="it is in recovery")),
    "unasked": ("unasked", lambda host: host.answers.pop("pg_is_in_recovery")),
    "redis-memory": ("redis-memory", lambda host: host.resources.append(_resource("redis-memory", "warning", server="redis/shop-queue"))),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_each_fault_is_found_alone(host, fault):
    kind, happens = FAULTS[fault]
    happens(host)
    status, out, _err = host.run("diagnose", "--json")
    (found,) = json.loads(out)["findings"]
    assert (status, found["kind"]) == (1, kind)
    assert found["why"] and found["do"]


@pytest.mark.parametrize(
    ("told", "kinds"),
    [
        ({"used": 5, "limit": 100, "idle": 0}, []),
        ({"used": 80, "limit": 100, "idle": 0}, ["connections"]),
        ({"used": 5, "limit": 100, "idle": 1}, ["pool"]),
        (None, ["unasked"]),
    ],
)
def test_mariadb_is_asked_for_its_sessions(host, told, kinds):
    config = json.loads(Path(host.paths.config).read_text())
    config["servers"].append({"name": "mariadb", "unit": "mariadb.service"})
    Path(host.paths.config).write_text(json.dumps(config))
    host.answers |= {"processlist": told} if told else {}
    found = json.loads(host.run("diagnose", "--json")[1])["findings"]
    assert [(item["where"], item["kind"]) for item in found] == [("mariadb", kind) for kind in kinds]


def test_a_database_that_is_down_is_told_once(host):
    host.servers, host.answers = {"health": "down", "reason": "all its connections are in use", "incident": _incident("full")}, {}
    found = json.loads(host.run("diagnose", "--json")[1])["findings"]
    assert [(item["where"], item["kind"]) for item in found] == [("postgresql", "full")]


@pytest.mark.parametrize(
    ("calls", "mean", "total", "kind"),
    [
        (10, 1500, 15000, "slow"),
        (3, 1500, 4500, None),  # too few to tell
        (200_000, 0.4, 80_000, "n+1"),
        (200_000, 0.1, 10_000, None),  # often, and nothing beside all else
        (200_000, 5, 90_000, None),
    ],
)
def test_statements(host, calls, mean, total, kind):
    statement = {"app": "shop", "calls": calls, "mean_ms": mean, "total_ms": total, "query": "SELECT\n  1"}
    found = [item["kind"] for item in diagnose.statements({"total_ms": 200_000, "statements": [statement]})]
    assert found == ([kind] if kind else [])


def test_the_worst_comes_first(host):
    for happens in (FAULTS["disk"], FAULTS["stuck"], FAULTS["unit"]):
        happens[1](host)
    assert host.run("diagnose")[1].startswith("1. stuck of x: so\n   Tasks wait")


def test_only_root_diagnoses(host):
    host.root = False
    assert host.run("diagnose")[0] == 2


def test_status_tells_of_resources(host):
    host.resources = [_resource("disk", "warning"), _resource("stuck", "ok", app="shop")]
    status, out, _err = host.run("status")
    assert status == 0 and out.endswith("disk of x: so\n")
    host.resources[0]["level"] = "critical"
    assert host.run("status")[0] == 1
    told = json.loads(host.run("status", "shop", "--json")[1])
    assert [entry["kind"] for entry in told["resources"]] == ["stuck"]
