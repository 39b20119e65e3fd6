# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import certificates, firewall, logrotate
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken

TLS = ("shop", "sites", "shop.example.com", "tls")
OWN = {"certificate": "/etc/ssl/a.pem", "key": "/etc/ssl/a.key"}
TODAY = datetime.date(2026, 11, 22)


@pytest.mark.parametrize(
    ("apps", "tiers", "ports"),
    [
        (SHOP, None, [80, 443]),
        (SHOP, ["proxy", "backend"], [80, 443]),
        (SHOP, ["database"], []),
        (broken(TLS, "none"), None, [80]),
        (broken(TLS, OWN), None, [80, 443]),
        (broken(("shop", "sites"), {}), None, []),
        ({}, None, []),
    ],
)
def test_ports_follow_the_declared_sites(apps, tiers, ports):
    plan = {"hosts": {"web1": {"tiers": tiers}}} if tiers else {}
    rules = firewall.firewall_rules(apps, plan, "web1")
    assert [rule["port"] for rule in rules] == ports
    assert {rule["protocol"] for rule in rules} <= {"tcp"}


SOURCES = {"web1": "10.0.0.1", "web2": "10.0.0.2", "data": "10.0.0.3"}
TIERS = {"web1": ["proxy", "backend"], "web2": ["backend"], "data": ["database", "cache"]}


@pytest.mark.parametrize(
    ("host", "opened"),
    [
        ("web1", [(80, None), (443, None)]),
        ("web2", [("8000-8001", ["10.0.0.1"])]),
        ("data", [(5432, ["10.0.0.1", "10.0.0.2"]), (6379, ["10.0.0.1", "10.0.0.2"]), (6380, ["10.0.0.1", "10.0.0.2"])]),
    ],
)
def test_hosts_open_to_each_other_what_they_serve(host, opened):
    plan = {"hosts": {name: {"tiers": TIERS[name], "address": address} for name, address in SOURCES.items()}}
    assert [(rule["port"], rule.get("from")) for rule in firewall.firewall_rules(SHOP, plan, host)] == opened


def test_a_pooler_is_reached_from_the_backends_and_the_database_for_their_migrations():
    plan = {"hosts": {name: {"tiers": TIERS[name], "address": address} for name, address in SOURCES.items()}}
    rules = firewall.firewall_rules(broken(("shop", "pooler"), "pgbouncer"), plan, "data")
    assert [rule["port"] for rule in rules if rule["comment"].startswith("p")] == [6432, 5432]


@pytest.mark.parametrize(
    ("rule", "statements"),
    [
        ({"port": 80}, ["tcp dport 80 accept"]),
        ({"port": "443", "comment": "web sites with TLS"}, ['tcp dport 443 accept comment "web sites with TLS"']),
        ({"port": "60000-61000", "protocol": "udp"}, ["udp dport 60000-61000 accept"]),
        ({"port": 5432, "from": ["192.0.2.7"]}, ["ip saddr { 192.0.2.7/32 } tcp dport 5432 accept"]),
        (
            {"port": 5432, "from": ["2001:db8::/32", "192.0.2.0/25", "192.0.2.128/25"]},
            ["ip saddr { 192.0.2.0/24 } tcp dport 5432 accept", "ip6 saddr { 2001:db8::/32 } tcp dport 5432 accept"],
        ),
        ({"port": 80, "from": []}, ["tcp dport 80 accept"]),
    ],
)
def test_rules_become_statements(rule, statements):
    assert firewall.nft_rules([rule]) == statements


def test_what_is_led_on_to_a_container_is_held_to_the_same_rules():
    rules = [{"port": "8000-8010"}, {"port": 53, "protocol": "udp", "from": ["192.0.2.7", "2001:db8::/32"], "comment": "names"}, PER_SOURCE]
    assert firewall.nft_published_rules(rules) == [
        "meta l4proto tcp ct original proto-dst 8000-8010 accept",
        "ip saddr { 192.0.2.7/32 } meta l4proto udp ct original proto-dst 53 accept",
        "ip6 saddr { 2001:db8::/32 } meta l4proto udp ct original proto-dst 53 accept",
        "meta l4proto tcp ct original proto-dst 443 accept",
    ]


