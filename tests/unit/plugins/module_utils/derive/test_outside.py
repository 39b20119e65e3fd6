# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.outside import outside, visited_at

RULES = [
    {"port": 80, "protocol": "tcp", "comment": "web sites"},
    {"port": "443"},
    {"port": 443, "protocol": "udp"},
    {"port": 5432, "protocol": "tcp", "from": ["10.0.0.2"]},
    {"port": "8000-8003", "protocol": "tcp"},
    {"port": 9000, "protocol": "tcp"},
    {"port": 25, "protocol": "tcp"},
]
LISTENERS = [
    {"port": port, "protocol": protocol, "address": address}
    for port, protocol, address in (
        (80, "tcp", "0.0.0.0"),
        (443, "tcp", "::"),
        (443, "udp", "0.0.0.0"),
        (5432, "tcp", "10.0.0.1"),
        (8000, "tcp", "10.0.0.1"),
        (25, "tcp", "127.0.0.1"),
        (22, "tcp", "0.0.0.0"),
    )
]


def test_what_everybody_may_connect_to_is_asked():
    found = outside(RULES, LISTENERS, "203.0.113.5")
    assert found == {
        "address": "203.0.113.5",
        "ports": [80, 443],
        "quic": [443],
        "closed": [],
        "told": "the control node reaches 80/tcp, 443/tcp, 443/udp at 203.0.113.5",
    }
    assert outside(RULES[3:5], LISTENERS, "web1")["told"] == "nothing but SSH is open to everybody"
    assert outside([{"port": 53, "protocol": "udp"}], [{"port": 53, "protocol": "udp", "address": "::"}], "web1")["quic"] == []


def test_what_only_the_firewall_closes_is_asked_too():
    """Of what listens there, and is not let in for anybody."""
    listeners = [*LISTENERS, *({"port": port, "protocol": "tcp", "address": "0.0.0.0"} for port in (3000, 3002, 5432, 9000))]
    closed = ["3000-3003", "5432-5432", "9000-9001", "25-25"]
    assert outside(RULES, listeners, "203.0.113.5", closed=closed)["closed"] == [3000, 3002]
    assert outside(RULES, listeners, "203.0.113.5", closed=closed, asked=False)["closed"] == []


@pytest.mark.parametrize(
    ("asking", "told"),
    [
        ({"address": "127.0.0.1"}, "not asked: SSH comes by a forwarded port of 127.0.0.1; mainstay_outside_address names"),
        ({"address": "localhost"}, "not asked: SSH comes by a forwarded port"),
        ({"address": "web1", "connection": "local"}, "not asked: Ansible runs on the host itself"),
        ({"address": "web1", "ssh_arguments": "-C -o ProxyJump=gate"}, "not asked: SSH goes over another host"),
        ({"address": "web1", "ssh_arguments": "-o ProxyCommand='ssh -W %h:%p gate'"}, "not asked: SSH goes over another host"),
        ({"address": "web1", "ssh_arguments": "-J gate"}, "not asked: SSH goes over another host"),
        ({"address": "web1", "asked": False}, "not asked: mainstay_outside is false"),
    ],
)
def test_where_the_control_node_cannot_tell_it_says_so(asking, told):
    found = outside(RULES, LISTENERS, **asking)
    assert found["ports"] == found["quic"] == [] and found["told"].startswith(told)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"mainstay_outside_address": "203.0.113.5", "ansible_host": "127.0.0.1"}, "203.0.113.5"),
        ({"mainstay_outside_address": "", "ansible_host": "10.0.0.4"}, "10.0.0.4"),
        ({"ansible_host": "10.0.0.4"}, "10.0.0.4"),
        ({}, "web1"),
    ],
)
def test_a_host_is_found_where_somebody_has_said_so_else_where_ansible_finds_it(variables, address):
    assert visited_at({"inventory_hostname": "web1", "mainstay_address": "10.0.0.9", **variables}) == address
