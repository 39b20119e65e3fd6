# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures for Prometheus: on loopback, closed to the apps, all that rules and dashboard name, and a real Prometheus that fires and resolves."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES, SHARE = ROOT / "roles/exporters/files", "/usr/local/share/mainstay/prometheus"
PORTS = {"node": 9100, "nginx": 9113, "postgres": 9187, "redis": 9121}
API = "http://127.0.0.1:9090/api/v1"
# What a kernel without pressure stall information, and a host that lives with other hosts on one kernel, does not tell.
PERHAPS = {"node_pressure_io_waiting_seconds_total"}
ONCE_A_SECOND = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}


@pytest.fixture(scope="module")
def prometheus(host):
    """Debian's Prometheus with the host's own configuration and the rules, which wait for nothing here."""
    host.check_output("systemctl mask prometheus.service")  # its package starts it on every address
    host.check_output("apt-get install --yes --quiet --no-install-recommends prometheus 2>&1")
    host.check_output("rm -rf /run/prom && mkdir /run/prom && cp %s/*.yml /run/prom", SHARE)
    head = f"global: {json.dumps(ONCE_A_SECOND)}\nrule_files: [now.yml]"
    host.check_output("printf '%%s\\n' %s | cat - /run/prom/scrape.yml >/run/prom/prometheus.yml", head)
    host.check_output("sed -E 's/for: [0-9]+[mhd]/for: 2s/' /run/prom/rules.yml >/run/prom/now.yml")
    yield host
    host.run("systemctl stop prom.service")
    host.run("rm -rf /run/prom /etc/systemd/system/prometheus.service && systemctl daemon-reload")


def _ask(host, port, path="/metrics"):
    return host.check_output(f"curl --silent --fail 'http://127.0.0.1:{port}{path}'")


def test_they_listen_on_loopback_and_the_agent_watches_them(host):
    listening = host.check_output("ss --no-header --listening --tcp --numeric | awk '{print $4}'").split()
    assert {place for place in listening if int(place.rpartition(":")[2]) in PORTS.values()} == {
        f"127.0.0.1:{port}" for port in PORTS.values()
    }
    servers = json.loads(host.run("mainstay status --json").stdout)["servers"]
    health = {entry["server"]: entry["health"] for entry in servers if entry["server"].startswith("exporter/")}
    assert health == dict.fromkeys(("exporter/nginx", "exporter/node", "exporter/postgresql", "exporter/redis"), "up")


def test_an_app_does_not_reach_them(host):
    for port in PORTS.values():
        assert host.run(f"runuser -u chat -- curl --silent http://127.0.0.1:{port}/metrics").rc == 7, port
    assert host.run("runuser -u chat -- cat /run/mainstay-metrics/mainstay.prom").rc != 0


def test_the_exporter_of_postgresql_reads_statistics_and_nothing_else(host):
    sql = "runuser -u prometheus -- psql -XAtqc %s -h /run/postgresql -d %s"
    groups = "SELECT string_agg(r.rolname, ',') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE pg_get_userbyid(member) = 'prometheus'"
    assert host.check_output(sql, groups, "postgres") == "pg_monitor"
    assert (
        host.check_output(
            sql, "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication FROM pg_roles WHERE rolname = current_user", "postgres"
        )
        == "f"
    )
    assert "permission denied for database" in host.run(sql, "SELECT 1", "chat").stderr
    main = "systemctl show --property=MainPID --value prometheus-%s-exporter.service"
    users = [host.check_output(f"ps -o user:32= -p $({main})", name) for name in ("node", "redis", "nginx")]
    assert users and "prometheus" not in users and "root" not in users, "they could log in to PostgreSQL"


def test_what_rules_and_dashboard_name_is_told(host):
    told = "\n".join([*(_ask(host, port) for port in PORTS.values()), _ask(host, 9121, "/scrape?target=redis://127.0.0.1:6379")])
    there = set(re.findall(r"^# TYPE (\w+) ", told, re.MULTILINE))
    rules = [rule["expr"] for group in yaml.safe_load((FILES / "rules.yml").read_text())["groups"] for rule in group["rules"]]
    panels = [
        target["expr"] for panel in json.loads((FILES / "dashboard.json").read_text())["panels"] for target in panel.get("targets", [])
    ]
    named = {name for text in (*rules, *panels) for name in re.findall(r"\b(?:node|nginx|pg|redis)_\w+", re.sub(r'"[^"]*"', "", text))}
    assert len(named) > 25 and named - PERHAPS - there == set()
    assert 'mainstay_plan_memory_bytes{part="exporter-node"}' in told
    # Each minute; the last one may have been within a deploy of the tests before.
    _until(host, lambda host: 'mainstay_app_up{app="chat"} 1' in _ask(host, PORTS["node"]), 75)


def test_promtool_accepts_the_rules_and_their_tests(prometheus):
    prometheus.check_output("printf %%s %s >/run/prom/alerts.yml", (ROOT / "tests/prometheus/alerts.yml").read_text())
    assert "rules found" in prometheus.check_output("promtool check rules /run/prom/rules.yml")
    assert "SUCCESS" in prometheus.check_output("promtool test rules /run/prom/alerts.yml 2>&1")
    assert "SUCCESS" in prometheus.check_output("promtool check config /run/prom/prometheus.yml 2>&1")


def _firing(host):
    alerts = json.loads(host.check_output(f"curl --silent --fail {API}/alerts"))["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"}


def _asks_all(host):
    found = json.loads(host.check_output(f"curl --silent --fail '{API}/query?query=up'"))["data"]["result"]
    return [item["value"][1] for item in found] == ["1"] * (len(PORTS) + 1)  # two instances of Redis


def _until(host, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what(host):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def test_an_alert_fires_for_a_fault_and_resolves(prometheus):
    run = "prometheus --config.file=/run/prom/prometheus.yml --storage.tsdb.path=/run/prom/data --web.listen-address=127.0.0.1:9090"
    prometheus.check_output(f"systemd-run --quiet --collect --unit=prom {run}")
    prometheus.check_output(f"timeout 20 sh -c 'until curl --silent --fail {API}/alerts; do sleep 0.2; done'")
    _until(prometheus, _asks_all)
    prometheus.check_output("systemctl stop redis-server@chat-cache.service")
    try:
        _until(prometheus, lambda host: "MainstayRedisAway" in _firing(host))
        found = _firing(prometheus)
        assert found["MainstayRedisAway"].items() >= {"instance": "molecule-node", "redis": "chat-cache", "severity": "critical"}.items()
    finally:
        prometheus.check_output("systemctl start redis-server@chat-cache.service")
    _until(prometheus, lambda host: "MainstayRedisAway" not in _firing(host))
    assert {"MainstayExporterAway", "MainstayNginxAway", "MainstayPostgresqlAway"} & set(_firing(prometheus)) == set()
