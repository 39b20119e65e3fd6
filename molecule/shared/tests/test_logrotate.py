# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation by a forced run of the real service: the program goes on writing to the right file."""

from __future__ import annotations

import pytest

LOGS = "/srv/shop/shared/logs"


@pytest.fixture
def writer(host):
    """A program of the app's that holds its log open and writes ten lines a second."""
    host.check_output(f"install -d -o shop -g shop -m 0770 {LOGS}")
    program = f"exec >>{LOGS}/proof.log; while :; do date +%s.%N; sleep 0.1; done"
    host.check_output(f"systemd-run --quiet --unit=mainstay-writer --uid=shop /bin/sh -c '{program}' && sleep 1")
    yield
    host.check_output(f"systemctl stop mainstay-writer.service; rm -f {LOGS}/proof.log*")


def test_forced_rotation_keeps_the_program_writing(host, writer):
    size = host.file(f"{LOGS}/proof.log").size
    assert size > 0
    host.check_output("logrotate --force /etc/logrotate.d/mainstay-shop")
    rotated = host.file(f"{LOGS}/proof.log.1")
    assert (rotated.user, rotated.group) == ("shop", "shop")
    assert rotated.size >= size
    host.check_output("sleep 1")
    assert 0 < host.file(f"{LOGS}/proof.log").size < size + 2000, "the new lines alone"
    assert host.file(f"{LOGS}/proof.log.1").size == rotated.size
    host.check_output("logrotate --force /etc/logrotate.d/mainstay-shop")
    host.check_output(f"zcat {LOGS}/proof.log.2.gz | head -n 1")


def test_the_service_runs_without_errors(host):
    host.check_output("systemctl start logrotate.service")
    assert host.check_output("systemctl show --property Result --value logrotate.service") == "success"


def test_logrotate_looks_more_than_once_a_day(host):
    assert host.service("logrotate.timer").is_running
    assert "OnCalendar=hourly" in host.check_output("systemctl show --property TimersCalendar logrotate.timer").replace(
        "*-*-* *:00:00", "hourly"
    )


def test_packages_stanzas_are_left_alone(host):
    assert host.check_output("dpkg --verify logrotate nginx | grep logrotate.d || true") == ""
