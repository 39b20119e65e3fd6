# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import adoption
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

APPS = normalise(SHOP)
MARIA = normalise({"shop": {**SHOP["shop"], "database": "mariadb"}})
ALL = ["proxy", "backend", "database", "cache"]
FILE = {"type": "file", "target": None}
NGINX = {"active": ["nginx.service"], "paths": {"/etc/nginx/sites-enabled/wiki": FILE, "/etc/nginx/sites-enabled/default": FILE}}
WIKI = {"databases": {"postgres": {}, "wiki": {}}}


@pytest.mark.parametrize(
    ("apps", "host", "tiers", "adopted", "words"),
    [
        (APPS, {}, ALL, [], None),
        (APPS, {"active": ["redis-server.service"]}, ALL, [], "mainstay_adopt: [redis]"),
        (APPS, {"active": ["redis-server.service"]}, ["backend"], [], None),
        (APPS, {"active": ["redis-server.service"]}, ALL, ["redis"], None),
        (APPS, {"postgresql": WIKI}, ALL, [], "PostgreSQL with wiki (it would get"),
        (APPS, {"postgresql": {"databases": {"postgres": {}}}}, ALL, [], None),
        (APPS, {"postgresql": WIKI, "paths": {"/etc/postgresql/15/main/conf.d/mainstay.conf": FILE}}, ALL, [], None),
        (MARIA, {"postgresql": WIKI}, ALL, [], None),
        (MARIA, {"mariadb": {"databases": {"wiki": "utf8mb4"}}}, ALL, [], "MariaDB with wiki"),
        (MARIA, {"mariadb": WIKI, "paths": {"/etc/mysql/mariadb.conf.d/90-mainstay.cnf": FILE}}, ALL, [], None),
        (APPS, NGINX, ALL, [], "nginx with /etc/nginx/sites-enabled/wiki (its nginx.conf"),
        (APPS, {**NGINX, "paths": {**NGINX["paths"], "/etc/nginx/mainstay": FILE}}, ALL, [], None),
        (APPS, {"active": ["nginx.service"], "paths": {"/etc/nginx/sites-enabled/default": FILE}}, ALL, [], None),
        (APPS, {**NGINX, "active": ["nginx.service", "redis-server.service"]}, ALL, [], "mainstay_adopt: [nginx, redis]"),
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
