# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the examples of the roles' READMEs promise, by what one would type."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://examples"]
PASSWORD = "a password of the lab's"


def test_the_site_is_proxied(host):
    curl = "curl --silent --insecure --resolve wiki.example.com:443:127.0.0.1 --resolve files.example.com:80:127.0.0.1"
    assert "A page of the example." in host.check_output(f"{curl} https://wiki.example.com/index.html")
    assert (
        host.check_output(f"{curl} --output /dev/null --write-out %{{redirect_url}} http://files.example.com/")
        == "https://wiki.example.com/"
    )


def test_redis_wants_the_password(host):
    ask = "redis-cli -p 6380 --no-auth-warning --user wiki"
    assert "OK" in host.run(f"{ask} --pass %s set key value", PASSWORD).stdout
    assert "WRONGPASS" in host.run(f"{ask} --pass wrong get key 2>&1").stdout


@pytest.mark.parametrize("port", [5432, 6432])
def test_postgresql_answers_with_and_without_the_pooler(host, port):
    assert host.run(f"PGPASSWORD=%s psql -XAtqc 'SELECT 1' -h 127.0.0.1 -p {port} -U wiki wiki", PASSWORD).stdout == "1\n"
    assert host.check_output("runuser -u postgres -- psql -XAtqc 'SHOW max_connections'") == "50"


def test_mariadb_answers(host):
    assert host.run("MYSQL_PWD=%s mariadb -h 127.0.0.1 -u wiki -NBe 'SELECT @@max_connections' wiki", PASSWORD).stdout == "50\n"


def test_the_agent_watches_the_program(host):
    assert "pages-web@8080" in host.check_output("mainstay status --json")


def test_the_firewall_opens_what_it_says(host):
    rules = host.check_output("nft list table inet mainstay")
    assert "443" in rules and "6380" not in rules
