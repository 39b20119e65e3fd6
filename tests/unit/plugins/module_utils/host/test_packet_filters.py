# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls as nft and iptables told them on Debian 13 (nft 1.1.3): `recorded/` is what was printed, with our own table and fail2ban's in one."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import packet_filters

RECORDED = pathlib.Path(__file__).parent / "recorded"
FOUND = [("", "chain INPUT")]
LEGACY = """-P INPUT DROP
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("firewalld", [("firewalld", "table inet firewalld, chain filter_INPUT")]),
        ("ufw", [("ufw", "table ip filter, chain INPUT"), ("ufw", "table ip6 filter, chain INPUT")]),
        ("iptables", [("iptables", "table ip filter, chain INPUT")]),
        ("iptables-reject", [("iptables", "table ip filter, chain INPUT")]),
        ("own", [("", "table inet filter, chain input")]),
        ("open", []),
    ],
)
def test_chains_that_drop_what_they_do_not_know_are_found(name, found):
    assert packet_filters.from_nftables((RECORDED / f"nft-{name}.json").read_text()) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LEGACY, [("", "chain INPUT")]),
        (LEGACY.replace("DROP", "ACCEPT"), []),
        (LEGACY.replace("DROP", "ACCEPT") + "-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", [("", "chain INPUT")]),
        ("-P INPUT DROP\n-A INPUT -j ufw-before-input\n", [("ufw", "chain INPUT")]),
        ("-P INPUT ACCEPT\n", []),
        (
            "-P INPUT ACCEPT\n-N OURS\n-A INPUT -j OURS\n-A OURS -p tcp -j ACCEPT\n-A OURS -m limit --limit 5/min -j LOG\n-A OURS -j DROP\n",
            FOUND,
        ),
        ('-P INPUT ACCEPT\n-A INPUT -m comment --comment "drop the rest" -j REJECT --reject-with icmp-host-prohibited\n', FOUND),
        ("-P INPUT ACCEPT\n-N OURS\n-A INPUT -s 192.0.2.0/24 -j OURS\n-A OURS -j DROP\n", []),
        ("-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j RETURN\n", []),
        ("-P INPUT ACCEPT\n-N wg0\n-A INPUT -i wg0 -j RETURN\n-A wg0 -j DROP\n", []),  # a chain with the name of an interface
        ("-P INPUT ACCEPT\n-N A\n-N B\n-A INPUT -j A\n-A A -j B\n-A B -g A\n", []),
    ],
)
def test_so_are_those_of_iptables_alone(text, found):
    assert packet_filters.from_iptables(text) == found


class Program:
    def __init__(self, text, reason=""):
        self.text, self.reason = text, reason

    def finish(self, _seconds):
        return self.text


def test_a_program_that_cannot_tell_leaves_a_note():
    notes = []
    programs = {
        "iptables-legacy": (Program(LEGACY), packet_filters.from_iptables),
        "nft": (Program(None, "nft failed: Operation not permitted"), packet_filters.from_nftables),
    }
    assert packet_filters.found(programs, notes) == [{"by": "iptables-legacy", "chain": "chain INPUT"}]
    assert notes == ["packet_filters: nft failed: Operation not permitted"]


@pytest.mark.parametrize(
    ("programs", "active", "found"),
    [
        ({}, ["firewalld.service", "ssh.service"], [{"by": "firewalld", "chain": "firewalld.service"}]),  # Debian 12 has no nft then
        ({}, ["ssh.service"], []),
        (
            {"nft": (Program((RECORDED / "nft-firewalld.json").read_text()), packet_filters.from_nftables)},
            ["firewalld.service"],
            [{"by": "firewalld", "chain": "table inet firewalld, chain filter_INPUT"}],
        ),
    ],
)
def test_a_firewall_that_needs_no_program_to_write_its_rules_is_found_by_its_unit(programs, active, found):
    assert packet_filters.found(programs, [], active) == found
