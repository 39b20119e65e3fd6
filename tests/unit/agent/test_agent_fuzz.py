# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations, answers to probes, states and records that are broken in any way: no crash, no action, nothing that a terminal obeys.

A hundred of each kind here, ten thousand in `make prove`.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import queue
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from conftest import Clock, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mainstay import act, cli, config
from mainstay.core.text import CONTROL
from mainstay.paths import Paths
from mainstay.prober import Prober
from mainstay.records import Incidents
from mainstay.units import UnitState
from test_agent_cli import PROCESSES as DECLARED

COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("fuzz-short", max_examples=100, derandomize=True, **COMMON)
settings.register_profile("fuzz-prove", max_examples=10_000, **COMMON)
budget = settings.get_profile(f"fuzz-{os.environ.get('HYPOTHESIS_PROFILE', 'short')}")

EVIL = "\x1b[2J\x1b]0;x\x07\x9b31m\u202e\x00\r"
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=12) | st.just(EVIL)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just(EVIL), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """Every place within a value of JSON."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


def changed(value, path, new):
    """The value with something else in one place; nothing at all for Ellipsis."""
    if not path:
        return None if new is ... else new
    whole = copy.deepcopy(value)
    at = whole
    for key in path[:-1]:
        at = at[key]
    if new is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return whole


@st.composite
def broken(draw, value, times=3):
    """A sound value in which a few places hold something else, or nothing, or have one more beside them."""
    for _time in range(draw(st.integers(1, times))):
        path = draw(st.sampled_from(list(places(value))))
        value = changed(value, path, draw(JUNK | st.just(...)))
        if isinstance(value, dict) and draw(st.booleans()):
            value = {**value, draw(st.text(max_size=6) | st.just(EVIL)): draw(JUNK)}
    return value


@st.composite
def written(draw, value):
    """The same as a file has it, which may be torn besides, or be no text at all."""
    text = json.dumps(draw(broken(value))).encode("utf-8", "surrogatepass")
    kind = draw(st.sampled_from(["whole", "whole", "torn", "bytes"]))
    return text[: draw(st.integers(0, len(text)))] if kind == "torn" else draw(st.binary(max_size=60)) if kind == "bytes" else text


def plain(text):
    return not CONTROL.search(text)


class Place:
    """A folder with the files of a host, and a host on which nothing may be done."""

    def __init__(self, folder):
        self.folder, self.clock, self.done = Path(folder), Clock(), []
        self.paths = Paths(
            **{name: str(self.folder / name) for name in Paths.__dataclass_fields__ if name not in ("run",)},
            run=str(self.folder),
        )
        for name in (self.paths.backup, self.paths.recovery, self.paths.reports, self.paths.ways_back, self.paths.locks):
            os.mkdir(name)
        self.write(self.paths.config, json.dumps(CONFIG).encode())

    def write(self, path, content):
        Path(path).write_bytes(content)

    def show(self, units):
        return {unit: UnitState(unit, invocation="a", active_since=1.0, main_pid=1) for unit in units}

    def run(self, argv, timeout=None):
        if (
            argv[:3] != ["nft", "--terse", "list"]
            and argv[0] not in ("getent", "journalctl", "systemctl", "psql", "runuser")
            and argv[-2:] != ["/usr/bin/env", "-0"]
            or "kill" in argv
            or "restart" in argv
            or "start" in argv
        ):
            self.done.append(argv)
        return ""

    def call(self, argv):
        self.done.append(argv)
        return 0

    def say(self, *argv):
        """What a command prints, and its status."""
        context = cli.Context(
            paths=self.paths,
            systemd=self,
            clock=self.clock,
            call=self.call,
            call_apart=self.call,
            show=self.call,
            run=self.run,
            filesystem=str(self.folder),
            root=True,
        )
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(argv, context)
        return status, out.getvalue() + err.getvalue()


CONFIG = {
    "version": 1,
    "host": "web1",
    "settings": {"interval": 5, "timeout": 2, "dry_run": False, "revive_delays": [60, 300]},
    "processes": [
        *DECLARED,
        {
            **DECLARED[0],
            "process": "worker",
            "unit": "shop-worker@1.service",
            "probe": {"kind": "heartbeat", "file": "/run/x", "max_age": 9},
        },
        {
            **DECLARED[0],
            "process": "tick",
            "unit": "shop-tick@1.service",
            "probe": {"kind": "beat"},
            "memory_max_mb": 90,
            "needs": ["redis/q"],
        },
    ],
    "servers": [{"name": "redis/q", "unit": "redis-server@q.service", "probe": {"kind": "redis", "port": 6379}}],
    "apps": {
        "shop": {"user": "shop", "root": "/srv/shop", "env_file": "/x", "ports": {"web": [8000]}, "queue": {"port": 1, "names": ["c"]}}
    },
    "sites": [{"name": "shop.example", "app": "shop", "tls": True, "paths": ["/health"]}],
}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Place(folder)


# --- configurations --------------------------------------------------------------------------------------------------------


@budget
@given(written(CONFIG), st.sampled_from(["kill", "restart", "start", "reclaim", "rollback", "x", EVIL]), JUNK)
def test_a_configuration_is_read_whole_or_refused_in_plain_words(place, content, verb, unit):
    place.write(place.paths.config, content)
    try:
        status, said = place.say("check")
        assert status in (0, 1, 2, 3) and plain(said)
        known, ran = config.load(place.paths.config), []
    except config.ConfigError:
        return
    finally:
        place.write(place.paths.config, json.dumps(CONFIG).encode())
    # What the helper would do for whoever asks: nothing for a unit that is not declared.
    line = json.dumps({"verb": verb, "unit": unit})
    told = act.answer(line, known.units, run=lambda argv, **_options: ran.append(argv), apps=known.apps) if unit not in known.units else {}
    assert not ran and not told.get("ok"), ran


# --- answers ---------------------------------------------------------------------------------------------------------------


class Liar:
    """A server that answers whatever it is told to answer."""

    def __init__(self):
        self.answer = b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                visitor = self.socket.accept()[0]
            except OSError:
                return
            with visitor, contextlib.suppress(OSError):
                visitor.settimeout(0.5)
                visitor.recv(65536)
                visitor.sendall(self.answer)


@pytest.fixture(scope="module")
def liar():
    made = Liar()
    yield made
    made.socket.close()


HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 ",
    b"+PONG\r\n",
    b"-",
    b"$",
    b":",
    b"E\x00\x00\x00",
    b"R\x00\x00\x00\x08",
    b"\x4a\x00\x00\x00\x0a5.5.5-",
    b"",
]
BODIES = [b"Content-Length: 99999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n", b"\r\n\r\n{", EVIL.encode()]


@budget
@given(
    st.sampled_from(["http", "redis", "postgresql", "mysql", "hangup"]),
    st.lists(st.sampled_from(HEADS) | st.sampled_from(BODIES) | st.binary(max_size=30), max_size=5).map(b"".join),
)
def test_an_answer_is_judged_whatever_it_is(liar, kind, answer):
    """One of them is never a reason to act, and what is told of it can be read."""
    liar.answer = answer
    http = {"kind": "http", "url": f"http://127.0.0.1:{liar.port}/", "json": {"status": "healthy"}, "body_regex": "well"}
    probe = http if kind == "http" else {"kind": kind, "port": liar.port}
    entry = {**DECLARED[0], "kind": "web", "probe": http}
    server = {"name": "x", "unit": "x.service", "probe": probe}
    known = config.parse({"processes": [entry], "servers": [] if kind == "http" else [server], "settings": {"timeout": 1}})
    clock = Clock()
    watched = known.servers[0] if known.servers else known.processes[0]
    outcome = Prober(known.settings, queue.SimpleQueue(), clock).probe(watched, UnitState(watched.unit, main_pid=os.getpid()))
    assert outcome.healthy in (True, False, None) and isinstance(outcome.reason, str)
    if kind == "http":
        assert outcome.healthy is not True, "it has said neither of what it should"
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ["shop-web@1"])
        world.live(120)
        watch = world.agent.watches["shop-web@1.service"]
        world.agent._record(watch, watch.observe_probe(outcome, watch.invocation))
        world.agent._decide()
        world.live(30)
        assert world.acted() == [] and world.health("shop-web@1.service") == "up"
        json.dumps(world.agent.state.report())


# --- states ----------------------------------------------------------------------------------------------------------------


def _state():
    """As an agent writes it that has seen a good deal."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ["shop-web@1", "shop-web@2"], servers=["redis"])
        world.live(120)
        world.units["shop-web@1.service"]["behaves"] = "hang"
        world.cured = False
        world.live(60)
        told = json.loads(json.dumps(world.agent.state.report()))
    told["resources"] = [
        {
            "resource": "disk /",
            "kind": "disk",
            "level": "critical",
            "reason": "x",
            "value": 96.0,
            "limit": 100.0,
            "incident": "1-a",
            "since": 1.0,
        }
    ]
    return told


