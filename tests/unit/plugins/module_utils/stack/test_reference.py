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
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, processes, routes, sandbox, source, variables
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
    ):
        assert f"`{choice}`" in DOCUMENT, choice
    assert all(suffix in DOCUMENT for suffix in source.ARCHIVE_SUFFIXES)


def test_every_key_of_a_check_is_told():
    assert f"`{{{', '.join(processes.HEALTH_KEYS)}}}`" in DOCUMENT


def test_every_variable_is_told():
    plan = {"workers": 1, "concurrency": 2, "pool_size": 3, "max_overflow": 1, "node_heap_mb": 100, "max_websockets": 10}
    told = set(re.findall(r"`([A-Z_]+)`", " ".join(_table("variable"))))
    found = set(variables.generated_names([], "postgresql", apps.REDIS_INSTANCES))
    for app in apps.normalise({name: {**SHOP["shop"], "runtime": runtime} for name, runtime in (("shop", "python"),)}).values():
        for process in app["processes"].values():
            found |= set(environment.process_environment(app, process, plan, {"bind_address": "127.0.0.1", "proxies": ["10.0.0.2"]}))
    assert found and found <= told


def test_the_example_works():
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)[1])
    assert apps.normalise(example["mainstay_apps"])["shop"]["processes"]["web"]["kind"] == "web"
