# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import adoption, exporters, tiers
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP


@pytest.mark.parametrize("nothing", [None, False, {}])
def test_nobody_wants_figures(nothing):
    assert exporters.prometheus(nothing) == {}
    exporters.refuse_taken({}, normalise({"prometheus": SHOP["shop"]}), None)


@pytest.mark.parametrize(
    ("declared", "normal"),
    [
        ({"address": "127.0.0.1"}, {"address": "127.0.0.1", "from": []}),
        ({"address": "::1", "from": []}, {"address": "::1", "from": []}),
        ({"address": "10.0.0.5", "from": ["10.0.0.9"]}, {"address": "10.0.0.5", "from": ["10.0.0.9/32"]}),
        ({"address": "fd00::5", "from": ["fd00::/64"]}, {"address": "fd00::5", "from": ["fd00::/64"]}),
    ],
)
def test_where_they_are_told(declared, normal):
    assert exporters.prometheus(declared) == normal


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (True, ["mainstay_prometheus: True", "{address: 127.0.0.1}"]),
        ({"adress": "127.0.0.1"}, ["mainstay_prometheus.adress", "address"]),
        ({"address": "web1"}, ["mainstay_prometheus.address: 'web1'", "IP address"]),
        ({"address": "0.0.0.0"}, ["mainstay_prometheus.address", "neither a password nor TLS"]),
        ({"address": "8.8.8.8", "from": ["10.0.0.0/8"]}, ["mainstay_prometheus.address", "private network"]),
        ({"address": "127.0.0.1", "from": ["10.0.0.9"]}, ["mainstay_prometheus.from", "leave it out"]),
        ({"address": "10.0.0.5"}, ["mainstay_prometheus.from", "who may ask at 10.0.0.5"]),
        ({"address": "10.0.0.5", "from": ["0.0.0.0/0"]}, ["mainstay_prometheus.from", "everybody"]),
        ({"address": "10.0.0.5", "from": ["x"]}, ["mainstay_prometheus.from[0]"]),
    ],
)
def test_what_cannot_work_is_refused(declared, words):
    with pytest.raises(DeclarationError) as refusal:
        exporters.prometheus(declared)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_an_app_that_has_their_port_or_their_name_is_refused():
    wanted = exporters.prometheus({"address": "127.0.0.1"})
    shop = {"shop": {**SHOP["shop"], "processes": {"web": {"command": "x", "port": 9186}}, "sites": {}}}
    exporters.refuse_taken({}, normalise(shop), lambda app, process: 1)
    with pytest.raises(DeclarationError) as refusal:
        exporters.refuse_taken(wanted, normalise(shop), lambda app, process: 1)
    assert "mainstay_apps.shop.processes.web.port: 9186" in str(refusal.value) and "9187" in str(refusal.value)
    with pytest.raises(DeclarationError, match="needs the user prometheus"):
        exporters.refuse_taken(wanted, normalise({"prometheus": SHOP["shop"]}), lambda app, process: 1)
    exporters.refuse_taken(wanted, normalise(SHOP), lambda app, process: 2)


def test_the_plan_is_told_of_hosts_that_want_figures():
    snapshot = {"mainstay_host": {"memory_mb": 2048, "cpus": 2}}
    hostvars = {"web1": {**snapshot, "mainstay_prometheus": {"address": "127.0.0.1"}}, "web2": {**snapshot, "mainstay_prometheus": {}}}
    groups = {"backend": ["web1", "web2"]}
    assert tiers.plan_hosts(["web1"], hostvars, groups)["web1"]["prometheus"] == {"address": "127.0.0.1", "from": []}
    assert "prometheus" not in tiers.plan_hosts(["web2"], hostvars, groups)["web2"]


def test_exporters_of_somebody_s_are_not_taken_without_a_word():
    wanted, name = {"address": "127.0.0.1", "from": []}, "prometheus-node-exporter.service"
    host = {"active": [name, "nginx.service"], "paths": {}}
    with pytest.raises(ValueError, match=rf"web1 tells somebody's Prometheus already: {name}\. .*mainstay_adopt: \[exporters\]"):
        adoption.refuse_foreign_exporters(wanted, host, [], "web1")
    adoption.refuse_foreign_exporters({}, host, [], "web1")
    adoption.refuse_foreign_exporters(wanted, host, ["exporters"], "web1")
    adoption.refuse_foreign_exporters(wanted, {**host, "paths": {f"/etc/systemd/system/{name}.d/mainstay.conf": {}}}, [], "web1")
    adoption.refuse_foreign_exporters(wanted, {}, [], "web1")
