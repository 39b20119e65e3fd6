# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of an app: limits, order, sandbox, containers, schedules."""

from __future__ import annotations

import copy
import json

import jinja2
import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.module_utils.stack.variables import secret_names
from ansible_collections.mainstay.vps.tests.unit.backends import ROLE, SECRETS, instances_of, model_of, unit_of, variables_of
from ansible_collections.mainstay.vps.tests.unit.declarations import BOX, SHOP, broken


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "web",
            {
                "stop_timeout": 30,
                "limits": {"memory_high_mb": 270, "memory_max_mb": 300, "memory_swap_max_mb": 75, "tasks_max": 128},
                "nofile": 8192,
                "oom_score_adjust": 100,
            },
        ),
        ("worker", {"stop_timeout": 60, "oom_score_adjust": 300}),
        (
            "beat",
            {"stop_timeout": 30, "limits": {"memory_high_mb": None, "memory_max_mb": None, "memory_swap_max_mb": None, "tasks_max": 256}},
        ),
    ],
)
def test_units_follow_the_plan(name, expected):
    unit = unit_of(name)
    assert {key: unit[key] for key in expected} == expected
    assert unit["after"] == [
        "network-online.target",
        "mainstay-egress@apps.service",
        "postgresql.service",
        "redis-server@shop-cache.service",
        "redis-server@shop-queue.service",
    ]


def test_without_a_plan_the_declaration_holds():
    apps = broken(("shop", "processes", "web", "memory"), "200M")
    apps["shop"]["processes"]["web"]["instances"] = 3
    unit = unit_of("web", apps=apps, plan={})
    assert (unit["limits"]["memory_max_mb"], unit["limits"]["memory_high_mb"]) == (200, 180)
    assert len(instances_of("web", apps=apps, plan={})) == 3


@pytest.mark.parametrize(("version", "back_off"), [(0, False), (249, False), (252, False), (254, True), (257, True)])
def test_back_off_is_not_pretended(version, back_off):
    assert unit_of("web", host={"systemd_version": version})["back_off"] is back_off


def test_two_processes_cannot_share_a_unit():
    apps = copy.deepcopy(SHOP)
    del apps["shop"]["processes"]["mailer"]
    apps["shop"]["processes"]["web-api"] = {"command": "x"}
    other = {"source": {"path": "y"}, "processes": {"api": {"command": "x"}}}
    with pytest.raises(DeclarationError, match="shop-web-api@.service"):
        model_of(apps={**apps, "shop-web": other})


def test_the_start_limit_trips_also_where_the_back_off_is_longest():
    unit = dict(line.split("=", 1) for line in _rendered(unit_of("web", host={"systemd_version": 257})).splitlines() if "=" in line)
    assert int(unit["StartLimitIntervalSec"]) >= 2 * int(unit["StartLimitBurst"]) * int(unit["RestartMaxDelaySec"])


def test_a_unit_speaks_neither_the_host_s_language_nor_writes_its_numbers_and_mainstay_run_has_the_same():
    (line,) = [line for line in _rendered(unit_of("web")).splitlines() if line.startswith("Environment=LANG=")]
    assert {"LANG=C.UTF-8", "LANGUAGE=", "LC_NUMERIC="} <= set(line.removeprefix("Environment=").split())
    run = (ROLE.parent / "monitoring/files/mainstay/commands/run.py").read_text()
    assert f'LOCALE = "{line.removeprefix("Environment=")}"' in run


def _rendered(unit):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["comment"] = lambda text: f"# {text}"
    texts = [(ROLE / "templates" / name).read_text() for name in ("process.service.j2", "limits.conf.j2")]
    return "".join(environment.from_string(text).render(unit=unit, limits=unit["limits"], ansible_managed="managed") for text in texts)


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
    lines = _rendered(unit_of("web", host=host)).splitlines()
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
    assert "NoExecPaths=/tmp /var/tmp -/srv/shop/shared -/var/lib/shop -/run/shop" in unit_of("web")["sandbox"]
    elsewhere = broken(("shop", "processes", "mailer", "writable"), ["/data"])
    assert "NoExecPaths=/tmp /var/tmp -/srv/shop/shared -/var/lib/shop -/run/shop -/data" in unit_of("web", apps=elsewhere)["sandbox"]
    assert unit_of("mailer", apps=elsewhere)["mounts"] == ["/data"] and not unit_of("web", apps=elsewhere)["mounts"]
    allowed = unit_of("web", apps=broken(("shop", "processes", "web", "allow"), ["exec"]))["sandbox"]
    assert not [line for line in allowed if "noexec" in line.lower()] and len(allowed) == len(unit_of("web")["sandbox"]) - 1
    assert "--tmpfs=/tmp:rw,nosuid,nodev,exec" in _box(processes={"web": {"port": 8300, "allow": ["exec"]}})[0]["exec_start"]


def test_a_process_s_own_variables_stand_in_its_unit():
    apps = broken(("shop", "processes", "web", "env"), {"HOSTNAME": "$HOST", "DB_POOL_SIZE": 9})
    unit = unit_of("web", apps=apps)
    assert (variables_of(unit)["HOSTNAME"], variables_of(unit)["DB_POOL_SIZE"]) == ("127.0.0.1", "9")
    assert sum("DB_POOL_SIZE" in item for item in unit["environment"]) == 1
    assert "HOSTNAME" not in variables_of(unit_of("worker", apps=apps))


def test_a_process_that_says_itself_when_it_is_ready():
    apps = broken(("shop", "processes", "web", "notify"), True)
    lines = _rendered(unit_of("web", apps=apps)).splitlines()
    assert "Type=notify" in lines and "NotifyAccess=main" in lines and "Type=exec" not in lines
    assert "Type=exec" in _rendered(unit_of("worker", apps=apps)).splitlines()


def test_no_secret_leaves_the_environment():
    apps = broken(("shop", "source"), {"git": "https://me:token-of-mine@example.com/a.git", "version": "v1"})
    described = json.dumps(model_of(apps=apps, host={}))
    assert "token-of-mine" not in described
    for secret in [*SECRETS["shop"].values(), "p%40ss%2Fw%3Ard"]:
        assert secret not in described
    assert secret_names(_normal())[:2] == ["DATABASE_PASSWORD", "DATABASE_URL"]


def _normal():

    return normalise(SHOP)["shop"]


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
    lines = _rendered(unit_of("report", apps=apps)).splitlines()
    assert {"Type=oneshot", "TimeoutStartSec=900"} <= set(lines)
    assert not [line for line in lines if line.startswith(("Restart", "StartLimit", "WantedBy"))]
    assert 'Environment="PATH=./.venv/bin:/usr/local/bin:/usr/bin:/bin"' in lines


def test_a_run_under_way_is_nobody_s_orphan():
    running = {"active": ["shop-report@1.timer", "shop-report@1.service", "shop-old@1.timer", "shop-old@1.service"]}
    orphans = _scheduled(host=running)[1]["apps"]["shop"]["orphans"]
    assert orphans == ["shop-old@1.service", "shop-old@1.timer"]
