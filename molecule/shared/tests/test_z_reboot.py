# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that starts again: what was well is well again by itself, each part after what it needs, and nothing that was promised is lost."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from plays import ROOT, only_on

SITE = "https://localhost"
CURL = "curl --ipv4 --silent --show-error --fail --insecure --max-time 10"
# Until all is well, beside the host's own start, on a machine that is busy.
SECONDS = 90
RULES = "nft --stateless --terse list table inet mainstay"
pytestmark = only_on("trixie", "it waits for starts")


def _units(host):
    """What runs and waits, but for the host's own and what runs for a moment."""
    listed = host.check_output("systemctl list-units --output=json --type=service,timer,socket,path,mount --state=active")
    others = ("run-", "session-", "systemd-", "user", "mainstay-act@", "certbot.service", "apt-")
    return {entry["unit"] for entry in json.loads(listed) if entry["sub"] != "exited" and not entry["unit"].startswith(others)}


def _unwell(host, units):
    """What is not as it was: units that are missing, and processes and servers that the agent does not call well."""
    run = host.run("mainstay status --json")
    told = json.loads(run.stdout) if run.rc in (0, 1) else {"processes": [{"unit": run.stderr, "health": "unknown"}]}
    unwell = [
        f"{entry['unit']} is {entry['health']}"
        for key in ("processes", "servers")
        for entry in told.get(key, [])
        if entry["health"] != "up"
    ]
    return unwell + sorted(units - _units(host))


stopped = pytest.mark.skipif(not os.environ.get("MAINSTAY_PROVE"), reason="it starts as after a cut; make prove does both")


@pytest.mark.parametrize("how", [pytest.param([], id="stopped", marks=stopped), pytest.param(["--cut"], id="cut off")])
def test_all_is_well_after_a_start(host, how):
    said = '-X POST -H \'Content-Type: application/json\' -d \'{"item": "tea", "quantity": 2}\''
    order = json.loads(host.check_output(f"{CURL} {said} {SITE}/orders"))["id"]
    units, rules = _units(host), host.check_output(RULES)
    incidents = len(json.loads(host.run("mainstay history --json").stdout)["incidents"])
    subprocess.run([ROOT / "scripts/lab", "restart", *how, host.backend.get_hostname()], check=True, timeout=180)
    begun = time.monotonic()
    while unwell := _unwell(host, units):
        assert time.monotonic() - begun < SECONDS, unwell
        time.sleep(1)
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""
    assert host.check_output(RULES) == rules
    assert json.loads(host.check_output(f"{CURL} {SITE}/ready"))["status"] == "healthy"
    assert json.loads(host.check_output(f"{CURL} {SITE}/orders/{order}"))["id"] == order
    # What ends with its host has not crashed, and what has not started yet does not hang.
    assert len(json.loads(host.run("mainstay history --json").stdout)["incidents"]) == incidents
