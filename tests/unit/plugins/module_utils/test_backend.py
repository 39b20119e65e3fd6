# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from pathlib import Path

import jinja2
import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import backend, backend_changes, unit_commands
from ansible_collections.mainstay.vps.plugins.module_utils.apps import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import REMOVE, SHOP, broken

ROLE = Path(__file__).parents[4] / "roles/backend"
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
    variables = backend.environment(apps, SECRETS)
    return backend.model(
        apps,
        dict.fromkeys(apps, release),
        plan=PLAN if plan is None else plan,
        variables=variables,
        host=host,
        **settings,
    )


def _unit(name, **arguments):
    return next(unit for unit in _model(**arguments)["units"] if unit["process"] == name)


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
    "command", ["a | b", "a && b", "a; b", "a > /dev/null", "a $(date)", "a `date`", "a 'open", "a &", "a $1", "a \\"]
)
def test_what_only_a_shell_can_do_is_refused(command):
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.processes.web.command.*sh -c"):
        unit_commands.exec_line(command, "mainstay_apps.shop.processes.web.command")


# --- environment ---


def test_generated_environment():
    assert backend.environment(SHOP, SECRETS)["shop"] == {
        "DATABASE_URL": "postgresql://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop",
        "LOG_LEVEL": "info",
        "PYTHONUNBUFFERED": "1",
        "REDIS_CACHE_URL": "redis://shop:cache-secret@127.0.0.1:6379/0",
        "REDIS_QUEUE_URL": "redis://shop:queue-secret@127.0.0.1:6380/0",
        "SECRET_KEY": "key-" * 8,
    }
    elsewhere = backend.environment(SHOP, SECRETS, database_host="10.0.0.2", redis_host="10.0.0.3")["shop"]
    assert "@10.0.0.2:5432/" in elsewhere["DATABASE_URL"] and "@10.0.0.3:6379/" in elsewhere["REDIS_CACHE_URL"]


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
    assert backend.environment(apps, SECRETS)["shop"]["DATABASE_URL"] == url


@pytest.mark.parametrize("scheme", ["mysql://", "My SQL", "", "a+b+c"])
def test_a_scheme_that_is_none_is_refused(scheme):
    apps = _with(("shop", "env"), {"DATABASE_SCHEME": scheme})
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.env.DATABASE_SCHEME.*mysql\+pymysql"):
        backend.environment(apps, SECRETS)


def test_units_start_after_their_database():
    assert _unit("web", apps=_with(("shop", "database"), "mariadb"))["after"][1] == "mariadb.service"


def test_a_prefix_gives_copies_and_the_app_s_own_values_win():
    apps = _with(("shop", "env_prefix"), "EF__")
    apps["shop"]["env"] = {"DATABASE_URL": "mine", "EF__REDIS_CACHE_URL": "other", "DB_POOL_SIZE": 7, "OWN": "x"}
    found = backend.environment(apps, SECRETS)["shop"]
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
        backend.environment(SHOP, secrets)


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
                "MAX_WS_CONNECTIONS": "100",
            },
        ),
        ("worker", {"CELERY_CONCURRENCY": "3", "DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "5"}),
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
    places = {"PATH": "/srv/shop/current/.venv/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": "/srv/shop/current"}
    assert _env(_unit(process)) == {**places, **expected}


def test_node_gets_a_heap_that_fits():
    apps = _with(("shop", "runtime"), "node")
    env = _env(_unit("web", apps=apps))
    assert env["NODE_OPTIONS"] == "--max-old-space-size=225"
    assert env["PATH"].startswith("/srv/shop/current/node_modules/.bin:") and "PYTHONPATH" not in env
    assert backend.environment(apps, SECRETS)["shop"]["NODE_ENV"] == "production"


# --- units ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "web",
            {
                "instances": ["shop-web@8000.service", "shop-web@8001.service"],
                "stop_timeout": 30,
                "memory_high_mb": 270,
                "memory_max_mb": 300,
                "tasks_max": 128,
                "nofile": 8192,
                "oom_score_adjust": 100,
            },
        ),
        ("worker", {"instances": ["shop-worker@1.service"], "stop_timeout": 60, "oom_score_adjust": 300}),
        ("beat", {"instances": ["shop-beat@1.service"], "stop_timeout": 30, "memory_max_mb": None}),
    ],
)
def test_units_follow_the_plan(name, expected):
    unit = _unit(name)
    assert {key: unit[key] for key in expected} == expected
    assert unit["after"] == [
        "network-online.target",
        "postgresql.service",
        "redis-server@cache.service",
        "redis-server@queue.service",
    ]


