# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import adoption, instances
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

APPS = normalise(SHOP)
MARIA = normalise({"shop": {**SHOP["shop"], "database": "mariadb"}})
POOLED = normalise({"shop": {**SHOP["shop"], "pooler": "pgbouncer"}})
POOLER = "/etc/pgbouncer/pgbouncer.ini"
ALL = ["proxy", "backend", "database", "cache"]
FILE = {"type": "file", "target": None}
LINK = {"type": "link", "target": "/etc/nginx/sites-available/default"}
DEFAULT, AVAILABLE = "/etc/nginx/sites-enabled/default", "/etc/nginx/sites-available/default"
NGINX = {"active": ["nginx.service"], "paths": {"/etc/nginx/sites-enabled/wiki": FILE, "/etc/nginx/sites-enabled/default": LINK}}
WIKI = {"databases": {"postgres": {}, "wiki": {}}}


def clusters(*found):
    return {
        "postgresql": {"clusters": [{"version": version, "name": name, "port": port, "status": "online"} for version, name, port in found]}
    }


@pytest.mark.parametrize(
    ("apps", "host", "tiers", "adopted", "words"),
    [
        (APPS, {}, ALL, [], None),
        (APPS, {"active": ["redis-server.service"]}, ALL, [], "mainstay_adopt: [redis]"),
        (APPS, {"active": ["redis-server.service"]}, ["backend"], [], None),
        (APPS, {"active": ["redis-server.service"]}, ALL, ["redis"], None),
        (APPS, {"postgresql": WIKI}, ALL, [], "PostgreSQL with wiki (it would get"),
        (
            APPS,
            {"postgresql": WIKI, "listeners": [{"port": 5432, "address": "0.0.0.0"}]},
            ALL,
            [],
            "and a restart, be closed to all but the apps, and these",
        ),
        (APPS, {"postgresql": WIKI, "listeners": [{"port": 5432, "address": "::1"}]}, ALL, [], "the plan's settings and a restart"),
        (APPS, {"postgresql": {"databases": {"postgres": {}}}}, ALL, [], None),
        (APPS, {"postgresql": WIKI, "paths": {"/etc/postgresql/15/main/conf.d/mainstay.conf": FILE}}, ALL, [], None),  # of before
        (APPS, {"postgresql": WIKI, "paths": {"/etc/postgresql/15/main/conf.d/zz-mainstay.conf": FILE}}, ALL, [], None),
        (MARIA, {"postgresql": WIKI}, ALL, [], None),
        (MARIA, {"mariadb": {"databases": {"wiki": "utf8mb4"}}}, ALL, [], "MariaDB with wiki"),
        (MARIA, {"mariadb": WIKI, "paths": {"/etc/mysql/mariadb.conf.d/90-mainstay.cnf": FILE}}, ALL, [], None),  # of before
        (MARIA, {"mariadb": WIKI, "paths": {"/etc/mysql/mariadb.conf.d/zz-mainstay.cnf": FILE}}, ALL, [], None),
        (APPS, NGINX, ALL, [], "nginx with /etc/nginx/sites-enabled/wiki (its nginx.conf"),
        (APPS, {**NGINX, "paths": {**NGINX["paths"], "/etc/nginx/mainstay": FILE}}, ALL, [], None),
        (APPS, {"active": ["nginx.service"], "paths": {DEFAULT: LINK}}, ALL, [], None),
        (APPS, {**NGINX, "active": ["nginx.service", "redis-server.service"]}, ALL, [], "mainstay_adopt: [nginx, redis]"),
        (
            APPS,
            {**NGINX, "paths": {DEFAULT: LINK}, "edited": [AVAILABLE]},
            ALL,
            [],
            f"nginx with {DEFAULT} (its nginx.conf would be replaced, and ",
        ),
        (APPS, {**NGINX, "paths": {DEFAULT: LINK}, "edited": [AVAILABLE]}, ALL, ["nginx"], None),
        (APPS, {**NGINX, "paths": {DEFAULT: FILE}}, ALL, [], f"nginx with {DEFAULT} ("),  # a file in the link's place
        (APPS, {**NGINX, "paths": {}, "edited": [AVAILABLE]}, ALL, [], None),  # nobody reads it
        (APPS, {**NGINX, "paths": {DEFAULT: LINK}, "edited": ["/etc/nginx/nginx.conf"]}, ALL, [], "nginx with /etc/nginx/nginx.conf (its"),
        (POOLED, {"edited": [POOLER]}, ALL, [], "PgBouncer with /etc/pgbouncer/pgbouncer.ini (it and userlist.txt would"),
        (POOLED, {"edited": [POOLER]}, ALL, ["pgbouncer"], None),
        (POOLED, {"edited": [POOLER]}, ["backend"], [], None),
        (POOLED, {"edited": [POOLER], "paths": {"/etc/systemd/system/pgbouncer.service.d/mainstay.conf": FILE}}, ALL, [], None),
        (POOLED, {"packages": {"pgbouncer": "1.18"}, "active": ["pgbouncer.service"]}, ALL, [], None),  # as its package brought it
        (APPS, {"edited": [POOLER]}, ALL, [], None),
        (APPS, clusters(("17", "main", 5432), ("17", "other", 5433)), ALL, [], None),
        (APPS, clusters(("15", "main", 5433), ("17", "main", 5432)), ALL, [], None),  # as pg_upgradecluster leaves them
        (
            APPS,
            clusters(("17", "main", 5433)),
            ALL,
            ["postgresql"],
            "17 main has port 5433, and the apps look for it on 5432. Give it port = 5432",
        ),
        (APPS, clusters(("17", "main", 5433), ("17", "other", 5432)), ALL, ["postgresql"], "17 other has port 5432, on which"),
        (APPS, clusters(("17", "other", 5432)), ALL, ["postgresql"], "`sudo systemctl restart postgresql@17-other`"),
        (MARIA, clusters(("17", "other", 5432)), ALL, [], None),
        (MARIA, {"packages": {"mysql-server-8.0": "8.0.36"}}, ALL, ["mariadb"], "has mysql-server-8.0, which apt would remove"),
        (MARIA, {"packages": {"mysql-community-server": "8.4"}}, ALL, [], "has mysql-community-server, which"),
        (MARIA, {"packages": {"percona-server-server": "8.4"}}, ALL, [], "has percona-server-server, which"),
        (MARIA, {"packages": {"default-mysql-server": "1", "mariadb-server": "10"}}, ALL, [], None),
        (MARIA, {"packages": {"mysql-common": "5.8", "default-mysql-client": "1"}}, ALL, [], None),
        (APPS, {"packages": {"mysql-server-8.0": "8.0.36"}}, ALL, [], None),
        (APPS, {}, ALL, ["apache"], "use one of mariadb, nginx"),
    ],
)
def test_what_was_there_before_is_taken_over_by_permission_only(apps, host, tiers, adopted, words):
    if words is None:
        adoption.refuse_foreign_servers(apps, host, tiers, adopted, "web1")
        return
    with pytest.raises(ValueError) as refusal:
        adoption.refuse_foreign_servers(apps, host, tiers, adopted, "web1")
    assert words.lower() in str(refusal.value).lower()


