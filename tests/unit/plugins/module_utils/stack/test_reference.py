# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/apps.md knows every key that a declaration may have, and none besides; its example is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, fields, processes, routes, sandbox, source, variables
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

DOCUMENT = (Path(__file__).parents[5] / "docs/apps.md").read_text()


def _table(head):
    """The first cells of the table whose head begins so."""
    rows = DOCUMENT[DOCUMENT.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows]


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("key of an app", apps.APP_KEYS),
        ("key of a process", processes.PROCESS_KEYS),
        ("key of a site", routes.SITE_KEYS),
        ("key of a process's route", routes.PROCESS_ROUTE_KEYS[1:-1]),
    ],
)
def test_every_key_is_told(head, keys):
    assert sorted(_table(head)) == sorted(f"`{key}`" for key in keys)


def _cells(head, keys):
    """A table's cells of type and default, each beside the key's table entry."""
    rows = DOCUMENT[DOCUMENT.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
    for row in rows:
        key, type_, default = (cell.strip() for cell in row.split("|")[1:4])
        yield keys[key.strip("`")], key.strip("`"), type_, default


# Defaults that depend on something else, or on the plan, told in words.
DEPENDS = ("all but", "by ", "the plan's", "the site's", "`auto`, of a singleton 1", "`web` with a port", "required, but for")


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("key of an app", apps.APP_KEYS),
        ("key of a process", processes.PROCESS_KEYS),
        ("key of a site", routes.SITE_KEYS),
        ("key of a process's route", routes.ROUTE_KEYS["process"]),
    ],
)
def test_types_and_defaults_are_the_validators(head, keys):
    for field, key, type_, default in _cells(head, keys):
        if isinstance(field, fields.Choice):
            assert re.findall(r"`([^`]+)`", type_) == list(field.choices), key
        if isinstance(field, fields.Flag):
            assert type_ in ("true or false", "boolean"), key
        if default.startswith(DEPENDS):
            continue
        if default == "required":
            assert key in keys.required, key
            continue
        assert key not in keys.required, key
        told = None if default == "none" else yaml.safe_load(default.strip("`"))
        wanted = field.default
        if isinstance(wanted, tuple):
            wanted = list(wanted)
        if isinstance(field, fields.Keys) and told not in (None, "auto"):
            assert told == {name: told_of.default for name, told_of in field.items() if name in told and name not in wanted} | wanted, key
        elif isinstance(field, fields.Keys):
            assert told is None or {told_of.default for told_of in field.values()} == {told}, key
        else:
            assert told == wanted or (told == 60 and wanted is None), key


@pytest.mark.parametrize(("head", "words"), [("source", source.SOURCES), ("route", routes.ROUTES)])
def test_every_kind_is_told(head, words):
    assert sorted(re.findall(r"\{(\w+):", " ".join(_table(head)))) == sorted(words)


def test_every_choice_is_told():
    for choice in (
        *apps.RUNTIMES,
        *apps.DATABASES,
        *apps.POOLERS,
        *apps.REDIS_INSTANCES,
        *apps.EGRESS,
        *processes.KINDS,
        *sandbox.ALLOWANCES,
        *routes.TLS,
    ):
        assert f"`{choice}`" in DOCUMENT, choice
    assert all(suffix in DOCUMENT for suffix in source.ARCHIVE_SUFFIXES)


def test_every_key_of_a_check_is_told():
    for keys in (processes.HEALTH, processes.READINESS, processes.HEARTBEAT, processes.POOL, routes.RATE_LIMIT, routes.TLS_FILES):
        assert f"{{{', '.join(keys)}}}`" in DOCUMENT


def test_every_variable_is_told():
    plan = {"workers": 1, "threads": 4, "concurrency": 2, "pool_size": 3, "max_overflow": 1, "node_heap_mb": 100, "max_websockets": 10}
    told = set(re.findall(r"`([A-Z_]+)`", " ".join(_table("variable"))))
    found = set(variables.generated_names([], "postgresql", apps.REDIS_INSTANCES))
    for app in apps.normalise({name: {**SHOP["shop"], "runtime": runtime} for name, runtime in (("shop", "python"),)}).values():
        for process in [*app["processes"].values(), {**app["processes"]["web"], "threads": 4, "command": "gunicorn shop:app"}]:
            found |= set(environment.process_environment(app, process, plan, {"bind_address": "127.0.0.1", "proxies": ["10.0.0.2"]}))
    assert found and found <= told


def test_the_example_works():
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)[1])
    assert apps.normalise(example["mainstay_apps"])["shop"]["processes"]["web"]["kind"] == "web"
