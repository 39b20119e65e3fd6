# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance for each app and purpose, on a port that is its own for good."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import redis
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, redis_ports, refusal, services, tiers
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP
from ansible_collections.mainstay.vps.tests.unit.stacks import one_host

BLOG = {**SHOP["shop"], "redis": ["cache"], "sites": {}, "processes": {"mailer": {"command": "x"}}}
SECRETS = {
    "blog": {"REDIS_CACHE_PASSWORD": "b"},
    "shop": {"REDIS_CACHE_PASSWORD": "c", "REDIS_QUEUE_PASSWORD": "q"},
}


@pytest.mark.parametrize(
    ("recorded", "ports"),
    [
        ({}, {"blog": {"cache": 6379}, "shop": {"cache": 6380, "queue": 6381}}),
        # The blog comes later: nobody moves.
        ({"shop-cache": 6379, "shop-queue": 6380}, {"blog": {"cache": 6381}, "shop": {"cache": 6379, "queue": 6380}}),
        # An app that went has left its port on record until its instance is gone, too.
        ({"gone-cache": 6379, "shop-queue": 6390}, {"blog": {"cache": 6380}, "shop": {"cache": 6381, "queue": 6390}}),
        ({"shop-cache": 80}, {"blog": {"cache": 6379}, "shop": {"cache": 6380, "queue": 6381}}),
    ],
)
def test_an_instance_keeps_its_port(recorded, ports):
    assert redis_ports.assigned_ports({**SHOP, "blog": BLOG}, recorded) == ports


def test_more_instances_than_ports_are_refused():
    recorded = {f"other{number}": port for number, port in enumerate(services.REDIS_PORTS[:-1])}
    with pytest.raises(refusal.DeclarationError, match=r"mainstay_apps.shop.redis: 'queue'.*6379 to 6431 are taken"):
        redis_ports.assigned_ports(SHOP, recorded)


def test_the_record_reaches_the_plan():
    paths = {"/var/lib/mainstay/redis/shop-cache": {"target": "6400"}, "/var/lib/mainstay/redis/odd": {"target": "x"}}
    paths["/var/lib/mainstay/backend/shop-web"] = {"target": "abc:1:8000"}
    hostvars = {"web1": {"mainstay_host": {"memory_mb": 4096, "cpus": 2, "paths": paths}}}
    hosts = tiers.plan_hosts(["web1"], hostvars, {tier: ["web1"] for tier in tiers.TIERS})
    assert hosts["web1"]["redis_ports"] == {"shop-cache": 6400}
    plan = capacity.plan(apps.normalise(SHOP), 100, hosts)
    assert redis.redis_ports(SHOP, plan, "web1") == {"shop": {"cache": 6400, "queue": 6379}}
    assert redis.redis_ports(SHOP) == {"shop": {"cache": 6379, "queue": 6380}}


def test_each_app_has_instances_of_its_own():
    declared = {**SHOP, "blog": BLOG}
    plan = capacity.plan(apps.normalise(declared), 100, one_host(4096, 2))
    instances = redis.redis_instances(declared, SECRETS, plan, "web1")
    assert [(item["name"], item["port"], item["durable"], item["maxmemory_policy"]) for item in instances] == [
        ("blog-cache", 6379, False, "allkeys-lru"),
        ("shop-cache", 6380, False, "allkeys-lru"),
        ("shop-queue", 6381, True, "noeviction"),
    ]
    assert [[user["name"] for user in item["users"]] for item in instances] == [["blog"], ["shop"], ["shop"]]
    assert instances[2]["users"][0]["password_sha256"] == hashlib.sha256(b"q").hexdigest()
    planned = plan["hosts"]["web1"]["redis"]["shop"]["queue"]
    assert all(instances[2][key] == planned[key] for key in ("maxmemory_mb", "maxclients", "nofile", "memory_max_mb"))


def test_apps_share_what_a_purpose_may_have():
    alone = capacity.plan(apps.normalise(SHOP), 100, one_host(8192, 4))["hosts"]["web1"]["redis"]["shop"]["cache"]["maxmemory_mb"]
    both = capacity.plan(apps.normalise({**SHOP, "blog": BLOG}), 100, one_host(8192, 4))["hosts"]["web1"]["redis"]
    assert both["shop"]["cache"]["maxmemory_mb"] == both["blog"]["cache"]["maxmemory_mb"] <= alone // 2


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("celery -A shop.tasks worker", ["celery"]),
        ("celery -A shop.tasks worker -Q high,low -c 2", ["high", "low"]),
        ("celery -A shop.tasks worker --queues=mail", ["mail"]),
        ("celery -A shop.tasks worker -Q '~*'", []),  # never a pattern in the server's own configuration
    ],
)
def test_the_lists_whose_length_is_no_secret(command, names):
    declared = apps.normalise(SHOP)
    declared["shop"]["processes"]["worker"]["command"] = command
    names = [*names, *(f"shop:{name}" for name in names)]  # and behind a prefix
    assert redis.celery_queues(declared["shop"]) == names
    lists = {item["name"]: item["lists"] for item in redis.redis_instances(declared, SECRETS)}
    assert lists == {"shop-cache": [], "shop-queue": names}


def test_without_a_plan_small_numbers_hold():
    (cache, queue) = redis.redis_instances(SHOP, SECRETS)
    assert (cache["port"], cache["maxmemory_mb"], cache["memory_max_mb"]) == (6379, 64, 0)
    assert queue["port"] == 6380 and redis.redis_instances(SHOP, {}) == []


@pytest.mark.parametrize(
    ("host", "retired"),
    [
        ({}, []),
        ({"paths": {}, "active": ["redis-server@theirs.service"]}, []),
        (
            {
                "paths": {
                    "/var/lib/mainstay/redis/gone-queue": {"target": "6400"},
                    "/var/lib/mainstay/redis/off-queue": {"target": "6401"},
                },
                "active": ["redis-server@gone-queue.service", "redis-server@shop-cache.service"],
                "enabled": ["redis-server@gone-queue.service"],
            },
            ["redis-server@gone-queue.service"],
        ),
        # What an earlier version ran for all apps together.
        (
            {"paths": {"/var/lib/redis/mainstay": {}}, "enabled": ["redis-server@queue.service"], "active": []},
            ["redis-server@queue.service"],
        ),
        ({"paths": {}, "enabled": ["redis-server@queue.service"]}, []),
    ],
)
def test_what_nobody_declares_any_more_is_retired(host, retired):
    assert redis.redis_retired(redis.redis_instances(SHOP, SECRETS), host) == retired


def test_an_instance_has_a_folder_and_its_port_on_record():
    places = redis.redis_places([{"name": "shop-cache", "port": 6390}])
    assert [(entry["dest"], entry.get("link")) for entry in places] == [
        ("/var/lib/redis/shop-cache", None),
        ("/var/lib/mainstay/redis/shop-cache", "6390"),
    ]
