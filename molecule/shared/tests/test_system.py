# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host itself: what is configured is what the kernel, the journal and apt really use."""

from __future__ import annotations

import json
import os
import re

import pytest
from plays import changes, play, words

# Its molecule.yml declares windows; on Debian 12 nothing reboots and updates come when the distribution has them.
with_windows = pytest.mark.skipif(os.environ.get("MOLECULE_SCENARIO_NAME", "trixie") == "default", reason="declared for the others")
without_windows = pytest.mark.skipif(os.environ.get("MOLECULE_SCENARIO_NAME", "default") != "default", reason="windows are declared")


@pytest.mark.parametrize("package", ["acl", "ca-certificates", "lsof", "python3-psutil", "unattended-upgrades"])
def test_packages_are_installed(host, package):
    """Those of the role, and one that the group_vars add (own.yml)."""
    assert host.package(package).is_installed


def test_kernel_parameters_are_the_ones_in_the_file(host):
    lines = host.check_output("grep -hv '^#' /etc/sysctl.d/zz-mainstay*.conf").splitlines()
    declared = dict(line.lstrip("-").split(" = ") for line in lines if line)
    assert "net.core.somaxconn" in declared
    if host.check_output("systemd-detect-virt --container || true") not in ("", "none"):
        assert all(name.startswith("net.") for name in declared)
    names = " ".join(declared)
    there = host.check_output(f"for name in {names}; do sysctl --values $name 2>/dev/null || echo -; done").splitlines()
    skipped = {name for name, value in zip(declared, there, strict=True) if value in ("", "-")}
    assert {name: value for name, value in zip(declared, there, strict=True) if name not in skipped} == {
        name: value for name, value in declared.items() if name not in skipped
    }
    assert not {"net.core.somaxconn", "net.ipv4.tcp_syncookies", "net.ipv4.conf.all.accept_redirects"} & skipped
    assert "net.ipv4.ip_forward" not in declared


def test_journal_is_capped(host):
    # What journald itself says of its limit when it starts.
    journal = host.check_output("journalctl --unit systemd-journald --output cat --grep 'max' | tail -n 1")
    assert re.search(r"max (500|64)(\.0)?M,", journal), journal
    assert "MaxRetentionSec=14day" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_who_floods_the_journal_is_cut_off_and_others_are_heard(host):
    """The host lets 10,000 messages in half a minute pass, and journald itself up to six times as many, by the room there is."""
    host.check_output("systemd-run --wait --quiet --unit=mainstay-flood seq 70000")
    host.check_output("systemd-run --wait --quiet --unit=mainstay-heard echo heard && journalctl --sync")
    kept = int(host.check_output("journalctl --unit=mainstay-flood --output=cat | wc -l"))
    assert 10000 <= kept < 70000
    assert "heard" in host.check_output("journalctl --unit=mainstay-heard --output=cat").splitlines()


def test_only_security_updates_are_installed_unattended(host):
    settings = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    origins = [line for line in settings.splitlines() if line.startswith("Unattended-Upgrade::Origins-Pattern::")]
    assert origins
    assert all("-security" in line for line in origins)


def test_hardening_of_logins_dumps_modules_and_folders(host):
    said = host.check_output("runuser --login nobody --shell /bin/sh --command 'umask; ulimit -H -c'").split()
    assert said == ["0022", "0"]  # a login that is no prompt keeps its umask
    assert host.check_output("sh -ic 'umask 022; . /etc/profile.d/60-mainstay.sh; umask' 2>/dev/null") == "0027"
    assert host.file("/etc/cron.d").mode == 0o700
    assert "Storage=none" in host.check_output("systemd-analyze cat-config systemd/coredump.conf")
    assert "install dccp /bin/false" in host.file("/etc/modprobe.d/60-mainstay.conf").content_string.splitlines()


def test_status_tells_of_a_reboot_that_is_due(host):
    host.check_output("echo linux-image-6.1.0-99 >/run/reboot-required.pkgs && touch /run/reboot-required")
    try:
        assert "for linux-image-6.1.0-99" in host.run("mainstay status").stdout.splitlines()[-1]
    finally:
        host.check_output("rm /run/reboot-required /run/reboot-required.pkgs")
    assert "Reboot due" not in host.run("mainstay status").stdout


# What an update does to a library: another file, with another inode, in its place.
REPLACE = "library=$(readlink --canonicalize /usr/lib/*/libcrypto.so.3); cp --preserve $library $library.new && mv $library.new $library"
# As somebody updates at a prompt, where any question would wait for an answer.
UPDATE = "timeout 120 script --quiet --return --command 'apt-get --yes install --reinstall hostname' /dev/null"


@pytest.fixture
def after_an_update(host):
    """Ends with nothing on the host that runs an old library, except for the login of this test."""
    host.check_output("systemd-run --unit=mainstay-job.service python3 -c 'import ssl, time; time.sleep(600)'; sleep 1")
    host.check_output(REPLACE)
    yield
    host.check_output("systemctl stop mainstay-job.service && mainstay restart shop")
    host.check_output(
        "for unit in $(needrestart -b -r l | sed -n 's/^NEEDRESTART-SVC: //p' | grep '[.]service$'); do systemctl restart $unit; done; "
        "systemctl daemon-reexec"
    )
    assert set(_old(host)) <= {"ssh.service"}