UFW = [{"by": "ufw", "chain": "table ip filter, chain INPUT"}]
OWN = [{"by": "nft", "chain": "table inet filter, chain input"}]


@pytest.mark.parametrize(
    ("filters", "backend", "adopted", "words"),
    [
        ([], "nftables", [], None),
        (UFW, "ufw", [], None),
        (UFW, "nftables", ["firewall"], None),
        (UFW, "nftables", ["nginx"], "write firewall_backend: ufw"),
        (OWN, "nftables", [], "mainstay_adopt: [firewall]"),
        (UFW + OWN, "ufw", [], "table inet filter, chain input (nft). Settle it"),
        ([{"by": "firewalld", "chain": "x"}], "nftables", [], "systemctl disable --now firewalld"),
    ],
)
def test_a_firewall_that_would_drop_what_is_opened_is_driven_or_refused(filters, backend, adopted, words):
    host = {"packet_filters": filters}
    if words is None:
        adoption.refuse_foreign_firewalls(host, backend, adopted, "web1")
        return
    with pytest.raises(ValueError) as refusal:
        adoption.refuse_foreign_firewalls(host, backend, adopted, "web1")
    assert words in str(refusal.value)


RULES = {"edited": ["/etc/nftables.conf"]}


@pytest.mark.parametrize(
    ("host", "backend", "is_refused"),
    [
        (RULES, "nftables", True),
        (RULES, "ufw", False),
        ({}, "nftables", False),
        ({**RULES, "paths": {"/etc/systemd/system/nftables.service.d/mainstay.conf": FILE}}, "nftables", False),
    ],
)
def test_rules_of_the_owner_s_are_not_overwritten(host, backend, is_refused):
    if not is_refused:
        adoption.refuse_foreign_rules(host, backend, "web1")
        return
    with pytest.raises(ValueError, match=r"web1 has rules .*sudo mv /etc/nftables.conf /etc/nftables.d/own.nft`"):
        adoption.refuse_foreign_rules(host, backend, "web1")


