# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What breaks comes back by itself, what was stopped stays stopped, and the agent is small, confined and remembers."""

from __future__ import annotations

import json
import shlex
import time

import pytest
from plays import only_on

MAILER, WORKER = "shop-mailer@1.service", "shop-worker@1.service"
AGENT = "mainstay-agent.service"
slow = only_on("trixie", "it waits for what must not happen, or for minutes")
NGINX, REDIS = "nginx.service", "redis-server@shop-cache.service"
# Run on the host: whether a server answers, which nginx does here by closing the connection.
ANSWERS = {
    "postgresql": "pg_isready --quiet --host=127.0.0.1",
    "redis/shop-cache": "timeout 1 redis-cli -p {port} ping >/dev/null",
    "nginx": "curl --silent --output /dev/null --max-time 1 http://127.0.0.1/; test $? -ge 52",  # 28 is no answer
}
# Runs on the host: seconds until the URL answers, as the users of the host see it.
WAIT_FOR_ANSWER = (
    "start=$(date +%s.%N); for i in $(seq {tries}); do curl --silent --fail --output /dev/null --max-time 1 {url} && "
    "{{ echo $(date +%s.%N) $start; exit 0; }}; sleep 0.2; done; exit 1"
)
# A chat, and somebody who waits for signs of life, a little slow: they keep what they are told.
RECEIVER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body, ping = self.rfile.read(int(self.headers["Content-Length"])), self.path.startswith("/ping/")
        with open("/run/pinged" if ping else "/run/told", "ab") as file:
            file.write((self.path.encode() + b" " if ping else b"") + body + b"\\n")
        time.sleep(1 if ping else 0)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 9911), Handler).serve_forever()
"""


# Takes every connection of PostgreSQL that there is, those of its superuser's too, until its input ends.
GREEDY = """
import select, socket, struct, sys
words = b"user\\0postgres\\0database\\0postgres\\0\\0"
held = [None]
while held[-1] or not select.select([sys.stdin], [], [], 0.2)[0]:  # also what others give back
    one = socket.socket(socket.AF_UNIX)
    one.connect("/run/postgresql/.s.PGSQL.5432")
    one.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
    held.append(one if one.recv(1) == b"R" else None)
"""
# Opens nearly as many files as it may, and has children that it never waits for.
LEAKS = """
import os, time
held = [open("/dev/null") for _number in range(90)]
for _number in range(35):
    if os.fork() == 0:
        os._exit(0)
time.sleep(600)
"""


def _listen(host):
    host.check_output("systemd-run --quiet --unit=mainstay-receiver python3 -c %s", RECEIVER)


@pytest.fixture(scope="module", autouse=True)
def _listening(host):
    """Somebody who is told of all that the tests break."""
    _listen(host)
    yield
    host.run("systemctl stop mainstay-receiver.service")


@pytest.fixture(scope="module", autouse=True)
def _serving(host):
    """The web instance that the tests break, which is no new release's doing: which ports serve depends on the deploys before."""
    host.check_output("rm -f /var/lib/mainstay/ways-back/*.json")
    global WEB, URL
    declared = json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]
    first = min((entry for entry in declared if entry["process"] == "web"), key=lambda entry: entry["unit"])
    WEB, URL = first["unit"], first["probe"]["url"]


def _property(host, unit, name):
    return host.check_output(f"systemctl show --property={name} --value {unit}")


def _status(host):
    return json.loads(host.run("mainstay status --json").stdout)


def _entry(host, unit):
    status = _status(host)
    return next(entry for entry in status["processes"] + status["servers"] if entry["unit"] == unit)


def _history(host, unit):
    recorded = json.loads(host.check_output("mainstay history --json -n 1000"))["incidents"]
    return [incident for incident in recorded if incident.get("unit") == unit]  # a disk has none