PER_SOURCE = {"port": 443, "per_source": {"connections": 100, "rate": "50/second", "burst": 200}}


def test_one_source_has_its_part_of_the_connections():
    assert firewall.nft_rules([PER_SOURCE], ["192.0.2.0/24"]) == [
        "ip saddr != { 192.0.2.0/24 } tcp dport 443 ct state new add @new_443_ipv4 { ip saddr limit rate over 50/second burst 200 packets } counter drop",
        "ip saddr != { 192.0.2.0/24 } tcp dport 443 ct state new add @held_443_ipv4 { ip saddr ct count over 100 } counter reject with tcp reset",
        "tcp dport 443 ct state new add @new_443_ipv6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 50/second burst 200 packets } counter drop",
        "tcp dport 443 ct state new add @held_443_ipv6 { ip6 saddr & ffff:ffff:ffff:ffff:: ct count over 100 } counter reject with tcp reset",
        "tcp dport 443 accept",
    ]
    assert [(item["name"], item["type"], item["timeout"]) for item in firewall.nft_sets([{"port": 80}, PER_SOURCE])] == [
        ("held_443_ipv4", "ipv4_addr", None),
        ("new_443_ipv4", "ipv4_addr", "1m"),
        ("held_443_ipv6", "ipv6_addr", None),
        ("new_443_ipv6", "ipv6_addr", "1m"),
    ]
    assert firewall.nft_sets([{"port": "8000-8010", "per_source": {"connections": 5}}])[0]["name"] == "held_8000_8010_ipv4"


def test_sites_hold_each_source_to_the_plan():
    plan = {"hosts": {"web1": {"nginx": {"connections_per_source": 131}}}}
    assert {rule["per_source"]["connections"] for rule in firewall.firewall_rules(SHOP, plan, "web1")} == {131}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"port": 80, "protocol": "udp", "per_source": {"connections": 5}}, ["firewall_rules[0].per_source", "Only TCP"]),
        ({"port": 80, "per_source": {"rate": "5/second"}}, ["firewall_rules[0].per_source.connections", "required"]),
        ({"port": 80, "per_source": {"connections": 5, "rate": "5"}}, ["firewall_rules[0].per_source.rate", "'5'", "50/second"]),
        ({"port": 0}, ["firewall_rules[0].port", "0", "1 to 65535"]),
        ({"port": 65536}, ["firewall_rules[0].port", "65536"]),
        ({"port": "90-80"}, ["firewall_rules[0].port", "90-80"]),
        ({"port": True}, ["firewall_rules[0].port", "True"]),
        ({"port": "http"}, ["firewall_rules[0].port", "'http'"]),
        ({"port": "80 accept; flush ruleset"}, ["firewall_rules[0].port", "flush ruleset"]),
        ({"protocol": "tcp"}, ["firewall_rules[0].port", "required"]),
        ({"port": 80, "proto": "tcp"}, ["firewall_rules[0].proto", "Did you mean 'protocol'"]),
        ({"port": 80, "protocol": "sctp"}, ["firewall_rules[0].protocol", "'sctp'", "tcp or udp"]),
        ({"port": 80, "from": ["192.0.2.1/24"]}, ["firewall_rules[0].from", "192.0.2.1/24", "host bits"]),
        ({"port": 80, "from": ["example.com"]}, ["firewall_rules[0].from", "'example.com'", "192.0.2.0/24"]),
        ({"port": 80, "comment": 'x" accept'}, ["firewall_rules[0].comment", "simple punctuation"]),
        ("80", ["firewall_rules[0]", "'80'", "mapping"]),
    ],
)
def test_wrong_rules_are_refused_with_a_remedy(rule, words):
    with pytest.raises(certificates.DeclarationError) as refused:
        firewall.nft_rules([rule])
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_ssh_is_accepted_on_every_port_and_slowed_down_by_address():
    statements = firewall.nft_ssh_rules([2222, "22", 22])
    assert statements[-1] == 'tcp dport { 22, 2222 } accept comment "ssh"'
    assert all(statement.endswith("counter drop") for statement in statements[:-1])
    assert "rate over 60/minute burst 60 packets" in statements[0]
    assert "ip6 saddr & ffff:ffff:ffff:ffff:: limit" in statements[1]


