# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to lock oneself out, by the firewall and by sshd: each ends with a new login by the time that the guard has said."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time

import pytest
from plays import PLAIN, ROOT, only_on

GUARDS = {"firewall": "/usr/local/lib/mainstay/firewall-guard", "ssh": "/usr/local/lib/mainstay/ssh-guard"}
FILES = {"firewall": "/etc/nftables.conf", "ssh": "/etc/ssh/sshd_config.d/00-mainstay.conf"}
# How a host starts, as far as its guards see it: their timers are gone, and the servers start.
STARTS = {
    "firewall": "systemctl restart nftables.service",
    "ssh": "systemctl stop ssh.service && systemctl start mainstay-ssh-guard.service ssh.service",
}
# Seconds: until the guard takes it back, how long that and a try to log in may take, and more than any test waits for.
GUARD, MORE, NEVER = 8, 8, 900
INPUT = "chain input { type filter hook input priority filter; policy drop; iif lo accept; %s\n}"
OPEN = "ct state established,related accept;"
# What is wrong: of which guard, and the table of the firewall or the line of sshd's configuration that makes it so.
WAYS = {
    "all packets are dropped": ("firewall", INPUT % ""),
    "no port is open": ("firewall", INPUT % OPEN),
    "another network may come": ("firewall", INPUT % f"{OPEN} ip saddr 203.0.113.0/24 tcp dport 22 accept;"),
    "connections are reset": ("firewall", INPUT % f"{OPEN} tcp dport 22 reject with tcp reset;"),
    "answers do not get out": ("firewall", "chain output { type filter hook output priority filter; policy drop;\n}"),
    "packets are dropped before they are looked at": (
        "firewall",
        "chain early { type filter hook prerouting priority raw; tcp dport 22 drop;\n}",
    ),
    "a list of others": ("ssh", "AllowUsers nobody"),
    "keys are not taken": ("ssh", "PubkeyAuthentication no"),
    "keys are looked for nowhere": ("ssh", "AuthorizedKeysFile none"),
    "another port": ("ssh", "Port 2299"),
}
# The same by runs of a playbook.
RUNS = {"firewall": {"firewall_ssh_from": ["203.0.113.0/24"]}, "ssh": {"ssh_allow_users": ["nobody*"]}}
pytestmark = only_on("trixie", "it waits for guards")
long = pytest.mark.skipif(not os.environ.get("MAINSTAY_PROVE"), reason="make prove tries all of them")


def _gets_in():
    """Whether Ansible does, by a connection of its own."""
    alone = "ansible_ssh_args='-o ControlMaster=no -o ControlPath=none' ansible_ssh_retries=0"
    words = [
        "ansible",
        "all",
        "-i",
        os.environ["MOLECULE_INVENTORY_FILE"],
        "-m",
        "ansible.builtin.raw",
        "-a",
        "true",
        "-T",
        "3",
        "-e",
        alone,
    ]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **PLAIN}, capture_output=True, timeout=60, check=False).returncode == 0


def _until(wanted, seconds):
    """Wait until one gets in, or no longer does; how long that took."""
    start = time.monotonic()
    while _gets_in() is not wanted:
        assert time.monotonic() - start < seconds, f"after {seconds} seconds one {'still does not get' if wanted else 'gets'} in"
        time.sleep(0.3)
    return time.monotonic() - start


@pytest.fixture(params=[])
def guarded(host, request):
    """A guard's name; in the end its file is the one of before, nothing waits, and what is in use is proven."""
    before = host.file(FILES[request.param]).content_string
    yield request.param
    assert host.file(FILES[request.param]).content_string == before
    assert host.check_output(f"systemctl list-units --all --no-legend 'mainstay-{request.param}-rollback*'") == ""
    assert host.run(f"{GUARDS[request.param]} prove").rc != 0
    if request.param == "firewall":
        host.check_output(f"{GUARDS['firewall']} status")
    else:
        host.check_output(f"{GUARDS['ssh']} test")


def _lock(host, guard, wrong, seconds, then="true"):
    """Put it into effect as the role does, by something that no connection ends, and a moment later: the answer has to get out."""
    file = shlex.quote(FILES[guard])
    if guard == "firewall":
        rules = f"table inet mainstay\ndelete table inet mainstay\ntable inet mainstay {{\n{wrong}\n}}\n"
        write = f"printf %s {shlex.quote(rules)} >{file}"
    else:
        write = f"sed -i {shlex.quote('1i ' + wrong)} {file}"
    script = f"sleep 1 && {write} && {GUARDS[guard]} apply {seconds} && {then}"
    host.check_output(f"systemd-run --quiet --collect --unit=mainstay-lockout sh -c {shlex.quote(script)}")


@pytest.mark.parametrize(("guarded", "wrong"), WAYS.values(), ids=WAYS, indirect=["guarded"])
@long
def test_who_is_locked_out_gets_in_again(host, guarded, wrong):
    start = time.monotonic()
    _lock(host, guarded, wrong, GUARD)
    _until(False, GUARD)
    _until(True, GUARD + MORE)
    assert time.monotonic() - start < GUARD + MORE


@pytest.mark.parametrize("guarded", RUNS, indirect=True)
def test_a_control_node_that_dies_in_the_middle_leaves_the_host_as_it_was(guarded):
    """Killed with all its processes after it has changed the lock, before it has tried the new key."""
    given = {**RUNS[guarded], f"{guarded}_guard_seconds": 2 * GUARD, f"{guarded}_proof_seconds": GUARD}
    words = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(ROOT / "playbooks/site.yml"), "--tags", guarded]
    run = subprocess.Popen(
        [*words, "-e", json.dumps(given)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **PLAIN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _until(False, 60)
        assert run.poll() is None
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    _until(True, 2 * GUARD + MORE)


@pytest.mark.parametrize(("guarded", "wrong"), [WAYS["no port is open"], WAYS["keys are not taken"]], ids=STARTS, indirect=["guarded"])
def test_a_host_that_starts_anew_meanwhile_starts_with_what_was_proven(host, guarded, wrong):
    """As who is locked out presses the provider's button, and the timer of the guard is gone."""
    start = f"sleep {GUARD} && systemctl stop mainstay-{guarded}-rollback.timer && {STARTS[guarded]}"
    _lock(host, guarded, wrong, NEVER, then=start)
    _until(False, GUARD)
    _until(True, GUARD + MORE)
