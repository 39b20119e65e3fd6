# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, processes
from ansible_collections.mainstay.vps.plugins.module_utils.stack import refusal as stack_refusal
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, WRONG, broken


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=[".".join(case[0]) for case in WRONG])
def test_wrong_input_is_refused_with_variable_value_and_remedy(path, value, words):
    with pytest.raises(stack_refusal.DeclarationError) as refusal:
        apps.normalise(broken(path, value))
    for word in words:
        assert word.lower() in str(refusal.value).lower()


WEB, SITE = ("shop", "processes", "web"), ("shop", "sites", "shop.example.com")


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        (("shop", "database"), "postgres", "postgresql"),
        (("shop", "database"), "mysql", "mariadb"),
        (("shop", "database"), "PostgreSQL", "postgresql"),
        (("shop", "runtime"), "nodejs", "node"),
        (("shop", "runtime"), "docker", "container"),
        (("shop", "runtime"), "static", "command"),
        (("shop", "pooler"), "pgbounce", "pgbouncer"),
        (("shop", "redis"), ["cached"], "cache"),
        (("shop", "egress"), "internl", "internal"),
        ((*WEB, "kind"), "celry", "celery"),
        ((*WEB, "instances"), "Auto", "auto"),
        ((*WEB, "allow"), ["exce"], "exec"),
        ((*WEB, "notify"), "yes", "true"),
        ((*WEB, "schedul"), "daily", "'schedule'"),
        ((*SITE, "tls"), "lets-encrypt", "letsencrypt"),
        ((*SITE, "routes", "/x"), {"static": "static"}, "'directory'"),
        ((*SITE, "routes", "/x"), {"proces": "web"}, "'process'"),
        (("shop", "source"), {"pth": "../shop"}, "'path'"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(path, value, meant):
    with pytest.raises(stack_refusal.DeclarationError, match=f"Did you mean {meant}"):
        apps.normalise(broken(path, value))


@pytest.mark.parametrize("choices", [apps.RUNTIMES, apps.DATABASES, apps.REDIS_INSTANCES, apps.EGRESS, processes.KINDS, ("auto",)])
def test_a_letter_too_few_is_answered_with_every_word(choices):
    assert [stack_refusal.nearest(word[:-1], choices) for word in choices] == list(choices)
    assert stack_refusal.nearest("xyz", choices) is None


def test_an_app_that_is_files_alone_declares_no_processes():
    app = {"runtime": "command", "source": {"path": "../pages"}}
    sites = {"pages.example.com": {"routes": {"/": {"directory": "public"}}}}
    assert apps.normalise({"pages": {**app, "sites": sites}})["pages"]["processes"] == {}


def test_defaults_are_filled_in():
    shop = apps.normalise(SHOP)["shop"]
    assert shop["root"] == "/srv/shop"
    assert [(name, process["kind"], process["instances"]) for name, process in shop["processes"].items()] == [
        ("beat", "worker", 1),
        ("mailer", "worker", "auto"),
        ("web", "web", "auto"),
        ("worker", "celery", "auto"),
    ]
    assert shop["sites"]["shop.example.com"]["max_body"] == "10M"


@pytest.mark.parametrize(("runtime", "key"), [("python", "node"), ("python", "python"), ("node", "node")])
def test_an_interpreter_that_is_empty_is_debian_s(runtime, key):
    declared = {"source": {"path": "x"}, "runtime": runtime, "processes": {}}
    assert apps.normalise({"blog": {**declared, key: None}}) == apps.normalise({"blog": declared})


def test_key_order_does_not_matter_and_a_normal_form_stays():
    reordered = {"shop": dict(reversed(list(SHOP["shop"].items())))}
    normal = apps.normalise(SHOP)
    assert apps.normalise(reordered) == normal
    assert apps.normalise(normal) is normal


def test_no_database_means_no_pool():
    declared = broken(("shop", "database"), "none")
    assert apps.normalise(declared)["shop"]["processes"]["web"]["pool"] == {"size": 0, "overflow": 0}


@pytest.mark.parametrize("database", ["mariadb", "none"])
def test_a_pooler_stands_before_postgresql_only(database):
    declared = broken(("shop", "database"), database)
    declared["shop"]["pooler"] = "pgbouncer"
    with pytest.raises(stack_refusal.DeclarationError, match="pooler: 'pgbouncer' cannot be used. It stands before PostgreSQL only"):
        apps.normalise(declared)


@pytest.mark.parametrize(("text", "expected"), [("300M", 300), ("1G", 1024), ("65536K", 64), (512, 512), ("512", 512)])
def test_memory_sizes(text, expected):
    assert processes.megabytes(text) == expected


def test_ports_are_checked_again_with_the_planned_instances():
    declared = apps.normalise(broken(("shop", "processes", "api"), {"command": "x", "port": 8004}))
    processes.check_ports(declared, {"shop": {"web": 2, "api": 1}})
    with pytest.raises(stack_refusal.DeclarationError, match="8004"):
        processes.check_ports(declared, {"shop": {"web": 3, "api": 1}})


@pytest.mark.parametrize(
    "env",
    [{"API_KEY": ""}, {"MAX_TOKENS": 4}, {"USE_TOKEN": True}, {"TOKEN_TTL": "11"}, {"LABEL": "changeme"}, {"API_KEY": "9f8a-7c6b-5d4e"}],
    ids=str,
)
def test_what_is_no_placeholder_of_a_secret_may_stay(env):
    assert list(apps.normalise(broken(("shop", "env"), env))["shop"]["env"]) == list(env)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"schedule": "0 3 * * *"}, "hat is a line of cron"),
        ({"schedule": "@daily"}, "calendar event of systemd"),
        ({"schedule": "daily; reboot"}, "calendar event of systemd"),
        ({"schedule": "daily", "port": 8300}, "processes.report.port"),
        ({"schedule": "daily", "instances": 2}, "starts, does its work once and ends"),
        ({"schedule": "daily", "heartbeat": {"file": "x"}}, "processes.report.heartbeat"),
        ({"schedule": "daily", "kind": "celery"}, "is a worker"),
        ({"schedule": "daily", "time_limit": 0}, "whole number from 1"),
        ({"time_limit": 5}, "nly a process with a schedule"),
    ],
)
def test_what_a_schedule_cannot_be(keys, words):
    with pytest.raises(ValueError, match="mainstay_apps.shop.processes.report") as refusal:
        apps.normalise(broken(("shop", "processes", "report"), {"command": "true", **keys}))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("keys", "singleton"),
    [
        ({"command": "celery -A shop.tasks beat"}, True),
        ({"command": "celery --app shop beat -s $CELERY_BEAT_SCHEDULE"}, True),
        ({"command": "celery -A shop worker -B -l info"}, True),
        ({"command": "celery -A shop worker --beat"}, True),
        ({"command": "celery -A shop beat -S redbeat.RedBeatScheduler", "singleton": False}, False),  # it has a lock of its own
        ({"command": "celery -A beat worker"}, False),
        ({"command": "celery -A shop.beat worker --without-heartbeat"}, False),
        ({"command": "python -m shop.beat"}, False),
    ],
)
def test_celery_s_beat_runs_once(keys, singleton):
    beat = apps.normalise(broken(("shop", "processes", "beat"), keys))["shop"]["processes"]["beat"]
    assert (beat["singleton"], beat["instances"]) == (singleton, 1 if singleton else "auto")


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"command": "celery -A shop worker -l info"}, "celery"),
        ({"command": "celery -A shop worker -c 1"}, "celery"),
        ({"command": "celery -A shop worker --concurrency=8", "workers": 8}, "celery"),
        ({"command": "python -m celery -A shop worker -B"}, "celery"),
        ({"command": "celery -A shop worker -P gevent -c 200"}, "worker"),  # one process
        ({"command": "celery -A shop worker --pool=solo"}, "worker"),
        ({"command": "celery -A shop worker --pool prefork"}, "celery"),
        ({"command": "celery -A shop worker -c 8", "kind": "worker"}, "worker"),
        ({"command": "celery -A worker beat"}, "worker"),
        ({"command": "celery -A shop flower"}, "worker"),
        ({"command": "celery -A shop flower", "port": 5555}, "web"),
        ({"command": "celery -A shop worker", "schedule": "daily"}, "worker"),
    ],
)
def test_a_celery_worker_is_known_by_its_command(keys, kind):
    assert apps.normalise(broken(("shop", "processes", "worker"), keys))["shop"]["processes"]["worker"]["kind"] == kind


