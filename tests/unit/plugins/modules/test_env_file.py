# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""env_file as a module on this machine's files, and once from a playbook, as loudly as Ansible can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.action.env_file import pack
from ansible_collections.mainstay.vps.plugins.module_utils.files import changeset
from ansible_collections.mainstay.vps.plugins.module_utils.files import env_file as files_env_file
from ansible_collections.mainstay.vps.plugins.modules import env_file
from ansible_collections.mainstay.vps.tests.unit.kills import GROUP, OWNER
from ansible_collections.mainstay.vps.tests.unit.run_module import run_module

SECRET = "tr0ub4dor-and-3-horses"
COLLECTIONS = os.path.abspath(changeset.__file__).split("/ansible_collections/", 1)[0]


@pytest.fixture
def places(tmp_path):
    return {
        "path": str(tmp_path / "host/env"),
        "owner": OWNER,
        "group": GROUP,
        "state_dir": str(tmp_path / "state"),
        "backup_dir": str(tmp_path / "backups"),
    }


@pytest.fixture
def run(tmp_path, places):
    (tmp_path / "host").mkdir()

    def run(check=False, **variables):
        options = variables.pop("options", {})
        given = {**places, "variables": dict.fromkeys(variables), "_payload": pack(variables), **options}
        result = run_module(env_file, given, tmp_path, check)
        assert not given["_payload"] or given["_payload"] not in result["_text"]
        return result

    return run


def _read(places):
    with open(places["path"], encoding="utf-8") as file:
        return files_env_file.parse(file.read())


def test_made_kept_and_changed(run, places):
    wanted = {"PORT": {"value": 8000, "type": "int"}, "SMTP_PASSWORD": SECRET, "SECRET_KEY": {"generate": True}}
    predicted, made = run(check=True, **wanted), run(**wanted)
    for result in (predicted, made):
        assert (result["changed"], result["generated"]) == (True, ["SECRET_KEY"])
        assert result["changed_variables"] == ["PORT", "SECRET_KEY", "SMTP_PASSWORD"]
    assert predicted["diff"] == made["diff"]
    assert os.stat(places["path"]).st_mode & 0o777 == 0o640
    first = _read(places)
    assert (first["PORT"], first["SMTP_PASSWORD"], len(first["SECRET_KEY"])) == ("8000", SECRET, 86)
    again = run(**wanted)
    assert (again["changed"], again["generated"], again["diff"]) == (False, [], [])
    wanted["PORT"]["value"] = 8001
    predicted, changed = run(check=True, **wanted), run(**wanted)
    assert predicted["changed_variables"] == changed["changed_variables"] == ["PORT"]
    assert "PORT=******** (new)\n" in changed["diff"][0]["after"]
    assert _read(places) == {**first, "PORT": "8001"}
    assert os.listdir(places["backup_dir"]) and changed["backup"]
    for result in (made, predicted, changed):
        assert SECRET not in result["_text"] and first["SECRET_KEY"] not in result["_text"] and "8001" not in result["_text"]


def test_check_mode_writes_nothing(run, places):
    assert run(check=True, A="x")["changed"]
    assert not os.path.exists(places["path"]) and not os.path.exists(places["state_dir"])


def test_the_mode_alone(run, places):
    run(A="x")
    os.chmod(places["path"], 0o644)
    result = run(A="x")
    assert (result["changed"], result["changed_variables"]) == (True, [])
    assert "mode: 0644" in result["diff"][0]["before"]
    assert os.stat(places["path"]).st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY: ********"),
        ({"A": "x", "options": {"required": ["B"]}}, "B: it is required"),
        ({"A": "x", "options": {"owner": "nobody-of-that-name"}}, "nobody-of-that-name"),
        ({"A": "x", "options": {"mode": "rw"}}, "'rw' is not a quoted octal mode"),
    ],
)
def test_a_refusal_leaves_the_file(run, places, variables, word):
    run(SECRET_KEY=SECRET)
    refused = run(**variables)
    assert refused["failed"] and word in refused["msg"]
    assert "changeme" not in refused["_text"]
    assert _read(places) == {"SECRET_KEY": SECRET}


def test_a_file_that_cannot_be_read_is_left_alone(run, places):
    with open(places["path"], "w", encoding="utf-8") as file:
        file.write(f"A=1\nthis is {SECRET}\n")
    refused = run(A="x")
    assert refused["failed"] and "line 2 is no NAME=value" in refused["msg"] and SECRET not in refused["_text"]


def test_without_its_action_plugin(run):
    assert "call it as a task" in run(options={"_payload": None})["msg"]


def test_from_a_playbook(tmp_path, places):
    (tmp_path / "host").mkdir()
    task = {
        **places,
        "variables": {"SMTP_PASSWORD": "{{ secret }}", "KEYS": {"value": "{{ keys }}", "type": "json"}, "SECRET_KEY": {"generate": True}},
    }
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"secret": SECRET, "keys": {"one": SECRET[::-1]}},
            "tasks": [{"mainstay.vps.env_file": task}],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
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
        "-vvvv",
        "--diff",
        str(tmp_path / "play.yml"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "changed=1" in done.stdout, done.stdout + done.stderr
    found = _read(places)
    assert (found["SMTP_PASSWORD"], found["KEYS"]) == (SECRET, json.dumps({"one": SECRET[::-1]}, separators=(",", ":")))
    for value in (SECRET, SECRET[::-1], found["SECRET_KEY"], pack({"SMTP_PASSWORD": SECRET})[:24]):
        assert value not in done.stdout + done.stderr
