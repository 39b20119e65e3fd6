# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function of module_utils that a Python without Ansible calls."""

from __future__ import annotations

import importlib
import json
import subprocess
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python


def _action(environment="", answer=None):
    """An action whose host is this machine, or one that gives this answer."""

    def shell(command, in_data):
        shell.command = command
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False, cwd="/")
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    action = mock.Mock(
        _low_level_execute_command=shell if answer is None else mock.Mock(return_value={"stdout": "", "stderr": "", **answer})
    )
    action._compute_environment_string.return_value = environment
    action._templar.template = lambda text: text.replace("{{ mine }}", "/usr/bin/python3")
    return action, shell


@pytest.mark.parametrize(
    ("module", "function", "arguments"),
    [
        ("text", "printable", {"text": "a\x1bb'\"\\é\n"}),
        ("files.changeset", "carry_out", {"entries": [], "state_dir": "/nowhere/at/all", "check": True}),
    ],
)
def test_what_the_function_returns_comes_back(module, function, arguments):
    here = importlib.import_module(f"ansible_collections.mainstay.vps.plugins.module_utils.{module}")
    told = bare_python.call(_action()[0], {}, module, function, **arguments)
    assert told == json.loads(json.dumps(getattr(here, function)(**arguments)))


def test_what_ends_it_on_the_host_is_told():
    with pytest.raises(AnsibleActionFail, match="TypeError: printable"):
        bare_python.call(_action()[0], {}, "text", "printable")


@pytest.mark.parametrize(
    ("module", "some", "others"),
    [
        ("text", {"mainstay", "mainstay.text"}, {"mainstay.files"}),
        (
            "files.changeset",
            {"mainstay", "mainstay.files", "mainstay.files.changeset", "mainstay.files.journal", "mainstay.text"},
            {"mainstay.files.spec", "mainstay.files.question"},
        ),
    ],
)
def test_only_what_it_imports_goes_along(module, some, others):
    names = set(bare_python.sources(module))
    assert some <= names and not others & names


@pytest.mark.parametrize(
    ("variables", "environment", "expected"),
    [
        ({}, "", "/usr/bin/python3 -I -"),
        ({"ansible_python_interpreter": "auto"}, "", "/usr/bin/python3 -I -"),
        ({"ansible_python_interpreter": "{{ mine }}"}, "", "/usr/bin/python3 -I -"),
        ({"ansible_python_interpreter": "/usr/bin/env python3"}, "LANG=C", "LANG=C /usr/bin/env python3 -I -"),
    ],
)
def test_the_python_is_the_one_of_the_host(variables, environment, expected):
    action, shell = _action(environment)
    bare_python.call(action, variables, "text", "printable", text="x")
    assert shell.command == expected


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"rc": 127, "stderr": "/bin/sh: 1: /usr/bin/python3: not found"}, "python3: not found; bring it there: ansible all"),
        ({"rc": 127, "stderr": "/bin/sh: 1: sudo: not found"}, "sudo: not found; there is no sudo: log in as root"),
        ({"rc": 1, "stderr": "sudo: sorry, you must have a tty to run sudo"}, "!requiretty"),
        ({"rc": 1, "stderr": "sudo: interactive authentication is required"}, "--ask-become-pass"),
        ({"rc": 0, "stdout": "Killed\n"}, "Killed; ansible_python_interpreter names another Python"),
        ({"rc": 137}, "exit status 137"),
        ({"rc": 255, "stdout": "\nmainstay answer: {}", "stderr": "Connection closed"}, "Connection closed"),
    ],
)
def test_a_host_that_cannot_is_told(answer, words):
    with pytest.raises(AnsibleActionFail, match=words):
        bare_python.call(_action(answer=answer)[0], {}, "text", "printable", text="x")


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("Timeout (12s) waiting for privilege escalation prompt: ", AnsibleActionFail, "ansible_become_exe: sudo.ws"),
        ("Connection timed out", AnsibleConnectionFailure, "timed out"),
    ],
)
def test_a_sudo_that_asks_otherwise_is_told(said, error, words):
    action, _shell = _action()

    def fail(_command, in_data):
        raise AnsibleConnectionFailure(said)

    action._low_level_execute_command = fail
    with pytest.raises(error, match=words):
        bare_python.call(action, {}, "text", "printable", text="x")