@pytest.mark.parametrize(
    "schedule", ["daily", "Mon..Fri 06:30", "*-*-* 03:00:00", "*:0/15", "2027-12-24", "Sat *-*~7/1 18:00 Europe/Berlin"]
)
def test_a_schedule_is_a_calendar_event_of_systemd(schedule):
    report = apps.normalise(broken(("shop", "processes", "report"), {"command": "true", "schedule": schedule}))["shop"]["processes"][
        "report"
    ]
    assert (report["schedule"], report["time_limit"], report["kind"], report["singleton"], report["instances"]) == (
        schedule,
        3600,
        "worker",
        True,
        1,
    )


@pytest.mark.parametrize(("told", "refused"), [("--timeout 20", True), ("-t20", True), ("--timeout=25", False), ("--timeout 0", False)])
def test_a_route_waits_no_longer_than_gunicorn(told, refused):
    declared = broken(("shop", "processes", "web", "command"), f"gunicorn {told} --bind $HOST:$PORT shop:app")
    declared["shop"]["sites"]["shop.example.com"]["routes"]["/x"] = {"process": "web", "timeout": 25}
    if refused:
        with pytest.raises(stack_refusal.DeclarationError, match="Give gunicorn --timeout 25 or more, it ends a request after 20 s"):
            apps.normalise(declared)
    else:
        assert apps.normalise(declared)


@pytest.mark.parametrize(
    ("route", "shared", "refused"),
    [
        ({"directory": "media"}, ["media"], None),
        ({"directory": "media/"}, ["media", "cache"], None),
        ({"directory": "static"}, ["media"], None),
        ({"directory": "static"}, ["static/uploads"], "give the folder a route of its own"),
        ({"directory": "media/public"}, ["media"], "share the folder that a route serves"),
        ({"spa": "dist"}, ["dist"], "pages of a single-page application"),
    ],
)
def test_a_shared_folder_is_served_as_a_whole_or_not_at_all(route, shared, refused):
    declared = broken(("shop", "sites", "shop.example.com", "routes", "/files"), route)
    declared["shop"]["shared"] = shared
    if refused:
        with pytest.raises(ValueError, match=refused):
            apps.normalise(declared)
    else:
        app = apps.normalise(declared)["shop"]
        folder = route["directory"].strip("/")
        assert (folder in app["served"], folder in app["public"]) == (folder in shared, folder not in shared)
