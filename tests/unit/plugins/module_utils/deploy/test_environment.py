# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of an app: what is generated, under which names, and what of it is secret."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.module_utils.stack.variables import secret_names
from ansible_collections.mainstay.vps.tests.unit.backends import SECRETS, unit_of, variables_of
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken


@pytest.mark.parametrize(
    ("own", "name", "value"),
    [
        ({}, "DATABASE_NAME", "mainstay_drill_shop"),
        ({}, "PGDATABASE", "mainstay_drill_shop"),
        ({}, "EF__DATABASE_NAME", "mainstay_drill_shop"),
        ({"DB": "$DATABASE_NAME"}, "DB", "mainstay_drill_shop"),
        ({"DATABASE_NAME": "shop"}, "DATABASE_NAME", "mainstay_drill_shop"),
        ({"DATABASE_NAME": "shop"}, "EF__DATABASE_NAME", "mainstay_drill_shop"),
        ({}, "REDIS_CACHE_URL", None),
        ({}, "SECRET_KEY", None),
        ({}, "DATABASE_PASSWORD", None),
    ],
)
def test_a_check_finds_the_scratch_database_and_all_else_as_the_app_does(own, name, value):
    shop = {**SHOP["shop"], "env": {**SHOP["shop"].get("env", {}), **own}, "env_prefix": "EF__", "backup": {"check": "x"}}
    found = deploy_environment.check_environment({"shop": shop, "idle": {**SHOP["shop"], "processes": {}, "sites": {}}}, SECRETS)
    assert set(found) == {"shop"} and found["shop"].get(name) == value
    assert found["shop"]["DATABASE_URL"].endswith(":5432/mainstay_drill_shop")


def test_generated_environment():
    assert deploy_environment.environment(SHOP, SECRETS)["shop"] == {
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_NAME": "shop",
        "DATABASE_PASSWORD": "p@ss/w:rd",
        "DATABASE_PORT": "5432",
        "DATABASE_URL": "postgresql://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop",
        "DATABASE_USER": "shop",
        "LOG_LEVEL": "info",
        "PGDATABASE": "shop",
        "PGHOST": "127.0.0.1",
        "PGPASSWORD": "p@ss/w:rd",
        "PGPORT": "5432",
        "PGUSER": "shop",
        "PYTHONUNBUFFERED": "1",
        "REDIS_CACHE_DB": "0",
        "REDIS_CACHE_HOST": "127.0.0.1",
        "REDIS_CACHE_PASSWORD": "cache-secret",
        "REDIS_CACHE_PORT": "6379",
        "REDIS_CACHE_URL": "redis://shop:cache-secret@127.0.0.1:6379/0",
        "REDIS_CACHE_USER": "shop",
        "REDIS_QUEUE_DB": "0",
        "REDIS_QUEUE_HOST": "127.0.0.1",
        "REDIS_QUEUE_PASSWORD": "queue-secret",
        "REDIS_QUEUE_PORT": "6380",
        "REDIS_QUEUE_URL": "redis://shop:queue-secret@127.0.0.1:6380/0",
        "REDIS_QUEUE_USER": "shop",
        "SECRET_KEY": "key-" * 8,
    }
    elsewhere = deploy_environment.environment(SHOP, SECRETS, database_host="10.0.0.2", redis_host="10.0.0.3")["shop"]
    assert "@10.0.0.2:5432/" in elsewhere["DATABASE_URL"] and "@10.0.0.3:6379/" in elsewhere["REDIS_CACHE_URL"]


@pytest.mark.parametrize(
    ("env", "name", "value", "is_secret"),
    [
        ({"DB_PASSWORD": "$DATABASE_PASSWORD"}, "DB_PASSWORD", "p@ss/w:rd", True),
        ({"DB_HOST": "${DATABASE_HOST}"}, "DB_HOST", "127.0.0.1", False),
        ({"DSN": "host=$PGHOST password=$PGPASSWORD"}, "DSN", "host=127.0.0.1 password=p@ss/w:rd", True),
        ({"DATABASE_URL": "$DATABASE_URL?sslmode=disable"}, "DATABASE_URL", "postgresql://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop?sslmode=disable", True),
        ({"JWT": "$SECRET_KEY"}, "JWT", "key-" * 8, True),
        ({"PRICE": "5 $$USD"}, "PRICE", "5 $USD", False),
        ({"PRICE": "5 $"}, "PRICE", "5 $", False),
        ({"WEB_CONCURRENCY": "$REDIS_QUEUE_PASSWORD"}, "WEB_CONCURRENCY", "queue-secret", True),
    ],
)  # fmt: skip
def test_the_app_s_own_names_for_what_is_generated(env, name, value, is_secret):
    apps = broken(("shop", "env"), env)
    assert deploy_environment.environment(apps, SECRETS)["shop"][name] == value
    assert (name in secret_names(normalise(apps)["shop"])) is is_secret
    units = json.dumps(model.model(apps, {"shop": "abc"}, variables=deploy_environment.environment(apps, SECRETS))["units"])
    assert not is_secret or value not in units


