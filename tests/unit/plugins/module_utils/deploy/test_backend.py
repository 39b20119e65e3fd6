# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import os
import subprocess
import time
from pathlib import Path

import jinja2
import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model, unit_commands
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import units as deploy_units
from ansible_collections.mainstay.vps.plugins.module_utils.stack import instances
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.module_utils.stack.variables import secret_names
from ansible_collections.mainstay.vps.tests.unit.declarations import BOX, SHOP, broken

ROLE = Path(__file__).parents[5] / "roles/backend"
SECRETS = {
    "shop": {
        "SECRET_KEY": "key-" * 8,
        "DATABASE_PASSWORD": "p@ss/w:rd",
        "REDIS_CACHE_PASSWORD": "cache-secret",
        "REDIS_QUEUE_PASSWORD": "queue-secret",
    }
}
PLAN = {
    "shop": {
        "web": {
            "instances": 2,
            "workers": 1,
            "pool_size": 4,
            "max_overflow": 6,
            "memory_high_mb": 270,
            "memory_max_mb": 300,
            "tasks_max": 128,
            "nofile": 8192,
        },
        "worker": {"instances": 1, "concurrency": 3},
    }
}


def _model(apps=None, release="abc", plan=None, host=None, **settings):
    apps = SHOP if apps is None else apps
    variables = deploy_environment.environment(apps, SECRETS)
    return model.model(
        apps,
        dict.fromkeys(apps, release),
        plan=PLAN if plan is None else plan,
        variables=variables,
        host=host,
        **settings,
    )


def _unit(name, **arguments):
    return next(unit for unit in _model(**arguments)["units"] if unit["process"] == name)


def _instances(name, **arguments):
    app = next(iter(_model(**arguments)["apps"].values()))
    return next(item["instances"] for item in app["processes"] if item["name"] == name)


def _env(unit):
    return dict(json.loads(item.replace("%%", "%")).split("=", 1) for item in unit["environment"])


def _with(path, value):
    return broken(path, value)


# --- commands ---


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn app:a --host $HOST --port $PORT", "uvicorn app:a --host $HOST --port $PORT"),
        ("a --port=$PORT", "a --port=${PORT}"),
        ("a ${X}y", "a ${X}y"),
        ('a "$X y"', 'a "${X} y"'),
        ('a "$X"', 'a "${X}"'),
        ("a '$X %i'", 'a "$$X %%i"'),
        ("a -n w@%h", "a -n w@%%h"),
        ("sh -c 'echo $A; exit 1'", 'sh -c "echo $$A; exit 1"'),
        (r'a \$X "b\"c" d\ e', r'a "$$X" "b\"c" "d e"'),
        ("a ''", 'a ""'),
        ("DEBUG=1 python -m app", "DEBUG=1 python -m app"),
        ("a *.py {b} ~/c", "a *.py {b} ~/c"),
    ],
)
def test_a_command_means_to_systemd_what_it_means_to_a_shell(command, expected):
    assert unit_commands.exec_line(command) == f"/usr/bin/env {expected}"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("a $X $Y", '"X=b c" a "b" "c" $Y'),  # as in a shell, an unquoted variable may be several words
        ("a --x=$X", '"X=b c" a "--x=b c"'),
        ("a \"$X y\" '$X'", '"X=b c" a "b c y" "$$X"'),
    ],
)
def test_a_process_s_own_variable_comes_before_the_app_s(command, expected):
    assert unit_commands.exec_line(command, own={"X": "b c"}) == f"/usr/bin/env {expected}"


def test_a_variable_that_the_environment_file_has_too_is_given_by_env():
    """To systemd a file's variables win over those of the unit."""
    own = {"REDIS_QUEUE_URL": "redis://$HOST/1", "ONLY_HERE": "1", "SEEN_AT": 'http://$HOST:$PORT/100%?a=$1"b'}
    apps = broken(("shop", "processes", "web", "env"), own)
    apps["shop"]["env"] = {**apps["shop"].get("env", {}), "SEEN_AT": "nowhere"}
    line = _unit("web", apps=apps)["exec_start"]
    wanted = ['"REDIS_QUEUE_URL=redis://127.0.0.1/1"', '"SEEN_AT=http://127.0.0.1:%i/100%%?a=$$1\\"b"']
    assert line.startswith(f"/usr/bin/env {' '.join(wanted)} uvicorn ") and "ONLY_HERE" not in line
    container = broken(("shop", "processes", "web", "env"), own)
    container["shop"].update(runtime="container", source={"image": "docker.io/library/shop:1"})
    assert _unit("web", apps=container)["exec_start"].startswith(f"/usr/bin/env {wanted[0]} /usr/bin/podman ")


@pytest.mark.parametrize("command", ["a | b", "a && b", "a; b", "a > /dev/null", "a $(date)", "a `date`", "a 'open", "a &", "a $1", "a \\"])
def test_what_only_a_shell_can_do_is_refused(command):
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.processes.web.command.*sh -c"):
        unit_commands.exec_line(command, "mainstay_apps.shop.processes.web.command")


# --- environment ---


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
    apps = _with(("shop", "database"), database)
    apps["shop"]["env"] = {"DATABASE_SCHEME": scheme} if scheme else {}
    assert deploy_environment.environment(apps, SECRETS)["shop"]["DATABASE_URL"] == url


@pytest.mark.parametrize("scheme", ["mysql://", "My SQL", "", "a+b+c"])
def test_a_scheme_that_is_none_is_refused(scheme):
    apps = _with(("shop", "env"), {"DATABASE_SCHEME": scheme})
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.env.DATABASE_SCHEME.*mysql\+pymysql"):
        deploy_environment.environment(apps, SECRETS)


def test_units_start_after_their_database():
    assert _unit("web", apps=_with(("shop", "database"), "mariadb"))["after"][2] == "mariadb.service"


def test_a_prefix_gives_copies_and_the_app_s_own_values_win():
    apps = _with(("shop", "env_prefix"), "EF__")
    apps["shop"]["env"] = {"DATABASE_URL": "mine", "EF__REDIS_CACHE_URL": "other", "DB_POOL_SIZE": 7, "OWN": "x"}
    found = deploy_environment.environment(apps, SECRETS)["shop"]
    assert (found["DATABASE_URL"], found["EF__DATABASE_URL"]) == ("mine", "mine")
    assert found["EF__REDIS_CACHE_URL"] == "other" and found["REDIS_CACHE_URL"].startswith("redis://")
    assert found["EF__SECRET_KEY"] == found["SECRET_KEY"]
    assert "EF__OWN" not in found and "EF__PYTHONUNBUFFERED" not in found
    unit = _env(_unit("web", apps=apps))
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
    assert _env(_unit(process)) == {**places, **expected}


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
    apps = _with(("shop", "env"), env)
    web = apps["shop"]["processes"]["web"]
    apps["shop"]["processes"]["web"] = {**web, **keys}
    told = _env(_unit("web", apps=apps, plan={"shop": {"web": plan}}))
    assert (told.get("WEB_THREADS"), told.get("GUNICORN_CMD_ARGS")) == expected


