# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate of a deploy, the agent, nginx and the proof of a host ask an instance at one address, whoever chose it."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model as deploy_model
from ansible_collections.mainstay.vps.plugins.module_utils.derive import nginx, probes, proof
from ansible_collections.mainstay.vps.plugins.module_utils.derive.agent import agent_config
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import tiers
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

HOST = {"memory_mb": 4096, "cpus": 2, "tiers": list(tiers.TIERS)}


@pytest.mark.parametrize(
    ("bind", "asked"),
    [(None, "127.0.0.1"), ("10.0.0.5", "10.0.0.5"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("fd00::5", "[fd00::5]")],
)
def test_everybody_asks_at_the_same_address(bind, asked):
    plan = capacity.plan(normalise(SHOP), 100, {"web1": {**HOST, "bind_address": bind}})
    listens = tiers.web_address(plan, "web1")
    model = deploy_model.model(SHOP, {"shop": "abc"}, plan["hosts"]["web1"]["processes"], bind_address=listens)
    asks = {
        "gate": [probe["url"] for process in model["apps"]["shop"]["processes"] for probe in process["probes"] if "url" in probe],
        "agent": [item["probe"]["url"] for item in agent_config(SHOP, plan, "web1", listens)["processes"] if item["kind"] == "web"],
        "proof": [probe["url"] for probe in proof.proof_probes(SHOP, plan, "web1") if "@" in probe["name"]],
        "nginx": [f"http://{server}" for upstream in nginx.nginx_upstreams(SHOP, plan, "web1") for server in upstream["servers"]],
    }
    for who, urls in asks.items():
        assert urls and all(url.startswith(f"http://{asked}:8") for url in urls), who


def checks(**changes):
    app = normalise({"shop": {**SHOP["shop"], **changes}})["shop"]
    return probes.checks(app, app["processes"]["web"], "127.0.0.1", 8000)


def test_a_declared_check_is_asked_as_a_visitor_would_be():
    common = {"kind": "http", "status": [200], "host_header": "shop.example.com", "headers": {"X-Forwarded-Proto": "https"}}
    assert checks() == {
        "health": {**common, "url": "http://127.0.0.1:8000/health", "timeout": 2},
        "readiness": {**common, "url": "http://127.0.0.1:8000/ready", "timeout": 5, "json": {"status": "healthy"}},
    }


def test_another_name_and_more_headers_are_declared():
    web = {**SHOP["shop"]["processes"]["web"], "health": {"path": "/ready", "host": "internal", "headers": {"X-Probe": "yes"}}}
    found = checks(processes={"web": web}, sites={})
    assert found.keys() == {"health"}, "health and readiness of one path are one question"
    assert found["health"]["host_header"] == "internal" and found["health"]["headers"] == {"X-Probe": "yes"}
    assert found["health"]["json"] == {"status": "healthy"}
    assert "host_header" not in checks(processes={"web": {**web, "health": {"path": "/ready"}}}, sites={})["health"]


@pytest.mark.parametrize(
    ("routes", "asked"),
    [
        ({"/": {"process": "web"}}, ["/health"]),
        ({"/": {"process": "web"}, "/ws": {"process": "web", "websocket": True}}, ["/health"]),
        ({"/": {"spa": "dist"}, "/api": {"process": "web", "strip_prefix": True}}, ["/", "/api/health"]),
        ({"/": {"spa": "dist"}, "/api": {"process": "web"}}, ["/"]),  # whose health is not for visitors
        ({"/": {"redirect": "https://example.com"}}, ["/"]),
        ({"/static": {"directory": "public"}}, []),
    ],
)
def test_a_site_is_visited_where_no_visit_counts(routes, asked):
    """An app may count whoever comes to its first page."""
    app = normalise({"shop": {**SHOP["shop"], "sites": {"shop.example.com": {"routes": routes}}}})["shop"]
    assert probes.pages(app, app["sites"]["shop.example.com"]) == asked