def test_ssh_from_networks_only():
    assert firewall.nft_ssh_rules([22], ["192.0.2.0/24", "2001:db8::/32"])[-2:] == [
        'ip saddr { 192.0.2.0/24 } tcp dport { 22 } accept comment "ssh"',
        'ip6 saddr { 2001:db8::/32 } tcp dport { 22 } accept comment "ssh"',
    ]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(([],), "firewall_ssh_ports"), (([22], [], "fast"), "firewall_ssh_rate"), (([22], ["office"]), "firewall_ssh_from")],
)
def test_ssh_that_would_let_nobody_in_is_refused(arguments, word):
    with pytest.raises(certificates.DeclarationError, match=word):
        firewall.nft_ssh_rules(*arguments)


def test_logs_lie_in_the_folder_that_releases_share():
    assert logrotate.logrotate_files(SHOP) == [{"name": "shop", "user": "shop", "group": "shop", "paths": ["/srv/shop/shared/logs/*.log"]}]
    assert logrotate.logrotate_files(broken(("shop", "logs"), [])) == []


def test_stanza_has_every_key():
    (stanza,) = logrotate.logrotate_stanzas([{"name": "a", "user": "b", "paths": ["/srv/a/*.log"], "rotate": None, "group": None}])
    assert stanza == {
        "name": "a",
        "user": "b",
        "group": "b",
        "paths": ["/srv/a/*.log"],
        "frequency": "daily",
        "rotate": 14,
        "maxsize": "100M",
        "postrotate": [],
    }
    (stanza,) = logrotate.logrotate_stanzas([{**stanza, "rotate": 0, "maxsize": "1G"}], rotate=7)
    assert (stanza["rotate"], stanza["maxsize"]) == (0, "1G")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"paths": ["/srv/a/logs/*"]}, ["paths", "rotated files", "/srv/a/logs/*.log"]),
        ({"paths": ["logs/a.log"]}, ["paths", "absolute"]),
        ({"paths": ["/srv/a/../b/*.log"]}, ["paths", "'..'"]),
        ({"paths": ["/srv/a/x y.log"]}, ["paths", "spaces"]),
        ({"paths": ["/srv/a/x.log { }"]}, ["paths"]),
        ({"paths": []}, ["paths", "required"]),
        ({"user": "a b"}, ["user", "small letters"]),
        ({"frequency": "yearly"}, ["frequency", "daily"]),
        ({"maxsize": "100MB"}, ["maxsize", "100M"]),
        ({"postrotate": ["true", "endscript"]}, ["postrotate", "one command"]),
        ({"size": "1M"}, ["size", "Did you mean 'maxsize'"]),
    ],
)
def test_wrong_logs_are_refused_with_a_remedy(change, words):
    with pytest.raises(certificates.DeclarationError) as refused:
        logrotate.logrotate_stanzas([{"name": "a", "user": "a", "paths": ["/srv/a/*.log"], **change}])
    assert all(word in str(refused.value) for word in ["logrotate_files[0]", *words]), str(refused.value)


def test_certificates_of_the_declared_sites():
    files = {"certificate": "/etc/mainstay/tls/shop.example.com.crt", "key": "/etc/mainstay/tls/shop.example.com.key"}
    assert certificates.certificate_sites(SHOP) == [{"name": "shop.example.com", "source": "selfsigned", "names": [], **files}]
    assert certificates.certificate_sites(broken(TLS, OWN)) == [{"name": "shop.example.com", "source": "files", "names": [], **OWN}]
    aliased = broken(("shop", "sites", "shop.example.com", "aliases"), ["www.shop.example.com"])
    assert certificates.certificate_sites(aliased)[0]["names"] == ["www.shop.example.com"]
    assert certificates.certificate_sites(broken(TLS, "none")) == []


