# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall as the kernel has it, and as a stranger on the network meets it."""

from __future__ import annotations

import json

import pytest
import strangers
from plays import only_on, play


@pytest.fixture(scope="module")
def knock(host):
    """Whether a stranger gets a connection to a port."""
    with strangers.stranger(host) as run:

        def knock(port, address=strangers.HOST):
            program = f"import socket; socket.create_connection(('{address}', {port}), 2)"
            return run(f'python3 -c "{program}"').rc == 0

        yield knock


@pytest.fixture
def listener(host):
    """A program that listens on every address of port 8999."""
    host.check_output("systemd-run --quiet --unit=mainstay-listener python3 -m http.server --bind :: 8999 && sleep 1")
    yield 8999
    host.check_output("systemctl stop mainstay-listener.service")


def test_ruleset_is_loaded_and_comes_back_at_boot(host):
    assert "policy drop" in host.check_output("nft list chain inet mainstay input")
    service = host.service("nftables.service")
    assert service.is_running
    assert service.is_enabled


@pytest.mark.parametrize("address", [strangers.HOST, strangers.HOST_IPV6])
def test_strangers_reach_ssh_and_nothing_undeclared(host, knock, listener, address):
    assert host.socket(f"tcp://{listener}").is_listening
    assert knock(22, address)
    assert not knock(listener, address)


def test_the_host_reaches_itself(host, listener):
    assert host.run(f"python3 -c \"import socket; socket.create_connection(('127.0.0.1', {listener}), 2)\"").rc == 0


@pytest.fixture
def published(host):
    """Port 8997, led on to another network as Docker does with what a container publishes."""
    box, table = "ip netns exec mainstay-box", "ip mainstay_published"
    host.check_output(
        "ip netns add mainstay-box && ip link add mainstay-box type veth peer name out netns mainstay-box"
        " && ip address add 192.0.2.1/24 dev mainstay-box && ip link set mainstay-box up"
        " && ip -n mainstay-box address add 192.0.2.2/24 dev out && ip -n mainstay-box link set out up"
        " && ip -n mainstay-box route add default via 192.0.2.1"
        f" && nft 'table {table} {{ chain lead {{ type nat hook prerouting priority dstnat; tcp dport 8997 dnat to 192.0.2.2:80; }}; }}'"
        f" && systemd-run --quiet --unit=mainstay-box {box} python3 -m http.server 80 && sleep 1"
    )
    forwards = host.check_output("sysctl --values net.ipv4.ip_forward")
    host.check_output("sysctl --quiet --write net.ipv4.ip_forward=1")
    yield 8997
    host.check_output(f"sysctl --quiet --write net.ipv4.ip_forward={forwards}; systemctl stop mainstay-box; nft delete table {table}")
    host.check_output("ip link delete mainstay-box; ip netns delete mainstay-box")


def test_what_a_container_publishes_is_held_to_the_same_rules(host, knock, published):
    assert not knock(published)
    assert "counter packets 0 " not in host.check_output("nft list chain inet mainstay published")
    host.check_output(f"nft insert rule inet mainstay published meta l4proto tcp ct original proto-dst {published} accept")
    try:
        assert knock(published)
    finally:
        host.check_output("systemctl reload nftables.service && /usr/local/lib/mainstay/firewall-guard status")


def test_too_many_ssh_connections_of_one_address_are_dropped(host, knock):
    # Through a second address of the stranger's, so that the other tests are not slowed down.
    host.check_output(f"ip -n {strangers.NAME} address add 198.51.100.3/24 dev mainstay-out")
    program = "import socket\nfor number in range(80):\n    socket.create_connection(('198.51.100.1', 22), 1, ('198.51.100.3', 0)).close()"
    # sshd itself needs a moment until it takes unknown visitors again.
    assert host.run(f'ip netns exec {strangers.NAME} python3 -c "{program}" && exit; sleep 5; exit 1').rc == 1
    assert knock(22)


def test_what_is_refused_is_counted(host, knock, listener):
    def closed():
        return json.loads(host.run("mainstay status --json").stdout)["firewall"]["closed"]

    before = closed()
    assert not knock(listener)
    assert closed() > before


def test_stopping_the_service_leaves_other_tables_alone(host):
    host.check_output("nft add table inet somebody_else")
    try:
        host.check_output("systemctl stop nftables.service")
        assert host.run("nft list table inet mainstay").rc != 0
        host.check_output("nft list table inet somebody_else")
        host.check_output("systemctl start nftables.service && nft list table inet mainstay")
        host.check_output("nft list table inet somebody_else")
    finally:
        host.check_output("systemctl start nftables.service; nft delete table inet somebody_else")


def test_rules_of_the_owner_s_are_loaded_before_ours_and_take_nothing_from_them(host):
    """At each boot; one of them is broken."""
    host.check_output("install -d /etc/nftables.d && echo 'table inet broken {' >/etc/nftables.d/broken.nft")
    host.check_output("printf 'table inet own\ndelete table inet own\ntable inet own {\n}\n' >/etc/nftables.d/own.nft")
    try:
        host.check_output("systemctl restart nftables.service && nft list table inet mainstay && nft list table inet own")
    finally:
        host.check_output("rm -r /etc/nftables.d; nft delete table inet own")


def test_no_guard_is_left_behind(host):
    assert host.check_output("systemctl list-units --all --no-legend 'mainstay-firewall-rollback*'") == ""
    host.check_output("/usr/local/lib/mainstay/firewall-guard status")


def test_a_table_that_somebody_changed_is_not_taken_for_loaded(host):
    host.check_output("nft 'insert rule inet mainstay input tcp dport 8999 accept'")
    try:
        assert host.run("/usr/local/lib/mainstay/firewall-guard status").rc == 1
    finally:
        host.check_output("systemctl reload nftables.service && /usr/local/lib/mainstay/firewall-guard status")


def test_the_loaded_table_is_known_with_and_without_the_names_of_protocols(host):
    """The package netbase brings them, maybe after the firewall."""
    host.check_output("/usr/local/lib/mainstay/firewall-guard status && mv /etc/protocols /etc/protocols.away")
    try:
        host.check_output("/usr/local/lib/mainstay/firewall-guard status")
    finally:
        host.check_output("mv /etc/protocols.away /etc/protocols")


@only_on("default", "it waits for the guard twice")
def test_rules_that_lock_the_operator_out_take_themselves_back(host):
    run = play("tests/integration/firewall_guard.yml", "--limit", "vps")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
