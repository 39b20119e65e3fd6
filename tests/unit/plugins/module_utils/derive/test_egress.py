# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.egress import egress_chains
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

BLOG = {
    "source": {"path": "x"},
    "processes": {"web": {"command": "x", "port": 9000, "instances": 2}, "mailer": {"command": "y"}},
}
PLAN = {
    "hosts": {
        "web1": {
            "tiers": ["proxy", "backend"],
            "address": "10.0.0.1",
            "processes": {"shop": {"web": {"instances": 3}}},
        },
        "data1": {"tiers": ["database", "cache"], "address": "10.0.0.2"},
    },
    "connections": {"postgresql": {"roles": {"shop": 30}}, "pgbouncer": {"roles": {"shop": 300}}},
}


def _rules(apps, name, plan=None):
    return next(chain["rules"] for chain in egress_chains(apps, plan, "web1") if chain["name"] == name)


def test_each_app_has_a_chain_for_its_processes_and_one_for_its_builds():
    chains = egress_chains({**SHOP, "blog": BLOG})
    assert [(chain["name"], chain["user"]) for chain in chains] == [
        ("app-blog", "blog"),
        ("build-blog", "blog-build"),
        ("app-shop", "shop"),
        ("build-shop", "shop-build"),
    ]


def test_no_app_reaches_the_processes_of_another():
    apps = {**SHOP, "blog": BLOG}
    for chain in ("app-shop", "build-shop"):
        assert _rules(apps, chain)[1] == "fib daddr type local tcp dport { 9000-9003 } reject with tcp reset"
    # The plan knows how many ports a process owns.
    assert _rules(apps, "app-blog", PLAN)[1] == "fib daddr type local tcp dport { 8000-8005 } reject with tcp reset"
    assert "9000" not in " ".join(_rules(apps, "app-blog"))
    assert not [rule for rule in _rules(SHOP, "app-shop") if "8000" in rule]


def test_no_app_is_heard_where_another_or_a_server_should_answer():
    chains = {chain["name"]: chain for chain in egress_chains({**SHOP, "blog": BLOG}, PLAN, "web1")}
    servers = "ct direction reply tcp sport { 3306, 5432, 6432, 6379-6431 } drop"
    for name, others in (("shop", "9000-9003"), ("blog", "8000-8005")):
        for kind in ("app", "build"):
            found = chains[f"{kind}-{name}"]["answers"]
            assert found[0] == f"ct direction reply tcp sport {{ {others} }} drop" and found[-1] == servers


def test_no_app_fills_the_kernel_s_table_of_connections():
    for chain in egress_chains({**SHOP, "blog": BLOG}):
        assert chain["rules"][0].startswith("meta l4proto udp limit rate over 200/second")


def test_connections_to_shared_servers_are_counted():
    rules = _rules(SHOP, "app-shop", PLAN)
    assert "fib daddr type local tcp dport { 80, 443 } ct count over 64 reject with tcp reset" in rules
    assert "ip daddr { 10.0.0.2/32 } tcp dport 5432 ct count over 38 reject with tcp reset" in rules
    assert "6432" not in " ".join(rules)
    pooled = _rules({"shop": {**SHOP["shop"], "pooler": "pgbouncer"}}, "app-shop", PLAN)
    assert "ip daddr { 10.0.0.2/32 } tcp dport 6432 ct count over 308 reject with tcp reset" in pooled


@pytest.mark.parametrize(
    ("egress", "accepted", "last"),
    [
        (None, [], "ip6 daddr { fe80::/10, fd00:ec2::254/128 }"),
        ("none", ["oif lo", "ip daddr { 10.0.0.2/32 }"], "reject with icmpx"),
        (
            "internal",
            ["oif lo", "ip daddr { 10.0.0.2/32, 10.0.0.0/8, 172.16.0.0/12", "ip6 daddr { fc00::/7 }", "meta l4proto"],
            "reject with icmpx",
        ),
        (
            ["203.0.113.0/24", "2001:db8::1"],
            ["oif lo", "ip daddr { 10.0.0.2/32, 203.0.113.0/24 }", "ip6 daddr { 2001:db8::1/128 }", "meta l4proto"],
            "reject with icmpx",
        ),
    ],
)
def test_what_an_app_declares_it_may_reach(egress, accepted, last):
    rules = _rules({"shop": {**SHOP["shop"], "egress": egress}}, "app-shop", PLAN)
    found = [rule for rule in rules if rule.endswith(" accept")]
    assert len(found) == len(accepted) and all(rule.startswith(words) for rule, words in zip(found, accepted))
    assert next(rule for rule in reversed(rules) if rule.startswith(last))


def test_the_metadata_service_of_a_cloud_is_refused_unless_it_is_named():
    refused = "ip daddr { 169.254.0.0/16, 168.63.129.16/32, 100.100.100.200/32 } meta l4proto { tcp, udp } th dport != 53 reject"
    assert refused in _rules(SHOP, "app-shop") and refused in _rules(SHOP, "build-shop")
    internal = _rules({"shop": {**SHOP["shop"], "egress": "internal"}}, "app-shop")
    assert internal.index(refused) < internal.index("oif lo accept")
    named = _rules({"shop": {**SHOP["shop"], "egress": ["169.254.169.254"]}}, "app-shop")
    assert named.index("ip daddr { 169.254.169.254/32 } accept") < named.index(refused)


@pytest.mark.skipif(not shutil.which("nft"), reason="nft is not installed; a host tests the rules at every run")
@pytest.mark.parametrize("egress", [None, "none", "internal", ["203.0.113.0/24", "2001:db8::1"]])
def test_nftables_reads_the_rules(tmp_path, egress):
    chains = egress_chains({"shop": {**SHOP["shop"], "egress": egress}, "blog": BLOG}, PLAN, "web1")
    body = "".join(f"chain {chain['name']} {{\n" + "\n".join(chain["answers"] + chain["rules"]) + "\n}\n" for chain in chains)
    (tmp_path / "egress.nft").write_text(f"table inet test {{\n{body}}}\n")
    done = subprocess.run(["nft", "-c", "-f", tmp_path / "egress.nft"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "Operation not permitted" in done.stderr, done.stderr