def test_a_prefixed_copy_of_what_refers_to_a_secret_is_one_too():
    apps = broken(("shop", "env"), {"DATABASE_HOST": "$DATABASE_PASSWORD"})
    apps["shop"]["env_prefix"] = "APP_"
    assert deploy_environment.environment(apps, SECRETS)["shop"]["APP_DATABASE_HOST"] == "p@ss/w:rd"
    assert "APP_DATABASE_HOST" in secret_names(normalise(apps)["shop"])


def test_a_name_that_nobody_generates_is_refused():
    with pytest.raises(DeclarationError, match=r"env.X: .*no variable DATABASE_PASSWROD; it has DATABASE_HOST"):
        normalise(broken(("shop", "env"), {"X": "$DATABASE_PASSWROD"}))


def test_a_migration_goes_past_the_pooler():
    apps = broken(("shop", "pooler"), "pgbouncer")
    apps["shop"]["env_prefix"] = "EF__"
    for pooled, port in ((True, 6432), (False, 5432)):
        found = deploy_environment.environment(apps, SECRETS, pooled=pooled)["shop"]
        assert found["DATABASE_URL"].endswith(f"@127.0.0.1:{port}/shop") and found["EF__DATABASE_URL"] == found["DATABASE_URL"]
    unit = model.model(apps, {"shop": "abc"})["units"][0]
    assert unit["after"][2:4] == ["postgresql.service", "pgbouncer.service"]


@pytest.mark.parametrize(
    ("database", "scheme", "url"),
    [
        ("mariadb", None, "mysql://shop:p%40ss%2Fw%3Ard@127.0.0.1:3306/shop"),
        ("mariadb", "mysql+pymysql", "mysql+pymysql://shop:p%40ss%2Fw%3Ard@127.0.0.1:3306/shop"),
        ("postgresql", "postgresql+psycopg", "postgresql+psycopg://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop"),
    ],
)
def test_database_url_begins_as_the_app_wants(database, scheme, url):
    apps = broken(("shop", "database"), database)
    apps["shop"]["env"] = {"DATABASE_SCHEME": scheme} if scheme else {}
    assert deploy_environment.environment(apps, SECRETS)["shop"]["DATABASE_URL"] == url


@pytest.mark.parametrize("scheme", ["mysql://", "My SQL", "", "a+b+c"])
def test_a_scheme_that_is_none_is_refused(scheme):
    apps = broken(("shop", "env"), {"DATABASE_SCHEME": scheme})
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.env.DATABASE_SCHEME.*mysql\+pymysql"):
        deploy_environment.environment(apps, SECRETS)


def test_units_start_after_their_database():
    assert unit_of("web", apps=broken(("shop", "database"), "mariadb"))["after"][2] == "mariadb.service"