def test_without_a_plan_the_declaration_holds():
    apps = _with(("shop", "processes", "web", "memory"), "200M")
    apps["shop"]["processes"]["web"]["instances"] = 3
    unit = _unit("web", apps=apps, plan={})
    assert (len(unit["instances"]), unit["memory_max_mb"], unit["memory_high_mb"]) == (3, 200, 180)


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


def _rendered(unit):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["comment"] = lambda text: f"# {text}"
    return environment.from_string((ROLE / "templates/process.service.j2").read_text()).render(
        unit=unit, ansible_managed="managed"
    )


@pytest.mark.parametrize(
    ("host", "present", "absent"),
    [
        (
            {"systemd_version": 252},
            ["Restart=always", "RestartSec=1", "StartLimitBurst=10", "MemoryMax=300M", "MemoryHigh=270M"],
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
        "ExecStart=/usr/bin/env uvicorn shop.main:app --host $HOST --port $PORT",
        "CapabilityBoundingSet=",
    ]:
        assert wanted in lines, wanted
    assert not [line for line in lines if line.startswith(("Requires=", *absent))]


def test_no_secret_leaves_the_environment():
    apps = _with(("shop", "source"), {"git": "https://me:token-of-mine@example.com/a.git", "version": "v1"})
    described = json.dumps(_model(apps=apps, host={}))
    assert "token-of-mine" not in described
    for secret in [*SECRETS["shop"].values(), "p%40ss%2Fw%3Ard"]:
        assert secret not in described
    assert backend.secret_names(_normal())[0] == "DATABASE_URL"


def _normal():
    from ansible_collections.mainstay.vps.plugins.module_utils.apps import normalise

    return normalise(SHOP)["shop"]


HEALTHY = [{"name": "shop-web@8000.service", "healthy": True}]
RESULTS = [
    {
        "name": "shop-web@8000.service",
        "healthy": False,
        "target": "http://127.0.0.1:8000/health",
        "status": 500,
        "attempts": 9,
        "reasons": ["status 500, expected 200"],
        "body": f"no database with {SECRETS['shop']['SECRET_KEY']}",
    },
    {"name": "shop-worker@1.service", "healthy": True},
]

# --- files ---


def test_files_hold_everything_and_every_path_once():
    described = _model(apps={**SHOP, "other": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}})
    for entries in (
        described["files"],
        described["directories"],
        described["switches"],
        backend_changes.outcome(described, backend_changes.change(described), HEALTHY)["files"],
    ):
        assert len({entry["dest"] for entry in entries}) == len(entries)
    described = _model()
    files = {entry["dest"]: entry for entry in described["files"]}
    env = files["/etc/mainstay/shop/env"]
    assert (env["group"], env["mode"], env["sensitive"]) == ("shop", "0640", True)
    assert files["/etc/systemd/system/shop.target.wants/shop-web@8001.service"]["link"] == "../shop-web@.service"
    assert files["/etc/systemd/system/multi-user.target.wants/shop.target"]["link"] == "../shop.target"
    assert {entry["dest"] for entry in described["directories"]} == {
        "/srv/shop",
        "/srv/shop/releases",
        "/srv/shop/shared",
    }
    assert described["packages"] == ["python3-venv"]


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
    described = backend.model({}, {})
    assert (
        described["files"],
        described["validate"],
        described["switches"],
        backend_changes.change(described)["actions"],
    ) == (
        [],
        [],
        [],
        [],
    )


# --- changes ---


def _host(described, release="abc", running=None, active=(), unproven=()):
    """The snapshot of a host that runs what was described."""
    paths = {"/srv/shop/current": {"type": "link", "target": f"releases/{release}"}}
    units = ["shop.target"]
    for item in described["apps"]["shop"]["processes"]:
        paths[item["proof"]] = {"type": "link", "target": "other" if item["name"] in unproven else item["digest"]}
        units += item["instances"]
    return {
        "paths": paths,
        "running": units if running is None else running,
        "active": [*units, *active],
        "systemd_version": 252,
    }


DESCRIBED = _model(host={"systemd_version": 252})


def _todo(changed_files=(), **arguments):
    release = arguments.pop("wanted", "abc")
    described = _model(release=release, host=_host(DESCRIBED, **arguments))
    return described, backend_changes.change(described, changed_files)


def _words(change):
    return [(action["unit"], action["state"]) for action in change["actions"]]


def test_the_first_deploy_starts_the_target():
    described = _model(host={"systemd_version": 252})
    change = backend_changes.change(described)
    assert (described["new_users"], described["builds"]) == (["shop"], ["shop"])
    assert _words(change) == [("shop.target", "restarted")]
    assert change["actions"][0]["reload"] and not change["actions"][0]["known"]
    assert [entry["dest"] for entry in described["switches"]] == [
        "/run/lock/mainstay",
        "/run/lock/mainstay/shop.deploy",
        "/srv/shop/current",
    ]
    failed = backend_changes.outcome(described, change)
    assert {"dest": "/srv/shop/current", "state": "absent"} in failed["files"]
    assert (failed["failed"], _words(failed)) == (["shop"], [("shop.target", "stopped")])


def test_what_is_proven_and_runs_is_left_alone():
    described, change = _todo()
    assert (described["new_users"], described["builds"], described["switches"], change["actions"], change["apps"]) == (
        [],
        [],
        [],
        [],
        [],
    )


def test_a_new_release_restarts_everything_and_remembers_the_way_back():
    described, change = _todo(wanted="def")
    assert described["builds"] == ["shop"] and not described["new_users"]
    assert _words(change) == [("shop.target", "restarted")] and change["actions"][0]["known"]
    proven = backend_changes.outcome(described, change, HEALTHY)
    assert {"dest": "/srv/shop/previous", "link": "releases/abc"} in proven["files"] and not proven["failed"] + proven[
        "actions"
    ]
    assert {item["link"] for item in proven["files"] if item["dest"].startswith(backend.PROOFS)} == {
        item["digest"] for item in described["apps"]["shop"]["processes"]
    }
    failed = backend_changes.outcome(described, change, RESULTS)
    assert {"dest": "/srv/shop/current", "link": "releases/abc"} in failed["files"] and _words(failed) == [
        ("shop.target", "restarted")
    ]
    assert not any(item["dest"].startswith(backend.PROOFS) for item in failed["files"])


def test_a_failed_app_gets_its_own_files_back():
    files = [
        "/etc/mainstay/shop/env",
        "/etc/systemd/system/shop-web@.service",
        "/etc/systemd/system/shop-old@.service",
        "/etc/systemd/system/shop.target.wants/shop-web@8002.service",
        "/etc/systemd/system/shop-web-job@.service",
        "/etc/mainstay/shop-web/env",
        "/etc/systemd/system/shopping.target",
    ]
    apps = {**SHOP, "shop-web": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}}
    host = _host(_model(apps=apps, host={"systemd_version": 252}), unproven=["web"])
    described = _model(apps=apps, host=host)
    found = backend_changes.outcome(described, {"apps": ["shop"]}, RESULTS, files)
    assert found["restore"] == files[:4]
    assert _words(found) == [("shop.target", "restarted")] and not any("link" in item for item in found["files"])