def test_node_finds_its_own_packages():
    apps = _with(("shop", "runtime"), "node")
    env = _env(_unit("web", apps=apps))
    assert env["PATH"].startswith("/srv/shop/instances/web@%i/node_modules/.bin:") and "PYTHONPATH" not in env
    apps["shop"]["node"] = "22"
    assert _env(_unit("web", apps=apps))["PATH"].startswith("/srv/shop/instances/web@%i/.node/bin:/srv/shop/instances/web@%i/node_modules")
    assert deploy_environment.environment(apps, SECRETS)["shop"]["NODE_ENV"] == "production"


@pytest.mark.parametrize(
    ("plan", "heap"),
    [({"memory_max_mb": 300, "node_heap_mb": 123}, "123"), ({"memory_max_mb": 300}, "210"), ({}, None)],
)
def test_node_gets_the_planned_heap(plan, heap):
    """Without a plan, the part of the declared memory that the plan would give."""
    env = _env(_unit("web", apps=_with(("shop", "runtime"), "node"), plan={"shop": {"web": plan}}))
    assert env.get("NODE_OPTIONS") == (heap and f"--max-old-space-size={heap}")


@pytest.mark.parametrize(
    ("route", "limit"),
    [({"max_connections": 70}, "70"), ({}, "200"), ({"websocket": False}, None)],
)
def test_each_instance_can_carry_all_websockets(route, limit):
    apps = _with(("shop", "sites", "shop.example.com", "routes", "/ws"), {"process": "web", "websocket": True, **route})
    plan = {"shop": {"web": {"max_websockets": 200, "instances": 4}}}
    assert _env(_unit("web", apps=apps, plan=plan)).get("MAX_WS_CONNECTIONS") == limit


# --- units ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "web",
            {
                "stop_timeout": 30,
                "memory_high_mb": 270,
                "memory_max_mb": 300,
                "tasks_max": 128,
                "nofile": 8192,
                "oom_score_adjust": 100,
            },
        ),
        ("worker", {"stop_timeout": 60, "oom_score_adjust": 300}),
        ("beat", {"stop_timeout": 30, "memory_max_mb": None}),
    ],
)
def test_units_follow_the_plan(name, expected):
    unit = _unit(name)
    assert {key: unit[key] for key in expected} == expected
    assert unit["after"] == [
        "network-online.target",
        "mainstay-egress@apps.service",
        "postgresql.service",
        "redis-server@shop-cache.service",
        "redis-server@shop-queue.service",
    ]


def test_without_a_plan_the_declaration_holds():
    apps = _with(("shop", "processes", "web", "memory"), "200M")
    apps["shop"]["processes"]["web"]["instances"] = 3
    unit = _unit("web", apps=apps, plan={})
    assert (unit["memory_max_mb"], unit["memory_high_mb"]) == (200, 180)
    assert len(_instances("web", apps=apps, plan={})) == 3


@pytest.mark.parametrize(("version", "back_off"), [(0, False), (249, False), (252, False), (254, True), (257, True)])
def test_back_off_is_not_pretended(version, back_off):
    assert _unit("web", host={"systemd_version": version})["back_off"] is back_off


def test_two_processes_cannot_share_a_unit():
    apps = copy.deepcopy(SHOP)
    del apps["shop"]["processes"]["mailer"]
    apps["shop"]["processes"]["web-api"] = {"command": "x"}
    other = {"source": {"path": "y"}, "processes": {"api": {"command": "x"}}}
    with pytest.raises(DeclarationError, match="shop-web-api@.service"):
        _model(apps={**apps, "shop-web": other})


def test_the_start_limit_trips_also_where_the_back_off_is_longest():
    unit = dict(line.split("=", 1) for line in _rendered(_unit("web", host={"systemd_version": 257})).splitlines() if "=" in line)
    assert int(unit["StartLimitIntervalSec"]) >= 2 * int(unit["StartLimitBurst"]) * int(unit["RestartMaxDelaySec"])


def test_a_unit_speaks_neither_the_host_s_language_nor_writes_its_numbers_and_mainstay_run_has_the_same():
    (line,) = [line for line in _rendered(_unit("web")).splitlines() if line.startswith("Environment=LANG=")]
    assert {"LANG=C.UTF-8", "LANGUAGE=", "LC_NUMERIC="} <= set(line.removeprefix("Environment=").split())
    run = (ROLE.parent / "monitoring/files/mainstay/commands/run.py").read_text()
    assert f'LOCALE = "{line.removeprefix("Environment=")}"' in run


def _rendered(unit):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["comment"] = lambda text: f"# {text}"
    return environment.from_string((ROLE / "templates/process.service.j2").read_text()).render(unit=unit, ansible_managed="managed")


@pytest.mark.parametrize(
    ("host", "present", "absent"),
    [
        (
            {"systemd_version": 252},
            ["Restart=always", "RestartSec=1", "StartLimitBurst=10", "MemoryMax=300M", "MemoryHigh=270M", "MemorySwapMax=75M"],
            ["RestartSteps="],
        ),
        ({"systemd_version": 257}, ["RestartSteps=5", "RestartMaxDelaySec=30"], []),
    ],
)
def test_the_unit_as_systemd_reads_it(host, present, absent):
    lines = _rendered(_unit("web", host=host)).splitlines()
    for wanted in [
        *present,
        "User=shop",
        "Type=exec",
        "KillMode=mixed",
        "PartOf=shop.target",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "ReadWritePaths=/srv/shop/shared",
        "EnvironmentFile=/etc/mainstay/shop/env",
        'Environment="PORT=%i"',
        "UMask=0027",
        "WorkingDirectory=/srv/shop/instances/web@%i",
        "ExecStart=/usr/bin/env uvicorn shop.main:app --host $HOST --port $PORT",
        "CapabilityBoundingSet=",
    ]:
        assert wanted in lines, wanted
    assert not [line for line in lines if line.startswith(("Requires=", "NotifyAccess=", *absent))]


def _box(name="web", **changes):
    variables = {"LOG_LEVEL": "info", "SECRET_KEY": "a-secret"}
    made = model.model({"box": {**BOX, **changes}}, {"box": "abc"}, variables={"box": variables})
    return next(unit for unit in made["units"] if unit["process"] == name), made


def test_a_container_runs_under_the_limits_of_its_unit_and_in_a_sandbox_of_podman_s():
    unit, _made = _box()
    lines = _rendered(unit).splitlines()
    for wanted in [
        "Type=notify",
        "NotifyAccess=all",
        "User=box",
        "EnvironmentFile=/etc/mainstay/box/env",
        "EnvironmentFile=-/srv/box/instances/web@%i/container.env",
        'Environment="PORT=%i"',
        'Environment="BOX_LISTEN=127.0.0.1:%i"',
        'Environment="RATE=5%%"',
        "RuntimeDirectory=box",
        "OOMPolicy=stop",
        "ExecStopPost=!/usr/bin/podman --events-backend=none rm --force --ignore --volumes %p-%i",
    ]:
        assert wanted in lines, wanted
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    for word in [
        "--cgroups=disabled",
        "--network=host",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--user=${MAINSTAY_USER}",
        "--volume=/srv/box/volumes/uploads:/app/uploads:rw,nosuid,nodev,noexec",
        "--tmpfs=/tmp:rw,nosuid,nodev,noexec",
        "--sdnotify=conmon",
        "--env=SECRET_KEY",
        "--env=BOX_LISTEN",
        "--env=PORT",
    ]:
        assert word in start.split(), word
    assert start.startswith("ExecStart=!/usr/bin/podman ") and start.endswith(" ${MAINSTAY_IMAGE}")
    assert "a-secret" not in _rendered(unit)
    # podman itself could do nothing in the sandbox of the other units.
    assert not [line for line in lines if line.startswith(("WorkingDirectory=", "Protect", "Restrict", "SystemCall"))]