def _eventually(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(1)


def _seconds_until_it_answers(host, limit):
    run = host.run(f"timeout {limit} sh -c '{WAIT_FOR_ANSWER.format(tries=limit * 5, url=URL)}'")
    assert run.rc == 0, f"no answer from {URL} within {limit} s\n" + host.check_output(f"journalctl --no-pager -n 50 -u {WEB} -u {AGENT}")
    now, start = map(float, run.stdout.split())
    return now - start


def _servers(host):
    return {entry["name"]: entry for entry in json.loads(host.file("/etc/mainstay/agent.json").content_string)["servers"]}


def _seconds_until_servers_answer(host, names, limit, fault="true"):
    """Seconds from a fault, a shell command, until the servers of these names all answer on their host."""
    servers = _servers(host)
    asked = " && ".join(f"{{ {ANSWERS[name].format(**servers[name]['probe'])}; }}" for name in names)
    run = host.run(
        f"start=$(date +%s.%N); end=$(($(date +%s) + {limit})); {fault}; while [ $(date +%s) -lt $end ]; do "
        f"if {asked}; then echo $(date +%s.%N) $start; exit 0; fi; sleep 0.2; done; exit 1"
    )
    assert run.rc == 0, f"no answer of {names} within {limit} s\n" + host.check_output(f"journalctl --no-pager -n 50 -u {AGENT}")
    now, start = map(float, run.stdout.split()[-2:])
    return now - start


def _lives(host):
    """Which life of each process of the apps this is."""
    declared = json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]
    return host.check_output(f"systemctl show --property=Id,MainPID,NRestarts {' '.join(entry['unit'] for entry in declared)}")


def _ready(host, unit):
    """An agent without a past, so that no cool-down of an earlier test counts, that sees the unit up and may act."""
    host.check_output(f"systemctl stop {AGENT} && rm -f /run/mainstay/state.json && systemctl start {AGENT}")

    def ready():
        status = _status(host)
        return status["agent"]["watching"] and not status["agent"]["paused"] and _entry(host, unit)["health"] == "up"

    _eventually(ready, 200, f"{unit} is up and the agent may act")


def test_agent_watches_every_process(host):
    assert host.run("mainstay check --running").rc == 0
    declared = json.loads(host.file("/etc/mainstay/agent.json").content_string)
    assert {entry["unit"] for entry in _status(host)["processes"]} == {entry["unit"] for entry in declared["processes"]}
    assert {WEB, MAILER} <= {entry["unit"] for entry in declared["processes"]}
    servers = {entry["server"]: entry["health"] for entry in _status(host)["servers"]}
    assert servers == dict.fromkeys(["nginx", "postgresql", "redis/shop-cache", "redis/shop-queue"], "up")
    resources = {entry["resource"]: entry for entry in _status(host)["resources"]}
    assert {"disk /", "connections of shop", "queue of shop", "system"} <= set(resources)
    assert any(name.startswith("memory of shop/web/") for name in resources)
    assert resources["queue of shop"]["value"] >= 0 and 0 < resources["disk /"]["value"] < 100


def test_its_group_may_look_and_only_root_may_act(host):
    nobody, member = (f"setpriv --reuid=65534 --regid={group} --clear-groups mainstay" for group in ("65534", "mainstay"))
    assert host.run(f"{member} status").rc in (0, 1)
    for command in ("status", "history"):
        refused = host.run(f"{nobody} {command}")
        assert refused.rc == 2 and "use sudo" in refused.stderr
    for user in (nobody, member):
        assert host.run(f"{user} stop shop").rc == 2
    assert host.file("/run/mainstay-act.socket").mode == 0o600


@pytest.mark.parametrize(
    ("unit", "limit"),
    [
        (AGENT, 1.5),
        ("mainstay-act@0.service", 1.5),
        ("mainstay-history.service", 1),
        ("mainstay-ping.service", 1.5),
        ("mainstay-report.service", 1.5),
    ],
)
def test_agent_is_confined(host, unit, limit):
    verdict = host.check_output(f"systemd-analyze security --no-pager {unit}").strip().splitlines()[-1]
    assert float(verdict.split(":")[1].split()[0]) <= limit, verdict