PLAN = capacity.plan(APPS, 100, {"web1": {"tiers": ALL, "memory_mb": 8192, "cpus": 4}})
RECORD = {f"{instances.RECORDS}/shop-web": {"type": "link", "target": "abc:12ef:8000"}}


def _listener(port, name="apache2", unit="apache2.service", address="0.0.0.0", **changes):
    """As host_resources told one."""
    return {"protocol": "tcp", "address": address, "port": port, "pid": 893, "name": name, "user": "root", "unit": unit, **changes}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            _listener(80),
            "port 80, for nginx, is held by apache2 (apache2.service). Let it listen elsewhere, or end it: `sudo systemctl disable",
        ),
        (_listener(443, address="::"), "port 443, for nginx,"),
        (_listener(80, address="192.0.2.7"), "port 80"),  # nginx takes every address
        (_listener(80, "nginx", "nginx.service"), None),
        (_listener(80, "nginx", "session-3.scope"), "`sudo kill 893`"),
        (_listener(80, "docker-proxy", "docker.service"), "end it: publish the container's port elsewhere. Nothing"),
        (_listener(80, None, None, pid=None), None),  # who that is, only root is told
        (_listener(80, protocol="udp"), None),
        (_listener(81), None),
        (_listener(8444, "haproxy", "haproxy.service"), "port 8444, for nginx"),
        (_listener(5432, "pgbouncer", "pgbouncer.service"), "port 5432, for postgresql"),
        (_listener(5432, "postgres", "postgresql@17-main.service"), None),
        (_listener(5432, "postgres", "pg.service", address="192.0.2.7"), None),
        (_listener(3306, "mysqld", "mysql.service"), None),  # nobody needs it here
        (_listener(6379, "valkey-server", "valkey-server.service", address="127.0.0.1"), "port 6379, for shop's Redis (cache)"),
        (_listener(6379, "redis-server", "redis-server.service"), None),  # that is for mainstay_adopt to say
        (_listener(8001, "python3", "old.service", address="127.0.0.1"), "port 8001, for shop's web, is held by python3 (old.service)"),
        (_listener(8001, "uvicorn", "shop-web@8001.service", address="127.0.0.1"), None),
    ],
)
def test_what_else_listens_where_the_stack_would_is_refused(found, words):
    host = {"listeners": [_listener(22, "sshd", "ssh.service"), found]}
    if words is None:
        adoption.refuse_held_ports(APPS, host, PLAN, "web1", {"port": 8444})
        return
    with pytest.raises(ValueError) as refusal:
        adoption.refuse_held_ports(APPS, host, PLAN, "web1", {"port": 8444})
    assert words in str(refusal.value)


def test_of_an_app_that_serves_already_its_deploy_says_who_answers_in_its_place():
    adoption.refuse_held_ports(APPS, {"listeners": [_listener(8001)], "paths": RECORD}, PLAN, "web1")


def test_a_host_without_sites_has_no_use_for_the_ports_of_nginx():
    silent = normalise({"shop": {**SHOP["shop"], "sites": {}}})
    plan = capacity.plan(silent, 100, {"web1": {"tiers": ALL, "memory_mb": 8192, "cpus": 4}})
    adoption.refuse_held_ports(silent, {"listeners": [_listener(80), _listener(443)]}, plan, "web1")


@pytest.mark.parametrize(
    ("apps", "loaded", "paths", "wanted", "words"),
    [
        (
            APPS,
            ["timescaledb", "pg_stat_statements"],
            {},
            ["pg_stat_statements"],
            r"loads timescaledb .*: \[pg_stat_statements, timescaledb\]",
        ),
        (APPS, ["timescaledb"], {}, ["pg_stat_statements", "timescaledb"], None),
        (APPS, ["auto_explain"], {"/etc/postgresql/15/main/conf.d/zz-mainstay.conf": FILE}, ["pg_stat_statements"], None),
        (APPS, [], {}, ["pg_stat_statements"], None),
        (MARIA, ["timescaledb"], {}, ["pg_stat_statements"], None),
    ],
)
def test_libraries_that_a_database_may_need_are_not_dropped_unasked(apps, loaded, paths, wanted, words):
    host = {"postgresql": {"preloaded": loaded}, "paths": paths}
    if words is None:
        adoption.refuse_dropped_libraries(apps, host, ALL, wanted, "web1")
        return
    with pytest.raises(ValueError, match=words):
        adoption.refuse_dropped_libraries(apps, host, ALL, wanted, "web1")
