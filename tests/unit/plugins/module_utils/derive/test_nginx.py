# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import certificates, nginx
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken

PLAN = {"hosts": {"web1": {"processes": {"shop": {"web": {"instances": 2}}}}}}


def test_upstreams_follow_the_plan():
    assert nginx.nginx_upstreams(SHOP, PLAN, "web1") == [
        {"name": "shop-web", "servers": ["127.0.0.1:8000", "127.0.0.1:8001"], "backup_servers": []}
    ]
    assert nginx.nginx_upstreams(SHOP, {}, "web1") == [{"name": "shop-web", "servers": ["127.0.0.1:8000"], "backup_servers": []}]
    live, spare = {"web1": {"shop": {"web": [8002]}}}, {"web1": {"shop": {"web": [8000]}}}
    assert nginx.nginx_upstreams(SHOP, {}, "web1", live, spare) == [
        {"name": "shop-web", "servers": ["127.0.0.1:8002"], "backup_servers": ["127.0.0.1:8000"]}
    ]


def test_a_proxy_asks_all_backends():
    hosts = {
        "web1": {"tiers": ["proxy"], "address": "10.0.0.1"},
        "web2": {"tiers": ["backend"], "address": "10.0.0.2"},
        "web3": {"tiers": ["backend"], "address": "fd00::3"},
    }
    live = {"web2": {"shop": {"web": [8002]}}}
    assert nginx.nginx_upstreams(SHOP, {"hosts": hosts}, "web1", live, {"web2": {"shop": {"web": [8000]}}}) == [
        {"name": "shop-web", "servers": ["10.0.0.2:8002", "[fd00::3]:8000"], "backup_servers": ["10.0.0.2:8000"]}
    ]


def test_site_has_everything_a_template_needs():
    (site,) = nginx.nginx_sites(SHOP)
    assert site["tls"] == {"certificate": "/etc/mainstay/tls/shop.example.com.crt", "key": "/etc/mainstay/tls/shop.example.com.key"}
    assert [(location["path"], location["websocket"], location["connections"]) for location in site["locations"]] == [
        ("/", False, None),
        ("/ws", True, {"zone": "shop.example.com/ws", "limit": 200, "per_source": 20}),
    ]


@pytest.mark.parametrize(
    ("path", "route", "told"),
    [
        ("/api", {"process": "web", "strip_prefix": True}, {"strip_prefix": "/api"}),
        ("/api/", {"process": "web", "strip_prefix": True}, {"strip_prefix": "/api"}),
        ("/api", {"process": "web", "timeout": 20, "buffering": False}, {"timeout": 20, "buffering": False, "request_buffering": True}),
        ("/docs", {"status": 404}, {"kind": "status", "status": 404}),
        ("/app", {"spa": "dist"}, {"alias": "/srv/shop/current/dist/", "previous_alias": "/srv/shop/previous/dist/"}),
        ("/app", {"directory": "dist", "allow": ["10.0.0.0/8"]}, {"allow": ["10.0.0.0/8"]}),
        (
            "/login",
            {"process": "web", "rate_limit": {"rate": "1r/s"}},
            {"rate_limit": {"zone": "shop.example.com/login.rate", "rate": "1r/s", "burst": 20}},
        ),
    ],
)
def test_what_a_route_says_reaches_its_location(path, route, told):
    (site,) = nginx.nginx_sites(broken(("shop", "sites", "shop.example.com", "routes", path), route))
    location = next(item for item in site["locations"] if item["path"].rstrip("/") == path.rstrip("/"))
    assert {key: location[key] for key in told} == told


def test_files_are_served_with_a_slash_on_both_sides():
    (site,) = nginx.nginx_sites(broken(("shop", "sites", "shop.example.com", "routes", "/downloads"), {"directory": "public/files"}))
    location = next(item for item in site["locations"] if item["kind"] == "directory")
    assert (location["path"], location["alias"]) == ("/downloads/", "/srv/shop/current/public/files/")