@slow
def test_somebody_elsewhere_hears_of_the_agent_and_nobody_of_the_address(host):
    unit, secret = "mainstay-ping.service", "5d2e0c2f"

    def heard(before):
        host.check_output(f"rm -f /run/pinged && {before} && systemctl start {unit}")
        return [
            line.removeprefix(f"/ping/{secret}").split(":")[0].split(" ")[0] for line in host.run("cat /run/pinged").stdout.splitlines()
        ]

    # The timer's own would be mixed with those of the test.
    assert host.service("mainstay-ping.timer").is_running
    host.check_output("systemctl stop mainstay-ping.timer")
    _eventually(lambda: _property(host, unit, "ActiveState") != "activating", 60, "no ping is under way")
    host.check_output(f"systemctl restart {AGENT} && sleep 1")
    assert heard("true")[-2:] == ["/start", ""]
    assert heard("true") == [""]
    try:
        assert heard(f"systemctl stop {AGENT} && rm /run/mainstay/state.json") == ["/fail"]
    finally:
        host.check_output(f"systemctl start {AGENT}")
    # While one is under way, and after one that nobody heard.
    seen = host.check_output(
        f"systemctl start --no-block {unit}; sleep 0.5; ps axeww; systemctl status --no-pager {unit}; systemctl cat {unit}"
    )
    assert "launch.py ping" in seen and secret not in seen
    host.check_output("systemctl stop mainstay-receiver.service")
    try:
        host.check_output(f"systemctl start {unit}")
    finally:
        host.check_output("systemd-run --quiet --unit=mainstay-receiver python3 -c %s", RECEIVER)
        host.check_output("systemctl start mainstay-ping.timer")
    said = host.check_output(f"journalctl --no-pager -u {unit} -u mainstay-ping.timer")
    assert "Connection refused" in said and secret not in said
    assert host.file("/etc/mainstay/ping.json").mode == 0o600 and host.run(f"systemctl is-failed {unit}").rc != 0


@slow
def test_agent_is_small(host):
    def ticks(pid):
        """Processor time of the agent and of the programs it has run."""
        return sum(map(int, host.file(f"/proc/{pid}/stat").content_string.rpartition(")")[2].split()[11:15]))

    pid = _property(host, AGENT, "MainPID")
    before, start = ticks(pid), time.monotonic()
    time.sleep(20)
    seconds = (ticks(pid) - before) / int(host.check_output("getconf CLK_TCK"))
    assert seconds / (time.monotonic() - start) <= 0.01
    resident = int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status"))
    assert resident <= 25 * 1024  # 23.4 MB were measured, and 25.4 with a heap for each thread


def test_killed_process_answers_again_within_10_seconds(host):
    _ready(host, WEB)
    before = _property(host, WEB, "MainPID")
    host.check_output(f"kill -9 {before}")
    assert _seconds_until_it_answers(host, 20) <= 10
    assert _property(host, WEB, "MainPID") != before
    _eventually(
        lambda: [item["kind"] for item in _history(host, WEB) if item["state"] == "recovered"][-1:] == ["crash"], 30, "a remembered crash"
    )


def test_maintenance_keeps_the_agent_s_hands_off(host):
    _ready(host, WEB)
    pid = _property(host, WEB, "MainPID")
    host.check_output("mainstay maintenance on --for 5m")
    try:
        host.check_output(f"kill -STOP {pid}")
        _eventually(lambda: (_entry(host, WEB)["held"] or {}).get("reason") == "maintenance is on", 30, "an action put off")
        assert _property(host, WEB, "MainPID") == pid
    finally:
        host.check_output(f"kill -CONT {pid}")
        _eventually(lambda: _entry(host, WEB)["health"] == "up", 30, "an answer after the signal")
        host.check_output("mainstay maintenance off")
    assert _property(host, WEB, "MainPID") == pid


def test_hanging_process_answers_again_within_30_seconds(host):
    _ready(host, WEB)
    before = _property(host, WEB, "MainPID")
    host.check_output(f"kill -STOP {before}")
    assert _seconds_until_it_answers(host, 60) <= 30
    assert _property(host, WEB, "MainPID") != before
    _eventually(lambda: [item["state"] for item in _history(host, WEB)][-1:] == ["recovered"], 30, "a remembered recovery")
    incident = _history(host, WEB)[-1]
    assert (incident["kind"], incident["actions"][-1]) == ("hang", "SIGKILL, restart")
    evidence = host.check_output(f"mainstay history --id {incident['id']}")
    assert "stopped by a signal" in evidence
    told = host.check_output("mainstay why shop/web")
    assert "Done: SIGKILL, restart" in told and "stopped by a signal" in told and "To do:" in told


