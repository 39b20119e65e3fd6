# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell commands run for real, below a folder that stands in for the host and with programs that write down their arguments."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action.packages import ActionModule
from ansible_collections.mainstay.vps.plugins.module_utils.derive.packages import unknown_packages

# What apt-cache policy says of one package on Debian 12: with lists, of an installed one without lists (as in an image from which they
# were removed), and of a removed one without lists. Of any other it then says nothing, and ends with 0 all the same.
LISTED = """\
{name}:
  Installed: (none)
  Candidate: 1.22.1-9+deb12u9
  Version table:
     1.22.1-9+deb12u9 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
"""
INSTALLED = """\
{name}:
  Installed: 5.2.15-2+b13
  Candidate: 5.2.15-2+b13
  Version table:
 *** 5.2.15-2+b13 100
        100 /var/lib/dpkg/status
"""
REMOVED = """\
{name}:
  Installed: (none)
  Candidate: (none)
  Version table:
     3.21.0-1 -1
        100 /var/lib/dpkg/status
"""

PROGRAMS = {
    "dpkg-query": 'cat "$HOST/status"; exit 1',
    "apt-cache": """
        [ "$1 $2" = "policy --" ] || exit 100
        shift 2; for name; do cat "$HOST/policy/$name" 2>/dev/null; done; exit 0""",
    "systemctl": """
        [ "$3" != mainstay-packages.service ] || {
            [ -e "$HOST/other" ] || exit 1
            [ "$(cat "$HOST/other")" ] && { mv "$HOST/other" "$HOST/status"; exit 0; }
            rm "$HOST/other"; exit 0; }
        [ "$3" = running.service ]""",
    "systemd-run": """
        while [ "$1" != -- ]; do echo "unit $1" >>"$HOST/did"; shift; done; shift
        echo "words $*" >>"$HOST/did"
        "$@" >/dev/null""",
    "sleep": 'echo "sleep $1" >>"$HOST/did"',
    "apt-get": """
        for verb; do case $verb in update|install) break ;; esac; done
        echo "$verb $http_proxy$*" >>"$HOST/did"
        [ -e "$HOST/$verb.fails" ] && { rm "$HOST/$verb.fails"; echo "Reading lists..."; echo "E: It did not work"; exit 100; }
        for unit in nginx.service redis-server running.service acl.service; do
            "$HOST/usr/sbin/policy-rc.d" "$unit" start 2>/dev/null
            [ $? -eq 101 ] && echo "held $unit" >>"$HOST/did"
        done
        exit 0""",
}


class Host:
    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        for place in ("bin", "run", "usr/sbin", "var/lib/apt/lists"):
            (folder / place).mkdir(parents=True)
        for name, text in PROGRAMS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        self.policy = folder / "usr/sbin/policy-rc.d"
        self.has("installed acl", "installed curl", "config-files nginx")
        self.lists(LISTED)

    def has(self, *lines):
        (self.folder / "status").write_text("\n".join([*lines, "dpkg-query: no packages found matching redis-server\n"]))

    def lists(self, nginx, age=0):
        """What apt knows of nginx; of the others it has lists."""
        policies = self.folder / "policy"
        policies.mkdir(exist_ok=True)
        for name, text in {"acl": INSTALLED, "nginx": nginx, "redis-server": LISTED}.items():
            (policies / name).write_text(text.format(name=name))
        lists = self.folder / "var/lib/apt/lists"
        os.utime(lists, (lists.stat().st_mtime - age,) * 2)

    def shell(self, command):
        for place in ("/usr/sbin/policy-rc.d", "/var/lib/apt", "/run/"):
            command = command.replace(place, f"{self.folder}{place}")
        environment = {**os.environ, "HOST": str(self.folder), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout_lines": done.stdout.splitlines(), "stderr": done.stderr}

    def run(self, name, check=False, environment="", **options):
        task = Task()
        task.args, task.check_mode, task.async_val = {"name": name, **options}, check, 0
        action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None)
        self.monkeypatch.setattr(action, "_low_level_execute_command", self.shell)
        self.monkeypatch.setattr(action, "_compute_environment_string", lambda: environment)
        return action.run(task_vars={})

    @property
    def did(self):
        return (self.folder / "did").read_text().splitlines() if (self.folder / "did").exists() else []


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_nothing_missing_runs_nothing(host):
    result = host.run(["acl", "curl"])
    assert (result["changed"], result["missing"], host.did) == (False, [], [])