def test_a_shared_folder_is_served_from_where_it_is_and_no_link_of_the_app_s_leads_out_of_it():
    apps = broken(("shop", "sites", "shop.example.com", "routes", "/media"), {"directory": "media"})
    apps["shop"]["shared"] = ["media", "cache"]
    (site,) = nginx.nginx_sites(apps)
    location = next(item for item in site["locations"] if item["kind"] == "directory")
    assert (location["alias"], location["links_from"]) == ("/srv/shop/shared/media/", "/srv/shop/shared")


def test_aliases_and_challenges_belong_to_a_site():
    where = ("shop", "sites", "shop.example.com")
    (site,) = nginx.nginx_sites(broken((*where, "aliases"), ["www.shop.example.com"]))
    assert (site["aliases"], site["challenges"]) == (["www.shop.example.com"], None)
    assert nginx.nginx_sites(broken((*where, "tls"), "letsencrypt"))[0]["challenges"] == "/var/lib/mainstay/acme"


def test_plain_http_and_own_files():
    where = ("shop", "sites", "shop.example.com", "tls")
    assert nginx.nginx_sites(broken(where, "none"))[0]["tls"] is None
    own = {"certificate": "/etc/ssl/a.pem", "key": "/etc/ssl/a.key"}
    assert nginx.nginx_sites(broken(where, own))[0]["tls"] == own


@pytest.mark.parametrize(
    ("route", "plan", "limit"),
    [
        ({"websocket": True}, {"nginx": {"max_websockets": 300}}, 300),
        ({"websocket": True, "max_connections": 200}, {"nginx": {"max_websockets": 300}}, 200),
        ({"websocket": True}, {}, None),
        ({}, {"nginx": {"max_websockets": 300}}, None),
    ],
)
def test_websockets_are_limited_as_declared_or_planned(route, plan, limit):
    apps = broken(("shop", "sites", "shop.example.com", "routes", "/ws"), {"process": "web", **route})
    (site,) = nginx.nginx_sites(apps, {"hosts": {"web1": plan}}, "web1")
    (location,) = (location for location in site["locations"] if location["path"] == "/ws")
    assert location["connections"] == (limit and {"zone": "shop.example.com/ws", "limit": limit, "per_source": limit // 10})


def test_a_site_answers_to_its_wildcards_with_a_certificate_for_them():
    apps = broken(("shop", "sites", "shop.example.com", "wildcards"), ["*.example.com"])
    assert nginx.nginx_sites(apps)[0]["wildcards"] == ["*.example.com"]
    (site,) = certificates.certificate_sites(apps)
    assert certificates.certificate_names(site) == ["shop.example.com", "*.example.com"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            '"server_tokens" directive is duplicate in /etc/nginx/conf.d/own.conf:1',
            "set server_tokens, too: take it out of /etc/nginx/conf.d/own.conf.",
        ),
        (
            "a duplicate default server for 0.0.0.0:80 in /etc/nginx/sites-enabled/wiki:3",
            "take default_server out of /etc/nginx/sites-enabled/wiki,",
        ),
        (
            'unknown log format "main" in /etc/nginx/sites-enabled/wiki:6',
            "The log format main is in the nginx.conf that the stack replaces",
        ),
        ('zero size shared memory zone "one"', "The zone one is in the nginx.conf"),
        ('unknown "wiki_upgrade" variable', "The variable $wiki_upgrade, of a map or geo, is in the nginx.conf"),
        (
            'host not found in upstream "wiki:80" in /etc/nginx/sites-enabled/wiki:2',
            "The upstream wiki has no address, or is in the nginx.conf",
        ),
        ('duplicate upstream "shop-web" in /etc/nginx/mainstay/upstreams.conf:3', "have upstream shop-web, too"),
        ("something else in /etc/nginx/conf.d/own.conf:2", "Settle it there."),
    ],
)
def test_what_nginx_says_of_its_owner_s_files_has_a_remedy(said, words):
    told = nginx.nginx_collision(
        f"nginx -t refused the new set (rc 1); every file is as it was.\n2026/12/01 03:14:31 [emerg] 7#7: {said}\nnginx: test failed",
        "web1",
    )
    assert told.startswith(
        f"web1: what the nginx there serves of its owner's does not stand beside what the stack would add, as nginx -t says: {said}."
    )
    assert words in told and told.endswith(" Nothing has changed.")
