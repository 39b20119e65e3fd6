# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of config_set, from a playbook to this machine's files, as loudly as Ansible can be."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.action import config_set as action
from ansible_collections.mainstay.vps.plugins.module_utils.files import changes, changeset, journal, spec, transaction
from ansible_collections.mainstay.vps.plugins.modules import config_set as module
from ansible_collections.mainstay.vps.tests.unit.kills import GROUP, OWNER

SECRET = "tr0ub4dor"
COLLECTIONS = os.path.abspath(changeset.__file__).split("/ansible_collections/", 1)[0]


class Playbook:
    """Tasks that run on this machine, below one directory."""

    def __init__(self, path):
        self.path = str(path)
        self.host = f"{path}/host"
        os.mkdir(self.host)

    def set(self, *files, **options):
        places = {"state_dir": f"{self.path}/state", "backup_dir": f"{self.path}/backups"}
        return {"mainstay.vps.config_set": {"files": list(files), "owner": OWNER, "group": GROUP, **places, **options}}

    def run(self, *tasks, arguments=(), pipelining=True):
        """The results of the tasks, and everything that was printed."""
        for number, task in enumerate(tasks):
            task.update(register=f"result_{number}", ignore_errors=True)
        names = ", ".join(f"'{number}': result_{number}" for number in range(len(tasks)))
        results = f"{self.path}/results"
        report = {
            "ansible.builtin.copy": {"dest": results, "content": "{{ {" + names + "} | to_json }}"},
            "no_log": True,
        }
        report["check_mode"] = False
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [*tasks, report], "vars": {"secret": SECRET}}
        with open(f"{self.path}/play.yml", "w", encoding="utf-8") as handle:
            yaml.safe_dump([play], handle)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.path,
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_LOCAL_TEMP": f"{self.path}/tmp",
            "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            *arguments,
            "play.yml",
        ]
        answer = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        with open(results, encoding="utf-8") as handle:
            found = json.load(handle)
        return [found[str(number)] for number in range(len(tasks))], answer.stdout + answer.stderr


@pytest.fixture
def playbook(tmp_path):
    return Playbook(tmp_path)


@pytest.mark.parametrize("pipelining", [True, False])
def test_no_secret_is_printed_however_loudly(playbook, pipelining):
    path = f"{playbook.host}/secret"

    def entry(text):
        return {"dest": path, "content": text, "sensitive": True}

    (first, second, refused, removed), output = playbook.run(
        playbook.set(entry("password {{ secret }}\n")),
        playbook.set(entry("password {{ secret }}\n")),
        playbook.set(entry("again {{ secret }} 2\n"), validate=f"sh -c 'cat {path} && exit 1'"),
        playbook.set({"dest": path, "state": "absent"}),
        arguments=["-vvvvv", "--diff"],
        pipelining=pipelining,
    )
    assert first["changed_files"] == removed["changed_files"] == [path]
    assert not second["changed"]
    assert refused["output"] == "again ********"
    assert refused["msg"] == f"{refused['cmd']} refused the new set (rc 1); every file is as it was.\nagain ********"
    assert SECRET not in output
    assert SECRET not in json.dumps([first, second, refused, removed])


def test_every_key_is_there_whatever_happens(playbook):
    entry = {"dest": f"{playbook.host}/x", "content": "x\n"}
    results, output = playbook.run(
        {**playbook.set(entry, validate="true"), "check_mode": True},
        playbook.set(entry, validate=["true", "mainstay-no-such-program"]),
        playbook.set(entry, validate="true"),
        playbook.set({**entry, "content": "y\n"}, validate="false"),
    )
    keys = {"changed", "changed_files", "diff", "backup", "validated", "note", "recovered"}
    assert [keys - set(result) for result in results] == [set()] * 4
    assert [result["changed"] for result in results] == [True, True, False, False]
    assert [result["validated"] for result in results] == [True, False, False, False]
    assert results[1]["note"] == "not tested with mainstay-no-such-program: mainstay-no-such-program is not installed"
    assert "[WARNING]: not tested with mainstay-no-such-program" in output
    assert results[3]["failed"]
    with open(entry["dest"], encoding="utf-8") as handle:
        assert handle.read() == "x\n"
    assert stat.S_IMODE(os.stat(entry["dest"]).st_mode) == 0o644


def test_the_documentation_and_the_code_name_the_same_options():
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert set(options) == set(spec.OPTIONS)
    assert set(options["files"]["suboptions"]) == set(spec.KEYS)
    assert options["state_dir"]["default"] == journal.STATE_DIR
    assert options["backup_dir"]["default"] == transaction.BACKUP_DIR
    assert options["files"]["suboptions"]["state"]["choices"] == list(spec.STATES)


def test_entries_survive_the_way_to_the_host():
    entry = changes.Entry("files[0] (/x)", "/x", content=b"\0\xff", sensitive=True, public="p")
    assert changes.Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry
    assert action.SIZE_LIMIT >= 1 << 20


@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_the_diff_of_a_program_is_one_line_until_more_is_asked_for(playbook, verbose):
    """A new file, a changed one and one that is purged; what is configuration is shown in any case."""
    for name in ("program/old.py", "program/gone.py"):
        os.makedirs(f"{playbook.host}/program", exist_ok=True)
        with open(f"{playbook.host}/{name}", "w", encoding="utf-8") as handle:
            handle.write("before\n")
    files = [{"dest": f"{playbook.host}/{name}", "content": f"text of {name}\n"} for name in ("program/new.py", "program/old.py", "conf")]
    task = playbook.set(*files, purge=[f"{playbook.host}/program/*.py"], brief=[f"{playbook.host}/program/*"])
    (result,), printed = playbook.run(task, arguments=["--diff", *verbose])
    assert len(result["changed_files"]) == 4 and "+text of conf" in printed
    assert ("1 new, 1 changed, 1 gone; -v shows the lines" in printed) == (not verbose)
    assert ("+text of program/old.py" in printed) == ("-before" in printed) == bool(verbose)