def test_a_full_disk_is_told_and_cleared(host):
    fill = "head --bytes=16M /dev/zero > /var/cache/apt/archives/filler.deb"
    host.check_output("rm -f /var/lib/mainstay/reclaimed.json && mount -t tmpfs -o size=16m,mode=755 tmpfs /var/cache")

    def incidents():
        told = json.loads(host.check_output("mainstay history --json -n 1000"))["incidents"]
        return [incident for incident in told if incident.get("resource") == "disk /var/cache"]

    before = len(incidents())
    try:
        host.run(f"mkdir -p /var/cache/apt/archives/partial && {fill}; systemctl restart {AGENT}")
        _eventually(lambda: len(incidents()) > before and incidents()[-1]["actions"], 60, "something thrown away")
        assert incidents()[-1]["actions"] == ["packages: 16 MB freed"]
        assert not host.file("/var/cache/apt/archives/filler.deb").exists
        # Once an hour, whoever asks for it.
        host.run(f"{fill}; systemctl start mainstay-reclaim.service")
        assert host.file("/var/cache/apt/archives/filler.deb").exists
    finally:
        # In a container mounts do not reach the agent's own view of the file systems, and neither do their ends.
        host.check_output(f"umount /var/cache && systemctl restart {AGENT}")


def _resource(host, name, level):
    """What the agent says of a resource, as soon as it is at that level."""
    found = {}

    def told():
        found.update(next((entry for entry in _status(host)["resources"] if entry["resource"] == name), {}))
        return found.get("level") == level

    _eventually(told, 75, f"{name} is {level}")
    return found


def test_tasks_that_wait_are_counted(host):
    """Behind the prefix that the example's queues have, too."""
    # Redis gives one to a worker that waits for it, also where that stands still.
    send = "from shop.tasks import app; [app.send_task('tick', expires=1) for _number in range(8)]"
    host.check_output("mainstay maintenance on --for 5m")
    try:
        host.check_output("systemctl kill --signal=SIGSTOP 'shop-worker@*' && mainstay run shop -- python -c %s", send)
        host.check_output(f"systemctl restart {AGENT}")  # it looks at its start
        waiting = []
        _eventually(
            lambda: (
                waiting.extend(entry["value"] for entry in _status(host)["resources"] if entry["resource"] == "queue of shop") or waiting
            ),
            30,
            "a look at the queue",
        )
        assert waiting[0] >= 7
    finally:
        host.check_output("systemctl kill --signal=SIGCONT 'shop-worker@*'; mainstay maintenance off")


def test_what_leaks_without_taking_memory_is_told_and_left_alone(host):
    folder = f"/run/systemd/system/{MAILER}.d"
    fault = "[Service]\nLimitNOFILE=100\nTasksMax=40\nExecStart=\nExecStart=/usr/bin/python3 /run/leaks.py\n"
    host.check_output(f"printf %s {shlex.quote(LEAKS)} > /run/leaks.py && mkdir -p {folder}")
    host.check_output(f"printf '{fault}' > {folder}/fault.conf && systemctl daemon-reload && systemctl restart {MAILER} && sleep 1")
    host.check_output(f"systemctl restart {AGENT}")  # it looks at its start
    try:
        before = _property(host, MAILER, "MainPID")
        assert _resource(host, "files of shop/mailer/1", "warning")["reason"].startswith("93 of the 100 files")
        assert _resource(host, "tasks of shop/mailer/1", "warning")["reason"].endswith("35 of them ended and never waited for")
        (used,) = json.loads(host.check_output("mainstay top shop/mailer --json"))
        assert (used["tasks"], used["tasks_ended"], used["tasks_max"]) == (36, 35, 40)
        assert (used["files"], used["files_max"]) == (93, 100)
        assert "files of shop/mailer/1" in host.run("mainstay diagnose").stdout
        assert _property(host, MAILER, "MainPID") == before
    finally:
        host.check_output(f"rm -r {folder} /run/leaks.py; systemctl daemon-reload; systemctl restart {MAILER}")
    _resource(host, "files of shop/mailer/1", "ok")


