# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process on a schedule: systemd starts it, tells how it ended, and a deploy leaves the one under way alone."""

from __future__ import annotations

import json
import shutil
import time

import pytest
import yaml
from plays import ROOT, play

TIMER, JOB = "guestbook-report@1.timer", "guestbook-report@1.service"


def _said(host, since="-1h"):
    return host.check_output("journalctl --quiet --no-pager --output=cat --since=%s --unit %s", since, JOB)


def _entry(host):
    found = json.loads(host.run("mainstay status guestbook/report --json").stdout)
    return found["processes"][0]


def test_it_has_run_on_its_schedule_with_the_packages_of_its_release(host):
    deadline = time.monotonic() + 70
    while "report by" not in (said := _said(host)):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    assert f"report by {host.check_output('readlink -f /srv/guestbook/current')}/.venv" in said
    assert host.check_output("systemctl show --property=NextElapseUSecRealtime --value %s", TIMER) != ""
    assert _entry(host)["health"] == "up"


def test_its_unit_has_an_end_a_limit_and_the_sandbox(host):
    shown = host.check_output("systemctl show --property=Type,TimeoutStartUSec,MemoryMax,NoNewPrivileges,User,Restart %s", JOB).splitlines()
    wanted = {"Type=oneshot", "TimeoutStartUSec=5min", f"MemoryMax={64 << 20}", "NoNewPrivileges=yes", "User=guestbook", "Restart=no"}
    assert wanted <= set(shown), shown


def test_a_run_that_fails_is_told_until_one_succeeds(host):
    host.check_output("runuser -u guestbook -- touch /srv/guestbook/shared/fail")
    assert host.run("systemctl start %s", JOB).rc != 0
    told = host.run("mainstay status guestbook/report")
    host.check_output("rm /srv/guestbook/shared/fail && systemctl start %s", JOB)
    assert told.rc == 1 and "its last run failed: exit-code, exit status 3" in told.stdout, told.stdout
    assert host.run("mainstay status guestbook/report").rc == 0


@pytest.fixture
def as_declared():
    yield
    back = play("playbooks/deploy.yml")
    assert back.returncode == 0, back.stdout[-3000:]


def test_a_run_under_way_is_kept_whole_over_a_deploy(host, tmp_path, as_declared):
    """It began in the release before, and finds that one's packages at its end."""
    folder = tmp_path / "guestbook"
    shutil.copytree(ROOT / "examples/guestbook", folder)
    (folder / "new").write_text("another release\n")
    apps = yaml.safe_load((ROOT / "molecule/mariadb/group_vars/all/stack.yml").read_text())["mainstay_apps"]
    apps["guestbook"]["source"] = {"path": str(folder)}
    apps["guestbook"]["processes"]["report"]["command"] = "sh -c 'echo new; sleep 1'"
    before = host.check_output("readlink -f /srv/guestbook/current")
    host.check_output("systemctl stop %s; mkdir -p /run/systemd/system/%s.d", TIMER, JOB)
    script = (
        'until [ -e /srv/guestbook/shared/go ]; do sleep 0.2; done; echo ended; exec python -c "import pymysql, sys; print(sys.prefix)"'
    )
    slow = f"[Service]\nExecStart=\nExecStart=/usr/bin/env sh -c '{script}'\n"
    host.check_output("printf %s %s >/run/systemd/system/%s.d/slow.conf && systemctl daemon-reload", "%b", slow.replace("\n", "\\n"), JOB)
    host.check_output("systemctl start --no-block %s", JOB)
    host.check_output("rm -r /run/systemd/system/%s.d && systemctl daemon-reload", JOB)
    pid = host.check_output("systemctl show --property=MainPID --value %s", JOB)
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0, run.stdout[-3000:]
    after = host.check_output("readlink -f /srv/guestbook/current")
    assert after != before
    assert host.check_output("systemctl show --property=MainPID --value %s", JOB) == pid, "it still runs"
    host.check_output("runuser -u guestbook -- touch /srv/guestbook/shared/go")
    host.check_output(f"timeout 60 sh -c 'while [ -d /proc/{pid} ]; do sleep 0.5; done'")
    assert f"ended\n{before}/.venv\n" in _said(host)
    assert host.check_output("systemctl is-active %s", TIMER) == "active"
    host.check_output("systemctl start %s", JOB)
    assert "new" in _said(host).splitlines()
    host.check_output("rm /srv/guestbook/shared/go")
