# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import os
import subprocess
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar
from ansible_collections.mainstay.vps.plugins.action import config_set
from ansible_collections.mainstay.vps.tests.unit.kills import GROUP, OWNER

SECRET = "tr0ub4dor"
VAULT = [("default", VaultSecret(b"password"))]


class Role:
    """A role's directory, and the action as a task in it; the shell commands run on this machine."""

    def __init__(self, path):
        self.path, self.host = str(path / "role"), str(path / "host")
        for name in ("templates/parts", "files"):
            os.makedirs(f"{self.path}/{name}")
        os.mkdir(self.host)
        self.calls = []

    def write(self, name, text):
        with open(f"{self.path}/{name}", "w", encoding="utf-8") as handle:
            handle.write(text)

    def action(self, files, variables=None, **options):
        variables = {"ansible_search_path": [self.path], **(variables or {})}
        loader = DataLoader()
        loader.set_basedir(self.path)
        loader.set_vault_secrets(VAULT)
        task = mock.MagicMock(async_val=0, check_mode=False, diff=False, action="mainstay.vps.config_set")
        task.get_search_path.return_value = [self.path]
        task.args = {"files": files, "owner": OWNER, "group": GROUP, "state_dir": f"{self.host}/state", **options}
        templar = Templar(loader=loader, variables=variables)
        action = config_set.ActionModule(task, mock.MagicMock(), mock.MagicMock(), loader, templar, None)
        action._low_level_execute_command = self._shell
        return action, variables

    def _shell(self, command, in_data):
        assert SECRET not in command
        self.calls.append(command)
        answer = subprocess.run(command, shell=True, input=in_data, capture_output=True, check=False)
        return {"rc": answer.returncode, "stdout": answer.stdout.decode(), "stderr": answer.stderr.decode()}

    def run(self, files, variables=None, **options):
        """The result, and what the function on the host got (None when it was not called)."""
        action, variables = self.action(files, variables, **options)
        before = dict(variables)
        with mock.patch.object(config_set.bare_python, "call", return_value={"changed": True}) as call:
            result = action.run(task_vars=variables)
        assert variables == before, "the action changed the task's variables"
        return result, call.call_args and call.call_args.kwargs

    def rendered(self, entry, variables=None):
        """What one entry becomes."""
        _result, arguments = self.run([{"dest": f"{self.host}/x", **entry}], variables)
        return payload(arguments)[0]["content"]


def payload(arguments):
    def text(content):
        return content and base64.b64decode(content).decode("utf-8", "replace")

    return [{**entry, "content": text(entry["content"])} for entry in arguments["entries"]]


@pytest.fixture
def role(tmp_path):
    return Role(tmp_path)


# --- one shell command, and Python only when something differs ---


def test_a_set_that_is_there_needs_one_shell_command_and_no_python(role):
    with open(f"{role.host}/x", "w", encoding="utf-8") as handle:
        handle.write("x\n")
    os.chmod(f"{role.host}/x", 0o644)
    result, arguments = role.run([{"dest": f"{role.host}/x", "content": "x\n"}], validate="false")
    assert role.calls == ["/bin/sh"]
    assert arguments is None
    assert result == {
        "changed": False,
        "changed_files": [],
        "diff": [],
        "backup": None,
        "validated": False,
        "note": "",
        "recovered": [],
    }


def test_a_set_that_differs_needs_one_call(role):
    result, arguments = role.run(
        [
            {"dest": f"{role.host}/x", "content": f"{SECRET}\n", "sensitive": True, "mode": "0640"},
            {"dest": f"{role.host}/l", "link": "x"},
            {"dest": f"{role.host}/gone", "state": "absent"},
        ],
        validate=["true x", ["true", "y"]],
        purge=f"{role.host}/*.old",
        backup=False,
        validate_timeout=5,
    )
    assert result["changed"]
    assert role.calls == ["/bin/sh"]
    assert result["invocation"]["module_args"] == {
        "files": [
            {
                "dest": f"{role.host}/x",
                "state": "file",
                "sensitive": True,
                "owner": OWNER,
                "group": GROUP,
                "mode": "0640",
            },
            {
                "dest": f"{role.host}/l",
                "state": "link",
                "sensitive": False,
                "owner": OWNER,
                "group": GROUP,
                "link": "x",
            },
            {"dest": f"{role.host}/gone", "state": "absent", "sensitive": False},
        ],
        "purge": [f"{role.host}/*.old"],
        "brief": [],
        "validate": [["true", "x"], ["true", "y"]],
        "validate_timeout": 5,
        "backup": False,
        "state_dir": f"{role.host}/state",
    }
    assert [entry["content"] for entry in payload(arguments)] == [f"{SECRET}\n", None, None]
    told = {key: value for key, value in arguments.items() if key != "entries"}
    assert told == {
        "purge": [f"{role.host}/*.old"],
        "validate": [["true", "x"], ["true", "y"]],
        "timeout": 5,
        "backup": False,
        "check": False,
        "diff": False,
        "brief": [],
        "state_dir": f"{role.host}/state",
    }


