# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell command runs for real, against a stand-in of systemctl that keeps its units as files and writes down what it did.

It takes a pager unless it is told to take none, as where the connection has a terminal."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action.systemd_units import ActionModule

# A unit is a file: first line ActiveState, second line UnitFileState. What it cannot do stands in <unit>.broken.
SYSTEMCTL = r"""#!/bin/sh
cd "$(dirname "$0")/units" || exit 9
[ "${SYSTEMD_PAGER-less}" ] && printf '\033[?1h'
[ "$1" = --no-block ] && { blocks=no-; shift; }
verb=$1; shift
echo "$blocks$verb $*" >>../did
case $verb in
show)
    property=${1#--property=}; for unit; do :; done
    [ -e ../dead ] && { echo "System has not been booted with systemd" >&2; exit 1; }
    active=$(sed -n 1p "$unit" 2>/dev/null); file=$(sed -n 2p "$unit" 2>/dev/null)
    case $property in
    ActiveState) echo "${active:-inactive}" ;;
    UnitFileState) echo "$file" ;;
    *)
        echo "LoadState=$([ -e "$unit" ] && echo loaded || echo not-found)"
        echo "ActiveState=$active"
        echo "Result=$([ "$active" = failed ] && echo exit-code || echo success)" ;;
    esac ;;
list-units)
    for pattern; do
        for unit in *; do
            case $unit in $pattern) grep -qx failed "$unit" && echo "$unit loaded failed failed What it is" ;; esac
        done
    done
    : ;;
daemon-reload|reset-failed) ;;
*)
    shift; result=0
    for unit; do
        [ -e "$unit" ] || { echo "Unit $unit not found." >&2; result=5; continue; }
        [ -e "$unit.broken" ] && { echo "Job for $unit failed." >&2; sed -i 1s/.*/failed/ "$unit"; result=1; continue; }
        case $verb in
        start|restart|reload-or-restart) sed -i 1s/.*/active/ "$unit" ;;
        stop) sed -i 1s/.*/inactive/ "$unit" ;;
        enable) sed -i 2s/.*/enabled/ "$unit" ;;
        disable) sed -i 2s/.*/disabled/ "$unit" ;;
        esac
    done
    exit $result ;;
esac
"""
UNITS = {
    "on.service": "active enabled",
    "off.service": "inactive disabled",
    "static.socket": "inactive static",
    "masked.service": "inactive masked",
    "slow.service": "activating disabled",
    "down@1.service": "failed enabled",
    "home-a\\x2db.mount": "inactive disabled",
}


class Host:
    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        (folder / "units").mkdir()
        for name, states in UNITS.items():
            (folder / "units" / name).write_text(states.replace(" ", "\n") + "\n")
        for program, text in (("systemctl", SYSTEMCTL), ("journalctl", '#!/bin/sh\necho "last words: $*"\n')):
            (folder / program).write_text(text)
            (folder / program).chmod(0o755)

    def shell(self, command):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stdout_lines": done.stdout.splitlines(), "stderr": done.stderr}

    def run(self, check=False, **options):
        task = Task()
        task.args, task.check_mode, task.async_val = options, check, 0
        action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None)
        self.monkeypatch.setattr(action, "_low_level_execute_command", self.shell)
        return action.run(task_vars={})

    @property
    def did(self):
        """What systemctl was told to change."""
        lines = (self.folder / "did").read_text().splitlines() if (self.folder / "did").exists() else []
        return [line for line in lines if line.split()[0] not in ("show", "list-units")]


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


CASES = [
    ({}, []),
    ({"started": ["on.service"], "enabled": ["on.service"]}, []),
    ({"stopped": ["off.service", "down@1.service"], "disabled": ["off.service"]}, []),
    ({"started": ["on.service", "off.service", "down@1.service"]}, ["start off.service down@1.service"]),
    ({"started": ["slow.service"]}, ["start slow.service"]),
    ({"started": ["off.service", "off.service"]}, ["start off.service"]),
    ({"stopped": ["on.service", "slow.service"]}, ["stop on.service slow.service"]),
    ({"enabled": ["static.socket", "off.service", "slow.service"]}, ["enable off.service slow.service"]),
    ({"disabled": ["on.service", "static.socket", "masked.service"]}, ["disable on.service"]),
    ({"restarted": ["on.service", "off.service"]}, ["restart on.service off.service"]),
    ({"reloaded": ["on.service"]}, ["reload-or-restart on.service"]),
    ({"restarted": ["on.service"], "started": ["on.service"]}, ["restart on.service"]),
    ({"started": ["home-a\\x2db.mount"]}, ["start home-a\\x2db.mount"]),
    ({"reset_failed": ["down@*"]}, ["reset-failed down@1.service"]),
    ({"stopped": ["nowhere.service"], "disabled": ["nowhere.service"]}, []),
    (
        {
            "started": ["off.service"],
            "reloaded": ["on.service"],
            "restarted": ["slow.service"],
            "enabled": ["off.service"],
            "disabled": ["on.service"],
            "stopped": ["slow.service"],
            "reset_failed": ["*"],
        },
        [
            "stop slow.service",
            "reset-failed down@1.service",
            "disable on.service",
            "enable off.service",
            "restart slow.service",
            "reload-or-restart on.service",
            "start off.service",
        ],
    ),
]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(("options", "changes"), CASES)
def test_what_differs_is_changed_in_order(host, options, changes, check):
    result = host.run(check=check, **options)
    assert (result["changes"], result["changed"], result.get("failed", False)) == (changes, bool(changes), False)
    verbs = [line.split()[0] for line in host.did]
    assert verbs == ([] if check else [line.split()[0] for line in changes])


