# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished host as its user sees it: the site, its application, its database and queue."""

from __future__ import annotations

import json
import time

from plays import only_on, play, words

CURL = "curl --ipv4 --silent --show-error --insecure --max-time 10"
SITE = "https://localhost"


def _json(host, path, options=""):
    return json.loads(host.check_output(f"{CURL} {options} {SITE}{path}"))


def test_application_is_healthy_through_nginx_and_tls(host):
    ready = _json(host, "/ready")
    assert ready["status"] == "healthy"
    assert ready["components"] == {"database": "healthy", "redis": "healthy", "queue": "healthy"}


def test_a_queued_task_comes_back_done(host):
    order = _json(host, "/orders", '-X POST -H \'Content-Type: application/json\' -d \'{"item": "tea", "quantity": 2}\'')
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = _json(host, f"/orders/{order['id']}")
        if found["status"] == "done":
            return
        time.sleep(1)
    raise AssertionError(found)


def test_plain_http_is_sent_to_https(host):
    head = host.check_output("curl --ipv4 --silent --head http://localhost/x")
    assert head.startswith("HTTP/1.1 301")
    assert "Location: https://localhost/x" in head


def test_unknown_names_get_no_answer(host):
    assert host.run("curl --silent --max-time 5 http://127.0.0.1/").rc in (52, 56)  # the connection is closed, or reset
    assert host.run("curl --silent --insecure --max-time 5 https://127.0.0.1/").rc == 35


def test_tls_prefers_what_a_quantum_computer_does_not_break(host):
    """Where the host's library has it; and of the rest Mozilla's three alone."""

    def ask(groups=""):
        return host.run(f"openssl s_client -connect 127.0.0.1:443 -servername localhost {groups} </dev/null 2>&1")

    hybrid = "X25519MLKEM768" in host.run("openssl list -kem-algorithms").stdout
    assert ("group: X25519MLKEM768" if hybrid else "Server Temp Key: X25519") in ask().stdout
    for group, offered in (("X25519", True), ("P-256", True), ("P-384", True), ("P-521", False), ("X448", False)):
        assert (ask(f"-groups {group}").rc == 0) is offered, group


def test_security_headers(host):
    head = host.check_output(f"{CURL} --head -X GET {SITE}/health").lower()
    for header in ("x-content-type-options: nosniff", "x-frame-options: sameorigin", "referrer-policy:"):
        assert header in head
    assert "server: nginx\r" in head


def test_rate_limit_does_not_count_the_host_itself(host):
    codes = host.check_output(f"for i in $(seq 60); do {CURL} -o /dev/null -w '%{{http_code}} ' {SITE}/health; done")
    assert set(codes.split()) == {"200"}


def test_nothing_but_ssh_and_nginx_is_public(host):
    sockets = [line.split()[3] for line in host.check_output("ss -Hltn").splitlines()]
    assert {socket.rsplit(":", 1)[1] for socket in sockets if not socket.startswith(("127.", "[::1]"))} == {"22", "80", "443"}


def test_without_ipv6_in_the_kernel_nginx_does_not_listen_on_it():
    """What would change on such a host, as nginx's own test accepts it."""
    run = play("playbooks/site.yml", "--tags", "nginx", "--check", "--diff", variables={"nginx_ipv6": False})
    assert run.returncode == 0, run.stdout
    removed = [line for line in run.stdout.splitlines() if line.lstrip().startswith("-") and "listen [::]" in line]
    assert len(removed) >= 4 and "+    listen [::]" not in run.stdout


@only_on("trixie", "nginx has it from Debian 13 on")
def test_http3_is_served_where_it_is_declared(host):
    """With the same headers everywhere, and told to browsers; and no more when it is declared no more."""
    curl = f"{CURL} --http3-only --retry 2"  # nginx 1.26 loses connections that begin while it reloads
    tags = ("--tags", "nginx,firewall")
    run = play("playbooks/site.yml", *tags, variables={"mainstay_http3": True})
    try:
        assert run.returncode == 0, run.stdout[-3000:]
        host.check_output(f"timeout 20 sh -c 'until {curl} -o /dev/null {SITE}/health; do sleep 1; done'")
        for path, status in (("/health", "200"), ("/nothing", "404"), ("/", "200")):
            head = host.check_output(f"{curl} -o /dev/null -D - {SITE}{path}").lower()
            assert head.startswith(f"http/3 {status}") and "x-content-type-options: nosniff" in head, head
            assert 'alt-svc: h3=":443"; ma=86400' in head, head
        assert "alt-svc" in host.check_output(f"{CURL} -o /dev/null -D - {SITE}/health").lower()
        assert "alt-svc" not in host.check_output(f"{CURL} -o /dev/null -D - http://localhost/").lower()
        assert host.run(f"{curl} -o /dev/null https://127.0.0.1/").rc != 0  # a name that nobody declared
        assert "udp dport 443 accept" in host.check_output("nft list ruleset")
        address = host.check_output("hostname -I").split()[0]
        proof = ("playbooks/site.yml", "--tags", "prove")
        outside = {"mainstay_http3": True, "mainstay_outside_address": address}
        assert f"443/udp at {address}" in words(play(*proof, variables=outside))
        host.check_output("nft insert rule inet mainstay input iifname != lo udp dport 443 drop")
        assert f"{address} 443/udp is open on the host and the control node cannot connect to it" in words(play(*proof, variables=outside))
    finally:
        assert play("playbooks/site.yml", *tags).returncode == 0
    assert host.check_output("ss -Hlun 'sport = :443'") == ""
    assert "udp dport 443" not in host.check_output("nft list ruleset")


@only_on("default", "each is a run of a playbook")
def test_the_control_node_proves_that_visitors_get_in(host):
    """From outside, as the lab's hosts are reached by ssh through a forwarded port: at the host's own address."""

    def prove():
        return play("playbooks/site.yml", "--tags", "prove", variables={"mainstay_outside_address": address})

    address = host.check_output("hostname -I").split()[0]
    run = prove()
    assert run.returncode == 0 and f"the control node reaches 80/tcp, 443/tcp at {address}" in words(run), run.stdout[-3000:]
    host.check_output("nft insert rule inet mainstay input iifname != lo tcp dport 443 drop")
    try:
        run = prove()
    finally:
        host.check_output("systemctl reload nftables.service")
    assert run.returncode != 0, run.stdout[-3000:]
    assert f"{address} 443/tcp is open on the host and the control node cannot connect to it: no connection within 5 s" in words(run), (
        run.stdout[-3000:]
    )
