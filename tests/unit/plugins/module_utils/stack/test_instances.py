# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import instances
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

WEB = normalise(SHOP)["shop"]["processes"]["web"]


def _host(active=(), **records):
    paths = {f"{instances.RECORDS}/shop-{process}": {"target": target} for process, target in records.items()}
    return {"paths": paths, "active": list(active)}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("abc:12ef:8002,8003", [8002, 8003]),
        ("abc-0d1e2f:12ef:1", [1]),
        ("", None),
        ("12ef", None),
        ("abc:12ef:", None),
        ("abc:12ef:x", None),
    ],
)
def test_a_record_is_read_or_there_is_none(target, expected):
    host = _host(web=target)
    assert instances.live_instances(SHOP, host) == ({"shop": {"web": expected}} if expected else {})


def test_a_record_is_read_as_it_was_written():
    shop = normalise(SHOP)["shop"]
    host = _host(web=instances.record("abc", "12ef", [8000, 8002]))
    assert instances.recorded(host["paths"], shop, WEB) == {"release": "abc", "digest": "12ef", "numbers": [8000, 8002]}


@pytest.mark.parametrize(
    ("count", "live", "expected"),
    [
        (2, [], [8000, 8001]),
        (2, [8000, 8001], [8002, 8003]),
        (2, [8002, 8003], [8000, 8001]),
        (2, [8001, 8002], [8000, 8003]),
        (3, [8000, 8001], [8002, 8003, 8004]),
        (3, [8002, 8003], [8000, 8001, 8004]),
        (1, [8000, 8001], None),
        (2, [9000, 9001], [8000, 8001]),
    ],
)
def test_the_next_set_takes_the_lowest_free_ports(count, live, expected):
    assert instances.next_numbers(WEB, count, live) == expected


def test_whatever_web_instance_is_not_on_record_was_left_behind():
    active = ["shop-web@8000.service", "shop-web@8002.service", "shop-worker@2.service", "shop-web-x@8003.service", "nginx.service"]
    assert instances.unrecorded_instances(SHOP, _host(active, web="abc:12:8000")) == ["shop-web@8002.service"]
    assert instances.unrecorded_instances(SHOP, _host()) == []
