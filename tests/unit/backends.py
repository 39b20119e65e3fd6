# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app as the role backend is told of it, for the tests of what it makes of it: units, environment, steps."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.plugins.module_utils.stack import instances
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

ROLE = Path(__file__).parents[2] / "roles/backend"
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


def model_of(apps=None, release="abc", plan=None, host=None, **settings):
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


def unit_of(name, **arguments):
    return next(unit for unit in model_of(**arguments)["units"] if unit["process"] == name)


def instances_of(name, **arguments):
    app = next(iter(model_of(**arguments)["apps"].values()))
    return next(item["instances"] for item in app["processes"] if item["name"] == name)


def variables_of(unit):
    return dict(json.loads(item.replace("%%", "%")).split("=", 1) for item in unit["environment"])


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


def host_of(described, release="abc", live=None, stopped=(), active=(), unproven=()):
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


DESCRIBED = model_of(host={"systemd_version": 252})


def steps_of(described, changed_files=()):
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


def todo(wanted="abc", plan=None, settings=None, changed_files=(), **host):
    described = model_of(release=wanted, plan=plan, host=host_of(DESCRIBED, **host), **(settings or {}))
    return described, steps_of(described, changed_files)