@pytest.mark.parametrize("answer", [{"rc": 1, "stdout": ""}, {"rc": 0, "stdout": "sh: stat: not found\n"}, {"rc": 127, "stdout": ""}])
def test_a_host_that_cannot_answer_gets_the_call(role, answer):
    action, variables = role.action([{"dest": f"{role.host}/gone", "state": "absent"}])
    action._low_level_execute_command = mock.MagicMock(return_value={"stderr": "", **answer})
    with mock.patch.object(config_set.bare_python, "call", return_value={"changed": True}):
        assert action.run(task_vars=variables)["changed"]


# --- content ---


def test_templates_render_as_the_template_module_does(role):
    role.write(
        "templates/x.j2",
        "{{ ansible_managed | comment }}\n{% if on %}\n  {{ name }}\n{% endif %}\n{% include 'parts/p.j2' %}\n\nend\n\n",
    )
    role.write("templates/parts/p.j2", "part of {{ template_path }} to {{ template_destpath }}")
    text = role.rendered({"template": "x.j2"}, {"ansible_managed": "by hand", "on": True, "name": "a\\nb"})
    assert text == f"#\n# by hand\n#\n  a\\nb\npart of x.j2 to {role.host}/x\nend\n\n"


def test_a_template_has_the_usual_notice_unless_somebody_sets_another(role):
    role.write("templates/x.j2", "{{ ansible_managed }}")
    assert role.rendered({"template": "x.j2"}) == "Ansible managed"


def test_an_entry_has_variables_of_its_own(role):
    role.write("templates/x.j2", "{{ a }}{{ b }}")
    assert role.rendered({"template": "x.j2", "vars": {"b": 2}}, {"a": 1, "b": 1}) == "12"


@pytest.mark.parametrize(("template", "text"), [("{{ 5 }}", "5"), ("", ""), ("{{ none_value }}", ""), ("{{ 'é' }}\n", "é\n")])
def test_whatever_a_template_yields_is_text(role, template, text):
    role.write("templates/x.j2", template)
    assert role.rendered({"template": "x.j2"}, {"none_value": None}) == text


def test_files_are_copied_as_they_are(role):
    role.write("files/x", "{{ not_a_template }}\r\n")
    with open(f"{role.path}/files/x", "rb") as handle:
        assert role.rendered({"file": "x"}) == handle.read().decode()


def test_encrypted_files_are_decrypted(role):
    role.write("files/x", VaultLib(VAULT).encrypt("plain\n").decode())
    role.write("templates/x.j2", VaultLib(VAULT).encrypt("is {{ 1 + 1 }}\n").decode())
    assert role.rendered({"file": "x"}) == "plain\n"
    assert role.rendered({"template": "x.j2"}) == "is 2\n"


def test_the_template_of_a_sensitive_file_may_be_quoted(role):
    role.write("templates/x.j2", "password {{ p }}\n")
    _result, arguments = role.run(
        [{"dest": f"{role.host}/x", "template": "x.j2", "sensitive": True}], {"p": SECRET, "ansible_managed": "by hand"}
    )
    assert payload(arguments)[0]["public"] == "password {{ p }}\n\nby hand"


# --- errors ---

ERRORS = {
    "wrong declaration": ([{"dest": "x", "content": "y"}], ["files[0] (x): dest: 'x' is not an absolute path"]),
    "no such template": ([{"dest": "/x", "template": "no.j2"}], ["files[0] (/x): template no.j2", "Could not find"]),
    "no such file": ([{"dest": "/x", "file": "no"}], ["files[0] (/x): file no", "Could not find"]),
    "a directory": ([{"dest": "/x", "file": "."}], ["files[0] (/x): file .", "is a directory; name a file"]),
    "undefined": (
        [{"dest": "/x", "template": "undefined.j2"}],
        ["(/x): template undefined.j2", "'nobody' is undefined"],
    ),
    "undefined in a sensitive one": (
        [{"dest": "/x", "template": "undefined.j2", "sensitive": True}],
        ["(/x): template undefined.j2", "'nobody' is undefined"],
    ),
    "bad syntax": ([{"dest": "/x", "template": "syntax.j2"}], ["(/x): template syntax.j2", "Syntax error"]),
    "a filter's error": ([{"dest": "/x", "template": "filter.j2"}], ["(/x): template filter.j2", SECRET]),
}


@pytest.fixture
def broken(role):
    role.write("templates/undefined.j2", "{{ nobody }}")
    role.write("templates/syntax.j2", "{% if %}")
    role.write("templates/filter.j2", "{{ secret | to_datetime }}")
    return role


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_entry_and_its_source(broken, name):
    files, words = ERRORS[name]
    with pytest.raises(AnsibleActionFail) as problem:
        broken.run(files, {"secret": SECRET})
    for word in words:
        assert word in str(problem.value)
    assert broken.calls == []


def test_an_error_tells_nothing_of_what_is_sensitive(broken):
    with pytest.raises(AnsibleActionFail) as problem:
        broken.run([{"dest": "/x", "template": "filter.j2", "sensitive": True}], {"secret": SECRET})
    assert "template filter.j2 cannot be rendered" in str(problem.value)
    assert SECRET not in str(problem.value)
    assert problem.value.__cause__ is None


def test_a_set_too_large_for_one_piece_is_refused(role, monkeypatch):
    monkeypatch.setattr(config_set, "SIZE_LIMIT", 10)
    with pytest.raises(AnsibleActionFail, match="the set holds 11 bytes, more than the 10"):
        role.run([{"dest": "/x", "content": "x" * 11}])