def test_a_container_s_command_keeps_its_words():
    processes = {"web": {"port": 8300, "command": "serve --port $PORT 'a b'", "notify": True}}
    start = _box(processes=processes)[0]["exec_start"]
    assert start.endswith(' ${MAINSTAY_IMAGE} serve --port $PORT "a b"') and "--sdnotify=container" in start


def test_what_a_container_finds_on_its_host():
    unit, made = _box("beat")
    assert "CELERY_BEAT_SCHEDULE=/srv/box/shared/celerybeat-schedule" in " ".join(unit["environment"])
    assert {"podman", "crun", "skopeo"} <= set(made["packages"])
    folders = {entry["dest"]: entry for entry in made["files"] if entry.get("state") == "directory"}
    # podman, who is root, looks for it: the app may not put a link in its place.
    assert folders["/srv/box/volumes/uploads"]["owner"] == "box" and "/srv/box/volumes" not in folders
    assert made["apps"]["box"]["shared"] == []


def test_only_an_allowed_process_runs_programs_it_has_written():
    assert "NoExecPaths=/tmp /var/tmp -/srv/shop/shared -/var/lib/shop -/run/shop" in _unit("web")["sandbox"]
    elsewhere = _with(("shop", "processes", "mailer", "writable"), ["/data"])
    assert "NoExecPaths=/tmp /var/tmp -/srv/shop/shared -/var/lib/shop -/run/shop -/data" in _unit("web", apps=elsewhere)["sandbox"]
    assert _unit("mailer", apps=elsewhere)["mounts"] == ["/data"] and not _unit("web", apps=elsewhere)["mounts"]
    allowed = _unit("web", apps=_with(("shop", "processes", "web", "allow"), ["exec"]))["sandbox"]
    assert not [line for line in allowed if "noexec" in line.lower()] and len(allowed) == len(_unit("web")["sandbox"]) - 1
    assert "--tmpfs=/tmp:rw,nosuid,nodev,exec" in _box(processes={"web": {"port": 8300, "allow": ["exec"]}})[0]["exec_start"]


def test_a_process_s_own_variables_stand_in_its_unit():
    apps = _with(("shop", "processes", "web", "env"), {"HOSTNAME": "$HOST", "DB_POOL_SIZE": 9})
    unit = _unit("web", apps=apps)
    assert (_env(unit)["HOSTNAME"], _env(unit)["DB_POOL_SIZE"]) == ("127.0.0.1", "9")
    assert sum("DB_POOL_SIZE" in item for item in unit["environment"]) == 1
    assert "HOSTNAME" not in _env(_unit("worker", apps=apps))


def test_a_process_that_says_itself_when_it_is_ready():
    apps = _with(("shop", "processes", "web", "notify"), True)
    lines = _rendered(_unit("web", apps=apps)).splitlines()
    assert "Type=notify" in lines and "NotifyAccess=main" in lines and "Type=exec" not in lines
    assert "Type=exec" in _rendered(_unit("worker", apps=apps)).splitlines()


def test_no_secret_leaves_the_environment():
    apps = _with(("shop", "source"), {"git": "https://me:token-of-mine@example.com/a.git", "version": "v1"})
    described = json.dumps(_model(apps=apps, host={}))
    assert "token-of-mine" not in described
    for secret in [*SECRETS["shop"].values(), "p%40ss%2Fw%3Ard"]:
        assert secret not in described
    assert secret_names(_normal())[:2] == ["DATABASE_PASSWORD", "DATABASE_URL"]


def _normal():

    return normalise(SHOP)["shop"]


RESULTS = [
    {
        "name": "shop-web@8002.service",
        "healthy": False,
        "target": "http://127.0.0.1:8002/health",
        "status": 500,
        "attempts": 9,
        "reasons": ["status 500, expected 200"],
        "body": f"no database with {SECRETS['shop']['SECRET_KEY']}",
    },
    {"name": "shop-worker@1.service", "healthy": True},
]
WANTS = "/etc/systemd/system/shop.target.wants"
OTHER = {"other": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}}

# --- files ---


def test_files_hold_everything_and_every_path_once():
    described = _model(apps={**SHOP, **OTHER})
    for entries in (
        described["files"],
        deploy_steps.preparation(described)["files"],
        deploy_steps.completion(described)["files"],
        deploy_steps.retreat(described, "started")["files"],
    ):
        assert len({entry["dest"] for entry in entries}) == len(entries)
    described = _model()
    files = {entry["dest"]: entry for entry in described["files"]}
    env = files["/etc/mainstay/shop/env"]
    assert (env["group"], env["mode"], env["sensitive"]) == ("shop", "0640", True)
    assert files[f"{WANTS}/shop-web@8001.service"]["link"] == "../shop-web@.service"
    assert files["/srv/shop/instances/web@8001"]["link"] == "../releases/abc"
    assert files["/etc/systemd/system/multi-user.target.wants/shop.target"]["link"] == "../shop.target"
    assert described["packages"] == ["nftables", "python3-venv"]
    owners = {path: entry.get("owner", "root") for path, entry in files.items() if path.startswith("/srv/shop")}
    assert {path for path, owner in owners.items() if owner != "root"} == {"/srv/shop/shared"}, "all else is root's"


def test_the_mount_of_an_app_is_named_after_its_place():
    assert deploy_units.run_mount("my-shop") == r"run-my\x2dshop.mount"
    assert "/etc/systemd/system/run-shop.mount" in {entry["dest"] for entry in _model()["files"]}


def test_nginx_is_let_into_what_it_serves_of_the_shared_folders_by_the_app_itself():
    apps = broken(("shop", "sites", "shop.example.com", "routes", "/media"), {"directory": "media"})
    apps["shop"]["shared"] = ["media", "cache"]
    assert _unit("web", apps=apps)["served"] == ["/srv/shop/shared/media"]
    assert "acl" in _model(apps=apps)["packages"] and _unit("web")["served"] == []


def test_logs_are_in_a_folder_that_outlives_a_release():
    apps = _with(("shop", "logs"), ["logs/*.log", "var/log/app.log", "*/x.log", "top.log"])
    assert _model(apps=apps)["apps"]["shop"]["shared"] == ["logs", "var/log"]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (252, "systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/shop-beat@.service"),
        (249, "grep -E"),
    ],
)
def test_units_are_verified_so_that_a_broken_directive_fails(version, words):
    (command,) = _model(host={"systemd_version": version})["validate"]
    assert words in command and "/etc/systemd/system/shop.target" in command


def test_no_apps_no_work():
    described = model.model({}, {})
    steps = [deploy_steps.preparation(described), deploy_steps.takeover(described), deploy_steps.completion(described)]
    assert not described["files"] and not described["validate"] and not described["locks"]
    assert not any(value for step in steps for value in step.values())


# --- changes ---


