# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps a deploy takes: what is touched, in which order, and what is put on record."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.plugins.module_utils.stack import instances
from ansible_collections.mainstay.vps.tests.unit.backends import DESCRIBED, PLAN, RESULTS, SECRETS, WANTS, host_of, model_of, steps_of, todo
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

WORKERS = ["shop-beat@1.service", "shop-mailer@1.service", "shop-worker@1.service"]


def _web(*ports):
    return [f"shop-web@{port}.service" for port in ports]


NOTHING = {"beside": [], "started": [], "in place": [], "rolled": [], "stopped": [], "serve": [8000, 8001], "stand by": []}
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
    assert todo(**arguments)[1] == {**NOTHING, **expected}


def test_the_first_deploy_starts_everything_and_watches_nothing():
    described = model_of(host={"systemd_version": 252})
    assert (described["builds"], described["locks"]) == (["shop"], {"shop": "abc"})
    assert [(user["name"], user["group"]) for user in described["new_users"]] == [("shop", "shop"), ("shop-build", "shop")]
    assert steps_of(described) == {
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
    described, steps = todo()
    assert steps == NOTHING
    assert not described["builds"] and not described["locks"]
    assert deploy_steps.completion(described)["files"] == []


def test_the_lock_of_a_run_that_was_cut_off_is_brought_to_an_end():
    host = host_of(DESCRIBED)
    host["paths"]["/run/lock/mainstay/shop.deploy"] = {"type": "file"}
    described = model_of(host=host)
    assert steps_of(described) == NOTHING and described["locks"] == {"shop": "abc"}
    completion = deploy_steps.completion(described)
    steps = {"build": 0, "migrate": 0, "start": 0, "watch": 0}
    assert completion["audit"] == {"shop": {"from": "abc", "to": "abc", "result": "succeeded", "steps": steps}}
    assert not completion["stopped"] + deploy_steps.takeover(described)["drains"]


def test_the_audit_tells_where_the_time_went():
    described = todo(wanted="def")[0]
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
    host = host_of(DESCRIBED)
    host["distribution"] = {"id": "debian", "version": "13"}
    host["paths"]["/srv/shop/releases/abc/.built-on"] = {"type": "link", "target": "debian12"}
    described = model_of(host=host)
    links = {entry["dest"]: entry.get("link") for entry in described["files"]}
    assert described["builds"] == ["shop"] and described["locks"] == {"shop": "abc-debian13"}
    assert links["/srv/shop/instances/web@8002"] == "../releases/abc-debian13"
    assert deploy_steps.completion(described)["audit"]["shop"]["from"] == "abc"


def test_a_new_release_is_put_on_record_with_the_way_back():
    described = todo(wanted="def")[0]
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
    described = model_of(site, "def", host=host)
    completion = deploy_steps.completion(described, alone=True)
    assert completion["audit"]["leaf"].items() >= {"from": "abc", "to": "def"}.items()
    assert {"dest": "/srv/leaf/previous", "link": "releases/abc"} in completion["files"]
    retreat = deploy_steps.retreat(described, "started")
    assert {"dest": "/srv/leaf/current", "link": "releases/abc"} in retreat["files"]
    assert deploy_steps.report(described, retreat, [], [], "It failed.")[-1] == "leaf: release abc serves, as before."
    host["paths"]["/srv/leaf/current"]["target"] = "releases/def"
    assert not deploy_steps.completion(model_of(site, "def", host=host))["audit"]


def test_the_record_of_a_process_that_is_no_longer_declared_goes():
    host = host_of(DESCRIBED)
    records = ("shop-old", "shop-web-old", "shop-admin-web", "shopper-web")
    host["paths"].update({f"{instances.RECORDS}/{name}": {"type": "link", "target": "abc:12ef:1"} for name in records})
    host["paths"]["/etc/mainstay/shop-admin/env"] = {"type": "file"}  # an app, declared or not, whose records are its own
    completion = deploy_steps.completion(model_of(host=host))
    assert completion["files"] == [{"dest": f"{instances.RECORDS}/{name}", "state": "absent"} for name in ("shop-old", "shop-web-old")]
    assert not completion["audit"]


def test_a_rollback_leaves_no_way_back_to_what_had_to_go():
    host = host_of(DESCRIBED, release="def")
    host["paths"]["/srv/shop/previous"] = {"type": "link", "target": "releases/abc"}
    files = deploy_steps.completion(model_of(release="abc", host=host))["files"]
    assert {"dest": "/srv/shop/previous", "state": "absent"} in files


ROOMIER = copy.deepcopy(PLAN)
ROOMIER["shop"]["web"]["nofile"] = 999
TIGHTER = copy.deepcopy(PLAN)
TIGHTER["shop"]["web"].update(memory_max_mb=200, memory_high_mb=180, tasks_max=99)


@pytest.mark.parametrize(
    ("held", "now", "is_anew"),
    [
        (100, 300, False),
        (179, 300, False),
        (180, 300, True),  # told of its new limit, the kernel would end it
        (180, 200, False),  # it has that limit already, and is near it
        (250, None, False),  # nothing is known of it
    ],
)
def test_other_limits_of_memory_and_tasks_start_nothing_anew(held, now, is_anew):
    host = host_of(DESCRIBED)
    host.update(service_memory_mb={_web(8001)[0]: held}, memory_max_mb={_web(8001)[0]: now} if now else {})
    described = model_of(plan=TIGHTER, host=host)
    web = next(process for process in described["apps"]["shop"]["processes"] if process["name"] == "web")
    assert (web["mode"], described["apps"]["shop"]["changing"]) == (("beside", True) if is_anew else ("kept", False))
    (entry,) = [item for item in described["files"] if item["dest"] == "/etc/systemd/system/shop-web@.service.d/00-limits.conf"]
    assert entry["vars"]["limits"] == {"memory_high_mb": 180, "memory_max_mb": 200, "memory_swap_max_mb": 50, "tasks_max": 99}
    assert deploy_steps.preparation(described, [entry["dest"]])["daemon_reload"]
    assert bool(deploy_steps.takeover(described, [entry["dest"]])["rolls"]) is False


def _way_back(alone=True, wanted="def", settings=None, plan=None, paths=None, **host):
    """What the host is left for a return by itself; None where it has none."""
    found = host_of(DESCRIBED, **host)
    found["paths"].update(paths or {})
    files = deploy_steps.completion(model_of(release=wanted, plan=plan, host=found, **(settings or {})), alone=alone)["files"]
    (entry,) = [item for item in files if item["dest"] == "/var/lib/mainstay/ways-back/shop.json"]
    return json.loads(entry["content"]) if entry.get("state") != "absent" else None


def test_a_host_may_return_to_the_release_before_by_itself():
    way = _way_back()
    assert (way["from"], way["to"], way["void"]) == ("def", "abc", "/srv/shop/releases/def/.complete")
    assert way["links"]["/srv/shop/current"] == "releases/abc"
    assert way["links"]["/srv/shop/instances/web@8002"] == way["links"]["/srv/shop/instances/worker@1"] == "../releases/abc"
    assert not any(path.startswith("/etc") for path in way["links"])
    # What the records say then is what they would say if that release had just been deployed to these ports.
    back = model_of(release="abc", host=host_of(todo(wanted="def")[0], release="def"))
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
    described = todo(wanted="def")[0]
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
    described = todo(wanted="def")[0]
    assert not deploy_steps.retreat(described, "built")["voided"]
    assert deploy_steps.retreat(described, "started")["voided"] == ["shop"], "it ran, and nobody was asked"


def test_a_step_that_no_deploy_has_is_refused():
    with pytest.raises(ValueError, match="reached is 'halfway'. Give one of built, started, replaced, taken_over"):
        deploy_steps.retreat(todo(wanted="def")[0], "halfway")


def test_a_release_that_serves_is_never_void():
    found = deploy_steps.retreat(todo(unproven=["web"])[0], "started", [], RESULTS)
    assert not found["voided"] and not any(".complete" in entry["dest"] for entry in found["files"])


def test_web_instances_go_back_one_after_the_other():
    described = todo(unproven=["web"], settings={"deploy": "rolling"})[0]
    found = deploy_steps.retreat(described, "taken_over", [], RESULTS)
    assert [item["unit"] for item in found["rolls"]] == _web(8000, 8001) and not found["stopped"] + found["restarted"]
    found = deploy_steps.retreat(described, "replaced", [], RESULTS)
    assert not found["rolls"], "where nginx refuses its configuration only workers have been replaced so far"


def test_an_app_gets_its_own_files_back():
    files = [
        "/etc/mainstay/shop/env",
        "/etc/systemd/system/shop-web@.service",
        "/etc/systemd/system/shop-old@.service",
        "/etc/systemd/system/shop-web@.service.d/00-limits.conf",
        f"{WANTS}/shop-web@8002.service",
        "/srv/shop/instances/worker@1",
        "/etc/systemd/system/shop-web-job@.service",
        "/etc/systemd/system/shop-web-job@.service.d/00-limits.conf",
        "/etc/mainstay/shop-web/env",
        "/etc/systemd/system/shopping.target",
    ]
    apps = {**SHOP, "shop-web": {"source": {"path": "x"}, "processes": {"job": {"command": "run"}}}}
    described = model_of(apps=apps, host=host_of(model_of(apps=apps, host={"systemd_version": 252}), unproven=["web"]))
    described["apps"]["shop-web"]["changing"] = False
    assert deploy_steps.retreat(described, "started", files, RESULTS)["restore"] == files[:6]


def test_changed_secrets_settings_and_templates_concern_their_processes():
    host = host_of(DESCRIBED)
    changed = {"shop": {**SECRETS["shop"], "SECRET_KEY": "x" * 40}}
    described = model.model(SHOP, {"shop": "abc"}, plan=PLAN, variables=deploy_environment.environment(SHOP, changed), host=host)
    assert steps_of(described)["beside"] == _web(8002, 8003) and steps_of(described)["in place"] == WORKERS
    assert steps_of(model_of(host=host, template="another"))["in place"] == WORKERS
    plan = copy.deepcopy(PLAN)
    plan["shop"]["worker"]["concurrency"] = 4
    assert steps_of(model_of(plan=plan, host=host)) == {**NOTHING, "in place": ["shop-worker@1.service"]}


def test_memory_for_second_sets_is_shared_by_the_apps_of_a_run():
    again = {**copy.deepcopy(SHOP["shop"]), "sites": {}, "redis": [], "secrets": [], "database": "none"}
    again["processes"] = {"web": {"command": "run", "port": 9000}}
    apps = {**SHOP, "two": again}
    plan = {**PLAN, "two": {"web": PLAN["shop"]["web"]}}
    before = model_of(apps=apps, plan=plan, host={"systemd_version": 252})
    host = host_of(before)
    two = before["apps"]["two"]["processes"][0]
    host["paths"][two["record_path"]] = {"target": two["new_record"].replace("abc", "old")}
    modes = {
        surge: [
            next(item["mode"] for item in app["processes"] if item["name"] == "web")
            for app in model_of(apps=apps, plan=plan, release="def", host=host, surge_mb=surge)["apps"].values()
        ]
        for surge in (600, 1200)
    }
    assert modes == {600: ["beside", "in_place"], 1200: ["beside", "beside"]}


def test_the_gates_probe_every_process_of_what_changed():
    described = todo(unproven=["worker", "web"])[0]
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