def test_own_files_are_left_alone():
    sites = [
        {"name": "b.example.com", "source": "selfsigned", "names": ["www.b.example.com", "b.example.com"]},
        {"name": "a.example.com", "source": "files", **OWN},
    ]
    assert certificates.self_signed_sites(sites) == [{"name": "b.example.com", "names": ["b.example.com", "www.b.example.com"]}]


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({"source": "letsencrypt", "names": ["*.example.com"]}, ["certificates_sites", "*.example.com", "port 80"]),
        ({"source": "letsencrypt", "names": ["192.0.2.1"]}, ["certificates_sites", "192.0.2.1", "port 80"]),
        ({"source": "acme"}, ["certificates_sites[0].source", "'acme'", "selfsigned, letsencrypt or files"]),
        ({"source": "files", "key": "/a"}, ["certificates_sites[0]", "certificate and key"]),
        ({"source": "selfsigned", "names": ["../../etc/passwd"]}, ["certificates_sites", "host name"]),
        ({"source": "selfsigned", "alias": ["b"]}, ["certificates_sites[0].alias", "no such key"]),
    ],
)
def test_wrong_certificates_are_refused_with_a_remedy(site, words):
    with pytest.raises(certificates.DeclarationError) as refused:
        certificates.self_signed_sites([{"name": "a.example.com", **site}])
    assert all(word in str(refused.value) for word in words), str(refused.value)


def _paths(target):
    base = "/etc/mainstay/tls/a.example.com"
    return {
        f"{base}.crt": {"target": "a.example.com.pair/crt"},
        f"{base}.key": {"target": "a.example.com.pair/key"},
        f"{base}.pair": {"target": target},
    }


SITE = {"name": "a.example.com", "names": ["a.example.com", "www.a.example.com"]}


@pytest.mark.parametrize(
    ("days", "names", "due"),
    [
        (825, SITE["names"], False),
        (825, SITE["names"][::-1], False),
        (30, SITE["names"], False),
        (29, SITE["names"], True),
        (-1, SITE["names"], True),
        (825, ["a.example.com"], True),
    ],
)
def test_a_pair_is_due_by_its_link_alone(days, names, due):
    target = certificates.pair_folder(SITE["name"], names, TODAY + datetime.timedelta(days=days))
    assert bool(certificates.certificates_due([SITE], _paths(target), TODAY)) is due


@pytest.mark.parametrize(
    "paths",
    [
        {},
        _paths(None),
        _paths("/elsewhere"),
        _paths(".pairs/a.example.com.20281301.00000000"),
        {
            path: entry
            for path, entry in _paths(certificates.pair_folder("a.example.com", SITE["names"], datetime.date(2028, 1, 1))).items()
            if not path.endswith(".key")
        },
    ],
)
def test_what_is_missing_or_foreign_is_due(paths):
    assert certificates.certificates_due([SITE], paths, TODAY) == [SITE]


MADE = ".pairs/a.example.com.20280101.00000000"


@pytest.mark.parametrize(
    ("wanted", "paths", "folders"),
    [
        ([], _paths(MADE), [f"{certificates.TLS_DIRECTORY}/{MADE}"]),
        ([{"name": "b.example.com"}], _paths(MADE), [f"{certificates.TLS_DIRECTORY}/{MADE}"]),
        ([SITE], _paths(MADE), []),
        ([], _paths("/elsewhere"), []),
        ([], _paths(".pairs/../../ssl.20280101.00000000"), []),
        ([], _paths(".pairs/b.example.com.20280101.00000000"), []),
        ([], {f"{certificates.TLS_DIRECTORY}/own.crt": {"target": None}, f"{certificates.TLS_DIRECTORY}/own.key": {"target": None}}, []),
        ([], {"/srv/a.example.com.pair": {"target": MADE}}, []),
    ],
)
def test_pairs_that_were_made_for_sites_that_are_gone(wanted, paths, folders):
    unused = certificates.certificates_unused(wanted, paths)
    assert unused == {"links": sorted(paths) if folders else [], "folders": folders}


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
OTHER = PEM.replace("MIIB", "MIIC")


def test_a_bundle_becomes_one_file_for_each_certificate():
    files = certificates.ca_certificates([f"# a comment\n{PEM}{OTHER}", PEM.replace("\n", "\r\n")])
    assert sorted(files.values()) == [PEM, OTHER]
    assert all(name.startswith("mainstay-") and name.endswith(".crt") for name in files)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n" + PEM, "private key"),
        ("-----BEGIN CERTIFICATE REQUEST-----", "No certificate is in it"),
    ],
)
def test_what_is_no_certificate_is_refused(text, word):
    with pytest.raises(certificates.DeclarationError, match=word) as refused:
        certificates.ca_certificates([text])
    assert "secret" not in str(refused.value)