def test_a_certificate_of_another_name_is_told(host):
    pair = host.check_output("readlink -f /etc/mainstay/tls/localhost.pair")
    other = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=other.example"
    try:
        host.check_output(f"cp -a {pair} /run/pair && {other} -addext subjectAltName=DNS:other.example -keyout {pair}/key -out {pair}/crt")
        # It asks once an hour, and at its start.
        host.check_output(f"systemctl reload nginx && sleep 1 && systemctl restart {AGENT}")
        assert _resource(host, "certificate of localhost", "critical")["reason"] == "another one is served, which is not for this name"
        assert "certificate of localhost" in host.check_output("mainstay why || true")
    finally:
        host.check_output(f"for name in crt key; do cat /run/pair/$name > {pair}/$name; done; rm -rf /run/pair; systemctl reload nginx")
        host.check_output(f"sleep 1; systemctl restart {AGENT}")
    _resource(host, "certificate of localhost", "ok")


@slow
def test_what_cannot_be_sent_waits_for_who_is_to_be_told(host):
    _ready(host, MAILER)
    host.check_output("systemctl stop mainstay-receiver.service")
    try:
        host.check_output(f"kill -9 {_property(host, MAILER, 'MainPID')}")
        _eventually(lambda: _history(host, MAILER)[-1:] and _history(host, MAILER)[-1]["state"] == "recovered", 40, "a remembered crash")
        _eventually(lambda: _property(host, "mainstay-alert.service", "Result") != "success", 30, "an alert that fails")
    finally:
        _listen(host)
    incident = _history(host, MAILER)[-1]["id"]
    assert incident not in host.run("cat /run/told").stdout
    _eventually(lambda: incident in host.run("cat /run/told").stdout, 100, "an alert when it can be sent")


@slow
def test_a_worker_that_computes_without_a_heartbeat_is_left_alone_until_it_rests(host):
    folder, config = f"/run/systemd/system/{MAILER}.d", "/etc/mainstay/agent.json"
    fault = '[Service]\\nExecStart=\\nExecStart=/bin/sh -c "until [ -e /run/rest ]; do :; done; exec sleep 600"\\n'
    host.check_output(f"mkdir -p {folder} && printf '{fault}' > {folder}/fault.conf && systemctl daemon-reload")
    # Its heartbeat is never renewed; it may be three minutes old, which nobody wants to wait for here.
    host.check_output(f"cp -p {config} /run/agent.json && sed -i '/max_age/s/[0-9][0-9]*/8/' {config}")
    try:
        # Its first sign of life ends the grace of its start.
        host.check_output(
            f"systemctl stop {AGENT} && rm -f /run/mainstay/state.json && systemctl start {AGENT} && systemctl restart {MAILER}"
        )
        before = _property(host, MAILER, "MainPID")
        _eventually(lambda: "it is at work" in (_entry(host, MAILER)["reason"] or ""), 40, "a verdict of two signs")
        time.sleep(4)
        assert _property(host, MAILER, "MainPID") == before
        host.check_output("touch /run/rest")
        _eventually(lambda: _property(host, MAILER, "MainPID") not in ("0", before), 30, "a restart of what rests")
    finally:
        host.check_output(f"rm -rf {folder} /run/rest; mv /run/agent.json {config}; systemctl daemon-reload")
        host.check_output(f"systemctl restart {MAILER} {AGENT}")


@slow
def test_a_worker_that_nobody_can_ask_is_told_to_go_on(host):
    _ready(host, WORKER)
    before = _property(host, WORKER, "MainPID")
    child = host.check_output(f"ps -o pid= --ppid {before} | tail -1").strip()
    for pid in (before, child):
        told = len(_history(host, WORKER))
        host.check_output(f"kill -STOP {pid}")
        try:
            _eventually(lambda told=told: len(_history(host, WORKER)) > told or _entry(host, WORKER)["incident"], 15, "an incident")
            _eventually(lambda: _history(host, WORKER)[-1]["state"] == "recovered", 30, "a remembered recovery")
        finally:
            host.run(f"kill -CONT {pid}")
        assert _property(host, WORKER, "MainPID") == before
        assert _history(host, WORKER)[-1]["actions"][-1] == "SIGCONT"
        # Within the cool-down a child that is stopped once more would be left alone.
        _ready(host, WORKER)


@slow
def test_stopped_process_stays_stopped(host):
    _ready(host, MAILER)
    host.check_output(f"systemctl stop {MAILER}")
    try:
        time.sleep(20)
        assert _property(host, MAILER, "ActiveState") in ("inactive", "failed")
        assert _entry(host, MAILER)["health"] == "stopped"
    finally:
        host.check_output("mainstay start shop/mailer")


