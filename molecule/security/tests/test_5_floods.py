# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address does its worst, or twenty do, and another visits meanwhile. ``make prove`` runs the long form, with the figures that are promised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[3] / "tests/load/flood.py"
SPACE, HOST, VISITOR = "mainstay-flood", "198.51.100.1", "198.51.100.3"
FLOODERS = [f"198.51.100.{number}" for number in range(10, 30)]
# Milliseconds, and seconds. Attacker, visitor and host share two cores here, with whatever runs beside them, so the short form has the
# floods that cost the least.
IS_LONG = bool(os.environ.get("MAINSTAY_PROVE"))
P99, SECONDS, CONNECTIONS = (500, 20, 8300) if IS_LONG else (4000, 4, 1500)
# How many connections one address may have open at once, and some that are just ending.
PART = 500
MANY = [1, len(FLOODERS)] if IS_LONG else [1]
# Twenty that read nothing cost most: 1,340 connections that are made anew as soon as they are closed, on the same two cores.
WORST, WORST_P99, WORST_FAILED = ("slow_read", len(FLOODERS)), 2000, 2
KINDS = ["headers", "slow_read", "websocket", *(["body", "idle", "handshakes", "requests"] if IS_LONG else [])]


@pytest.fixture(scope="module")
def run_from(host):
    """Run the client in a network namespace, over a pair of interfaces, from one of its addresses."""
    host.check_output(f"python3 -c \"open('/run/flood.py', 'wb').write(bytes.fromhex('{CLIENT.read_bytes().hex()}'))\"")
    host.check_output(
        f"ip netns add {SPACE} && ip link add flood-in type veth peer name flood-out netns {SPACE}"
        f" && ip address add {HOST}/24 dev flood-in && ip link set flood-in up"
        f" && for address in {VISITOR} {' '.join(FLOODERS)}; do ip -n {SPACE} address add $address/24 dev flood-out; done"
        f" && ip -n {SPACE} link set flood-out up"
    )

    def command(kind, sources, seconds, connections=CONNECTIONS):
        # What twenty ask of an app at once is its load, and its to bear; what they read slowly is nginx'.
        path = "/" if len(sources) == 1 else "/files/app.js"
        options = f"--target {HOST} --source {' '.join(sources)} --seconds {seconds} --connections {connections} --path {path}"
        return f"ip netns exec {SPACE} python3 /run/flood.py {kind} {options}"

    yield command
    host.run(f"systemctl stop flood; ip link delete flood-in; ip netns delete {SPACE}")


@pytest.mark.parametrize("many", MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_addresses_take_no_more_than_their_part(host, run_from, shop, kind, many):
    host.run("systemctl stop flood")  # of a test that failed
    host.check_output("fail2ban-client unban --all")  # each flood is to meet the limits, not the ban that the one before has earned
    flooding = run_from(kind, FLOODERS[:many], SECONDS + 4)
    host.check_output(f"systemd-run --quiet --unit=flood --collect --property=StandardOutput=truncate:/run/flood.json {flooding}")
    visit = json.loads(host.check_output(f"sleep 2; {run_from('visit', [VISITOR], SECONDS)}"))
    p99, failed = (WORST_P99, WORST_FAILED) if (kind, many) == WORST else (P99, 0)
    assert len(visit["failed"]) <= failed and visit["p99_ms"] < p99, visit
    host.run("while systemctl is-active --quiet flood; do sleep 0.5; done")
    flood = json.loads(host.file("/run/flood.json").content_string)
    print(f"{kind} of {many}: {json.dumps(visit)} beside {json.dumps(flood)}")
    assert flood["most"] > 0 and (flood["most"] < PART * many or kind == "requests"), flood
    assert shop() == "healthy"
    # The kernel has killed no worker for its memory, which takes others' connections with it.
    assert "exited on signal" not in host.file("/var/log/nginx/error.log").content_string
