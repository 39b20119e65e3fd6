# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/variables.schema.json is what the validator's tables say, takes every declaration of the repository, and refuses what the validator
refuses, but for what no schema can say."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, fields, names, processes, routes, source
from ansible_collections.mainstay.vps.tests.unit.declarations import BOX, SHOP, WRONG, broken

ROOT = Path(__file__).parents[5]
SCHEMA = json.loads((ROOT / "docs/variables.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
APP = SCHEMA["properties"]["mainstay_apps"]["additionalProperties"]
PROCESS = APP["properties"]["processes"]["additionalProperties"]
SITE = APP["properties"]["sites"]["additionalProperties"]
ROUTE = SITE["properties"]["routes"]["additionalProperties"]

# What no schema can say, by what the validator answers, each with the reason.
INEXPRESSIBLE = {
    "Celery's beat sends": "it follows from a command",
    "and the plan counts those that it chooses": "it is said in a command",
    # names of one place that have to be, or must not be, those of another
    "Route to a process that has a port": "names another part of the app",
    "keep it in secrets only": "compares a list and the keys of a mapping",
    "The app has no variable B": "compares a value and the app's variables",
    "builds the releases of shop": "compares the names of two apps",
    "serve a host name once": "compares the sites of all apps",
    "A folder above it is shared already": "compares the entries of a list",
    "has no port that the proof would ask for": "compares a list and the kind, which follows from other keys",
    # numbers that have to fit others
    "move one of them": "compares the ports of two processes",
    "past 65535": "adds a port and the instances",
    "An authority gives a certificate for a wildcard": "compares a site's certificate and its wildcards",
    "a deploy gives requests under way": "compares a route's timeout and a process's drain",
    "takes requests as they come": "knows the server that a command starts",
    "and the plan counts": "reads the words of a command",
    # what a text means
    "It is a placeholder": "a placeholder depends on the name, and on words in any order",
    "Write whole directives of nginx": "counts the braces of a text",
    "leaves out every other header": "reads nginx's language",
    "has host bits set": "needs the arithmetic of networks",
    "such as 203.0.113.0/24 (": "needs the arithmetic of networks",
}


def refused(apps_declared):
    return not VALIDATOR.is_valid({"mainstay_apps": apps_declared})


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_it_is_made_of_the_tables_as_they_are():
    done = subprocess.run([sys.executable, ROOT / "scripts/app_schema.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr} Run scripts/app_schema.py."


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=[".".join(case[0]) for case in WRONG])
def test_what_the_validator_refuses_is_refused(path, value, words):
    declared = broken(path, value)
    with pytest.raises(ValueError) as refusal:
        apps.normalise(declared)
    reasons = [reason for answer, reason in INEXPRESSIBLE.items() if answer in str(refusal.value)]
    assert refused(declared) != bool(reasons), reasons or str(refusal.value)


def test_every_exception_is_needed():
    answers = []
    for path, value, _words in WRONG:
        with pytest.raises(ValueError) as refusal:
            apps.normalise(broken(path, value))
        answers.append(str(refusal.value))
    assert [said for said in INEXPRESSIBLE if not any(said in answer for answer in answers)] == []


def _sample(block):
    """A block of the documentation with what it leaves out of an app because it shows another thing."""
    for app in (block.get("mainstay_apps") or {}).values():
        app.setdefault("source", {"path": "../shop"})
        app.setdefault("processes", {})
    return block


def _blocks():
    """Every block of YAML in the documentation that holds variables."""
    for file in sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md"), *ROOT.glob("roles/*/README.md")}):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(), re.DOTALL)):
            if re.search(r"^mainstay_", block, re.MULTILINE):
                yield pytest.param(_sample(yaml.safe_load(block)), id=f"{file.relative_to(ROOT)}-{number}")


def _files():
    for file in sorted({*ROOT.glob("inventory.example/**/*.yml"), *ROOT.glob("molecule/*/group_vars/**/*.yml")}):
        if "group_vars" in file.parts and "vault" not in file.name:
            yield pytest.param(yaml.safe_load(file.read_text()), id=str(file.relative_to(ROOT)))


def _plays():
    for index, play in enumerate(yaml.safe_load((ROOT / "examples/roles.yml").read_text())):
        yield pytest.param(play.get("vars") or {}, id=f"examples/roles.yml-{index}")


@pytest.mark.parametrize("variables", [*_files(), *_blocks(), *_plays()])
def test_every_declaration_of_the_repository_is_taken(variables):
    assert [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in VALIDATOR.iter_errors(variables)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"processes": {"web": {"command": "x", "port": "8000", "memory": "65536K", "instances": "2"}}},
        {
            "processes": {
                "web": {"command": "x", "port": "{{ port }}", "memory": "{{ size }}", "singleton": "{{ once }}", "kind": "{{ kind }}"}
            }
        },
        {"processes": "{{ shop_processes }}", "sites": {}},
        {
            "processes": {},
            "sites": {"a.example.com": {"tls": {"certificate": "/a.pem", "key": "/b.pem"}, "routes": {"/": {"status": 404}}}},
        },
        {"egress": ["203.0.113.0/24", "2001:db8::1"]},
        {"source": {"package": "datasette==1.0", "requirements": ["gunicorn==23.0.0"]}},
        {"runtime": "node", "source": {"package": "@scope/name@1.0.0"}},
        {"build": ["make", {"command": "make all", "env": {"A": "$DATABASE_URL"}}]},
        {"env": {"A": 1, "B": True, "C": ""}},
    ],
    ids=str,
)
def test_what_else_is_right_is_taken(change):
    declared = {"shop": {**SHOP["shop"], **change}}
    declared["shop"].update({} if "sites" in change else {"sites": {}})
    if "{{" not in str(change):
        apps.normalise(copy.deepcopy(declared))
    assert [error.message for error in VALIDATOR.iter_errors({"mainstay_apps": declared})] == []


def test_a_container_is_taken():
    assert apps.normalise({"box": copy.deepcopy(BOX)}) and not refused({"box": BOX})


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({"schedule": "daily"}, True),
        ({"schedule": "daily", "time_limit": 60, "singleton": False}, True),
        ({"schedule": "daily", "port": 8300}, False),
        ({"schedule": "daily", "instances": 2}, False),
        ({"schedule": "daily", "kind": "celery"}, False),
        ({"time_limit": 60}, False),
        ({"kind": "web"}, False),
        ({"kind": "celery", "port": 8300}, False),
        ({"singleton": True, "instances": 2}, False),
        ({"drain": 3}, False),
    ],
    ids=str,
)
def test_what_one_key_says_of_another(change, is_taken):
    declared = broken(("shop", "processes", "report"), {"command": "x", **change})
    assert refused(declared) != is_taken
    if is_taken:
        apps.normalise(declared)
    else:
        with pytest.raises(ValueError):
            apps.normalise(declared)


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (APP, apps.APP_KEYS),
        (PROCESS, processes.PROCESS_KEYS),
        (SITE, routes.SITE_KEYS),
        *((PROCESS["properties"][key], processes.PROCESS_KEYS[key]) for key in ("health", "readiness", "pool", "heartbeat")),
        *zip(ROUTE["anyOf"], routes.ROUTE_KEYS.values()),
        *zip(APP["properties"]["source"]["anyOf"], source.SOURCE_KEYS.values()),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, fields.Keys) else "",
)
def test_every_key_has_a_type_and_a_meaning(found, keys):
    assert list(found["properties"]) == list(keys) and found["additionalProperties"] is False
    assert found.get("required", []) == list(keys.required)
    for key, schema in found["properties"].items():
        assert schema["description"] and schema.keys() & {"type", "anyOf"}, key


def test_every_public_variable_is_there_and_others_are_let_in():
    assert sorted(SCHEMA["properties"]) == sorted(names.VARIABLES)
    assert VALIDATOR.is_valid({"mainstay_users": 100, "certificates_acme_email": "a@example.com", "mine": [1]})
    assert not VALIDATOR.is_valid({"mainstay_user": 100})
    assert not VALIDATOR.is_valid({"mainstay_users": 0})


def test_the_example_names_the_schema():
    file = ROOT / "inventory.example/group_vars/all.yml"
    place = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())[1]
    assert (file.parent / place).resolve() == (ROOT / "docs/variables.schema.json").resolve()
