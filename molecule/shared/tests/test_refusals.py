# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must stop a run: wrong input before anything has changed, a bad configuration before it is live."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.mainstay.vps.tests.unit.declarations import WRONG, broken
from plays import ROOT, changes, only_on, play, words

# Names that belong to any Debian host: of a target, of a group that people are in, of a packaged service.
TAKEN = {"network": "unit network.target", "users": "a group of that name", "systemd-network": "that name"}
PLAIN_APP = {"source": {"path": "../examples/pages"}, "processes": {"job": {"command": "sleep 60", "kind": "worker"}}}

# A few declarations of the table, all of which the unit tests judge, and variables of roles.
WRONG_VARIABLES = [({"mainstay_apps": broken(path, value)}, expected) for path, value, expected in WRONG[::48]] + [
    ({"mainstay_users": 0}, ["mainstay_users", "0", "1 to 10000000"]),
    ({"mainstay_user": 50}, ["mainstay_user: nothing reads this variable", "mainstay_users"]),
    ({"mainstay_apps": None}, ["mainstay_apps: no app is declared", "group_vars/all.yml"]),
    *(({"mainstay_apps": {name: PLAIN_APP}}, [f"mainstay_apps.{name}", word, f"{name}-app"]) for name, word in TAKEN.items()),
    ({"nginx_frame_options": "NONE"}, ["nginx_frame_options", "NONE", "SAMEORIGIN"]),
    ({"nginx_proxy_read_timeout": "soon"}, ["nginx_proxy_read_timeout", "soon", "int"]),
    ({"redis_bind": {"a": 1}}, ["redis_bind", "list"]),
    (
        {"mainstay_apps": {"shop": PLAIN_APP | {"source": {"path": "../nowhere"}}}},
        ["mainstay_apps.shop.source.path", "'../nowhere'", "there is no"],
    ),
    (
        {"mainstay_apps": {"shop": PLAIN_APP | {"processes": {"job": {"command": "a && b"}}}}},
        ["shop.processes.job.command", "'a && b'", "sh -c"],
    ),
    ({"mainstay_trusted_proxies": ["10.0.0.1/8"]}, ["mainstay_trusted_proxies[0]", "10.0.0.1/8", "host bits"]),
    ({"mainstay_environment": {"http_proxy": None}}, ["mainstay_environment.http_proxy", "None", "write a text"]),
    ({"mainstay_ca_certificates": ["/nowhere.pem"]}, ["mainstay_ca_certificates[0]", "/nowhere.pem", "cannot be read on this machine"]),
    ({"mainstay_lock_wait": "long"}, ["mainstay_lock_wait", "long", "whole number"]),
    ({"nginx_tls_groups": ["nonsense"]}, ["nginx_tls_groups[0]", "nonsense", "X25519"]),
    ({"nginx_http3": "false"}, ["nginx_http3", "'false'", "true or false"]),
    ({"system_login_umask": "27"}, ["system_login_umask", "27", "is not a umask in quotes"]),
    ({"fail2ban_trusted_networks": ["office"]}, ["fail2ban_trusted_networks[0]", "office", "192.0.2.0/24"]),
    ({"postgresql_client_hosts": ["web1"]}, ["postgresql_client_hosts[0]", "web1", "192.0.2.0/24"]),
]


@only_on("default", "the control node refuses, for any release")
def test_wrong_input_stops_before_the_host_changes():
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda case: play("playbooks/site.yml", variables=case[0]), WRONG_VARIABLES))
    for (variables, expected), run in zip(WRONG_VARIABLES, runs, strict=True):
        assert run.returncode != 0, variables
        assert changes(run) == 0, variables
        assert "Make the capacity plan" in run.stdout or "Refuse role variables" in run.stdout
        assert "Install" not in run.stdout, "stopped before the first role"
        said = words(run).lower()
        assert all(word.lower() in said for word in expected), (expected, run.stdout + run.stderr)
        if "mainstay_apps" in variables or "mainstay_user" in variables:
            assert "finalization of task args" not in said, "the sentence alone"
        assert len(run.stdout.splitlines()) < 100, "no specification of all variables after it"


@only_on("default", "the control node refuses, for any release")
@pytest.mark.parametrize(
    ("playbook", "variables", "sentence"),
    [
        ("remove", {}, "mainstay_app: '' cannot be used"),
        ("remove", {"mainstay_app": "shop"}, "It is declared"),
        ("rollback", {"mainstay_app": "nobody"}, "Name one of the declared apps: shop"),
        ("new", {"mainstay_source": "/nowhere"}, "Name a folder of this machine"),
    ],
)
def test_what_is_asked_for_with_e_is_refused_by_a_sentence_alone(playbook, variables, sentence):
    run = play(f"playbooks/{playbook}.yml", variables=variables)
    said = words(run)
    assert run.returncode != 0 and changes(run) == 0
    assert sentence in said and "Finalization of task args" not in said, run.stdout


@only_on("default", "a snapshot of any release tells it")
@pytest.mark.parametrize(
    ("command", "back", "sentence"),
    [
        (
            "cp /etc/resolv.conf /run/before && : >/etc/resolv.conf",
            "cat /run/before >/etc/resolv.conf",
            "no name server tells the host where",
        ),
        ("mount -t tmpfs -o size=40m tmpfs /var/cache/apt", "umount /var/cache/apt", "/var/cache/apt has 40 MB free of the"),
    ],
)
def test_a_host_whose_packages_cannot_come_is_refused_before_it_changes(host, command, back, sentence):
    host.check_output(command)
    try:
        run = play("playbooks/site.yml", variables={"mainstay_apps": {"job": PLAIN_APP | {"packages": ["hello"]}}})
    finally:
        host.check_output(back)
    assert run.returncode != 0 and changes(run) == 0, run.stdout
    assert "hello has to be installed, and" in words(run) and sentence in words(run), run.stdout


def test_an_inventory_without_the_stack_s_group_is_not_taken_for_done():
    run = subprocess.run(
        ["ansible-playbook", "-i", "web1.example.com,", "playbooks/site.yml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0 and "no host in the group vps" in words(run) and "PLAY RECAP" not in run.stdout


@pytest.fixture
def etc_nginx(host):
    """A digest of every file and link under /etc/nginx."""
    return lambda: host.check_output(
        "cd /etc/nginx && find . -printf '%y %m %u %g %l %p\\n' -type f -exec sha256sum {} \\; | sort | sha256sum"
    )


def test_a_broken_site_leaves_nginx_as_it_was(host, etc_nginx):
    before = etc_nginx()
    run = play(
        "playbooks/site.yml", "--tags", "nginx", variables={"nginx_upstreams": [{"name": "shop-web", "servers": ["127.0.0.1:eight"]}]}
    )
    assert run.returncode != 0
    assert 'invalid port in upstream "127.0.0.1:eight"' in words(run)
    assert etc_nginx() == before
    assert host.check_output("curl -4sk -o /dev/null -w '%{http_code}' https://localhost/health") == "200"