SERVER = "https://acme.example.com/directory"
LINEAGE = "/etc/letsencrypt/live/mainstay-a.example.com/fullchain.pem"
OF_AUTHORITY = certificates.acme_folder(SITE["name"], SITE["names"], SERVER)


@pytest.mark.parametrize(
    ("target", "lineage", "names", "server", "due", "placeholder_due"),
    [
        (OF_AUTHORITY, True, SITE["names"], SERVER, False, False),
        (OF_AUTHORITY, True, SITE["names"][::-1], SERVER, False, False),
        (OF_AUTHORITY, True, [*SITE["names"], "b.example.com"], SERVER, True, False),  # the old one serves until there is another
        (OF_AUTHORITY, True, SITE["names"], "https://staging.example.com/directory", True, False),
        (OF_AUTHORITY, False, SITE["names"], SERVER, True, True),  # somebody has deleted certbot's files
        (
            certificates.pair_folder(SITE["name"], SITE["names"], TODAY + datetime.timedelta(days=800)),
            True,
            SITE["names"],
            SERVER,
            True,
            False,
        ),
        (None, False, SITE["names"], SERVER, True, True),
    ],
)
def test_a_certificate_of_an_authority_is_due_by_its_link_and_certbot_s_file(target, lineage, names, server, due, placeholder_due):
    site = {"name": SITE["name"], "source": "letsencrypt", "names": names}
    paths = {**_paths(target), **({LINEAGE: {}} if lineage else {})} if target else {}
    assert bool(certificates.acme_due(certificates.acme_sites([site]), paths, server)) is due
    assert bool(certificates.certificates_due(certificates.self_signed_sites([site]), paths, TODAY)) is placeholder_due


def test_http3_opens_its_port_beside_that_of_tls_alone():
    assert ("udp", 443) not in {(rule["protocol"], rule["port"]) for rule in firewall.firewall_rules(SHOP)}
    rules = firewall.firewall_rules(SHOP, http3=True)
    assert [(rule["protocol"], rule["port"]) for rule in rules[:3]] == [("tcp", 80), ("tcp", 443), ("udp", 443)]
    assert 'udp dport 443 accept comment "web sites by HTTP/3"' in firewall.nft_rules(rules)
    plain = broken(TLS, "none")
    assert {rule["port"] for rule in firewall.firewall_rules(plain, http3=True) if rule["protocol"] == "udp"} == set()


def test_certificates_of_certbot_s_that_nobody_declares_are_ours_by_name_alone():
    live = "/etc/letsencrypt/live"
    names = ("mainstay-a.example.com", "mainstay-b.example.com", "c.example.com", "mainstay-", "mainstay-../x", "xmainstay-d.example.com")
    paths = {f"{live}/{name}/fullchain.pem": {} for name in names}
    assert certificates.acme_unused([{"name": "a.example.com", "names": []}], paths) == ["b.example.com"]
    assert certificates.acme_unused([], {}) == []


@pytest.mark.parametrize(
    ("pattern", "is_refused"),
    [
        ("/srv/shop/shared/logs/*.log", True),
        ("/srv/*/shared/logs/*.log", True),
        ("/srv/shop/shared/logs/web.log", True),
        ("/srv/shop/shared/other/*.log", False),
        ("/var/log/*.log", False),
    ],
)
def test_logs_that_somebody_rotates_already_are_refused(pattern, is_refused):
    files = [{"name": "shop", "user": "shop", "paths": ["/srv/shop/shared/logs/*.log"]}]
    rotated = [{"file": "/etc/logrotate.d/own", "pattern": pattern}]
    if not is_refused:
        logrotate.refuse_rotated_twice(files, rotated, "web1")
        return
    with pytest.raises(ValueError, match=r"web1: /etc/logrotate.d/own rotates .* as /srv/shop/shared/logs/\*.log would be"):
        logrotate.refuse_rotated_twice(files, rotated, "web1")