def _host(described, release="abc", live=None, stopped=(), active=(), unproven=()):
    """The snapshot of a host that runs what was described; ``live`` are the ports of web that serve."""
    paths = {"/srv/shop/current": {"type": "link", "target": f"releases/{release}"}}
    units = ["shop.target"]
    for item in described["apps"]["shop"]["processes"]:
        found = item["new_record"].split(":")
        numbers = live if live and item["port"] else item["numbers"]
        digest = "other" if item["name"] in unproven else found[1]
        paths[item["record_path"]] = {"type": "link", "target": instances.record(release, digest, numbers)}
        units += [f"{item['unit']}@{number}.service" for number in numbers]
    running = [unit for unit in units if unit not in stopped]
    return {"paths": paths, "running": running, "active": [*running, *active], "systemd_version": 252}


DESCRIBED = _model(host={"systemd_version": 252})
WORKERS = ["shop-beat@1.service", "shop-mailer@1.service", "shop-worker@1.service"]


def _web(*ports):
    return [f"shop-web@{port}.service" for port in ports]


def _steps(described, changed_files=()):
    """Each step's units, as one table."""
    first = deploy_steps.preparation(described, changed_files)
    second = deploy_steps.takeover(described, changed_files)
    last = deploy_steps.completion(described)
    return {
        "beside": first["restarted"],
        "started": first["started"] + second["started"],
        "in place": second["restarted"],
        "rolled": [item["unit"] for item in second["rolls"]],
        "stopped": last["stopped"],
        "serve": first["live"]["shop"]["web"],
        "stand by": first["spare"]["shop"]["web"],
    }


NOTHING = {"beside": [], "started": [], "in place": [], "rolled": [], "stopped": [], "serve": [8000, 8001], "stand by": []}


def _todo(wanted="abc", plan=None, settings=None, changed_files=(), **host):
    described = _model(release=wanted, plan=plan, host=_host(DESCRIBED, **host), **(settings or {}))
    return described, _steps(described, changed_files)


THREE = copy.deepcopy(PLAN)
THREE["shop"]["web"]["instances"] = 3
ONE = copy.deepcopy(PLAN)
ONE["shop"]["web"]["instances"] = 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {}),
        (
            {"wanted": "def"},
            {"beside": _web(8002, 8003), "in place": WORKERS, "stopped": _web(8000, 8001), "serve": [8002, 8003], "stand by": [8000, 8001]},
        ),
        ({"live": [8002, 8003]}, {"serve": [8002, 8003]}),
        (
            {"wanted": "def", "live": [8002, 8003]},
            {"beside": _web(8000, 8001), "in place": WORKERS, "stopped": _web(8002, 8003), "serve": [8000, 8001], "stand by": [8002, 8003]},
        ),
        ({"unproven": ["worker"]}, {"in place": ["shop-worker@1.service"]}),
        (
            {"unproven": ["web"]},
            {"beside": _web(8002, 8003), "stopped": _web(8000, 8001), "serve": [8002, 8003], "stand by": [8000, 8001]},
        ),
        # One set at a time where the memory holds no second one.
        ({"unproven": ["web"], "settings": {"deploy": "rolling"}}, {"rolled": _web(8000, 8001)}),
        ({"unproven": ["web"], "settings": {"surge_mb": 599}}, {"rolled": _web(8000, 8001)}),
        (
            {"unproven": ["web"], "settings": {"surge_mb": 600}},
            {"beside": _web(8002, 8003), "stopped": _web(8000, 8001), "serve": [8002, 8003], "stand by": [8000, 8001]},
        ),
        # Another number of instances: the next set takes the lowest free ports; where there are too few, places are taken over.
        (
            {"wanted": "def", "plan": THREE, "live": [8002, 8003]},
            {
                "beside": _web(8000, 8001, 8004),
                "in place": WORKERS,
                "stopped": _web(8002, 8003),
                "serve": [8000, 8001, 8004],
                "stand by": [8002, 8003],
            },
        ),
        (
            {"plan": ONE},
            {"rolled": _web(8000), "stopped": _web(8001), "serve": [8000], "stand by": [8001]},
        ),
        # By hand: a changed unit file, a stopped instance, a stopped target.
        ({"changed_files": ["/etc/systemd/system/shop-beat@.service"]}, {"in place": ["shop-beat@1.service"]}),
        ({"changed_files": ["/etc/systemd/system/shop-web@.service"]}, {"rolled": _web(8000, 8001)}),
        ({"stopped": _web(8001)}, {"started": _web(8001)}),
        ({"stopped": ["shop.target"]}, {"started": ["shop.target"]}),
        # What is not on record goes when everything else is in place.
        (
            {"active": [*_web(8002), "shop-old@1.service", "shop-2.service", "shopping-web@1.service"]},
            {"stopped": ["shop-old@1.service", *_web(8002)]},
        ),
    ],
)
def test_only_what_changed_is_touched(arguments, expected):
    assert _todo(**arguments)[1] == {**NOTHING, **expected}


def test_the_first_deploy_starts_everything_and_watches_nothing():
    described = _model(host={"systemd_version": 252})
    assert (described["builds"], described["locks"]) == (["shop"], {"shop": "abc"})
    assert [(user["name"], user["group"]) for user in described["new_users"]] == [("shop", "shop"), ("shop-build", "shop")]
    assert _steps(described) == {
        **NOTHING,
        "beside": _web(8000, 8001),
        "in place": WORKERS,
        "started": ["shop.target"],
    }
    assert deploy_steps.takeover(described)["watched"] == []
    assert deploy_steps.preparation(described)["files"] == [{"dest": "/srv/shop/current", "link": "releases/abc"}]
    retreat = deploy_steps.retreat(described, "started")
    assert {"dest": "/srv/shop/current", "state": "absent"} in retreat["files"]
    assert (retreat["stopped"], retreat["restarted"]) == ([*WORKERS[:2], *_web(8000, 8001), *WORKERS[2:]], [])


def test_what_is_proven_and_runs_is_left_alone():
    described, steps = _todo()
    assert steps == NOTHING
    assert not described["builds"] and not described["locks"]
    assert deploy_steps.completion(described)["files"] == []


def test_the_lock_of_a_run_that_was_cut_off_is_brought_to_an_end():
    host = _host(DESCRIBED)
    host["paths"]["/run/lock/mainstay/shop.deploy"] = {"type": "file"}
    described = _model(host=host)
    assert _steps(described) == NOTHING and described["locks"] == {"shop": "abc"}
    completion = deploy_steps.completion(described)
    steps = {"build": 0, "migrate": 0, "start": 0, "watch": 0}
    assert completion["audit"] == {"shop": {"from": "abc", "to": "abc", "result": "succeeded", "steps": steps}}
    assert not completion["stopped"] + deploy_steps.takeover(described)["drains"]


def test_the_audit_tells_where_the_time_went():
    described = _todo(wanted="def")[0]
    built = [
        {"item": "shop", "steps": [{"name": "unpack", "seconds": 0.5}, {"name": "alembic upgrade head", "seconds": 2.0}]},
        {"item": "other", "steps": [{"name": "unpack", "seconds": 9.0}]},
        {"item": "shop", "steps": [{"name": "finish", "seconds": 0.7}]},
        {"item": "shop", "failed": True},
    ]
    described["apps"]["shop"]["migrate"] = "alembic upgrade head"
    steps = deploy_steps.completion(described, built, 4.0, 3.1)["audit"]["shop"]["steps"]
    assert steps == {"build": 1.2, "migrate": 2.0, "start": 4.0, "watch": 3.1}


