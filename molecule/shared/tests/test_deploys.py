# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys and their failures, seen by a visitor who never stops: requests that read and write, and open websockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from plays import ROOT, only_on, play, words
from visits import Shop, Visit, assert_unharmed

pytestmark = only_on("default", "these are the longest of all tests")

# `make prove` runs more of each, and keeps what was seen.
DEPLOYS = int(os.environ.get("MAINSTAY_DEPLOYS", "1"))
CYCLES = int(os.environ.get("MAINSTAY_CYCLES", "3"))
KILL_AT = os.environ.get("MAINSTAY_KILL_AT", "Tell the proxies").split(",")
RESULTS = os.environ.get("MAINSTAY_RESULTS")
# Short enough for a test; what a hanging release costs is the start timeout.
FAST = {"backend_start_timeout": 20}


@pytest.fixture(scope="module")
def shop(tmp_path_factory, host):
    shop = Shop(tmp_path_factory.mktemp("deploys"))
    run = shop.deploy()
    assert run.returncode == 0, run.stdout[-4000:]
    yield shop
    back = play("playbooks/site.yml")  # as it was declared, for the tests that follow
    assert back.returncode == 0, back.stdout[-4000:]


@pytest.fixture(scope="module")
def visitor(host):
    return lambda: Visit(host)


def keep(name, found):
    """Add what was seen to the file that `make prove` keeps."""
    if RESULTS:
        path = Path(RESULTS)
        seen = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**seen, name: found}, indent=2) + "\n")