def test_only_the_missing_packages_are_installed(host):
    result = host.run(["acl", "nginx", "redis-server", "nginx"])
    assert (result["changed"], result["missing"]) == (True, ["nginx", "redis-server"])
    assert [line.split()[0] for line in host.did] == ["install"]
    assert host.did[0].endswith("--force-confold install -- nginx redis-server")
    assert "--no-install-recommends" in host.did[0]


def test_recommended_packages_come_when_asked_for(host):
    host.run(["nginx"], install_recommends=True)
    assert " --install-recommends " in host.did[0]


def test_check_mode_predicts_and_runs_nothing(host):
    result = host.run(["acl", "nginx"], check=True)
    assert (result["changed"], result["diff"]["after"], host.did) == (True, "nginx\n", [])


@pytest.mark.parametrize(("nginx", "age", "updates"), [(LISTED, 0, 0), (LISTED, 7200, 1), ("", 0, 1), (REMOVED, 0, 1)])
def test_lists_are_updated_when_they_are_old_or_lack_a_package(host, nginx, age, updates):
    host.lists(nginx, age)
    host.run(["redis-server", "nginx"])
    assert [line.split()[0] for line in host.did] == ["update"] * updates + ["install"]


def test_a_source_that_is_gone_keeps_no_other_from_giving_what_it_has(host):
    host.lists(LISTED, 7200)
    (host.folder / "update.fails").touch()
    assert host.run(["nginx"])["changed"]
    assert [line.split()[0] for line in host.did] == ["update", "install"]


def test_where_no_source_answers_and_nothing_is_known_it_gives_up_with_apt_s_words(host):
    host.lists("")
    (host.folder / "bin/apt-get").write_text("#!/bin/sh\necho 'E: Could not resolve deb.debian.org'; exit 100\n")
    result = host.run(["nginx"])
    assert result["msg"].startswith("apt-get cannot install nginx: E: Could not resolve deb.debian.org. No name server")
    assert [line for line in host.did if line.startswith("sleep")] == [f"sleep {pause}" for pause in (2, 5, 10, 20, 30, 0)]


def test_what_apt_says_is_in_english_whatever_the_host_speaks(host, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "de")  # of a German host; with LC_ALL=C.UTF-8 gettext still follows it
    host.lists("")
    (host.folder / "bin/apt-get").write_text('#!/bin/sh\necho "E: $LANGUAGE"; exit 100\n')
    assert "E: C." in host.run(["nginx"])["msg"]


def test_an_update_that_fails_is_tried_again(host):
    host.lists("")
    (host.folder / "update.fails").touch()
    assert host.run(["nginx"])["changed"]
    assert [" ".join(line.split()[:2]) for line in host.did if line.startswith("sleep")] == ["sleep 2"]


def test_a_file_that_the_mirror_has_replaced_is_found_by_an_update(host):
    (host.folder / "install.fails").touch()
    assert host.run(["nginx"])["changed"]
    assert [line.split()[0] for line in host.did] == ["install", "update", "install"]


def test_a_failure_tells_what_apt_says(host):
    host.lists("")
    (host.folder / "install.fails").touch()
    result = host.run(["nginx"], start_later=["nginx"])
    assert result["failed"]
    assert result["msg"].startswith("apt-get cannot install nginx: E: It did not work. Run apt-get update")  # and the remedy
    assert result["output"] == ["Reading lists...", "E: It did not work"]
    assert not host.policy.exists()


