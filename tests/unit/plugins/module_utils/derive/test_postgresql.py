# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import re

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import pgbouncer, postgresql
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

SECRETS = {"shop": {"DATABASE_PASSWORD": "correct horse", "REDIS_CACHE_PASSWORD": "c", "REDIS_QUEUE_PASSWORD": "q"}}


def test_verifier_is_stable_and_differs_by_role_and_password():
    verifier = postgresql.scram_verifier("correct horse", "shop")
    assert verifier == postgresql.scram_verifier("correct horse", "shop")
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}", verifier)
    assert len({verifier, postgresql.scram_verifier("correct horse", "blog"), postgresql.scram_verifier("other", "shop")}) == 3
    assert "correct horse" not in verifier


def _found(**changes):
    (database,) = postgresql.postgresql_databases(SHOP, SECRETS)
    digest = hashlib.sha256(database["password_verifier"].encode()).hexdigest()
    found = {"databases": {"shop": "shop"}, "roles": {"shop": digest}, "settings": {"shop": ["a=1", "statement_timeout=60s"]}}
    return {**found, **changes}


def _cluster(version, port=5432, name="main"):
    return {"version": version, "name": name, "port": port, "status": "online"}


@pytest.mark.parametrize(
    ("clusters", "packages", "expected"),
    [
        ([], [], "17"),
        ([_cluster("17")], ["postgresql-17"], "17"),
        ([_cluster("15")], ["postgresql-15", "postgresql-17"], "15"),  # Debian 12 was upgraded to 13
        ([_cluster("15", 5433), _cluster("17")], ["postgresql-15", "postgresql-17"], "17"),  # and then pg_upgradecluster ran
        ([_cluster("9.6", 5433), _cluster("15", 5434)], ["postgresql-15"], "15"),
        ([_cluster("15", name="archive")], ["postgresql-15"], "17"),
        ([_cluster("15")], ["postgresql-17"], "server is gone. Install postgresql-15"),
    ],
)
def test_the_cluster_that_is_there_is_used(clusters, packages, expected):
    host = {"postgresql": {"clusters": clusters}, "distribution": {"codename": "trixie"}, "packages": dict.fromkeys(packages, "1")}
    if " " not in expected:
        assert postgresql.postgresql_version(host) == expected
        return
    with pytest.raises(ValueError, match=expected):
        postgresql.postgresql_version(host)
    assert postgresql.postgresql_version(host, required=False) == "15"


def test_an_unknown_distribution_is_refused_where_it_matters():
    with pytest.raises(ValueError, match="postgresql_version"):
        postgresql.postgresql_version({"distribution": {"codename": "sid"}})
    assert postgresql.postgresql_version({"distribution": {"codename": "sid"}}, required=False) == ""


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (_found(), False),
        ({}, True),
        (_found(databases={}), True),
        (_found(databases={"shop": "postgres"}), True),
        (_found(roles={"shop": "another password's digest"}), True),
        (_found(settings={}), True),
        (_found(settings={"shop": ["statement_timeout=5s"]}), True),
    ],
)
def test_missing_databases(found, missing):
    declared = postgresql.postgresql_databases(SHOP, SECRETS)
    assert bool(postgresql.postgresql_missing(declared, found, {"statement_timeout": "60s"})) is missing


@pytest.mark.parametrize(
    ("env", "prepares"),
    [
        ({}, True),
        ({"DB_PREPARED_STATEMENTS": "1"}, True),
        ({"DB_PREPARED_STATEMENTS": 0}, False),
        ({"DB_PREPARED_STATEMENTS": False}, False),
    ],
)
def test_pgbouncer_stands_before_the_databases_of_apps_that_ask_for_it(env, prepares):
    assert pgbouncer.pgbouncer_databases(SHOP, SECRETS) == []
    pooled = {"shop": {**SHOP["shop"], "pooler": "pgbouncer", "env": env}}
    assert pgbouncer.pgbouncer_databases(pooled, {}) == []
    (database,) = pgbouncer.pgbouncer_databases(pooled, SECRETS)
    (direct,) = postgresql.postgresql_databases(pooled, SECRETS)
    same = {key: direct[key] for key in ("name", "owner", "password_verifier")}
    assert database == {**same, "prepares": prepares}, "the same verifier: what a client proves, PgBouncer proves to PostgreSQL"