def test_an_app_that_is_healthy_stays_when_another_one_is_not():
    apps = {**SHOP, "other": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}}
    described = _model(apps=apps)
    found = backend_changes.outcome(described, backend_changes.change(described), RESULTS)
    assert (found["failed"], _words(found)) == (["shop"], [("shop.target", "stopped")])
    proven = [item["dest"] for item in found["files"] if item["dest"].startswith(backend.PROOFS)]
    assert proven == [f"{backend.PROOFS}/other-job"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"unproven": ["worker"]}, [("shop-worker@1.service", "restarted")]),
        ({"unproven": ["web"]}, [("shop-web@8000.service", "restarted"), ("shop-web@8001.service", "restarted")]),
        ({"changed_files": ["/etc/systemd/system/shop-beat@.service"]}, [("shop-beat@1.service", "restarted")]),
        (
            {"changed_files": ["/etc/systemd/system/shop.target.wants/shop-web@8002.service"]},
            [("shop-web@8002.service", "stopped")],
        ),
        (
            {"active": ["shop-web@8002.service", "shop-old@1.service", "shop-2.service", "shopping-web@1.service"]},
            [("shop-old@1.service", "stopped"), ("shop-web@8002.service", "stopped")],
        ),
        (
            {
                "running": [
                    "shop.target",
                    "shop-web@8000.service",
                    "shop-worker@1.service",
                    "shop-beat@1.service",
                    "shop-mailer@1.service",
                ]
            },
            [("shop-web@8001.service", "started")],
        ),
        (
            {"running": [name for item in DESCRIBED["units"] for name in item["instances"]]},
            [("shop.target", "started")],
        ),
    ],
)
def test_only_what_changed_is_touched(arguments, expected):
    assert _words(_todo(**arguments)[1]) == expected


