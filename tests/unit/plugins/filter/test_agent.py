# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mainstay.vps.plugins.filter import agent, files
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

agent_config, applied_plan = (agent.FilterModule().filters()[name] for name in ("agent_config", "applied_plan"))
copy_entries = files.FilterModule().filters()["copy_entries"]
HOSTS = {
    "web1": {"tiers": ["proxy", "backend"], "memory_mb": 4096, "cpus": 2},
    "db1": {"tiers": ["database", "cache"], "memory_mb": 4096, "cpus": 2},
}
PLAN = capacity.plan(apps.normalise(SHOP), 100, HOSTS)


def test_every_instance_of_the_plan_is_watched():
    config = agent_config(SHOP, PLAN, "web1")
    planned = PLAN["hosts"]["web1"]["processes"]["shop"]
    web = [item for item in config["processes"] if item["process"] == "web"]
    assert (config["version"], config["host"]) == (1, "web1")
    assert [item["unit"] for item in web] == [f"shop-web@{8000 + n}.service" for n in range(planned["web"]["instances"])]
    assert web[0]["probe"] == {"kind": "http", "url": "http://127.0.0.1:8000/health", "status": [200], "timeout": 2,
                               "host_header": "shop.example.com", "headers": {"X-Forwarded-Proto": "https"}}  # fmt: skip
    assert web[0]["memory_max_mb"] == planned["web"]["memory_max_mb"]
    assert {item["process"] for item in config["processes"]} == {"beat", "mailer", "web", "worker"}


def test_what_commands_need_to_know_of_an_app():
    assert agent_config(SHOP, {}, "x")["apps"] == {
        "shop": {
            "user": "shop",
            "root": "/srv/shop",
            "env_file": "/etc/mainstay/shop/env",
            "runtime": "python",
            "volumes": {},
            "directory": "",
            "ports": {"web": [8000, 8001]},
        }
    }
    instances = PLAN["hosts"]["web1"]["processes"]["shop"]["web"]["instances"]
    assert agent_config(SHOP, PLAN, "web1")["apps"]["shop"]["ports"]["web"] == list(range(8000, 8000 + 2 * instances))


def test_without_a_plan_auto_is_one():
    config = agent_config(SHOP, {}, "anywhere")
    assert [(item["unit"], item["kind"], item["memory_max_mb"]) for item in config["processes"]] == [
        ("shop-beat@1.service", "worker", None),
        ("shop-mailer@1.service", "worker", None),
        ("shop-web@8000.service", "web", None),
        ("shop-worker@1.service", "celery", None),
    ]


@pytest.mark.parametrize(
    ("command", "runtime", "heartbeat", "kind"),
    [
        ("celery -A shop beat", "python", None, "beat"),
        ("celery -A shop beat", "python", {"file": "b"}, "heartbeat"),
        ("celery -A shop beat", "container", None, None),
        ("celery -A shop worker -B", "python", None, None),
        ("celery -A beat worker -P gevent --beat", "python", None, None),
        ("python beat.py", "python", None, None),
    ],
)
def test_celerys_beat_is_seen_without_its_help(command, runtime, heartbeat, kind):
    source = {"image": "registry.example.com/x@sha256:" + "a" * 64} if runtime == "container" else {"path": "."}
    process = {"command": command, **({"heartbeat": heartbeat} if heartbeat else {})}
    config = agent_config({"x": {"runtime": runtime, "source": source, "processes": {"b": process}}}, {}, "web1")
    assert ((config["processes"][0]["probe"] or {}).get("kind")) == kind


def test_a_worker_is_asked_by_its_heartbeat_or_not_at_all():
    probes = {item["process"]: item["probe"] for item in agent_config(SHOP, {}, "x")["processes"]}
    assert probes["mailer"] == {"kind": "heartbeat", "file": "/run/shop/mailer.heartbeat", "max_age": 180}
    assert probes["worker"] is None
    assert probes["beat"] == {"kind": "beat"}


