# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases are whole and their app's, units are confined, secrets stay secret, and a bad change leaves no trace."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.units import CPU_WEIGHT, OOM_SCORE_ADJUST
from ansible_collections.mainstay.vps.plugins.module_utils.plan.rules_processes import MEMORY_SWAP_PERCENT
from plays import play, words

EXPOSURE = 2.0
UNITS = "/etc/systemd/system"


def apps(host):
    """The apps that the host says it runs."""
    return host.check_output("cd /etc/mainstay && ls -d */env | cut -d/ -f1").split()


def instances(host, app):
    return host.check_output(f"ls {UNITS}/{app}.target.wants").split()


def processes(host):
    return [(app, unit) for app in apps(host) for unit in instances(host, app)]


def secrets(host, app):
    """The values in an app's environment that look like secrets, and the passwords inside its URLs."""
    text = host.file(f"/etc/mainstay/{app}/env").content_string
    values = re.findall(r'^\w*(?:SECRET|PASSWORD|TOKEN|KEY)\w*="(.{16,})"$', text, re.MULTILINE)
    return values + re.findall(r"://[^:/\s]*:([^@\s]+)@", text)


def show(host, unit, *properties):
    text = host.check_output(f"systemctl show --property={','.join(properties)} {unit}")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_something_is_deployed(host):
    assert processes(host)


def test_units_run_as_their_app_and_come_back_at_boot(host):
    for app, unit in processes(host):
        state = show(host, unit, "ActiveState", "User", "UnitFileState", "NeedDaemonReload", "Restart", "MemoryMax", "MainPID")
        assert (state["ActiveState"], state["User"], state["Restart"]) == ("active", app, "always"), unit
        assert (state["UnitFileState"], state["NeedDaemonReload"]) == ("enabled", "no"), unit
        assert int(state["MemoryMax"]) < 2**60, f"{unit} has a limit"
        assert host.check_output(f"stat -c %U /proc/{state['MainPID']}") == app
    for app in apps(host):
        assert host.service(f"{app}.target").is_running and host.service(f"{app}.target").is_enabled


def test_what_is_easier_to_do_again_goes_first_when_memory_is_short(host):
    kinds = {entry["unit"]: entry["kind"] for entry in json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]}
    assert set(kinds.values()) == {"web", "celery", "worker"}
    asked = "systemctl show --property=Id,OOMScoreAdjust,CPUWeight,MemoryMax,MemorySwapMax,MainPID"
    blocks = host.check_output(f"{asked} {' '.join(kinds)}").split("\n\n")
    for said in [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]:
        kind = kinds.pop(said["Id"])
        assert (int(said["OOMScoreAdjust"]), int(said["CPUWeight"])) == (OOM_SCORE_ADJUST[kind], CPU_WEIGHT[kind]), said
        assert host.file(f"/proc/{said['MainPID']}/oom_score_adj").content_string.strip() == said["OOMScoreAdjust"]
        assert int(said["MemorySwapMax"]) >> 20 == (int(said["MemoryMax"]) >> 20) * MEMORY_SWAP_PERCENT // 100, said
    assert kinds == {}


def test_units_are_confined(host):
    for _app, unit in processes(host):
        said = host.check_output(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
        assert float(re.search(r": (\d+\.\d)", said)[1]) <= EXPOSURE, said


def test_a_process_writes_where_it_may_and_nowhere_else(host):
    for app, unit in processes(host)[:1]:
        pid = show(host, unit, "MainPID")["MainPID"]
        inside = f"nsenter --target {pid} --mount setpriv --reuid {app} --regid {app} --clear-groups"
        for place in (f"/srv/{app}/shared", f"/run/{app}", f"/var/lib/{app}", "/tmp"):
            assert host.run(f"{inside} sh -c 'touch {place}/.probe && rm {place}/.probe'").rc == 0, place
        for place in (f"/srv/{app}/current", f"/srv/{app}/releases", "/etc", "/var/log", "/root"):
            assert host.run(f"{inside} sh -c 'touch {place}/.probe'").rc != 0, place


def test_users_cannot_log_in(host):
    for app in apps(host):
        user = host.user(app)
        assert (user.shell, user.home) == ("/usr/sbin/nologin", f"/srv/{app}")
        assert user.uid < 1000 and user.password in ("!", "!*", "*")


def test_releases_are_whole_and_sealed(host):
    """Root's, the app may read them, and nobody else: a process that was broken into leaves nothing in them."""
    for app in apps(host):
        assert re.fullmatch(
            r"releases/[0-9a-f]{12}(-[0-9a-f]{6})?",
            host.file(f"/srv/{app}/current").linked_to.replace(f"/srv/{app}/", ""),
        )
        marker = json.loads(host.file(f"/srv/{app}/current/.complete").content_string)
        assert marker["id"] == host.check_output(f"basename $(readlink /srv/{app}/current)")
        above = host.check_output(f"stat -c '%U %a' /srv/{app} /srv/{app}/releases /srv/{app}/instances").splitlines()
        assert set(above) == {"root 755"}
        assert host.check_output(f"find -H /srv/{app}/current ! -user root") == ""
        assert host.check_output(f"find -H /srv/{app}/current ! -type l -perm /o+rx ! -name .complete ! -name .migrated") == ""
        assert host.check_output(f"find -H /srv/{app}/current ! -type l ! -group {app} ! -name .complete ! -name .migrated") == ""
        assert not host.run(f"ls -d /run/lock/mainstay/{app}.deploy /run/mainstay-release/{app}@*").stdout, "a deploy leaves nothing behind"


def test_environment_file_is_for_root_and_the_app(host):
    for app in apps(host):
        file = host.file(f"/etc/mainstay/{app}/env")
        assert (file.user, file.group, file.mode) == ("root", app, 0o640)
        assert host.file(f"/etc/mainstay/{app}").mode == 0o750


def test_no_secret_can_be_seen(host):
    """Not in what systemd shows to everybody, not in a process list, not in the journal, not in a release or a unit."""
    seen = {
        "systemctl show": host.check_output("systemctl show --all '*' 2>/dev/null"),
        "process list": host.check_output("ps axww -o args"),
        "journal": host.check_output("journalctl --no-pager --output=cat"),
        "units": host.check_output(f"cat {UNITS}/*.service {UNITS}/*.target 2>/dev/null"),
    }
    for app in apps(host):
        found = secrets(host, app)
        assert found, app
        for secret in found:
            assert not [place for place, text in seen.items() if secret in text]
            assert host.run(f"grep -rqF {shlex.quote(secret)} /srv/{app}/current/ /var/cache/mainstay /var/lib/mainstay/backend").rc != 0


@pytest.fixture
def state(host):
    """What must be the same after a change that was refused."""
    return lambda: host.check_output(
        f"cd / && find {UNITS} /etc/mainstay/*/env /srv/*/current -printf '%p %y %m %u %g %l\\n' | sort; "
        f"sha256sum {UNITS}/*.service; "
        "systemctl show --property=MainPID,ActiveState 'shop-web@*'"
    )


def test_a_broken_unit_changes_nothing(state):
    before = state()
    run = play("playbooks/site.yml", "--tags", "backend", variables={"backend_plan": {"shop": {"web": {"tasks_max": "many"}}}})
    assert run.returncode != 0
    assert "Invalid maximum tasks value 'many'" in words(run)
    assert state() == before
