# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from one variable: exporters where their servers are, counted, watched, proved, and closed to the apps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.derive import egress, exporters, firewall, packages, proof, servers
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import tiers
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

ROOT = Path(__file__).parents[5]
FILES = ROOT / "roles/exporters/files"
LOCAL = {"address": "127.0.0.1", "from": []}
PRIVATE = {"address": "10.0.0.5", "from": ["10.0.0.9/32"]}


def _plan(prometheus=None, apps=None, serves=tiers.TIERS, **more):
    host = {"tiers": list(serves), "memory_mb": 4096, "cpus": 2, "prometheus": LOCAL if prometheus is None else prometheus} | more
    return capacity.plan(normalise(SHOP if apps is None else apps), 100, {"web1": host})


def test_an_exporter_for_each_server_that_is_there():
    assert [entry["name"] for entry in exporters.exporters(_plan(), "web1")] == ["nginx", "node", "postgresql", "redis"]
    bare = {"jobs": {"source": {"path": "x"}, "processes": {"worker": {"command": "x"}}}}
    assert [entry["name"] for entry in exporters.exporters(_plan(apps=bare), "web1")] == ["node"], "nginx has no figures without a site"
    assert exporters.exporters(_plan({}), "web1") == exporters.exporters({}, "web1") == []


def test_that_of_mariadb_logs_in_without_a_password_and_has_no_right():
    apps = {"jobs": {"source": {"path": "x"}, "database": "mariadb", "processes": {"worker": {"command": "x"}}}}
    plan = _plan(apps=apps)
    assert [entry["name"] for entry in exporters.exporters(plan, "web1")] == ["mariadb", "node"]
    assert plan["connections"]["mariadb"]["parts"]["exporter"] == 2
    unit = exporters.exporter_units(exporters.exporters(plan, "web1"))[0]
    assert unit["unit"] == "prometheus-mysqld-exporter.service" and unit["sandbox"] == "exporter-mariadb"
    assert unit["environment"]["DATA_SOURCE_NAME"] == "prometheus@unix(/run/mysqld/mysqld.sock)/"
    assert "--no-collect.slave_status" in unit["command"] and exporters.MARIADB_CLIENT in unit["command"]
    probe = next(item for item in proof.proof_probes(apps, plan, "web1") if item["name"] == "exporter mariadb")
    assert re.search(probe["body_regex"], 'x\nmysql_exporter_collector_success{collector="collect.global_status"} 1\n')


def test_their_memory_is_counted_and_theirs_alone():
    without, with_them = _plan({})["hosts"]["web1"], _plan()["hosts"]["web1"]
    mine = {name: size for name, size in with_them["memory"]["parts"].items() if name.startswith("exporter-")}
    assert set(mine) == {f"exporter-{name}" for name in ("nginx", "node", "postgresql", "redis")}
    assert not [name for name in without["memory"]["parts"] if name.startswith("exporter-")] and "exporters" not in without
    assert (
        _plan()["connections"]["postgresql"]["parts"]["exporter"] == 2 and "exporter" not in _plan({})["connections"]["postgresql"]["parts"]
    )
    assert sum(with_them["memory"]["parts"].values()) + with_them["memory"]["reserve_mb"] <= with_them["memory"]["total_mb"]
    for name, size in mine.items():
        limits = with_them["services"][name]
        assert with_them["memory"]["parts"][name] == size
        assert limits["memory_max_mb"] == size > limits["heap_mb"] and limits["tasks_max"] > 8


def test_a_host_that_is_too_small_for_them_is_told_so():
    smallest = next(memory for memory in range(700, 4096, 4) if _fits(memory, {}))
    with pytest.raises(capacity.PlanError, match=r"exporter-node[\s\S]*Leave mainstay_prometheus out for web1\."):
        _plan(memory_mb=smallest)


def _fits(memory, prometheus):
    try:
        return _plan(prometheus, memory_mb=memory)
    except capacity.PlanError:
        return None


def test_their_units():
    found = {unit["name"]: unit for unit in exporters.exporter_units(exporters.exporters(_plan(), "web1"))}
    assert set(found) == {f"prometheus-{name}-exporter" for name in ("nginx", "node", "postgres", "redis")}
    for name, unit in found.items():
        assert unit["unit"] == f"{name}.service" and unit["peers"] == ["localhost"]
        assert unit["command"].startswith(f"/usr/bin/{name} --web.listen-address=127.0.0.1:")
        assert not re.search(r"(?i)passw|secret|token", json.dumps(unit))
    assert found["prometheus-postgres-exporter"]["environment"]["DATA_SOURCE_NAME"].startswith("user=prometheus host=/run/postgresql ")


def test_in_a_private_network():
    plan = _plan(PRIVATE)
    wanted = exporters.exporters(plan, "web1")
    unit = next(unit for unit in exporters.exporter_units(wanted) if unit["name"] == "prometheus-node-exporter")
    assert "--web.listen-address=10.0.0.5:9100" in unit["command"] and unit["peers"] == ["localhost", "10.0.0.5", "10.0.0.9/32"]
    opened = [rule for rule in firewall.firewall_rules(SHOP, plan, "web1") if "Prometheus" in rule["comment"]]
    assert {rule["port"] for rule in opened} == {9100, 9113, 9121, 9187} and all(rule["from"] == ["10.0.0.9/32"] for rule in opened)
    assert firewall.nft_rules(opened)[0].startswith("ip saddr { 10.0.0.9/32 } tcp dport ")
    assert not [rule for rule in firewall.firewall_rules(SHOP, _plan(), "web1") if "Prometheus" in rule["comment"]]
    probe = next(item["probe"] for item in servers.servers_of(normalise(SHOP), plan, "web1", "15") if item["name"] == "exporter/node")
    assert probe == {"kind": "hangup", "port": 9100, "host": "10.0.0.5"}


