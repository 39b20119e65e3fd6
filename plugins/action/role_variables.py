# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.derive.role_values import refuse_role_values
from ansible_collections.mainstay.vps.plugins.module_utils.stack import names
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError, ReleaseError, unlike
from ansible_collections.mainstay.vps.plugins.module_utils.text import MASK, mask

ROLES = Path(__file__).resolve().parents[2] / "roles"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Texts that may hold passwords, where a mapping is wanted.
SECRET = ("_environment", "_proxies", "_secrets")
SHAPES = {"bool": bool, "dict": Mapping, "list": (list, tuple)}
# What ansible-core's validator says (ansible.module_utils.common.parameters), whose words are about arguments of modules.
QUOTED = r"(?: found in '(?P<within>[^']+)'\.?)?"
UNKNOWN_KEY = re.compile(r"(?P<key>\S+)\. Supported parameters include: (?P<known>.*)\.")
WRONG_TYPE = re.compile(
    rf"(?:argument|Elements value for option) '(?P<key>[^']+)'"
    rf"(?: is of type (?P<is>\S+){QUOTED}|{QUOTED.replace('within', 'around')} is of type (?P<item>\S+))"
    r" and we were unable to convert to (?P<wanted>\w+): .*"
)
# It says so without the variable, and then again with it.
NO_MAPPING = "dictionary requested, could not parse JSON or key=value"
WRONG_VALUE = re.compile(r"value of (?P<key>\S+) must be one of: (?P<choices>.*), got: (?P<value>.*?)(?: found in (?P<within>.*))?")


class ActionModule(ActionBase):
    """All roles' variables against their specifications, in one task that fails with a sentence for each."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = {name: option for role in sorted(ROLES.iterdir()) for name, option in specification(role).items()}
        # First, because variables of roles are made of them.
        public = self._given(set(names.VARIABLES) - set(names.READ_BY_THE_PLAN), task_vars)
        try:
            names.refuse_wrong_values(public)
        except DeclarationError as error:
            raise AnsibleActionFail(str(error)) from None
        given = self._given(options, task_vars)
        if words := " ".join(shapeless(options, given)):
            raise AnsibleActionFail(words)
        validated = ArgumentSpecValidator(options).validate(given, validate_role_argument_spec=True)
        if validated.error_messages:
            words = " ".join(sentence(error, given) for error in validated.error_messages if error != NO_MAPPING)
            raise AnsibleActionFail(mask(words, map(str, validated._no_log_values)))
        otherwise = {name: option.get("default") for name, option in options.items()}
        try:
            refuse_role_values({name: validated.validated_parameters[name] for name in given}, otherwise)
        except DeclarationError as error:
            raise AnsibleActionFail(str(error)) from None  # else Ansible tells it twice
        result.update(changed=False, warnings=slips(task_vars, options, [role.name for role in ROLES.iterdir()]))
        return result

    @staticmethod
    def _later(variables):
        return ["role_path", *(name for name in ("mainstay_host", "mainstay_plan") if name not in variables)]

    def _given(self, options, variables):
        """The values there are: those of the inventory and, where a role that is used alone depends on this task, that role's defaults.

        A default may need what only its own role has; the role looks at it itself. Its path would be the one of the role that asks here.
        The host is not known yet where this is the first task of all.
        """
        given = {}
        for name in options:
            if name not in variables or any(word in str(variables[name]) for word in self._later(variables)):
                continue
            try:
                given[name] = self._templar.template(variables[name])
            except AnsibleError as error:
                if words := refusal(error):
                    raise AnsibleActionFail(words) from None
                if not variables.get("ansible_dependent_role_names"):
                    raise
        return given


def shapeless(options, given):
    """A sentence for each value whose shape Ansible's validator would take for another one, which the roles do not get from it.

    To a list it takes a text with commas, to a mapping one with '=', to true or false a word, which is always true to Jinja; and of what
    is empty it says nothing.
    """
    for name, value in given.items():
        option = options[name]
        shown = MASK if option.get("no_log") or name.endswith(SECRET) else repr(value)
        if value is None and option.get("default") is not None:
            yield f"{name}: None cannot be used; write a value after the colon, or leave the variable out."
        elif value is not None and not isinstance(value, SHAPES.get(option["type"], object)):
            yield f"{name}: {shown} cannot be used; write {_shape(name, option)}."


def _shape(name, option):
    if option["type"] == "dict":
        return f"a mapping with {', '.join(option['options'])}" if option.get("options") else "a mapping"
    return "a list" if option["type"] == "list" else f"true or false, with -e as '{{\"{name}\": true}}'"


def refusal(error):
    """The sentence of a declaration that a filter or a lookup refused, without Ansible's words before it; empty for any other error."""
    while error is not None and not isinstance(error, (DeclarationError, ReleaseError)):
        error = error.__cause__
    return str(error or "")


def specification(role):
    """The options of a role's main entry; a role without a specification has none."""
    file = role / "meta/argument_specs.yml"
    if not file.exists():
        return {}
    return yaml.load(file.read_text(encoding="utf-8"), LOADER)["argument_specs"]["main"]["options"]


def sentence(error, given):
    """What the validator says, beginning with the variable."""
    if said := UNKNOWN_KEY.fullmatch(error):
        word, known = said["key"].rpartition(".")[2], said["known"].split(", ")
        return f"{said['key']}: there is no such key; {unlike(word, known, 'known keys are ' + said['known'])}."
    if said := WRONG_VALUE.fullmatch(error):
        remedy = unlike(said["value"], said["choices"].split(", "), f"use one of {said['choices']}")
        return f"{_place(said['within'], said['key'])}: {said['value']} cannot be used; {remedy}."
    if said := WRONG_TYPE.fullmatch(error):
        within = said["within"] or said["around"]
        value = f" {given[said['key']]!r}" if not within and said["key"] in given else ""
        return f"{_place(within, said['key'])}:{value} is of type {said['is'] or said['item']}; write {said['wanted']}."
    what, _found, where = error.rpartition(" found in ")
    return f"{_place(where)}: {what}." if what else f"{error}."


def _place(*path):
    return ".".join(filter(None, path)).replace(" -> ", ".")


def slips(variables, options, roles):
    """A warning for each variable that nearly has the name of one of a role; it may be somebody's own, so it is no error."""
    prefixes = tuple(f"{role}_" for role in roles)
    warnings = []
    for name in sorted(name for name in variables if name.startswith(prefixes) and name not in options):
        for near in difflib.get_close_matches(name, options, 1, 0.9):
            warnings.append(f"{name}: no role reads this variable. Did you mean {near}?")
    return warnings
