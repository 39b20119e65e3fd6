# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls a function of module_utils on a host, with Python alone.

A module brings the library of Ansible along, which the host compiles anew each time: of what a short module takes there, two thirds. What
needs nothing of that library goes through the standard input of one command, as one program: no file, no process list.
"""

from __future__ import annotations

import ast
import base64
import json
import zlib
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

ROOT = Path(__file__).resolve().parents[1] / "module_utils"
# The host's Python finds the modules in here, below a package of this name.
PACKAGE = "mainstay"
ANSWER = "mainstay answer: "
# What a host without the first thing that a run needs says, and what helps.
REMEDIES = {
    "you must have a tty": "its sudoers say requiretty: add a line 'Defaults:USER !requiretty' for the user who logs in, with visudo",
    "interactive authentication is required": "sudo wants a password: run with --ask-become-pass, or give the user sudo without one",
    "sudo: not found": "there is no sudo: log in as root (ansible_user: root), who needs none",
    "python3: not found": "bring it there: ansible all -i inventory -b -m raw -a 'apt-get update && apt-get install -y python3'",
}
# Ansible waits for the question that it has told sudo to ask; sudo-rs puts words of its own before it.
UNHEARD = "waiting for privilege escalation prompt"
UNHEARD_REMEDY = (
    "sudo has not asked for the password as Ansible waits for it. Where the host's sudo is sudo-rs, as on Ubuntu 26.04, write "
    "ansible_become_exe: sudo.ws for the host in the inventory, the name of the other sudo there, or give the user sudo without a password."
)
PROGRAM = """
import base64, importlib, importlib.machinery, json, sys, zlib
sources, module, function, arguments = json.loads(zlib.decompress(base64.b64decode({sent!r})))
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in sources:
            return importlib.machinery.ModuleSpec(name, Finder, is_package=sources[name] is None)
    @staticmethod
    def create_module(spec):
        return None
    @staticmethod
    def exec_module(module):
        exec(compile(sources[module.__name__] or "", module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Finder)
answer = getattr(importlib.import_module(module), function)(**arguments)
print({answer!r} + json.dumps(answer))
"""


def program(module, function, arguments):
    """The program that calls the function of a module, such as ``files.changeset``, and prints what it returns."""
    sent = json.dumps([sources(module), f"{PACKAGE}.{module}", function, arguments]).encode()
    return PROGRAM.format(sent=base64.b64encode(zlib.compress(sent)).decode(), answer=f"\n{ANSWER}")


def sources(module):
    """The texts of a module and of all that it imports of module_utils, by the names they get there; packages have none."""
    found, left = {PACKAGE: None}, [module]
    while left:
        name = left.pop()
        if f"{PACKAGE}.{name}" in found:
            continue
        path = ROOT.joinpath(*name.split("."))
        if path.is_dir():
            found[f"{PACKAGE}.{name}"] = None
        else:
            text = path.with_suffix(".py").read_text(encoding="utf-8")
            found[f"{PACKAGE}.{name}"] = text
            left += _imported(text, name)
        left += [name.rpartition(".")[0]] if "." in name else []
    return found


def _imported(text, name):
    """The modules that the text of a module imports relative to itself."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = [*name.split(".")[: -node.level], *filter(None, [node.module])]
            if ROOT.joinpath(*place).is_dir():
                yield from (".".join([*place, alias.name]) for alias in node.names)
            else:
                yield ".".join(place)


def call(action, task_vars, module, function, **arguments):
    """What the function returns on the host of an action's task."""
    python = action._templar.template(constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars))
    if not python or python.startswith("auto"):
        python = "/usr/bin/python3"
    command = f"{action._compute_environment_string()} {python} -I -".strip()
    try:
        answer = action._low_level_execute_command(command, in_data=program(module, function, arguments).encode())
    except AnsibleConnectionFailure as error:
        if UNHEARD in str(error):
            raise AnsibleActionFail(UNHEARD_REMEDY) from error
        raise
    said, found, told = answer["stdout"].partition(f"\n{ANSWER}")
    if answer["rc"] or not found:
        words = (answer["stderr"].strip() or said.strip() or f"exit status {answer['rc']}").splitlines()[-1]
        helps = next((remedy for sign, remedy in REMEDIES.items() if sign in words), "ansible_python_interpreter names another Python")
        raise AnsibleActionFail(f"{python} on the host has not given an answer: {words.rstrip('.')}; {helps}.")
    return json.loads(told)