STATE = _state()
ASKING = [
    ("status",),
    ("status", "--json"),
    ("diagnose",),
    ("diagnose", "--json"),
    ("top",),
    ("env", "shop"),
    ("check",),
    ("version",),
    ("why", "shop"),
    ("report",),
    ("history",),
]


@budget
@given(written(STATE))
def test_a_state_of_before_is_used_or_forgotten(content):
    """An agent that begins with it acts on nothing, for all is well."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ["shop-web@1", "shop-web@2"], servers=["redis"])
        world.agent = None
        Path(world.paths.state).write_bytes(content)
        world.start_agent()
        world.live(90)
        assert world.acted() == []
        json.dumps(world.agent.state.report())


@budget
@given(written(STATE), st.sampled_from(ASKING))
def test_a_state_is_shown_whatever_it_holds(place, content, command):
    place.write(place.paths.state, content)
    status, said = place.say(*command)
    assert status in (0, 1, 2, 3) and plain(said) and place.done == []


# --- records and reports ---------------------------------------------------------------------------------------------------


def _events():
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ["shop-web@1"], servers=["redis"])
        world.live(120)
        world.units["shop-web@1.service"]["behaves"] = "hang"
        world.live(800)
        return world.events()


EVENTS = _events()
RECORDS = {
    "incidents": EVENTS,
    "deploys": [{"app": "shop", "time": 5.0, "by": "x", "from": "a", "to": "b", "result": "succeeded", "seconds": 5, "release": "x"}],
    "backup/limits.json": {"max_age_hours": 36, "drill_max_age_days": 9},
    "backup/status.json": {
        "last": {"id": "x", "time": 1.0, "seconds": 1, "ok": False, "bytes": 5, "rows": 5, "failed": ["host"]},
        "last_good": {"time": 1.0, "bytes": 5, "seconds": 3},
        "drill_good": {"time": 1.0, "seconds": 3, "rows": 7},
        "runs": [{"id": "x"}],
    },
    "recovery/limits.json": {"max_age_hours": 36},
    "recovery/status.json": {"last": {"ok": True}, "watch": {"ok": True, "time": 5.0}, "oldest": 1.0, "gaps": [[1.0, 2.0]], "gap": 4.0},
    "maintenance": {"until": 5e9, "by": "x", "reason": "y"},
    "reclaimed": {"time": 5.0, "freed": {"journal": 7}},
    "ways_back/shop.json": {"release": "a", "before": "b", "since": 5.0, "processes": {"web": {}}},
}
TELLING = [
    *ASKING,
    ("history", "--json"),
    ("history", "--id", "x"),
    ("backups",),
    ("backups", "--json"),
    ("plan",),
    ("maintenance",),
    ("report", "--json"),
]


@st.composite
def files(draw):
    name = draw(st.sampled_from(sorted(RECORDS)))
    sound = RECORDS[name]
    if isinstance(sound, list):
        return name, b"\n".join(draw(st.lists(st.sampled_from(sound).flatmap(written), max_size=6)))
    return name, draw(written(sound))


@budget
@given(st.lists(files(), min_size=1, max_size=4), st.sampled_from(TELLING))
def test_records_are_read_whatever_they_hold(place, broken_files, command):
    for name, sound in RECORDS.items():
        lines = sound if isinstance(sound, list) else [sound]
        place.write(place.folder / name, b"\n".join(json.dumps(line).encode() for line in lines))
    place.write(place.paths.state, json.dumps(STATE).encode())
    for name, content in broken_files:
        place.write(place.folder / name, content)
    status, said = place.say(*command)
    assert status in (0, 1, 2, 3) and plain(said) and place.done == []


@budget
@given(st.lists(files(), min_size=1, max_size=4))
def test_an_agent_begins_with_whatever_records_there_are(broken_files):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ["shop-web@1"], servers=["redis"])
        for name, content in broken_files:
            if name in ("incidents", "maintenance", "deploys"):
                Path(getattr(world.paths, name)).write_bytes(content)
        world.start_agent()
        world.live(60)
        assert world.acted() == []
        Incidents(world.paths.incidents, 5, world.clock).append({"incident": "x", "event": "opened"})