def test_pgbouncer_settings_are_written_as_it_reads_them():
    plan = {"max_client_conn": 100, "default_pool_size": 6, "nofile": 256}
    assert pgbouncer.pgbouncer_settings(plan, {"log_stats": False, "default_pool_size": 7}) == {
        "default_pool_size": 7,
        "log_stats": 0,
        "max_client_conn": 100,
    }


@pytest.mark.parametrize(
    ("found", "closed"),
    [
        ({}, ["postgres", "template1", "shop"]),
        ({"databases": {"postgres": "postgres", "shop": "shop", "theirs": "x"}, "open": ["theirs"]}, []),
        ({"databases": {"postgres": "postgres", "theirs": "x"}, "open": ["postgres", "theirs"]}, ["postgres", "shop"]),
        ({"databases": {"postgres": "postgres", "shop": "shop"}, "open": ["shop", "template1"]}, ["template1", "shop"]),
    ],
)
def test_databases_are_closed_to_all_but_their_owners(found, closed):
    assert postgresql.postgresql_open(postgresql.postgresql_databases(SHOP, SECRETS), found) == closed


def test_a_role_has_the_connections_of_the_plan():
    assert postgresql.postgresql_databases(SHOP, SECRETS)[0]["connection_limit"] == -1
    plan = {"connections": {"postgresql": {"roles": {"shop": 34}}}}
    declared = postgresql.postgresql_databases(SHOP, SECRETS, plan)
    assert declared[0]["connection_limit"] == 34
    assert postgresql.postgresql_missing(declared, _found(), {}) and postgresql.postgresql_missing(
        declared, _found(limits={"shop": 30}), {}
    )
    assert not postgresql.postgresql_missing(declared, _found(limits={"shop": 34}), {})


def test_settings_have_units_and_quotes():
    plan = {"shared_buffers_mb": 512, "work_mem_kb": 4096, "max_connections": 60, "checkpoint_completion_target": 0.9}
    assert postgresql.postgresql_settings(plan, {"jit": False, "log_line_prefix": "it's %p"}) == {
        "checkpoint_completion_target": "0.9",
        "jit": "off",
        "log_line_prefix": "'it''s %p'",
        "max_connections": "60",
        "shared_buffers": "'512MB'",
        "work_mem": "'4096kB'",
    }


def test_owners_are_let_in_from_other_hosts():
    assert postgresql.postgresql_remote_access(["192.0.2.7", "2001:db8::/64"], [{"name": "shop", "owner": "seller"}]) == [
        "hostssl shop seller 192.0.2.7/32 scram-sha-256",
        "hostssl shop seller 2001:db8::/64 scram-sha-256",
    ]


@pytest.mark.parametrize("host", ["web1", "192.0.2.7/24", "", "192.0.2.7 trust"])
def test_what_is_no_address_is_let_in_from_nowhere(host):
    with pytest.raises(ValueError, match=r"postgresql_client_hosts\[1\]: .* cannot be used\. .*192\.0\.2\.0/24"):
        postgresql.postgresql_remote_access(["192.0.2.1", host], [])


def test_extensions_are_missing_where_the_snapshot_does_not_have_them():
    declared = postgresql.postgresql_databases(SHOP, SECRETS)
    assert postgresql.postgresql_extensions_missing(declared, ["a", "b"], {"extensions": {"shop": ["b", "plpgsql"]}}) == [
        {"database": "postgres", "extension": "a"},
        {"database": "postgres", "extension": "b"},
        {"database": "shop", "extension": "a"},
    ]
    assert postgresql.postgresql_extensions_missing(declared, ["a"], {"extensions": {"shop": ["a"], "postgres": ["a"]}}) == []
    no_place = {"extensions": {"shop": None, "postgres": ["a"]}}
    assert postgresql.postgresql_extensions_missing(declared, ["a"], no_place) == []