def test_an_upgraded_host_builds_what_it_runs_anew():
    host = _host(DESCRIBED)
    host["distribution"] = {"id": "debian", "version": "13"}
    host["paths"]["/srv/shop/releases/abc/.built-on"] = {"type": "link", "target": "debian12"}
    described = _model(host=host)
    links = {entry["dest"]: entry.get("link") for entry in described["files"]}
    assert described["builds"] == ["shop"] and described["locks"] == {"shop": "abc-debian13"}
    assert links["/srv/shop/instances/web@8002"] == "../releases/abc-debian13"
    assert deploy_steps.completion(described)["audit"]["shop"]["from"] == "abc"


def test_a_new_release_is_put_on_record_with_the_way_back():
    described = _todo(wanted="def")[0]
    assert described["builds"] == ["shop"]
    links = {entry["dest"]: entry.get("link") for entry in described["files"]}
    assert links["/srv/shop/instances/web@8000"] == "../releases/abc"
    assert links["/srv/shop/instances/web@8002"] == links["/srv/shop/instances/worker@1"] == "../releases/def"
    completion = deploy_steps.completion(described)
    files = {entry["dest"]: entry for entry in completion["files"]}
    assert files["/srv/shop/previous"]["link"] == "releases/abc"
    assert files[f"{instances.RECORDS}/shop-web"]["link"].startswith("def:")
    assert files[f"{instances.RECORDS}/shop-web"]["link"].endswith(":8002,8003")
    for gone in (f"{WANTS}/shop-web@8000.service", "/srv/shop/instances/web@8001"):
        assert files[gone]["state"] == "absent"
    assert completion["audit"]["shop"].items() >= {"from": "abc", "to": "def", "result": "succeeded"}.items()
    (drain,) = deploy_steps.takeover(described)["drains"]
    assert drain["deadline"] == 30 and "sport = :8000 or sport = :8001" in drain["command"][2]
    assert len(deploy_steps.takeover(described)["watched"]) == 7


def test_a_site_without_a_process_has_a_release_before_too():
    """Nothing of it is on record: what nginx serves is current."""
    site = {"leaf": {"runtime": "command", "source": {"path": "x"}, "processes": {}, "sites": {}}}
    host = {"paths": {"/srv/leaf/current": {"type": "link", "target": "releases/abc"}}}
    described = _model(site, "def", host=host)
    completion = deploy_steps.completion(described, alone=True)
    assert completion["audit"]["leaf"].items() >= {"from": "abc", "to": "def"}.items()
    assert {"dest": "/srv/leaf/previous", "link": "releases/abc"} in completion["files"]
    retreat = deploy_steps.retreat(described, "started")
    assert {"dest": "/srv/leaf/current", "link": "releases/abc"} in retreat["files"]
    assert deploy_steps.report(described, retreat, [], [], "It failed.")[-1] == "leaf: release abc serves, as before."
    host["paths"]["/srv/leaf/current"]["target"] = "releases/def"
    assert not deploy_steps.completion(_model(site, "def", host=host))["audit"]


def test_the_record_of_a_process_that_is_no_longer_declared_goes():
    host = _host(DESCRIBED)
    records = ("shop-old", "shop-web-old", "shop-admin-web", "shopper-web")
    host["paths"].update({f"{instances.RECORDS}/{name}": {"type": "link", "target": "abc:12ef:1"} for name in records})
    host["paths"]["/etc/mainstay/shop-admin/env"] = {"type": "file"}  # an app, declared or not, whose records are its own
    completion = deploy_steps.completion(_model(host=host))
    assert completion["files"] == [{"dest": f"{instances.RECORDS}/{name}", "state": "absent"} for name in ("shop-old", "shop-web-old")]
    assert not completion["audit"]


def test_a_rollback_leaves_no_way_back_to_what_had_to_go():
    host = _host(DESCRIBED, release="def")
    host["paths"]["/srv/shop/previous"] = {"type": "link", "target": "releases/abc"}
    files = deploy_steps.completion(_model(release="abc", host=host))["files"]
    assert {"dest": "/srv/shop/previous", "state": "absent"} in files


ROOMIER = copy.deepcopy(PLAN)
ROOMIER["shop"]["web"]["memory_max_mb"] = 999


def _way_back(alone=True, wanted="def", settings=None, plan=None, paths=None, **host):
    """What the host is left for a return by itself; None where it has none."""
    found = _host(DESCRIBED, **host)
    found["paths"].update(paths or {})
    files = deploy_steps.completion(_model(release=wanted, plan=plan, host=found, **(settings or {})), alone=alone)["files"]
    (entry,) = [item for item in files if item["dest"] == "/var/lib/mainstay/ways-back/shop.json"]
    return json.loads(entry["content"]) if entry.get("state") != "absent" else None


def test_a_host_may_return_to_the_release_before_by_itself():
    way = _way_back()
    assert (way["from"], way["to"], way["void"]) == ("def", "abc", "/srv/shop/releases/def/.complete")
    assert way["links"]["/srv/shop/current"] == "releases/abc"
    assert way["links"]["/srv/shop/instances/web@8002"] == way["links"]["/srv/shop/instances/worker@1"] == "../releases/abc"
    assert not any(path.startswith("/etc") for path in way["links"])
    # What the records say then is what they would say if that release had just been deployed to these ports.
    back = _model(release="abc", host=_host(_todo(wanted="def")[0], release="def"))
    wanted = {item["record_path"]: item["new_record"].rpartition(":")[0] for item in back["apps"]["shop"]["processes"]}
    assert {path: record.rpartition(":")[0] for path, record in way["records"].items()} == wanted
    assert way["records"][f"{instances.RECORDS}/shop-web"].endswith(":8002,8003")


@pytest.mark.parametrize(
    "arguments",
    [
        {"alone": False},
        {"plan": ROOMIER},  # the release before would run with what it has never run with
        {"settings": {"start_timeout": 30}},
        {"unproven": ["worker"]},
        {"wanted": "abc", "unproven": ["web"]},  # only its configuration has changed
        {"paths": {"/srv/shop/previous": {"type": "link", "target": "releases/def"}}},  # a rollback
        {"paths": {f"{instances.RECORDS}/shop-old": {"type": "link", "target": "abc:12ef:1"}}},  # a process less
        {"active": ["shop-old@1.service"]},
        {"paths": {f"{instances.RECORDS}/shop-beat": {"type": "file"}}},  # a process more
        {"paths": {f"{instances.RECORDS}/shop-beat": {"type": "link", "target": "xyz:12ef:1"}}},
    ],
)
def test_where_more_than_the_code_has_changed_a_host_waits_for_somebody(arguments):
    assert _way_back(**arguments) is None