def test_changed_secrets_and_settings_make_a_process_unproven():
    host = _host(DESCRIBED)
    changed = {"shop": {**SECRETS["shop"], "SECRET_KEY": "x" * 40}}
    described = backend.model(SHOP, {"shop": "abc"}, plan=PLAN, variables=backend.environment(SHOP, changed), host=host)
    assert _words(backend_changes.change(described)) == [("shop.target", "restarted")]
    plan = copy.deepcopy(PLAN)
    plan["shop"]["worker"]["concurrency"] = 4
    assert _words(backend_changes.change(_model(plan=plan, host=host))) == [("shop-worker@1.service", "restarted")]
    plan = copy.deepcopy(PLAN)
    plan["shop"]["web"]["instances"] = 3
    apps = _with(("shop", "sites"), REMOVE)
    described = _model(apps=apps)
    assert _words(backend_changes.change(_model(apps=apps, plan=plan, host=_host(described)))) == [
        ("shop-web@8002.service", "started")
    ]


def test_the_gate_probes_every_process_of_what_changed():
    change = _todo(unproven=["worker"])[1]
    assert [(probe["name"], probe["kind"], probe.get("url", "").rpartition(":")[2]) for probe in change["probes"]] == [
        ("shop-beat@1.service", "command", ""),
        ("shop-mailer@1.service", "command", ""),
        ("shop-web@8000.service", "http", "8000/health"),
        ("shop-web@8000.service", "http", "8000/ready"),
        ("shop-web@8001.service", "http", "8001/health"),
        ("shop-web@8001.service", "http", "8001/ready"),
        ("shop-worker@1.service", "command", ""),
    ]
    assert all(probe["deadline"] == 90 and probe["healthy_threshold"] >= 2 for probe in change["probes"])


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
    described, change = _todo(wanted="def")
    text = "\n".join(
        backend_changes.report(
            described, change["apps"], RESULTS, JOURNAL, "ignored", backend.environment(SHOP, SECRETS)
        )
    )
    for wanted in (
        "release def",
        "http://127.0.0.1:8000/health gave status 500 in 9 tries",
        "expected 200",
        "body: no database with ********",
        "Last lines of shop-web@8000.service",
        "shop-web[2]: ********",
        "release abc runs again",
    ):
        assert wanted in text, wanted
    for unwanted in ("shop-worker", "old words", "ignored", SECRETS["shop"]["SECRET_KEY"], "p%40ss"):
        assert unwanted not in text, unwanted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"wanted": "def"}, "release abc runs again"), ({"unproven": ["web"]}, "only its configuration had changed")],
)
def test_the_report_says_what_runs_now(arguments, words):
    described, change = _todo(**arguments)
    assert words in "\n".join(backend_changes.report(described, change["apps"], [], [], "systemctl failed"))
    first = _model(host={})
    assert "its first release" in "\n".join(backend_changes.report(first, ["shop"], [], [], "systemctl failed"))
