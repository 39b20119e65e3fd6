# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

from ansible_collections.mainstay.vps.plugins.module_utils.derive.status_page import page_settings, password_line
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

PAGE = {"port": 8444}


def _plan(tiers):
    return capacity.plan(normalise(SHOP), 100, {"web1": {"tiers": tiers, "memory_mb": 8192, "cpus": 4}})


def test_the_sites_of_the_host_that_serves_them():
    found = page_settings(PAGE, SHOP, _plan(["proxy", "backend", "database", "cache"]), "web1", True, False)
    (site,) = found["sites"]
    assert site["url"] == f"https://{site['name']}/" and site["app"] == "shop" and site["processes"] == ["web"]
    assert (found["alerts"], found["ping"], found["version"]) == (True, False, 1)


def test_a_host_without_sites_has_a_page_without_them():
    apps = normalise(SHOP)
    plan = capacity.plan(
        apps,
        100,
        {
            "web1": {"tiers": ["backend", "database", "cache"], "memory_mb": 8192, "cpus": 4, "address": "10.0.0.2"},
            "web2": {"tiers": ["proxy"], "memory_mb": 2048, "cpus": 2, "address": "10.0.0.3"},
        },
    )
    assert page_settings(PAGE, SHOP, plan, "web1")["sites"] == []
    assert len(page_settings(PAGE, SHOP, plan, "web2")["sites"]) == 1


def test_nobody_wants_one():
    assert page_settings({}, SHOP, _plan(["proxy", "backend", "database", "cache"]), "web1") == {}


def test_a_password_is_hashed_with_a_salt_of_the_host_s_the_same_each_time():
    line = password_line("a long one", "web1")
    assert re.fullmatch(r"status:\$6\$rounds=1000\$[0-9a-f]{16}\$[./0-9A-Za-z]{86}", line)
    assert line == password_line("a long one", "web1")
    assert len({line, password_line("a long one", "web2"), password_line("another", "web1")}) == 3