def test_an_address_of_ipv6():
    command = exporters.exporter_units([{"name": "node", "address": "fd00::5", "port": 9100}])[0]["command"]
    assert "--web.listen-address=[fd00::5]:9100 " in command


def test_apps_and_their_builds_do_not_reach_them():
    refused = "fib daddr type local tcp dport { 9113, 9100, 9187, 9121 } reject with tcp reset"
    chains = {chain["name"]: chain["rules"] for chain in egress.egress_chains(SHOP, _plan(), "web1")}
    assert set(chains) == {"app-shop", "build-shop"}
    for rules in chains.values():
        figures = [rule for rule in rules if set(re.findall(r"\b9\d{3}\b", rule))]
        assert [sorted(re.findall(r"\d{4}", rule)) for rule in figures] == [sorted(re.findall(r"\d{4}", refused))]
        assert figures[0].endswith("reject with tcp reset") and rules.index(figures[0]) == 1
    assert not [rule for chain in egress.egress_chains(SHOP, _plan({}), "web1") for rule in chain["rules"] if "9100" in rule]


def test_the_agent_watches_them_and_the_proof_asks_them():
    watched = {item["name"]: item for item in servers.servers_of(normalise(SHOP), _plan(), "web1", "15")}
    assert watched["exporter/postgresql"] == {
        "name": "exporter/postgresql",
        "unit": "prometheus-postgres-exporter.service",
        "probe": {"kind": "hangup", "port": 9187},
    }
    probes = {probe["name"]: probe for probe in proof.proof_probes(SHOP, _plan(), "web1") if probe["name"].startswith("exporter")}
    assert set(probes) == {"exporter node", "exporter nginx", "exporter postgresql", "exporter redis of 6379", "exporter redis of 6380"}
    assert probes["exporter redis of 6380"]["url"] == "http://127.0.0.1:9121/scrape?target=redis://127.0.0.1:6380"
    two = {**SHOP, "blog": {**SHOP["shop"], "processes": {"web": {"command": "x", "port": 9000}}, "sites": {}}}
    alone = proof.proof_probes({"blog": two["blog"]}, _plan(apps=two), "web1")
    ports = {str(settings["port"]) for settings in _plan(apps=two)["hosts"]["web1"]["redis"]["blog"].values()}
    assert {probe["url"][-4:] for probe in alone if "redis of" in probe["name"]} == ports, "the plan knows others"
    assert not [probe for probe in proof.proof_probes(SHOP, _plan({}), "web1") if probe["name"].startswith("exporter")]


def test_their_packages_come_with_the_others():
    wanted = packages.stack_packages(SHOP, tiers.TIERS, "servers", _plan()["hosts"]["web1"]["exporters"])
    assert {"prometheus-node-exporter", "prometheus-postgres-exporter"} < set(wanted)
    assert not [name for name in packages.stack_packages(SHOP, tiers.TIERS) if "exporter" in name]
    assert {name for name in wanted if "exporter" in name} < set(packages.stack_packages({}, [], "start_later"))


def test_what_is_left_of_them():
    files = [f"/etc/systemd/system/prometheus-{name}-exporter.service.d/mainstay.conf" for name in ("node", "postgres", "blackbox")]
    host = {"paths": {file: {"type": "file"} for file in files}}
    assert [item["name"] for item in exporters.exporters_left(host)] == ["node", "postgresql"]
    left = [{"name": "postgresql", "unit": "prometheus-postgres-exporter.service"}]
    assert exporters.exporters_left(host, [{"name": "node"}]) == left and exporters.exporters_left({}) == []


def test_what_prometheus_is_told():
    plan = _plan()
    jobs = {job["job_name"]: job for job in exporters.scrape_configs(exporters.exporters(plan, "web1"), plan, "web1")}
    assert jobs["mainstay-node"]["static_configs"] == [{"targets": ["127.0.0.1:9100"], "labels": {"instance": "web1"}}]
    redis = jobs["mainstay-redis"]
    assert redis["metrics_path"] == "/scrape" and [item["targets"] for item in redis["static_configs"]] == [
        ["redis://127.0.0.1:6379"],
        ["redis://127.0.0.1:6380"],
    ]
    assert [item["labels"]["evicts"] for item in redis["static_configs"]] == ["true", "false"]


# --- rules and dashboard -------------------------------------------------------------------------------------------------


def expressions():
    """Every expression of the rules and the dashboard, with where it stands."""
    rules = yaml.safe_load((FILES / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((FILES / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


NAMES = re.compile(r"\b(?:mainstay|mysql|node|nginx|pg|redis)_\w+")


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_the_agent_s_figures_that_are_named_are_told(where, expression):
    """Those of the exporters are compared with a host: test_prometheus.py of molecule."""
    text = (ROOT / "roles/monitoring/files/mainstay/metrics.py").read_text()
    told = set(re.findall(r'^    "(mainstay_\w+)": \(', text, re.MULTILINE))
    bare = re.sub(r'"[^"]*"', '""', expression)
    named = set(NAMES.findall(bare))
    assert named or expression.startswith("up{"), "each asks for something"
    assert {name for name in named if name.startswith("mainstay_")} <= told


def test_the_panels_of_the_dashboard_lie_beside_each_other():
    board = json.loads((FILES / "dashboard.json").read_text())
    taken = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24 and (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_alert_says_what_to_do():
    for group in yaml.safe_load((FILES / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["alert"].startswith("Mainstay") and rule["labels"]["severity"] in ("critical", "warning", "info")
            assert "$labels.instance" in rule["annotations"]["summary"] and rule["annotations"]["description"]