def test_a_prefix_gives_copies_and_the_app_s_own_values_win():
    apps = broken(("shop", "env_prefix"), "EF__")
    apps["shop"]["env"] = {"DATABASE_URL": "mine", "EF__REDIS_CACHE_URL": "other", "DB_POOL_SIZE": 7, "OWN": "x"}
    found = deploy_environment.environment(apps, SECRETS)["shop"]
    assert (found["DATABASE_URL"], found["EF__DATABASE_URL"]) == ("mine", "mine")
    assert found["EF__REDIS_CACHE_URL"] == "other" and found["REDIS_CACHE_URL"].startswith("redis://")
    assert found["EF__SECRET_KEY"] == found["SECRET_KEY"]
    assert "EF__OWN" not in found and "EF__PYTHONUNBUFFERED" not in found
    unit = variables_of(unit_of("web", apps=apps))
    assert (unit["EF__PORT"], unit["PORT"]) == ("%i", "%i")
    assert (unit["DB_POOL_SIZE"], unit["EF__DB_POOL_SIZE"]) == ("7", "7")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SECRET_KEY", "backend_secrets.shop.SECRET_KEY"),
        ("DATABASE_PASSWORD", "DATABASE_PASSWORD"),
        ("REDIS_QUEUE_PASSWORD", "REDIS_QUEUE_PASSWORD"),
    ],
)
def test_a_missing_secret_is_refused(name, words):
    secrets = {"shop": {key: value for key, value in SECRETS["shop"].items() if key != name}}
    with pytest.raises(DeclarationError, match=words):
        deploy_environment.environment(SHOP, secrets)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (
            "web",
            {
                "HOST": "127.0.0.1",
                "PORT": "%i",
                "WEB_CONCURRENCY": "1",
                "DB_POOL_SIZE": "4",
                "DB_MAX_OVERFLOW": "6",
                "MAX_WS_CONNECTIONS": "200",
            },
        ),
        ("worker", {"CELERY_CONCURRENCY": "3", "CELERY_WORKER_CONCURRENCY": "3", "DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "5"}),
        (
            "beat",
            {
                "DB_POOL_SIZE": "5",
                "DB_MAX_OVERFLOW": "5",
                "CELERY_BEAT_SCHEDULE": "/var/lib/shop/celerybeat-schedule",
            },
        ),
        ("mailer", {"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "5", "HEARTBEAT_FILE": "/run/shop/mailer.heartbeat"}),
    ],
)
def test_settings_of_each_process(process, expected):
    release = f"/srv/shop/instances/{process}@%i"
    places = {"PATH": f"{release}/.venv/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": "."}
    assert variables_of(unit_of(process)) == {**places, **expected}


@pytest.mark.parametrize(
    ("keys", "plan", "env", "expected"),
    [
        ({"threads": "auto", "command": "gunicorn shop:app"}, {"threads": 7}, {}, ("7", "--threads 7")),
        ({"threads": "auto", "command": "gunicorn shop:app"}, {}, {}, ("4", "--threads 4")),
        ({"threads": 9, "command": "python serve.py"}, {}, {}, ("9", None)),
        ({"command": "gunicorn shop:app --threads 9"}, {"threads": 9}, {}, (None, None)),
        (
            {"threads": 9, "command": "gunicorn shop:app --threads $WEB_THREADS"},
            {"threads": 9},
            {"GUNICORN_CMD_ARGS": "--timeout 60"},
            ("9", "--timeout 60"),
        ),
    ],
    ids=str,
)
def test_threads_are_told(keys, plan, env, expected):
    apps = broken(("shop", "env"), env)
    web = apps["shop"]["processes"]["web"]
    apps["shop"]["processes"]["web"] = {**web, **keys}
    told = variables_of(unit_of("web", apps=apps, plan={"shop": {"web": plan}}))
    assert (told.get("WEB_THREADS"), told.get("GUNICORN_CMD_ARGS")) == expected


def test_node_finds_its_own_packages():
    apps = broken(("shop", "runtime"), "node")
    env = variables_of(unit_of("web", apps=apps))
    assert env["PATH"].startswith("/srv/shop/instances/web@%i/node_modules/.bin:") and "PYTHONPATH" not in env
    apps["shop"]["node"] = "22"
    assert variables_of(unit_of("web", apps=apps))["PATH"].startswith(
        "/srv/shop/instances/web@%i/.node/bin:/srv/shop/instances/web@%i/node_modules"
    )
    told = deploy_environment.environment(apps, SECRETS)["shop"]
    assert told["NODE_ENV"] == "production" and told["npm_config_script_shell"] == "/bin/bash"


@pytest.mark.parametrize(
    ("plan", "heap"),
    [({"memory_max_mb": 300, "node_heap_mb": 123}, "123"), ({"memory_max_mb": 300}, "210"), ({}, None)],
)
def test_node_gets_the_planned_heap(plan, heap):
    """Without a plan, the part of the declared memory that the plan would give."""
    env = variables_of(unit_of("web", apps=broken(("shop", "runtime"), "node"), plan={"shop": {"web": plan}}))
    assert env.get("NODE_OPTIONS") == (heap and f"--max-old-space-size={heap}")


@pytest.mark.parametrize(
    ("route", "limit"),
    [({"max_connections": 70}, "70"), ({}, "200"), ({"websocket": False}, None)],
)
def test_each_instance_can_carry_all_websockets(route, limit):
    apps = broken(("shop", "sites", "shop.example.com", "routes", "/ws"), {"process": "web", "websocket": True, **route})
    plan = {"shop": {"web": {"max_websockets": 200, "instances": 4}}}
    assert variables_of(unit_of("web", apps=apps, plan=plan)).get("MAX_WS_CONNECTIONS") == limit