@pytest.mark.parametrize(("reached", "restarted"), [("started", []), ("replaced", WORKERS)])
def test_the_way_back_undoes_everything(reached, restarted):
    described = _todo(wanted="def")[0]
    found = deploy_steps.retreat(described, reached, [], RESULTS)
    assert (found["stopped"], found["restarted"], found["voided"]) == (_web(8002, 8003), restarted, ["shop"])
    files = {entry["dest"]: entry for entry in found["files"]}
    assert files["/srv/shop/current"]["link"] == "releases/abc"
    assert files["/srv/shop/instances/worker@1"]["link"] == "../releases/abc"
    for gone in (f"{WANTS}/shop-web@8002.service", "/srv/shop/instances/web@8003", "/srv/shop/releases/def/.complete"):
        assert files[gone]["state"] == "absent"
    assert not any(path.startswith((instances.RECORDS, "/srv/shop/releases/abc")) for path in files)
    assert found["audit"]["shop"]["result"] == "failed"


def test_what_never_ran_is_not_void_because_another_app_could_not_be_built():
    described = _todo(wanted="def")[0]
    assert not deploy_steps.retreat(described, "built")["voided"]
    assert deploy_steps.retreat(described, "started")["voided"] == ["shop"], "it ran, and nobody was asked"


def test_a_step_that_no_deploy_has_is_refused():
    with pytest.raises(ValueError, match="reached is 'halfway'. Give one of built, started, replaced, taken_over"):
        deploy_steps.retreat(_todo(wanted="def")[0], "halfway")


def test_a_release_that_serves_is_never_void():
    found = deploy_steps.retreat(_todo(unproven=["web"])[0], "started", [], RESULTS)
    assert not found["voided"] and not any(".complete" in entry["dest"] for entry in found["files"])


def test_web_instances_go_back_one_after_the_other():
    described = _todo(unproven=["web"], settings={"deploy": "rolling"})[0]
    found = deploy_steps.retreat(described, "taken_over", [], RESULTS)
    assert [item["unit"] for item in found["rolls"]] == _web(8000, 8001) and not found["stopped"] + found["restarted"]
    found = deploy_steps.retreat(described, "replaced", [], RESULTS)
    assert not found["rolls"], "where nginx refuses its configuration only workers have been replaced so far"


def test_an_app_gets_its_own_files_back():
    files = [
        "/etc/mainstay/shop/env",
        "/etc/systemd/system/shop-web@.service",
        "/etc/systemd/system/shop-old@.service",
        f"{WANTS}/shop-web@8002.service",
        "/srv/shop/instances/worker@1",
        "/etc/systemd/system/shop-web-job@.service",
        "/etc/mainstay/shop-web/env",
        "/etc/systemd/system/shopping.target",
    ]
    apps = {**SHOP, "shop-web": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}}
    described = _model(apps=apps, host=_host(_model(apps=apps, host={"systemd_version": 252}), unproven=["web"]))
    described["apps"]["shop-web"]["changing"] = False
    assert deploy_steps.retreat(described, "started", files, RESULTS)["restore"] == files[:5]


def test_changed_secrets_settings_and_templates_concern_their_processes():
    host = _host(DESCRIBED)
    changed = {"shop": {**SECRETS["shop"], "SECRET_KEY": "x" * 40}}
    described = model.model(SHOP, {"shop": "abc"}, plan=PLAN, variables=deploy_environment.environment(SHOP, changed), host=host)
    assert _steps(described)["beside"] == _web(8002, 8003) and _steps(described)["in place"] == WORKERS
    assert _steps(_model(host=host, template="another"))["in place"] == WORKERS
    plan = copy.deepcopy(PLAN)
    plan["shop"]["worker"]["concurrency"] = 4
    assert _steps(_model(plan=plan, host=host)) == {**NOTHING, "in place": ["shop-worker@1.service"]}


def test_memory_for_second_sets_is_shared_by_the_apps_of_a_run():
    again = {**copy.deepcopy(SHOP["shop"]), "sites": {}, "redis": [], "secrets": [], "database": "none"}
    again["processes"] = {"web": {"command": "run", "port": 9000}}
    apps = {**SHOP, "two": again}
    plan = {**PLAN, "two": {"web": PLAN["shop"]["web"]}}
    before = _model(apps=apps, plan=plan, host={"systemd_version": 252})
    host = _host(before)
    two = before["apps"]["two"]["processes"][0]
    host["paths"][two["record_path"]] = {"target": two["new_record"].replace("abc", "old")}
    modes = {
        surge: [
            next(item["mode"] for item in app["processes"] if item["name"] == "web")
            for app in _model(apps=apps, plan=plan, release="def", host=host, surge_mb=surge)["apps"].values()
        ]
        for surge in (600, 1200)
    }
    assert modes == {600: ["beside", "in_place"], 1200: ["beside", "beside"]}


def test_the_gates_probe_every_process_of_what_changed():
    described = _todo(unproven=["worker", "web"])[0]
    probes = [
        (probe["name"], probe["kind"], probe.get("url", "").rpartition(":")[2])
        for step in (deploy_steps.preparation(described), deploy_steps.takeover(described))
        for probe in step["probes"]
    ]
    assert probes == [
        ("shop-web@8002.service", "http", "8002/health"),
        ("shop-web@8002.service", "http", "8002/ready"),
        ("shop-web@8003.service", "http", "8003/health"),
        ("shop-web@8003.service", "http", "8003/ready"),
        ("shop-worker@1.service", "command", ""),
    ]
    gate = deploy_steps.preparation(described)["probes"]
    assert all(probe["deadline"] == 90 and probe["healthy_threshold"] >= 2 for probe in gate)


JOURNAL = [
    {
        "item": "shop-web@8000.service",
        "stdout_lines": [
            "t h systemd[1]: Starting shop-web@8000.service",
            "t h shop-web[1]: old words",
            "t h systemd[1]: Stopped shop-web@8000.service",
            "t h systemd[1]: Starting shop-web@8000.service",
            "t h shop-web[2]: postgresql://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop",
            "t h systemd[1]: Starting shop-web@8000.service",
        ],
    }
]


def test_the_report_says_what_failed_and_no_secret():
    described = _todo(wanted="def")[0]
    outcome = deploy_steps.retreat(described, "started", [], RESULTS)
    text = "\n".join(deploy_steps.report(described, outcome, RESULTS, JOURNAL, "ignored", deploy_environment.environment(SHOP, SECRETS)))
    for wanted in (
        "release def",
        "http://127.0.0.1:8002/health gave status 500 in 9 tries",
        "expected 200",
        "body: no database with ********",
        "Last lines of shop-web@8000.service",
        "shop-web[2]: ********",
        "release abc serves, as before",
    ):
        assert wanted in text, wanted
    for unwanted in ("shop-worker", "old words", "ignored", SECRETS["shop"]["SECRET_KEY"], "p%40ss"):
        assert unwanted not in text, unwanted


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (None, "t h shop-web[2]: OSError: [Errno 30] Read-only file system: 'logs'", "name the folder in shared"),
        (302, "t h shop-web[2]: GET /", "health: {status: 302} says that this is a good answer"),
        (404, "t h shop-web[2]: GET /", "name a page that the app has"),
        (403, "t h shop-web[2]: GET /", "asks for no login"),
        (500, "t h shop-web[2]: GET /", "LOGGING has a StreamHandler"),
        (500, "t h shop-web[2]: Traceback (most recent call last):", None),
    ],
)
def test_the_report_says_what_may_help(status, words, told):
    described = _todo(wanted="def")[0]
    probes = [{**item, "status": status} for item in RESULTS]
    units = {"shop-web@8000.service": words, "shop-web@8001.service": words.replace("[2]", "[7]").replace("t h", "t2 h")}
    journals = [{"item": unit, "stdout_lines": [said]} for unit, said in units.items()]
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started"), probes, journals)
    found = [line for line in lines if line.startswith("What may help shop: ")]
    assert len(found) == 1 and told in found[0] if told else not found
    # Both instances say the same, one after the other.
    assert [line for line in lines if words in line] == [f"  {words}"]
    assert "Last lines of shop-web@8001.service: the same as those of shop-web@8000.service." in lines