def test_a_superuser_is_told_nothing_by_an_app_s_database():
    """Each as the connection says it; a setting that the server does not know would refuse the connection."""
    said = postgresql.postgresql_superuser("public", "15")["PGOPTIONS"].split("-c ")[1:]
    assert {"search_path=public", "local_preload_libraries= ", "statement_timeout=0 ", "role=none "} <= set(said)
    assert postgresql.postgresql_superuser("", "15", "10s")["PGOPTIONS"].count("lock_timeout") == 1
    assert "-c lock_timeout=10s " in postgresql.postgresql_superuser("", "15", "10s")["PGOPTIONS"] and "lock_timeout=10min " in said
    newer = postgresql.postgresql_superuser("", "17")["PGOPTIONS"]
    assert "transaction_timeout=0" not in [word.strip() for word in said] and "-c transaction_timeout=0 " in newer


INDEX = {"database": "shop", "table": "orders", "columns": ["email", "created_at DESC"]}
NAME = "public.orders_email_created_at_idx"


def _has(**changes):
    found = {"table": "orders", "method": "btree", "unique": False, "partial": False, "columns": ["email", "created_at"], "state": "valid"}
    return {"indexes": {"shop": {NAME: {**found, **changes}}}}


@pytest.mark.parametrize(
    ("found", "states"),
    [
        ({}, ["present"]),
        ({"indexes": {"shop": {}}}, ["present"]),
        ({"indexes": {"blog": _has()["indexes"]["shop"]}}, ["present"]),
        (_has(), []),
        (_has(columns=['"email"', "created_at"]), []),
        (_has(state="building"), []),
        (_has(state="invalid"), ["absent", "present"]),
    ],
)
def test_indexes_are_built_where_they_are_missing_or_invalid(found, states):
    work = postgresql.postgresql_index_work([INDEX], found)
    assert [item["state"] for item in work] == states
    assert all((item["name"], item["schema"], item["method"]) == ("orders_email_created_at_idx", "public", "btree") for item in work)


@pytest.mark.parametrize(
    "other",
    [
        {"table": "mails"},
        {"method": "hash"},
        {"unique": True},
        {"partial": True},
        {"columns": ["email"]},
        {"columns": ["created_at", "email"]},
        {"columns": ["lower(email)", "created_at"]},
    ],
)
def test_another_index_of_the_same_name_is_refused(other):
    with pytest.raises(ValueError, match=r"postgresql_indexes\[0\]: orders_email_created_at_idx exists in shop as .* another name"):
        postgresql.postgresql_index_work([INDEX], _has(**other))


@pytest.mark.parametrize(
    ("columns", "found"),
    [(["(lower(email))"], ["lower(email)"]), (["email varchar_pattern_ops"], ["email"]), (["lower(email)", "id"], ["lower(email)", "id"])],
)
def test_expressions_are_taken_at_their_word(columns, found):
    has = _has(columns=found)["indexes"]["shop"][NAME]
    index = {**INDEX, "columns": columns, "name": "mine"}
    assert postgresql.postgresql_index_work([index], {"indexes": {"shop": {"public.mine": has}}}) == []


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({**INDEX, "colums": ["a"]}, "postgresql_indexes[0].colums: there is no such key"),
        ({"database": "shop", "table": "orders"}, "postgresql_indexes[0].columns: an index needs it"),
        ({**INDEX, "name": "x" * 64}, "postgresql_indexes[0].name: "),
    ],
)
def test_indexes_that_cannot_be_are_refused(declared, words):
    with pytest.raises(ValueError) as refusal:
        postgresql.postgresql_index_work([declared], {})
    assert words in str(refusal.value)


def test_invalid_indexes_of_others_are_told():
    found = _has(state="invalid")
    assert postgresql.postgresql_invalid_indexes([INDEX], found) == []
    (told,) = postgresql.postgresql_invalid_indexes([], found)
    assert told.startswith(f"shop: the index {NAME} on orders is invalid") and f"REINDEX INDEX CONCURRENTLY {NAME}" in told
    assert postgresql.postgresql_invalid_indexes([], _has(state="building")) == postgresql.postgresql_invalid_indexes([], _has()) == []