def test_agent_comes_back_and_remembers(host):
    incidents, before = len(_history(host, WEB)), _property(host, AGENT, "MainPID")
    host.check_output(f"kill -9 {before}")
    _eventually(lambda: _property(host, AGENT, "MainPID") not in ("0", before), 10, "another agent")
    _eventually(lambda: _entry(host, WEB)["health"] == "up", 20, "its first look")
    assert len(_history(host, WEB)) == incidents


@slow
def test_crash_loop_is_bounded_and_ends_with_its_cause(host):
    _ready(host, MAILER)
    folder = f"/run/systemd/system/{MAILER}.d"
    # Without the last line systemd 254 and later would back off for three minutes before they give up.
    fault = "[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestartMaxDelaySec=2\\n"
    host.check_output(f"mkdir -p {folder} && printf '{fault}' > {folder}/fault.conf && systemctl daemon-reload")
    # systemd counts starts in windows that do not slide: one that ends in the middle of the loop would allow as many again.
    host.check_output(f"systemctl reset-failed {MAILER}")
    try:
        host.check_output(f"kill -9 {_property(host, MAILER, 'MainPID')}")
        _eventually(lambda: _entry(host, MAILER)["health"] == "failed", 90, "the end of the crash loop")
        assert int(_property(host, MAILER, "NRestarts")) <= 11
    finally:
        host.check_output(f"rm -r {folder} && systemctl daemon-reload")
    _eventually(lambda: _entry(host, MAILER)["next_start"], 20, "a plan to start it again")
    _eventually(lambda: _property(host, MAILER, "ActiveState") == "active", 100, "another start by the agent")
    assert _history(host, MAILER)[-1]["actions"][-1] == "reset-failed, start"


def test_killed_database_answers_again_within_10_seconds(host):
    unit = _servers(host)["postgresql"]["unit"]
    _ready(host, unit)
    lives, before = _lives(host), _property(host, unit, "MainPID")
    # What status says in the second that systemd waits goes to a file: each call from here would take as long.
    look = "sleep 0.3; mainstay status --json postgresql > /run/mainstay-test.json; echo $? >> /run/mainstay-test.json"
    try:
        assert _seconds_until_servers_answer(host, ["postgresql"], 20, f"kill -9 {before}; {look}") <= 10
        told, code = host.file("/run/mainstay-test.json").content_string.strip().rsplit("\n", 1)
    finally:
        host.check_output(f"rm -f /run/mainstay-test.json; systemctl start {unit}")
    assert (json.loads(told)["servers"][0]["health"], code) == ("restarting", "1")
    _eventually(
        lambda: [(item["kind"], item["state"]) for item in _history(host, unit)][-1:] == [("crash", "recovered")], 30, "a remembered crash"
    )
    assert _property(host, unit, "MainPID") != before
    assert _lives(host) == lives


def test_a_database_without_a_free_connection_is_told_and_nothing_is_restarted(host):
    unit = _servers(host)["postgresql"]["unit"]
    _ready(host, unit)
    lives, before = _lives(host), _property(host, unit, "MainPID")
    greedy = f"runuser -u postgres -- python3 -c {shlex.quote(GREEDY)}"
    host.check_output("systemd-run --quiet --unit=mainstay-greedy sh -c %s", f"sleep 300 | {greedy}")
    try:
        _eventually(lambda: _entry(host, unit)["health"] == "down", 40, "a database that lets nobody in")
        told = host.run("mainstay why postgresql").stdout
        assert "postgresql: full since" in told and "all its connections are in use" in told and "Done: nothing" in told
        assert "1. postgresql: down: all its connections are in use" in host.run("mainstay diagnose").stdout
    finally:
        host.check_output("systemctl stop mainstay-greedy.service")
    _eventually(lambda: _entry(host, unit)["health"] == "up", 30, "a database that lets people in")
    assert (_lives(host), _property(host, unit, "MainPID")) == (lives, before)