def test_two_instances_that_answer_alike_are_told_once():
    described = _todo(wanted="def")[0]
    page = "<html>" + "very long " * 50
    probes = [
        {"name": f"shop-web@{port}.service", "target": f"http://127.0.0.1:{port}/", "status": 503, "attempts": 9, "reasons": [f"no answer on {port}"],
         "body": page}
        for port in (8002, 8003)
    ]  # fmt: skip
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started", [], probes), probes)
    assert "shop-web@8003.service: the same as shop-web@8002.service." in lines
    (body,) = [line for line in lines if "very long" in line]
    assert body.startswith("  body: <html>very long") and len(body) < 200


# Recorded from a Celery worker that lacks a package, the long lines cut short.
CRASHED = """\
2026-11-29T04:06:11+0000 apps-1 systemd[1]: Starting cfp-worker@1.service - cfp: worker 1...
2026-11-29T04:06:11+0000 apps-1 systemd[1]: Started cfp-worker@1.service - cfp: worker 1.
2026-11-29T04:06:12+0000 apps-1 cfp-worker[13237]:     class PrefixedStrictRedis(GlobalKeyPrefixMixin, redis.Redis):
2026-11-29T04:06:12+0000 apps-1 cfp-worker[13237]: AttributeError: 'NoneType' object has no attribute 'Redis'
2026-11-29T04:06:13+0000 apps-1 systemd[1]: cfp-worker@1.service: Main process exited, code=exited, status=1/FAILURE
2026-11-29T04:06:13+0000 apps-1 systemd[1]: cfp-worker@1.service: Failed with result 'exit-code'.
""".splitlines()
AGAIN = """\
2026-11-29T04:06:14+0000 apps-1 systemd[1]: cfp-worker@1.service: Scheduled restart job, restart counter is at 3.
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Stopped cfp-worker@1.service - cfp: worker 1.
""".splitlines()
KILLED = """\
2026-11-30T13:09:38+00:00 any systemd[1]: cfp-worker@1.service: Killing process 15331 (python) with signal SIGKILL.
2026-11-30T13:09:38+00:00 any systemd[1]: cfp-worker@1.service: Killing process 15348 (jemalloc_bg_thd) with signal SIGKILL.
""".splitlines()
# Recorded from a release that was refused, and the next one, which answered a health check with a redirect.
GIVEN_UP = """\
2026-11-29T20:09:47+0000 apps-1 systemd[1]: cfp-worker@1.service: Start request repeated too quickly.
2026-11-29T20:09:47+0000 apps-1 systemd[1]: cfp-worker@1.service: Failed with result 'exit-code'.
2026-11-29T20:09:47+0000 apps-1 systemd[1]: Failed to start cfp-worker@1.service - cfp: worker 1.
""".splitlines()
BEGUN = """\
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Starting cfp-worker@1.service - cfp: worker 1...
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Started cfp-worker@1.service - cfp: worker 1.
2026-11-29T04:06:14+0000 apps-1 cfp-worker[13292]:   from pkg_resources import iter_entry_points
""".splitlines()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (CRASHED, CRASHED),
        (CRASHED[:5] + KILLED + CRASHED[5:], CRASHED),
        (CRASHED + AGAIN + BEGUN, CRASHED),
        (CRASHED + AGAIN + CRASHED + AGAIN + BEGUN, CRASHED),
        (CRASHED[2:] + AGAIN + BEGUN, CRASHED[2:]),
        (CRASHED + AGAIN + BEGUN + CRASHED[4:], BEGUN + CRASHED[4:]),
        (CRASHED + BEGUN, BEGUN),
        (CRASHED + AGAIN + BEGUN + BEGUN, BEGUN),
        (CRASHED + AGAIN + GIVEN_UP + BEGUN, BEGUN),
    ],
    ids=[
        "ended",
        "what it had left was killed",
        "started again",
        "twice",
        "its start is out of sight",
        "ended again",
        "of another release",
        "somebody started it again",
        "the next release",
    ],
)
def test_the_last_words_are_those_of_the_start_that_ended(lines, told):
    described = _todo(wanted="def")[0]
    journal = [{"item": "cfp-worker@1.service", "stdout_lines": lines}]
    text = "\n".join(deploy_steps.report(described, deploy_steps.retreat(described, "started"), RESULTS, journal))
    assert "\n".join(["Last lines of cfp-worker@1.service:", *(f"  {line}" for line in told), "shop: release abc"]) in text


@pytest.mark.parametrize(
    ("error", "refused", "kept"),
    [
        ("shop: release def: 'make' failed with exit status 1.\nother words", ["shop"], True),
        ("shop: release def: 'make' failed.\nother: release ghi: 'make' failed.", ["other", "shop"], False),
        ("systemctl failed", ["other", "shop"], False),
    ],
    ids=["one", "both", "neither is named"],
)
def test_the_report_blames_the_apps_that_could_not_be_built(error, refused, kept):
    described = _model(apps={**SHOP, **OTHER}, host={})
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started"), error=error)
    assert [line.partition(":")[0] for line in lines if line.endswith("was not accepted.")] == refused
    assert any("kept for the next run" in line for line in lines) is kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"wanted": "def"}, "release abc serves"), ({"unproven": ["web"]}, "only its configuration had changed")],
)
def test_the_report_says_what_serves_now(arguments, words):
    def told(described):
        return "\n".join(deploy_steps.report(described, deploy_steps.retreat(described, "started"), [], [], "systemctl failed"))

    assert words in told(_todo(**arguments)[0])
    assert "its first release" in told(_model(host={})) and "systemctl failed" in told(_model(host={}))


def test_the_report_says_what_did_not_come_back():
    described = _todo(wanted="def")[0]
    lines = deploy_steps.report(
        described, deploy_steps.retreat(described, "started"), not_back="shop-web@8000.service is not healthy after its restart."
    )
    assert (
        lines[-1] == "On the way back: shop-web@8000.service is not healthy after its restart. See journalctl --unit and mainstay status."
    )


# --- staying up -------------------------------------------------------------------------------------------------------

SYSTEMCTL = """#!/bin/sh
case $2 in
    --property=ActiveState) echo {state} ;;
    --property=MainPID) echo {pid} ;;
    --property=ControlGroup) cut -d: -f3 /proc/{pid}/cgroup | head -n 1 ;;
    *) echo {entered} ;;
esac
"""
# As ss says it of a worker of the example on Debian 12.
SS = """#!/bin/sh
echo '0      0        127.0.0.1:51822   127.0.0.1:6380  users:(("celery",pid={pid},fd=29))     '
"""