@pytest.mark.parametrize(("declared", "plan", "host"), [(SHOP, PLAN, "db1"), ({}, {}, "x"), ({}, PLAN, "web1")])
def test_where_nothing_runs_nothing_is_watched(declared, plan, host):
    config = agent_config(declared, plan, host)
    assert (config["processes"], config["apps"]) == ([], {})


def test_the_normal_form_is_as_good_as_the_declaration():
    assert agent_config(apps.normalise(SHOP), PLAN, "web1") == agent_config(SHOP, PLAN, "web1")


def test_a_wrong_declaration_is_refused_in_words():
    with pytest.raises(AnsibleFilterError, match="mainstay_apps.shop.sorce"):
        agent_config({"shop": {**SHOP["shop"], "sorce": 1}}, {}, "x")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/health"),
        ("0.0.0.0", "http://127.0.0.1:8000/health"),
        ("10.0.0.5", "http://10.0.0.5:8000/health"),
        ("fd00::5", "http://[fd00::5]:8000/health"),
    ],
)
def test_the_app_is_asked_where_it_listens(address, url):
    web = next(item for item in agent_config(SHOP, {}, "x", address)["processes"] if item["process"] == "web")
    assert web["probe"]["url"] == url


def test_files_go_to_the_same_place():
    assert copy_entries(["/r/files/m/b.py", "/r/files/m/a/a.py"], "/r/files", "/usr/lib") == [
        {"dest": "/usr/lib/m/a/a.py", "file": "/r/files/m/a/a.py"},
        {"dest": "/usr/lib/m/b.py", "file": "/r/files/m/b.py"},
    ]


def test_files_that_are_copied_have_the_owner_that_is_named():
    assert copy_entries(["/r/files/a.py"], "/r/files", "/usr/lib", owner="root", mode="0644") == [
        {"dest": "/usr/lib/a.py", "file": "/r/files/a.py", "owner": "root", "mode": "0644"}
    ]


def test_the_plan_on_the_host_is_its_own_part():
    applied = applied_plan(PLAN, "db1")
    assert applied["plan"] == PLAN["hosts"]["db1"] and applied["connections"] == PLAN["connections"]
    assert (applied["host"], applied["users"]) == ("db1", 100)
    assert applied_plan(PLAN, "web9") == applied_plan({}, "web1") == {}


WHOLE = {"web1": {"tiers": ["proxy", "backend", "database", "cache"], "memory_mb": 4096, "cpus": 2}}


def test_what_the_agent_sees_of_an_app_s_servers():
    plan = capacity.plan(apps.normalise(SHOP), 100, WHOLE)
    config = agent_config(SHOP, plan, "web1")
    shop = config["apps"]["shop"]
    sites = apps.normalise(SHOP)["shop"]["sites"]
    assert config["sites"] == [
        {"name": name, "app": "shop", "tls": site["tls"]["kind"] != "none", "paths": ["/health"]} for name, site in sites.items()
    ]
    assert shop["connections"] == plan["connections"]["postgresql"]["roles"]["shop"]
    assert shop["queue"] == {"port": plan["hosts"]["web1"]["redis"]["shop"]["queue"]["port"], "names": ["celery", "shop:celery"]}
    assert "queue" not in agent_config(SHOP, PLAN, "web1")["apps"]["shop"]  # its Redis is another host's


def test_of_several_backends_none_counts_all_connections():
    hosts = {**WHOLE, "web2": {"tiers": ["backend"], "memory_mb": 4096, "cpus": 2}}
    config = agent_config(SHOP, capacity.plan(apps.normalise(SHOP), 100, hosts), "web1")
    assert "connections" not in config["apps"]["shop"]


def test_how_long_a_request_may_take():
    shop = apps.normalise(SHOP)
    for seconds, route in zip((90, 120), next(iter(shop["shop"]["sites"].values()))["routes"].values()):
        route.update(timeout=seconds, process="web")
    found = {item["process"]: item["patience"] for item in agent_config(shop, {}, "x")["processes"]}
    assert found["web"] in (90, 120) and found["worker"] is None
