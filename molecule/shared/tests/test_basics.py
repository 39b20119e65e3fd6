# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished host is whole, and a run has nothing left to do on it. These come first: other tests disturb the host."""

from __future__ import annotations

import re

from plays import changes, play

# What a run costs that changes nothing is its tasks, skipped ones included: a process each on the control node.
TASKS = 90


def test_check_mode_predicts_no_change():
    run = play("playbooks/site.yml", "--check", "--diff")
    assert run.returncode == 0, run.stdout + run.stderr
    assert changes(run) == 0, run.stdout
    assert sum(int(count) for count in re.findall(r"(?:ok|skipped)=(\d+)", run.stdout)) <= TASKS


def test_every_unit_is_well(host):
    assert host.check_output("systemctl is-system-running --wait || systemctl list-units --failed") == "running"


def test_ssh_is_how_we_came(host):
    assert host.backend.get_connection_type() in ("ssh", "ansible")
    assert host.service("ssh").is_running
    assert host.socket("tcp://0.0.0.0:22").is_listening