@pytest.mark.parametrize(
    ("state", "age", "program", "stays"),
    [
        ("active", 1, "exec sleep 60", False),
        ("active", 4, "exec sleep 60", False),
        ("active", 6, "exec sleep 60", True),
        ("active", None, "while :; do :; done", False),  # as old as it is: the kernel counts what it has run
        ("active", 11, "while :; do :; done", True),
        ("activating", 11, "exec sleep 60", False),
        ("failed", 6, "exec true", False),
    ],
)
def test_a_process_stays_up_for_five_seconds_and_sleeps_for_one_of_them(tmp_path, state, age, program, stays):
    done = _stays_up(tmp_path, state, age, program)
    assert (done.returncode == 0, done.stdout) == (stays, f"it is {state}\n"), done.stderr


@pytest.mark.parametrize(
    ("age", "connected", "stays"), [(4, True, False), (6, True, True), (6, False, False), (60, False, False), (60, True, True)]
)
def test_what_needs_a_broker_has_to_be_connected(tmp_path, age, connected, stays):
    done = _stays_up(tmp_path, "active", age, "exec sleep 60", "broker", connected=connected)
    assert (done.returncode == 0, "its broker does not answer" in done.stdout) == (stays, not connected), done.stderr


def test_only_a_celery_worker_with_a_queue_here_needs_a_broker():
    processes = _model()["apps"]["shop"]["processes"]
    commands = {process["name"]: probe["command"] for process in processes for probe in process["probes"] if probe["kind"] == "command"}
    assert {name: command[4:] for name, command in commands.items()} == {"beat": [], "mailer": [], "worker": ["broker"]}
    elsewhere = broken(("shop", "redis"), ["cache"])
    worker = next(item for item in _model(apps=elsewhere)["apps"]["shop"]["processes"] if item["name"] == "worker")
    assert worker["probes"][0]["command"][4:] == []


def _stays_up(tmp_path, state, age, program, *arguments, connected=False):
    began = time.monotonic()
    with subprocess.Popen(["sh", "-c", program]) as process:
        try:
            time.sleep(1.2 if age else 5.1)
            entered = time.monotonic() - age if age else began
            (tmp_path / "systemctl").write_text(SYSTEMCTL.format(state=state, pid=process.pid, entered=int(entered * 1000000)))
            (tmp_path / "systemctl").chmod(0o755)
            (tmp_path / "ss").write_text(SS.format(pid=process.pid if connected else 2**22))
            (tmp_path / "ss").chmod(0o755)
            environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
            command = ["sh", "-c", model.STAYS_UP, "shop-worker@1.service", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        finally:
            process.kill()


# --- schedules ---


def _scheduled(host=None, release="abc"):
    apps = broken(("shop", "processes", "report"), {"command": "python -m shop.report", "schedule": "daily", "time_limit": 900})
    return apps, model.model(apps, {"shop": release}, host=host or {})


def test_a_process_on_a_schedule_is_a_timer_and_what_it_starts():
    _apps, found = _scheduled()
    process = next(item for item in found["apps"]["shop"]["processes"] if item["name"] == "report")
    assert (process["instances"], process["mode"], process["probes"]) == (["shop-report@1.timer"], "in_place", [])
    files = {item["dest"]: item for item in found["files"]}
    assert files["/etc/systemd/system/shop.target.wants/shop-report@1.timer"]["link"] == "../shop-report@.timer"
    assert "/etc/systemd/system/shop.target.wants/shop-report@1.service" not in files
    assert files["/etc/systemd/system/shop-report@.timer"]["template"] == "process.timer.j2"
    assert "/etc/systemd/system/shop-report@.timer" in found["validate"][0]
    assert "shop-report@1.timer" in deploy_steps.takeover(found)["restarted"]


def test_its_unit_runs_once_and_finds_its_programs_where_it_began():
    apps, _found = _scheduled()
    lines = _rendered(_unit("report", apps=apps)).splitlines()
    assert {"Type=oneshot", "TimeoutStartSec=900"} <= set(lines)
    assert not [line for line in lines if line.startswith(("Restart", "StartLimit", "WantedBy"))]
    assert 'Environment="PATH=./.venv/bin:/usr/local/bin:/usr/bin:/bin"' in lines


def test_a_run_under_way_is_nobody_s_orphan():
    running = {"active": ["shop-report@1.timer", "shop-report@1.service", "shop-old@1.timer", "shop-old@1.service"]}
    orphans = _scheduled(host=running)[1]["apps"]["shop"]["orphans"]
    assert orphans == ["shop-old@1.service", "shop-old@1.timer"]


def _commanded(**commands):
    processes = {name: {**SHOP["shop"]["processes"][name], "command": command} for name, command in commands.items()}
    return normalise({"shop": {**SHOP["shop"], "sites": {}, "processes": processes}})


@pytest.mark.parametrize(
    ("process", "command", "remedy"),
    [
        ("worker", "a && b", "'&' needs a shell"),
        ("web", "serve --port $PROT", "has no variable PROT; did you mean PORT?"),
        ("web", 'serve --port "${PROT}"', "has no variable PROT"),
        ("worker", "work --bind $HOST", "has no variable HOST"),
        ("worker", 'sh -c "for x in a b; do echo $x; done"', "has no variable x"),
    ],
)
def test_a_command_that_no_unit_can_run_is_refused_before_there_is_a_unit(process, command, remedy):
    with pytest.raises(DeclarationError) as error:
        deploy_environment.refuse_commands(_commanded(**{process: command}))
    assert f"mainstay_apps.shop.processes.{process}.command: {command!r} cannot be used." in str(error.value)
    assert remedy in str(error.value)


def test_a_command_may_name_every_variable_that_its_process_has():
    web = "serve $HOST ${PORT} $WEB_CONCURRENCY $DATABASE_URL $PGHOST $REDIS_CACHE_URL $SECRET_KEY $DB_POOL_SIZE $HOME '$own' \"$PORT\""
    deploy_environment.refuse_commands(_commanded(web=web, worker="work -c $CELERY_CONCURRENCY", mailer="mail $HEARTBEAT_FILE"))


@pytest.mark.parametrize(
    ("command", "limits", "refused"),
    [
        ("uvicorn x:app --timeout-graceful-shutdown 25", None, False),
        ("uvicorn x:app --timeout-graceful-shutdown 30", None, True),
        ("uvicorn x:app --timeout-graceful-shutdown=60", {"web": 70, "celery": 60, "worker": 30}, False),
        ("gunicorn x:app --graceful-timeout 60", None, True),
        ("gunicorn x:app --graceful-timeout 60", {"web": "61", "celery": 60, "worker": 30}, False),  # of the command line
        ("hypercorn x:app --graceful-timeout 40", None, True),
        ("granian --workers-kill-timeout 40 x:app", None, True),
        ("gunicorn x:app --timeout 90", None, False),
    ],
)
def test_a_server_has_the_time_that_it_gives_requests_to_end(command, limits, refused):
    apps = _commanded(web=command)
    if not refused:
        return deploy_units.refuse_long_ends(apps, limits)
    with pytest.raises(DeclarationError) as error:
        deploy_units.refuse_long_ends(apps, limits)
    assert f"mainstay_apps.shop.processes.web.command: {command!r} cannot be used. {command.split()[0]} gives requests" in str(error.value)
    assert "systemd ends" in str(error.value) and "backend_stop_timeout: {web: " in str(error.value)
