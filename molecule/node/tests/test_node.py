# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Node example: pages, messages and websockets through nginx, its limits, and a deploy that sends its readers on."""

from __future__ import annotations

import json
import re

import pytest
from plays import changes, declared, play

EXPOSURE = 2.5  # Node compiles while it runs, so its memory may be written and executed
READER = """
const WebSocket = require('ws')
const socket = new WebSocket('wss://localhost/ws', { rejectUnauthorized: false })
socket.on('open', () => console.log('open'))
socket.on('message', message => console.log(String(message)))
socket.on('close', code => console.log('closed with ' + code))
"""


@pytest.fixture
def reader(host):
    """What a websocket has heard so far."""
    host.check_output("rm -f /run/reader.log")
    host.check_output(
        "systemd-run --quiet --collect --unit=reader --property=StandardOutput=file:/run/reader.log "
        "--property=WorkingDirectory=/srv/chat/current node -e %s",
        READER,
    )
    host.check_output("timeout 10 sh -c 'until grep -q open /run/reader.log; do sleep 0.1; done'")
    yield lambda: host.file("/run/reader.log").content_string
    host.run("systemctl stop reader.service")


def _units(host):
    return host.check_output("systemctl list-units --plain --no-legend --state=active 'chat-web@*' | cut -d' ' -f1").split()


def test_pages_and_what_they_need_are_there(host):
    assert "<html" in host.check_output("curl --silent --insecure --fail https://localhost/").lower()
    ready = json.loads(host.check_output("curl --silent --insecure --fail https://localhost/ready"))
    assert ready["status"] == "healthy" and set(ready["components"]) == {"database", "redis"}


def test_a_message_reaches_the_readers_of_all_instances(host, reader):
    for number in range(4):
        host.check_output(
            "curl --silent --insecure --fail --json %s https://localhost/messages",
            json.dumps({"author": "Ann", "text": f"hello {number}"}),
        )
    for number in range(4):
        assert f"hello {number}" in reader()


def test_node_s_heap_is_below_the_unit_s_limit(host):
    for unit in _units(host):
        shown = host.check_output(f"systemctl show --property=MemoryMax,Environment {unit}")
        limit, heap = (int(re.search(pattern, shown)[1]) for pattern in (r"MemoryMax=(\d+)", r"--max-old-space-size=(\d+)"))
        assert limit == 250 << 20 and heap < 250


def test_units_are_confined(host):
    for unit in _units(host):
        said = host.check_output(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
        assert float(re.search(r": (\d+\.\d)", said)[1]) <= EXPOSURE, said


def _serving_node(host):
    """The version of Node that the app runs on, as the kernel has it."""
    pid = host.check_output(f"systemctl show --property=MainPID --value {_units(host)[0]}")
    return host.check_output(f"/proc/{pid}/exe --version")


def test_a_deploy_onto_another_node_sends_the_readers_on(host, reader):
    before = _units(host)
    apps = declared()
    apps["chat"]["env"] = {"LOG_LEVEL": "warning"}
    apps["chat"]["node"] = "22"
    assert _serving_node(host).startswith("v18.")
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0, run.stdout[-4000:]
    assert re.search(r"chat: [0-9a-f-]+ -> [0-9a-f-]+ succeeded in [0-9.]+ s \(build ", run.stdout)
    assert _serving_node(host).startswith("v22.")
    last = json.loads(host.file("/var/lib/mainstay/backup/last.json").content_string)  # it has migrated, and asks for a backup before
    assert "postgresql-chat" in last["parts"], last
    assert host.check_output("mainstay run chat -- node --version").strip().startswith("v22.")
    assert not set(before) & set(_units(host))
    assert "closed with 1001" in reader()
    back = play("playbooks/deploy.yml")
    assert (back.returncode, set(_units(host))) == (0, set(before)), back.stdout[-4000:]
    assert changes(play("playbooks/deploy.yml")) == 0


def test_a_host_with_a_strict_umask_and_no_locale_serves_the_same(host):
    assert host.check_output("umask") == "0077"
    assert "LANG=C.UTF-8" in host.check_output(f"systemctl show --property=Environment {_units(host)[0]}")
    assert host.check_output("stat --format=%a /run/lock/mainstay") == "755"


def test_the_resolver_of_a_cloud_image_listens_for_nobody(host):
    assert host.service("systemd-resolved").is_running
    assert host.check_output("ss --no-header --listening --tcp --udp --numeric 'sport = :5355 or sport = :5353'") == ""