def _old(host):
    return re.findall(r"NEEDRESTART-SVC: (\S+)", host.check_output("needrestart -b -r l"))


@pytest.mark.usefixtures("after_an_update")
def test_what_an_update_has_replaced_is_restarted_but_for_the_apps(host):
    """All servers, but no app, nor a job that must not be cut off, and nobody is asked; then the apps, as the operator does it."""

    def pids(*names):
        return host.check_output(f"systemctl show --property=MainPID --value {' '.join(names)}").split()

    database = next(name for name in _old(host) if name.startswith("postgresql@"))
    servers = ("nginx.service", database, "redis-server@shop-queue.service", "fail2ban.service", "mainstay-agent.service")
    declared = json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]
    web = next(entry["unit"] for entry in declared if entry["process"] == "web")  # which ports serve depends on the deploys before
    spared = (web, "shop-worker@1.service", "mainstay-job.service")
    before = pids(*servers), pids(*spared)
    assert {*servers, *spared} <= set(_old(host))
    said = host.check_output(UPDATE)
    assert not set(before[0]) & set(pids(*servers)), said
    assert pids(*spared) == before[1], said
    assert not set(servers) & set(_old(host)) and set(spared) <= set(_old(host))
    host.check_output("mainstay restart shop")
    assert not [name for name in _old(host) if name.startswith("shop-")]


def test_who_is_restarted_is_the_operator_s_choice(host):
    choice = {"system_restart_after_updates": False, "system_restart_exempt": ["postgresql@", "it's"]}
    run = play("playbooks/site.yml", "--tags", "system", "--check", "--diff", variables=choice)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert "-$nrconf{restart} = 'a';" in lines and "+$nrconf{restart} = 'l';" in lines
    assert "+$nrconf{override_rc}{qr'^(?:postgresql@)'} = 0;" in lines and "+$nrconf{override_rc}{qr'^(?:it\\'s)'} = 0;" in lines
    assert "-$nrconf{override_rc}{qr'^(?:shop-.+@)'} = 0;" in lines
    broken = play("playbooks/site.yml", "--tags", "system", variables={"system_restart_exempt": ["shop-(.+@"]})
    assert broken.returncode != 0 and "Unmatched (" in words(broken) and changes(broken) == 0


def test_root_does_not_read_what_an_app_runs_to_find_what_is_old(host):
    """needrestart would open and parse scripts, and what they import, by what their processes say of themselves."""
    script, unit = "/srv/shop/shared/own.py", "needrestart-own.service"
    host.check_output(f"echo 'import time; time.sleep(60)' | runuser --user shop -- tee {script}")
    host.check_output(f"systemd-run --quiet --unit={unit} --property=User=shop /usr/bin/python3 {script}; sleep 2; touch {script}")
    try:
        assert unit not in _old(host)
    finally:
        host.check_output(f"systemctl stop {unit}; rm {script}")


@with_windows
def test_updates_and_reboots_come_in_their_windows(host):
    """Those of group_vars."""
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "04:30";' in host.check_output("apt-config dump")
    assert " 03:" in host.check_output("systemctl show apt-daily-upgrade.timer --property=NextElapseUSecRealtime --value")


@pytest.mark.parametrize("timer", ["apt-daily.timer", "apt-daily-upgrade.timer"])
def test_upgrades_are_scheduled(host, timer):
    assert host.service(timer).is_running
    assert host.service(timer).is_enabled


def test_one_can_still_log_in(host):
    assert host.check_output("runuser --login nobody --shell /bin/sh --command 'echo in'") == "in"


def test_a_transaction_that_was_cut_off_is_settled(host):
    """The journal of a transaction whose processes all died between its promise and its last rename."""
    assert host.service("mainstay-recover.path").is_running
    assert host.service("mainstay-recover.path").is_enabled
    assert host.service("mainstay-recover.service").is_enabled
    step = '{"act": "place", "dest": "/etc/mainstay/cut-off", "new": "/etc/mainstay/.cut-off.dpkg-new", "old": null, "before": null, "after": null}'
    journal = '{"version": 1, "state": "forward", "backup": null, "steps": [' + step + "]}"
    host.check_output(
        "echo whole >/etc/mainstay/.cut-off.dpkg-new && printf %s %s >/var/lib/mainstay/transactions/test.json", "%s", journal
    )
    host.check_output("timeout 10 sh -c 'while [ -e /var/lib/mainstay/transactions/test.json ]; do sleep 0.2; done'")
    assert host.check_output("cat /etc/mainstay/cut-off && rm /etc/mainstay/cut-off") == "whole"
    assert not host.file("/etc/mainstay/.cut-off.dpkg-new").exists


def test_nothing_of_ours_makes_a_cycle_at_boot(host):
    """systemd breaks a cycle by leaving a unit out: it was the recovery, at each boot."""
    said = host.run("systemd-analyze --man=no verify default.target 2>&1").stdout
    assert "ordering cycle" not in said and "mainstay" not in said, said


@without_windows
def test_nothing_reboots_where_nobody_asked_for_it(host):
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in host.check_output("apt-config dump")