def ansible(shop, playbook):
    """A run in the background, as its own process group."""
    return subprocess.Popen(
        [
            "ansible-playbook",
            "-i",
            os.environ["MOLECULE_INVENTORY_FILE"],
            str(ROOT / playbook),
            "-e",
            json.dumps({"mainstay_apps": shop.declared}),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def state(host):
    """What a refused change leaves as it was: links, units, what nginx asks, and that nothing is locked or left over."""
    return host.check_output(
        "readlink /srv/shop/current /srv/shop/instances/* /var/lib/mainstay/backend/*; grep server /etc/nginx/mainstay/upstreams.conf; "
        "systemctl list-units --plain --no-legend 'shop-*' | awk '{print $1, $3, $4}'; ls /etc/systemd/system/shop.target.wants; "
        "ls /run/lock/mainstay; sha256sum /etc/systemd/system/shop-*@.service /etc/mainstay/shop/env"
    )


def test_releases_change_under_load(host, shop, visitor):
    seconds = []
    with visitor() as visit:
        for _each in range(DEPLOYS):
            shop.change()
            began = time.monotonic()
            run = shop.deploy()
            seconds.append(round(time.monotonic() - began, 1))
            assert run.returncode == 0, run.stdout[-4000:]
    keep(f"{DEPLOYS} deploys under load", {**visit.found, "deploy_seconds": seconds})
    assert_unharmed(visit.found)
    assert len(visit.found["releases"]) == DEPLOYS + 1
    # 1012 is "service restart": the server says goodbye once the drain time is over.
    assert set(visit.found["websocket_closes"]) <= {"1012", "kept"} and visit.found["websocket_closes"]["1012"] == 20 * DEPLOYS
    release = host.check_output("readlink -f /srv/shop/current")
    places = host.check_output("for pid in $(pgrep -u shop); do readlink /proc/$pid/cwd; done | sort -u").split()
    assert places == [release], "no process of an old release is left"
    assert host.check_output("ls /srv/shop/instances | grep -c web") == host.check_output(
        "grep server /etc/nginx/mainstay/upstreams.conf | grep -vc backup"
    )


def test_a_deploy_without_a_change_changes_nothing(shop):
    began = time.monotonic()
    run = shop.deploy()
    keep("a deploy without a change", {"seconds": round(time.monotonic() - began, 1)})
    assert run.returncode == 0 and "changed=0" in run.stdout


ANSWER = """…
@app.middleware("http")
async def answer(request, call_next):
    return JSONResponse({})
"""
SLOWNESS = """…
import asyncio

@app.middleware("http")
async def slowly(request, call_next):
    await asyncio.sleep(0.5)
    return await call_next(request)
"""
DEATH = """…
import os, sys, threading
if 'uvicorn' in sys.argv[0]:
    threading.Timer(6, os._exit, [1]).start()
"""
WORKERS_DEATH = """…
import os, sys, threading
if 'celery' in sys.argv[0]:
    threading.Timer(1, os._exit, [1]).start()
"""
NO_CERTIFICATE = {"localhost": {"tls": {"certificate": "/etc/no-such.crt", "key": "/etc/no-such.key"}, "routes": {"/": {"process": "web"}}}}
NO_ARCHIVE = {"archive": "http://127.0.0.1:1/shop.tar.gz", "checksum": f"sha256:{'0' * 64}"}
EXAMPLE = yaml.safe_load((ROOT / "inventory.example/group_vars/all.yml").read_text())["mainstay_apps"]["shop"]["processes"]
NO_BROKER = {**EXAMPLE, "worker": {**EXAMPLE["worker"], "env": {"REDIS_QUEUE_URL": "redis://127.0.0.1:1/0"}}}
# On a busy machine few are answered in three seconds.
SLOW = {"backend_bake_max_latency_ms": 400, "backend_bake_seconds": 6}
BROKEN = [
    ("does not start", "shop/main.py", "…\nraise SystemExit('no such luck')\n", {}, "no such luck"),
    ("hangs", "shop/main.py", "…\nimport time\ntime.sleep(600)\n", {}, "shop-web@"),
    ("answers 500", "shop/main.py", ANSWER.format("{'detail': 'feeling ill'}, 500"), {}, "/health gave status 500"),
    ("answers the wrong thing", "shop/main.py", ANSWER.format("{'status': 'fine'}"), {}, "/ready gave status 200"),
    ("fails to build", "requirements.lock", "no-such-package-of-mainstay==1\n", {}, "no-such-package-of-mainstay"),
    ("fails to migrate", "migrations/env.py", "raise SystemExit('no such table')\n", {}, "no such table"),
    ("finds no disk space", "shop/static/x.txt", "x", {"backend_minimum_free_mb": 100000000}, "100000000 MB"),
    ("cannot be fetched", "x", "x", {"app": {"source": NO_ARCHIVE}}, "127.0.0.1:1/shop.tar.gz"),
    ("comes with a site that nginx refuses", "shop/static/x.txt", "x", {"app": {"sites": NO_CERTIFICATE}}, "/etc/no-such.crt"),
    ("has workers that die", "shop/log.py", WORKERS_DEATH, {}, "Last lines of shop-"),
    ("has a worker without a broker", "shop/static/x.txt", "x", {"app": {"processes": NO_BROKER}}, "its broker does not answer"),
    ("answers slowly", "shop/main.py", SLOWNESS, SLOW, "ms, and 400 ms are allowed"),
    ("dies after a while", "shop/log.py", DEATH, {"backend_bake_seconds": 15}, "While it was watched"),
]


if not RESULTS:  # what ends a deploy where another one of them does is left to the long form
    BROKEN = [case for case in BROKEN if case[0] not in ("answers the wrong thing", "cannot be fetched")]


@pytest.mark.parametrize(("name", "file", "text", "variables", "wanted"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_broken_release_harms_nobody(host, shop, visitor, name, file, text, variables, wanted):
    before = state(host)
    changed, options = variables.get("app", {}), {key: value for key, value in variables.items() if key != "app"}
    with shop.broken(file, text), visitor() as visit:
        began = time.monotonic()
        run = shop.deploy(mainstay_apps={"shop": {**shop.declared["shop"], **changed}}, **FAST, **options)
        seconds = round(time.monotonic() - began, 1)
    assert run.returncode != 0, run.stdout[-3000:]
    assert wanted in words(run), run.stdout[-3000:]
    keep(f"a release that {name}", {**visit.found, "run_seconds": seconds})
    assert state(host) == before
    if "backend_bake_seconds" in variables:
        # What was being written by a process when it died is not tried again, for it may have been done.
        visit.found["failed"] -= sum(failure.split(":")[2].endswith(" POST") for failure in visit.found["failures"])
    assert_unharmed(visit.found)
    assert len(visit.found["releases"]) <= 2


def test_a_stranger_on_the_next_port_gets_no_visitor(host, shop, visitor):
    """A process of somebody else that answers as a healthy app would, where the next set is to listen."""
    before = state(host)
    free = [port for port in range(8000, 8004) if str(port) not in host.check_output("readlink /var/lib/mainstay/backend/shop-web")]
    host.check_output("mkdir -p /run/stranger && cd /run/stranger && echo '{}' >health && echo '{\"status\": \"healthy\"}' >ready")
    for port in free:
        host.check_output(
            "systemd-run --quiet --collect --unit=stranger-%s --uid=nobody python3 -m http.server -d /run/stranger %s", str(port), str(port)
        )
    shop.change()
    with visitor() as visit:
        run = shop.deploy(**FAST)
    host.check_output("systemctl stop 'stranger-*'")
    assert run.returncode != 0 and "is held by python3" in words(run) and "of stranger-80" in words(run), run.stdout[-3000:]
    assert state(host) == before
    assert_unharmed(visit.found)
    assert len(visit.found["releases"]) == 1


def test_a_rollback_is_quick_and_harms_nobody(host, shop, visitor):
    before = host.check_output("readlink /srv/shop/current")
    shop.change()
    began = time.monotonic()
    assert shop.deploy().returncode == 0
    keep("a deploy of one changed file", {"seconds": round(time.monotonic() - began, 1)})
    with visitor() as visit:
        began = float(host.check_output("date +%s.%N"))
        run = shop.deploy("playbooks/rollback.yml")
    serving = visit.found["since"][before.rpartition("/")[2]]
    keep("rollback", {**visit.found, "seconds_until_traffic": round(serving - began, 1)})
    assert run.returncode == 0
    assert host.check_output("readlink /srv/shop/current") == before
    assert_unharmed(visit.found)
    again = shop.deploy("playbooks/rollback.yml")
    assert again.returncode != 0 and "no earlier release to return to" in words(again)


def test_a_secret_is_replaced_and_nobody_notices(host, shop, visitor):
    def secrets():
        lines = host.file("/etc/mainstay/shop/env").content_string.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    before = secrets()
    with visitor() as visit:
        run = shop.deploy("playbooks/rotate.yml", mainstay_secret="shop/SECRET_KEY")
    assert run.returncode == 0, run.stdout[-4000:]
    assert visit.found["failed"] == 0, visit.found  # orders are signed by the key, so those of before are not looked for
    assert {name for name, value in secrets().items() if value != before[name]} == {"SECRET_KEY"}
    assert secrets()["SECRET_KEY"].strip('"') not in run.stdout
    again = shop.deploy()
    assert (again.returncode, "changed=0" in again.stdout) == (0, True), again.stdout[-4000:]


def test_the_second_of_two_deploys_is_refused(host, shop):
    shop.change()
    first = ansible(shop, "playbooks/deploy.yml")
    while host.run("test -e /run/lock/mainstay/shop.deploy").rc:
        assert first.poll() is None
    second = shop.deploy()
    assert second.returncode != 0 and "has been deploying release" in words(second), second.stdout[-2000:]
    assert first.wait(200) == 0, first.stdout.read()[-3000:]


def test_a_release_that_fails_soon_is_left_by_the_host_itself(host, shop):
    if host.run("test -e /var/lib/mainstay/ways-back/shop.json").rc:  # where this test runs alone
        shop.change()
        assert shop.deploy().returncode == 0
    new, before = host.check_output("readlink /srv/shop/current /srv/shop/previous").split()
    declared = json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]
    unit = next(entry["unit"] for entry in declared if entry["process"] == "web")
    for _each in range(3):
        host.check_output(f"kill -9 $(systemctl show --property=MainPID --value {unit})")
        time.sleep(7)  # the agent looks every five seconds, and counts what it has seen
    for _each in range(40):
        if host.run("test -e /var/lib/mainstay/ways-back/shop.json -o -e /run/lock/mainstay/shop.deploy").rc:
            break
        time.sleep(1)
    last = json.loads(host.file("/var/lib/mainstay/deploys.jsonl").content_string.splitlines()[-1])
    assert (last["by"].partition("@")[0], last["result"]) == ("agent", "succeeded"), last
    assert (f"releases/{last['from']}", f"releases/{last['to']}") == (new, before)
    assert host.check_output("readlink /srv/shop/current") == before
    assert not host.file(f"/srv/shop/{new}/.complete").exists, "it is void"
    assert set(host.check_output("for pid in $(pgrep -u shop); do readlink /proc/$pid/cwd; done").split()) == {f"/srv/shop/{before}"}
    assert host.run("curl --silent --insecure --fail https://localhost/ready").rc == 0
    assert shop.deploy("playbooks/rollback.yml").returncode != 0, "there is no way further back"


@pytest.mark.parametrize("sign", KILL_AT)
def test_a_control_node_that_dies_leaves_a_site_that_serves(host, shop, visitor, sign):
    shop.change()
    with visitor() as visit:
        run = ansible(shop, "playbooks/deploy.yml")
        assert any(sign in line for line in run.stdout), f"no line of the run has {sign!r}"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        time.sleep(3)
        following = shop.deploy()
    keep(f"control node killed at {sign!r}", visit.found)
    assert following.returncode == 0, following.stdout[-3000:]
    assert_unharmed(visit.found)
    served = set(host.check_output("grep -o '80[0-9]*' /etc/nginx/mainstay/upstreams.conf").split())
    active = host.check_output("systemctl list-units --plain --no-legend --state=active 'shop-web@*' | grep -o '@80[0-9]*'").split()
    assert served == {unit[1:] for unit in active}
    assert host.run("ls /run/lock/mainstay/*.deploy").rc != 0


def test_a_stopped_app_leaves_its_ports_free(host):
    ports = "'( sport >= :8000 and sport <= :8003 )'"
    for _each in range(CYCLES):
        host.check_output("mainstay stop shop")
        assert host.check_output(f"ss --no-header --tcp --listening --numeric {ports}") == ""
        assert host.run("pgrep -u shop").rc != 0
        host.check_output("mainstay start shop")
    keep("stop and start", {"cycles": CYCLES})