def test_a_name_that_no_source_has_is_told_with_the_variable_that_asks_for_it():
    # Recorded: apt 2.6.1 on Debian 12
    said = "E: Unable to locate package libpq6\nE: Package 'python2' has no installation candidate\nE: Unable to locate package x+y"
    variables = {
        "mainstay_apps": {"shop": {"packages": ["libpq6", "curl"]}, "blog": {"packages": ["libpq6"]}, "pages": {}},
        "system_packages_extra": ["libpq6", "python2"],
        "__system_all_packages": ["libpq6", "python2", "x+y"],
        "somebody_s_packages": True,
    }
    sentences = unknown_packages(said, variables)
    assert [sentence.partition(": ")[0] for sentence in sentences[:2]] == [
        "mainstay_apps.blog.packages, mainstay_apps.shop.packages",
        "system_packages_extra",
    ]
    assert sentences[2].startswith("no package source of this host has x+y")
    assert unknown_packages("E: It did not work", variables) == []


def test_services_start_later_while_they_are_installed_only(host):
    host.run(["nginx"], start_later=["nginx", "redis-server", "running"])
    assert [line for line in host.did if line.startswith("held")] == ["held nginx.service", "held redis-server"]
    assert not host.policy.exists()


def test_services_start_as_ever_where_nothing_else_is_asked_for(host):
    host.run(["nginx"])
    assert not [line for line in host.did if line.startswith("held")]


def test_a_policy_of_the_administrator_stays(host):
    host.policy.write_text("#!/bin/sh\nexit 0\n")
    host.run(["nginx"], start_later=["nginx"])
    assert host.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_run_left_says_nothing_and_goes(host):
    # Its shell stops short of its end, as one that was killed does.
    kill = host.folder / "bin/apt-get"
    text = kill.read_text()
    kill.write_text("#!/bin/sh\nkill -KILL $PPID\n")
    host.run(["nginx"], start_later=["nginx"])
    kill.write_text(text)
    assert subprocess.run([host.policy, "nginx.service", "start"], check=False).returncode == 0
    host.run(["nginx"], start_later=["nginx"])
    assert not host.policy.exists()


def test_an_installation_that_is_not_waited_for_is_systemds_and_the_same(host):
    result = host.run(["nginx"], start_later=["nginx"], wait=False, environment="http_proxy=http://user:secret@proxy")
    assert (result["changed"], result["missing"]) == (True, ["nginx"])
    assert "unit --unit=mainstay-packages.service" in host.did
    assert [line.split()[0] for line in host.did if not line.startswith(("unit", "words"))] == ["install", "held"]
    words = next(line for line in host.did if line.startswith("words"))
    assert not set("$;'\"\\") & set(words), "systemd mistakes them when it is reloaded before the start"
    assert not os.listdir(host.folder / "run"), "the script has removed itself"
    assert "secret" not in "".join(host.did)
    assert not host.policy.exists()


def test_what_another_task_installs_is_waited_for(host):
    (host.folder / "other").write_text("installed nginx\n")
    result = host.run(["nginx"])
    assert (result["changed"], result["missing"], host.did) == (False, [], ["sleep 0.2"])


def test_what_another_task_failed_to_install_is_installed(host):
    (host.folder / "other").touch()
    assert host.run(["nginx"])["changed"]
    assert [line.split()[0] for line in host.did] == ["sleep", "install"]


def test_check_mode_waits_for_nothing(host):
    (host.folder / "other").touch()
    assert host.run(["nginx"], check=True)["changed"]
    assert host.did == []


def test_the_environment_of_the_task_reaches_apt(host):
    host.run(["nginx"], environment="http_proxy=http://proxy:3128")
    assert host.did[0].startswith("install http://proxy:3128")


def test_a_host_without_dpkg_is_an_error(host):
    (host.folder / "bin/dpkg-query").write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(AnsibleActionFail, match="Debian"):
        host.run(["acl"])
