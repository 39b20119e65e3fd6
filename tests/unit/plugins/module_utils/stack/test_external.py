# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases and the like that an app uses and the stack does not run."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment
from ansible_collections.mainstay.vps.plugins.module_utils.derive.egress import egress_chains
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity, report
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.module_utils.stack.variables import secret_names

PASSWORD = "q8Zr4vLm2xKp"
URL = f"postgresql+psycopg://shop:{PASSWORD}@203.0.113.7:5432/shop"
NAMED = f"postgresql://shop:{PASSWORD}@db.example.com/shop"
REDIS = f"rediss://:{PASSWORD}@redis.example.com:6380/0"
HOST = {"web1": {"tiers": ["proxy", "backend"], "memory_mb": 8192, "cpus": 4}}
SECRETS = {"shop": {"TOKEN": "t" * 20}}


def declared(external, env=None, **keys):
    return {
        "shop": {
            "source": {"path": "../shop"},
            "env": {"DATABASE_URL": URL, "REDIS_URL": REDIS, **(env or {})},
            "external": external,
            "processes": {
                "web": {"command": "uvicorn x:app", "port": 8000},
                "worker": {"command": "celery -A x worker -c $CELERY_CONCURRENCY", "kind": "celery", "workers": 2},
            },
            **keys,
        }
    }


def planned(external, **keys):
    return capacity.plan(apps.normalise(declared(external, **keys)), 100, HOST)


@pytest.mark.parametrize(
    ("external", "keys", "words"),
    [
        ({"DATABASE_URI": {}}, {}, ["external.DATABASE_URI", "no such variable", "vault"]),
        ({"MAIN_URL": {}}, {"secrets": ["MAIN_URL"]}, ["external.MAIN_URL", "The stack makes its value", "neither secrets nor"]),
        ({"DATABASE_URL": {}}, {"database": "postgresql"}, ["external.DATABASE_URL", "The stack makes its value", "neither secrets nor"]),
        ({"DATABASE_URL": {"conections": 3}}, {}, ["external.DATABASE_URL.conections", "Did you mean 'connections'"]),
        ({"DATABASE_URL": {"connections": 0}}, {}, ["external.DATABASE_URL.connections", "1 to 100000"]),
        ({"REDIS_URL": {"connections": 9}}, {}, ["external.REDIS_URL.connections", "Only those to a database are counted"]),
        ({"DATABASE_URL": {}}, {"env": {"DATABASE_URL": "db.example.com"}}, ["external.DATABASE_URL", "no URL with a host", "********"]),
        ({"DATABASE_URL": {}}, {"env": {"DATABASE_URL": f"{URL}:x:99999"}, "egress": "none"}, []),
        ({"DATABASE_URL": {}}, {"env": {"DATABASE_URL": "postgresql://a:b@[::1/x"}}, ["external.DATABASE_URL", "no URL with a host"]),
        (
            {"DATABASE_URL": {}},
            {"env": {"DATABASE_URL": NAMED}, "egress": "none"},
            ["'db.example.com'", "no name is looked up", "egress: ["],
        ),
        (["DATABASE_URL"], {}, ["mainstay_apps.shop.external", "mapping"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(external, keys, words):
    if not words:
        assert apps.normalise(declared(external, **keys))
        return
    with pytest.raises(DeclarationError) as error:
        apps.normalise(declared(external, **keys))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert PASSWORD not in str(error.value)


def test_the_app_counts_as_one_that_keeps_its_state_elsewhere():
    without, plan = planned({}), planned({"DATABASE_URL": None, "REDIS_URL": {}})
    web = plan["hosts"]["web1"]["processes"]["shop"]["web"]
    assert without["hosts"]["web1"]["processes"]["shop"]["web"]["instances"] == 1
    assert (web["instances"], web["pool_size"] + web["max_overflow"]) == (4, 10)
    assert "postgresql" not in plan["hosts"]["web1"] and not plan["connections"]
    # 4 x 10, the second set beside them, 2 children x 2, a migration and an operator's command
    assert plan["external"]["shop"]["needed"] == 40 + 40 + 4 + 2 + 2 and "limit" not in plan["external"]["shop"]
    assert "shop, database elsewhere: 88 connections" in report.table(plan)
    assert planned({"REDIS_URL": {}})["hosts"]["web1"]["processes"]["shop"]["web"]["instances"] == 4


def test_pools_keep_within_what_the_database_takes():
    plan = planned({"DATABASE_URL": {"connections": 40}})
    web = plan["hosts"]["web1"]["processes"]["shop"]["web"]
    assert (web["pool_size"], web["max_overflow"]) == (2, 2)
    assert plan["external"]["shop"]["needed"] == 40 and not [told for told in plan["advice"] if "elsewhere" in told]
    assert "shop, database elsewhere: 40 of 40 connections" in report.table(plan)


def test_what_does_not_fit_there_is_told():
    told = planned({"DATABASE_URL": {"connections": 10}})["advice"]
    assert any("may hold 16 connections to its database elsewhere, where it may have 10" in warning for warning in told)


def test_its_pools_are_told_and_its_password_is_hidden():
    app = apps.normalise(declared({"DATABASE_URL": {}}, env={"MAIL_TOKEN": PASSWORD, "LEVEL": "info"}))["shop"]
    plan = {"workers": 1, "pool_size": 3, "max_overflow": 1, "max_websockets": 1, "threads": None}
    told = environment.process_environment(app, app["processes"]["web"], plan, {"bind_address": "127.0.0.1", "proxies": []})
    assert (told["DB_POOL_SIZE"], told["DB_MAX_OVERFLOW"]) == (3, 1)
    assert secret_names(app) == ["DATABASE_URL", "MAIL_TOKEN", "REDIS_URL"]


def test_an_address_comes_through_a_declared_egress():
    def accepted(**keys):
        return [rule for rule in egress_chains(declared({"DATABASE_URL": {}}, **keys))[0]["rules"] if "accept" in rule]

    assert "ip daddr { 203.0.113.7/32 } accept" in accepted(egress="none")
    assert "ip daddr { 203.0.113.7/32, 198.51.100.0/24 } accept" in accepted(egress=["198.51.100.0/24"])
    assert not accepted()
