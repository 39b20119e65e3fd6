# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every role promises: its argument specification is its defaults, and its files follow the house's shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.mainstay.vps.plugins.module_utils.derive import packages as derive_packages
from ansible_collections.mainstay.vps.plugins.module_utils.derive import supply
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import adoption
from ansible_collections.mainstay.vps.plugins.module_utils.stack import tiers as stack_tiers
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())
by_name = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def _options(role):
    file = role / "meta/argument_specs.yml"
    return yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"] if file.exists() else {}


def _defaults(role):
    file = role / "defaults/main.yml"
    return yaml.safe_load(file.read_text()) if file.exists() else {}


@by_name
def test_specification_is_the_defaults(role):
    options, defaults = _options(role), _defaults(role)
    assert list(options) == list(defaults), "the same options in the same order"
    for name, option in options.items():
        derived = isinstance(defaults[name], str) and "{{" in defaults[name]
        assert ("default" not in option) if derived else option.get("default", []) == defaults[name], name


@pytest.mark.parametrize(
    ("role", "name", "known"),
    [
        ("backend", "backend_minimum_free_mb", supply.RELEASE),
        ("postgresql", "postgresql_preload_libraries", list(adoption.PRELOADED)),
    ],
)
def test_what_the_first_play_knows_of_a_role_is_its_default(role, name, known):
    assert _defaults(ROLES[0].parent / role)[name] == known


DERIVED = re.compile(r"\{\{ (mainstay_apps|backend_apps) .*\|\s*mainstay\.vps\.", re.DOTALL)


@by_name
def test_what_is_derived_is_what_the_specification_takes(role):
    """Of an app with a pooler, whose databases two roles take, and a plan."""
    apps = {"shop": {**SHOP["shop"], "pooler": "pgbouncer"}, "blog": {**SHOP["shop"], "database": "mariadb", "processes": {}, "sites": {}}}
    apps["blog"]["processes"] = {"web": {"command": "x", "port": 8200}}
    tiers = {tier: ["web1"] for tier in stack_tiers.TIERS}
    host = {"tiers": list(tiers), "memory_mb": 8192, "cpus": 4}
    secret = dict.fromkeys(("DATABASE_PASSWORD", "REDIS_CACHE_PASSWORD", "REDIS_QUEUE_PASSWORD"), "x" * 32)
    variables = {
        "inventory_hostname": "web1",
        "mainstay_apps": apps,
        "mainstay_secrets": {"shop": secret, "blog": secret},
        "mainstay_plan": capacity.plan(normalise(apps), 100, {"web1": host}),
        "groups": tiers,
        "mainstay_host": {},
        "hostvars": {"web1": {}},
    }
    own = role / "vars/main.yml"
    defaults = _trusted({**(yaml.safe_load(own.read_text()) if own.exists() else {}), **_defaults(role)})
    templar = Templar(DataLoader(), variables={**defaults, **variables})
    for name, option in _options(role).items():
        if isinstance(defaults[name], str) and DERIVED.search(defaults[name]):
            found = ArgumentSpecValidator({name: option}).validate({name: templar.template(defaults[name])})
            assert found.error_messages == [], name


def _trusted(value):
    """Texts as Ansible reads them out of a role, which it may template."""
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


@by_name
def test_variables_carry_the_role_s_name(role):
    assert all(name.startswith(f"{role.name}_") for name in _defaults(role))
    variables = role / "vars/main.yml"
    if variables.exists():
        assert all(name.startswith(f"__{role.name}_") for name in yaml.safe_load(variables.read_text()))


@by_name
def test_every_option_has_a_comment_and_is_used(role):
    file = role / "defaults/main.yml"
    text = file.read_text() if file.exists() else ""
    used = "\n".join(
        path.read_text() for path in role.rglob("*") if path.is_file() and path.name not in ("argument_specs.yml", "README.md")
    )
    for name in _defaults(role):
        assert re.search(rf"^# .+\n{name}:", text, re.MULTILINE), f"a comment line above {name}"
        assert len(re.findall(rf"\b{name}\b", used)) > 1, f"{name} is used"


@by_name
def test_templates_say_who_manages_them(role):
    for template in role.glob("templates/**/*.j2"):
        assert "{{ ansible_managed | comment" in template.read_text().split("\n", 1)[0], template


@by_name
def test_tasks_fit_on_a_page(role):
    for tasks in role.glob("tasks/*.yml"):
        assert len(tasks.read_text().splitlines()) <= 120, tasks


def test_one_transaction_installs_what_the_roles_would():
    apps = {
        name: {
            "runtime": "python",
            "source": {"path": "x"},
            "database": database,
            "redis": ["cache"],
            "pooler": pooler,
            "processes": {"web": {"command": "x", "port": port}},
        }
        for name, database, pooler, port in (("shop", "postgresql", "pgbouncer", 8000), ("blog", "mariadb", "none", 8100))
    }
    together = set(derive_packages.stack_packages(apps, stack_tiers.TIERS))
    for role in ("nginx", "redis", "postgresql", "pgbouncer", "mariadb", "firewall", "fail2ban", "logrotate"):
        packages = _defaults(ROLES[0].parent / role)[f"{role}_packages"]
        assert set(packages) <= together, role


def test_what_starts_later_is_told_to_start_by_a_role():
    """Where a package's name is that of its service; the exporters' names are held by their own test."""
    later = derive_packages.stack_packages({}, [], "start_later")
    installed = {name: role for role in ROLES for name in _defaults(role).get(f"{role.name}_packages", []) if name in later}
    assert set(installed) == {name for name in later if "exporter" not in name}