@pytest.mark.parametrize(("options", "changes"), CASES)
def test_a_second_run_changes_only_what_always_changes(host, options, changes):
    host.run(**options)
    again = host.run(**options)["changes"]
    lasting = {"restarted", "reloaded", "reset_failed"} | ({"stopped"} if "restarted" in options else set())
    if not lasting & set(options):
        assert again == []


def test_counted_starts_are_forgotten_and_that_is_no_change(host):
    result = host.run(reset_failed=["on.service"], restarted=["on.service"])
    assert result["changes"] == ["restart on.service"]
    assert host.did == ["reset-failed -- on.service", "restart -- on.service"]


def test_systemd_reads_its_files_first_and_that_is_no_change(host):
    assert host.run(daemon_reload=True, started=["on.service"])["changed"] is False
    assert host.did == ["daemon-reload "]


def test_starts_need_not_be_waited_for_but_stops_are(host):
    options = {"stopped": ["on.service"], "restarted": ["slow.service"], "reloaded": ["static.socket"], "started": ["off.service"]}
    assert host.run(wait=False, **options)["changed"]
    assert [line.split()[0] for line in host.did] == ["stop", "no-restart", "no-reload-or-restart", "no-start"]


def test_check_mode_reads_nothing_anew(host):
    host.run(check=True, daemon_reload=True, started=["on.service"])
    assert host.did == []


def test_check_mode_foresees_units_that_are_not_there_yet(host):
    options = {name: ["new.service"] for name in ("enabled", "restarted", "started")}
    assert host.run(check=True, **options)["changes"] == ["enable new.service", "restart new.service", "start new.service"]
    assert host.run(check=True, stopped=["new.service"], disabled=["new.service"])["changes"] == []


def test_diff_shows_the_commands(host):
    assert host.run(check=True, started=["off.service"])["diff"] == {"prepared": "systemctl start off.service\n"}


def test_failure_names_the_unit_with_its_last_words_and_ends_the_work(host):
    (host.folder / "units/off.service.broken").touch()
    result = host.run(restarted=["slow.service", "off.service"], started=["static.socket"])
    assert result["failed"] and result["changed"]
    assert result["msg"].startswith("systemctl restart off.service failed: Job for off.service failed.\noff.service: LoadState=loaded")
    assert [unit["unit"] for unit in result["units"]] == ["off.service"]
    assert "    last words: --quiet --no-pager --output=short-iso --lines=20 --unit=off.service" in result["msg"].splitlines()
    assert not any(line.startswith("start") for line in host.did)


def test_failure_shows_no_journal_where_none_is_wanted(host):
    (host.folder / "units/off.service.broken").touch()
    assert "last words" not in host.run(started=["off.service"], journal_lines=0)["msg"]


def test_a_unit_that_is_not_there_cannot_be_started(host):
    result = host.run(started=["new.service"])
    assert result["msg"].startswith("systemctl start new.service failed: Unit new.service not found.\nnew.service: LoadState=not-found")


def test_a_host_without_systemd_is_an_error(host):
    (host.folder / "dead").touch()
    result = host.run(started=["on.service"])
    assert (result["msg"], result["units"]) == ("systemctl failed: System has not been booted with systemd", [])


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("started", "nginx"),
        ("started", "shop-*.service"),
        ("stopped", "-x.service"),
        ("enabled", "a b.service"),
        ("restarted", "$(id).service"),
        ("reset_failed", "a;b"),
        ("reset_failed", "--all"),
    ],
)
def test_names_that_are_none_are_refused(host, option, name):
    with pytest.raises(AnsibleActionFail, match=option):
        host.run(**{option: [name]})
    assert host.did == []
