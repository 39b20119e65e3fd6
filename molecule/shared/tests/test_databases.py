# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL and Redis: the plan's numbers read back from the running servers, and doors that are closed."""

from __future__ import annotations

import pytest


def _setting(host, name):
    return host.check_output(f"cd / && runuser -u postgres -- psql -Atc \"SELECT current_setting('{name}')\"")


def test_postgresql_runs_with_the_settings_in_its_file(host):
    file = host.check_output("cat /etc/postgresql/*/main/conf.d/zz-mainstay.conf")
    settings = dict(line.split(" = ") for line in file.splitlines() if " = " in line)
    assert _setting(host, "max_connections") == settings["max_connections"]
    assert _setting(host, "wal_compression") == "lz4"
    assert host.check_output("cd / && runuser -u postgres -- psql -Atc 'SELECT count(*) FROM pg_settings WHERE pending_restart'") == "0"
    assert (
        host.check_output("cd / && runuser -u postgres -- psql -Atc 'SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL'") == "0"
    )


def test_postgresql_keeps_a_verifier_and_refuses_a_wrong_password(host):
    stored = host.check_output("cd / && runuser -u postgres -- psql -Atc \"SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'\"")
    assert stored.startswith("SCRAM-SHA-256$")
    wrong = host.run("PGPASSWORD=wrong psql -h 127.0.0.1 -U shop shop -c 'SELECT 1'")
    assert wrong.rc != 0
    assert "password authentication failed" in wrong.stderr


def test_every_database_is_closed_to_all_but_its_owner(host):
    ask = "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('shop', oid, 'CONNECT') ORDER BY 1"
    assert host.check_output("cd / && runuser -u postgres -- psql -Atc %s", ask) == "shop"
    limit = host.check_output("cd / && runuser -u postgres -- psql -Atc \"SELECT rolconnlimit FROM pg_roles WHERE rolname = 'shop'\"")
    assert 10 < int(limit) < int(_setting(host, "max_connections"))


@pytest.mark.parametrize("unit", ["postgresql@*", "nginx", "redis-server@shop-cache", "redis-server@shop-queue"])
def test_servers_have_the_limits_of_the_plan(host, unit):
    if not host.file("/sys/fs/cgroup/memory").exists and "memory" not in host.file("/sys/fs/cgroup/cgroup.controllers").content_string:
        pytest.skip("nothing limits the memory of this host, and the plan is one for all of its machine")
    shown = dict(
        line.split("=") for line in host.check_output(f"systemctl show --property=MemoryMax,TasksMax '{unit}.service'").splitlines()
    )
    assert 16 << 20 < int(shown["MemoryMax"]) < 2 << 30 and 0 < int(shown["TasksMax"]) < 1000


@pytest.mark.parametrize(
    ("name", "port", "policy", "appendonly"), [("shop-cache", 6379, "allkeys-lru", "no"), ("shop-queue", 6380, "noeviction", "yes")]
)
def test_redis_instances(host, name, port, policy, appendonly):
    unit = host.service(f"redis-server@{name}")
    assert unit.is_running
    assert unit.is_enabled
    info = host.check_output(f"redis-cli -p {port} info")
    assert f"maxmemory_policy:{policy}" in info
    assert f"aof_enabled:{1 if appendonly == 'yes' else 0}" in info
    assert "maxmemory:0\r" not in info


@pytest.mark.parametrize("port", [6379, 6380])
def test_redis_gives_nothing_without_a_password(host, port):
    assert host.check_output(f"redis-cli -p {port} ping") == "PONG"
    assert "NOPERM" in host.check_output(f"redis-cli -p {port} set x 1")
    assert "NOPERM" in host.check_output(f"redis-cli -p {port} config get maxmemory")


def test_debian_s_default_redis_is_off(host):
    assert not host.service("redis-server").is_running
