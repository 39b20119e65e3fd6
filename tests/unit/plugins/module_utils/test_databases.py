# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import re

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import databases
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

SECRETS = {"shop": {"DATABASE_PASSWORD": "correct horse", "REDIS_CACHE_PASSWORD": "c", "REDIS_QUEUE_PASSWORD": "q"}}


def test_verifier_is_stable_and_differs_by_role_and_password():
    verifier = databases.scram_verifier("correct horse", "shop")
    assert verifier == databases.scram_verifier("correct horse", "shop")
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}", verifier)
    assert len({verifier, databases.scram_verifier("correct horse", "blog"), databases.scram_verifier("other", "shop")}) == 3
    assert "correct horse" not in verifier


def _found(**changes):
    (database,) = databases.postgresql_databases(SHOP, SECRETS)
    found = {"databases": {"shop": "shop"}, "roles": {"shop": hashlib.sha256(database["password_verifier"].encode()).hexdigest()}}
    return {**found, **changes}


@pytest.mark.parametrize(("found", "missing"), [
    (_found(), False),
    ({}, True),
    (_found(databases={}), True),
    (_found(databases={"shop": "postgres"}), True),
    (_found(roles={"shop": "another password's digest"}), True),
])
def test_missing_databases(found, missing):
    declared = databases.postgresql_databases(SHOP, SECRETS)
    assert bool(databases.postgresql_missing(declared, found)) is missing


def test_redis_instances_evict_or_last():
    plan = {"hosts": {"web1": {"redis": {"cache": {"maxmemory_mb": 100, "maxmemory_policy": "allkeys-lru", "maxclients": 2000}}}}}
    cache, queue = databases.redis_instances(SHOP, SECRETS, plan, "web1")
    assert (cache["port"], cache["durable"], cache["maxmemory_policy"], cache["maxmemory_mb"]) == (6379, False, "allkeys-lru", 100)
    assert (queue["port"], queue["durable"], queue["maxmemory_policy"]) == (6380, True, "noeviction")
    assert queue["users"] == [{"name": "shop", "password_sha256": hashlib.sha256(b"q").hexdigest()}]


def test_settings_have_units_and_quotes():
    plan = {"shared_buffers_mb": 512, "work_mem_kb": 4096, "max_connections": 60, "checkpoint_completion_target": 0.9}
    assert databases.postgresql_settings(plan, {"jit": False, "log_line_prefix": "it's %p"}) == {
        "checkpoint_completion_target": "0.9", "jit": "off", "log_line_prefix": "'it''s %p'", "max_connections": "60",
        "shared_buffers": "'512MB'", "work_mem": "'4096kB'"}
