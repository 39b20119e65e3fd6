# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that somebody has used before, and whose servers the stack was allowed to take over: what was there is there."""

from __future__ import annotations

import json
import os

import pytest
import testinfra
from plays import play, words

testinfra_hosts = ["ansible://molecule-hosts-used"]


@pytest.fixture
def visitor():
    """Somebody on the network."""
    return testinfra.get_host(
        "ansible://molecule-hosts-visitor", ansible_inventory=os.environ["MOLECULE_INVENTORY_FILE"], connection="ansible"
    )


def test_the_stack_serves(host):
    ready = host.check_output("curl --silent --insecure https://localhost/ready")
    assert json.loads(ready)["status"] == "healthy"


def test_an_app_in_a_folder_of_a_workspace_has_what_the_workspace_s_lock_says(host):
    said = json.loads(host.check_output("curl --silent --insecure --resolve mono.example.com:443:127.0.0.1 https://mono.example.com/"))
    release = host.check_output("readlink -f /srv/mono/current")
    assert said == {"core": "hello from the neighbour", "markupsafe": "2.1.5", "folder": f"{release}/backend"}
    assert host.check_output("mainstay run mono -- pwd") == f"{release}/backend"


def test_the_databases_are_there(host):
    assert host.check_output("runuser -u postgres -- psql -XAtqc 'SELECT title FROM pages' wiki") == "Home"


def test_postgresql_has_the_plan_s_settings_beside_the_owner_s(host):
    said = host.check_output("runuser -u postgres -- psql -XAtqc 'SHOW listen_addresses' -c 'SHOW work_mem'").split()
    assert said[0] == "127.0.0.1"
    assert said[1] != "64MB"


def test_the_site_is_served(host):
    assert host.check_output("curl --silent http://127.0.0.1:8081/") == "The wiki."


def test_the_data_of_redis_is_kept_and_the_server_rests(host):
    assert host.file("/var/lib/redis/dump.rdb").size > 0
    assert host.run("systemctl is-active redis-server.service").stdout.strip() in ("inactive", "failed")
    assert "wiki" not in host.run("redis-cli -p 6379 --scan").stdout


def test_what_the_stack_sets_holds_beside_files_of_the_owner_s(host):
    """After the next boot, too, and in the next night of updates."""
    host.check_output("/usr/lib/systemd/systemd-sysctl")
    assert host.check_output("sysctl --values net.ipv4.tcp_syncookies") == "1"
    assert host.check_output("systemd-analyze cat-config systemd/journald.conf | grep ^SystemMaxUse | tail -n 1") == "SystemMaxUse=500M"
    assert 'APT::Periodic::Enable "1";' in host.check_output("apt-config dump")


@pytest.mark.parametrize(("port", "answers"), [("22", True), ("80", True), ("443", True), ("8082", True), ("5432", False), ("8083", False)])
def test_ufw_lets_in_what_is_declared_and_what_its_owner_let_in(host, visitor, port, answers):
    host.run("systemd-run --quiet --collect --unit=wide-%s python3 -m http.server %s", port, port)  # where nothing listens yet
    address = host.check_output("hostname -I").split()[0]
    said = visitor.run("timeout 4 bash -c 'until : </dev/tcp/%s/%s; do sleep 0.2; done'", address, port)
    host.run("systemctl stop wide-%s", port)
    assert said.rc == (0 if answers else 124), said.stderr


def test_our_own_rules_are_not_loaded_beside_those_of_ufw(host):
    assert "table inet mainstay" not in host.check_output("nft list tables").splitlines()


def test_who_guesses_is_banned_before_ufw_lets_him_in_and_the_control_node_never(host, visitor):
    """By real failed logins; ufw lets everybody in at this port, and says so all the while."""
    address = host.check_output("hostname -I").split()[0]
    stranger = visitor.check_output("hostname -I").split()[0]
    login = (
        "ssh -o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no"
    )

    def reaches():
        return visitor.run("timeout 3 bash -c ': </dev/tcp/%s/22'", address).rc == 0

    control = host.check_output("ss -Htn state established '( sport = :22 )'").split()
    assert reaches()
    for _turn in range(6):
        assert "Permission denied" in visitor.check_output(f"{login} root@{address} true 2>&1 || true")
    try:
        host.check_output(f"timeout 20 sh -c 'until nft list table inet mainstay-bans | grep -qwF {stranger}; do sleep 0.5; done'")
        assert not reaches()
        assert "22/tcp" in host.check_output("ufw status | grep ALLOW")
        control = {peer.rpartition(":")[0].strip("[]").removeprefix("::ffff:") for peer in control[3::4]}
        assert control and control <= set(
            host.check_output("fail2ban-client get sshd ignoreip").replace("|-", "").replace("`-", "").split()
        )
    finally:
        host.check_output(f"fail2ban-client set sshd unbanip {stranger}")
    assert reaches()


def test_a_run_that_was_cut_off_before_the_certificate_of_a_new_site_goes_on(host):
    """Its process runs, and nothing is on record yet."""
    host.check_output(
        "rm -r /var/lib/mainstay/backend/mono-web /etc/mainstay/tls/mono.example.com.* /etc/nginx/mainstay/sites/mono.example.com.conf"
    )
    run = play("playbooks/site.yml")
    assert run.returncode == 0, words(run)
    assert "hello" in host.check_output("curl --silent --insecure --resolve mono.example.com:443:127.0.0.1 https://mono.example.com/")