@slow
def test_frozen_servers_answer_again_within_30_seconds(host):
    _ready(host, REDIS)
    lives, redis = _lives(host), _property(host, REDIS, "MainPID")
    nginx = f"$(pgrep --session $(systemctl show --property=MainPID --value {NGINX}))"
    try:
        fault = f"kill -STOP {redis} {nginx}"
        assert _seconds_until_servers_answer(host, ["redis/shop-cache", "nginx"], 60, fault) <= 30
        # Told to go on, both have lost nothing. One that is stopped once more within a minute is started afresh.
        assert _property(host, REDIS, "MainPID") == redis
        _eventually(lambda: _entry(host, REDIS)["health"] == _entry(host, NGINX)["health"] == "up", 30, "both up")
        assert _seconds_until_servers_answer(host, ["redis/shop-cache"], 60, f"kill -STOP {redis}") <= 30
        assert _property(host, REDIS, "MainPID") != redis
    finally:
        host.run(f"kill -CONT {redis} {nginx}; systemctl start {REDIS} {NGINX}")
    for unit, done in ((REDIS, ["SIGCONT", "SIGKILL, restart"]), (NGINX, ["SIGCONT"])):
        _eventually(lambda unit=unit: _history(host, unit)[-1]["state"] == "recovered", 30, f"a remembered recovery of {unit}")
        assert (_history(host, unit)[-1]["kind"], _history(host, unit)[-1]["actions"]) == ("hang", done)
    assert _lives(host) == lives


def test_a_report_of_the_day_is_kept(host):
    """Of everything above: its sums are those of the incidents, and what lies beside it does no harm."""
    unit, folder = "mainstay-report.service", "/var/lib/mainstay/agent/reports"
    assert host.service("mainstay-report.timer").is_running
    host.check_output(f"systemctl start {unit}")
    names = host.check_output(f"ls {folder}").split()
    assert host.check_output(f"stat -c '%U %a' {folder}/{names[-1]}") == "mainstay 640"
    first = json.loads(host.check_output(f"cat {folder}/{names[-1]}"))  # one of the same second takes its place
    host.check_output(f"head -c 100 /dev/urandom > {folder}/29990101T000000Z.json && ln -s /etc/shadow {folder}/29990102T000000Z.json")
    try:
        found = json.loads(host.check_output("mainstay report --json"))
        host.check_output(f"systemctl start {unit}")
    finally:
        host.check_output(f"rm -f {folder}/2999*")
    kept = json.loads(host.check_output("mainstay report --last --json"))
    assert kept["compared_with"] and found["compared_with"] == first["time"]
    memory = [told["used"]["memory of the host"] for told in (found, kept)]
    assert memory[0]["limit"] == memory[1]["limit"] and abs(memory[1]["change"]) < memory[1]["limit"] / 4
    recorded = json.loads(host.check_output("mainstay history --json -n 1000"))["incidents"]
    assert found["incidents_total"] == len(recorded)
    assert 0 < found["apps"]["shop"]["availability"] < 100 and found["apps"]["shop"]["slowest_recovery"]["seconds"] > 0
    assert found["servers"]["postgresql"]["incidents"] > 0 and found["used"]["disk /"]["change"] is not None
    assert "shop" in host.check_output("mainstay report")


def test_people_were_told_of_each_cause_once_and_of_its_end(host):
    """Of everything above, as the last test: what was recorded, and what has arrived of it."""

    def told():
        lines = host.run("cat /run/told").stdout.splitlines()
        return [event for line in lines for event in json.loads(line)["events"]]

    def missing():
        events = told()
        known = {event["id"] for event in events}
        affected = {name for event in events for name in event["affects"]}
        recorded = json.loads(host.check_output("mainstay history --json -n 1000"))["incidents"]
        places = {incident["id"]: "/".join(incident.get(key, "") for key in ("app", "process", "instance")) for incident in recorded}
        return [name for name, place in places.items() if name not in known and place not in affected]

    # What could not be sent is tried again each minute.
    _eventually(lambda: not missing(), 100, "an alert for every incident")
    kinds = [(event["id"], "end" if event["kind"] == "ended" else event["kind"]) for event in told()]
    assert len(kinds) == len(set(kinds)), kinds
    assert "postgresql" in {event["where"] for event in told()}
    assert host.run("sudo -u nobody cat /etc/mainstay/alerts.json").rc != 0
    assert host.check_output("mainstay alert --test").splitlines() == ["webhook: sent", "ping: sent"]
