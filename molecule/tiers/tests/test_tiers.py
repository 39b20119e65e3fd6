# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack on three hosts: they reach each other and nobody else does, and a release takes over on all backends or on none."""

from __future__ import annotations

import itertools
import os
import socket

import pytest
import testinfra
from plays import changes, words
from visits import Shop, Visit, assert_unharmed

testinfra_hosts = ["ansible://molecule-tiers-edge"]

ONLY_ON_THE_SECOND = """…
import socket
if socket.gethostname() == 'molecule-tiers-web':
    raise SystemExit('not on this host')
"""
ANSWERS_500 = """…
@app.middleware("http")
async def feel_ill(request, call_next):
    return JSONResponse({"detail": "feeling ill"}, 500)
"""


def _host(name):
    return testinfra.get_host(
        f"ansible://molecule-tiers-{name}", ansible_inventory=os.environ["MOLECULE_INVENTORY_FILE"], force_ansible=True
    )


@pytest.fixture(scope="module")
def web():
    return _host("web")


@pytest.fixture(scope="module")
def data():
    return _host("data")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Shop(tmp_path_factory.mktemp("tiers"))


def _addresses(host):
    return host.check_output("hostname --all-ip-addresses").split()


def _serving(host):
    """What a host runs of the app: releases by unit."""
    return host.check_output("cd /srv/shop/instances && for link in *; do echo $link $(readlink $link); done; readlink /srv/shop/current")


def _tried(host):
    """The backends that nginx has asked so far, without their ports."""
    lines = host.file("/var/log/nginx/access.log").content_string.splitlines()
    return {line.rsplit('" ', 1)[1].rpartition(":")[0] for line in lines if ":" in line.rsplit('" ', 1)[1].split()[0]}


def test_the_site_is_served_by_all_backends(host, web):
    for _each in range(8):
        assert host.check_output("curl --silent --insecure --fail https://localhost/ready")
    assert _tried(host) == {"127.0.0.1", _addresses(web)[0]}


def test_what_happens_once_happens_on_one_host(host, web):
    beats = [each.run("systemctl is-active shop-beat@1.service").stdout.strip() for each in (host, web)]
    assert beats == ["active", "inactive"]


def test_the_data_is_open_to_the_backends_only(host, web, data):
    (address, *_others) = _addresses(data)
    for port in (5432, 6379, 6380):
        for each in (host, web):
            assert each.run(f"timeout 3 bash -c '</dev/tcp/{address}/{port}'").rc == 0, (each, port)
        with pytest.raises(OSError), socket.create_connection((address, port), timeout=1):
            pass  # this machine is neither
    sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
    assert data.check_output(f'runuser -u postgres -- psql -Atc "{sessions}"') == "t"


def test_a_release_takes_over_on_all_backends(host, web, shop):
    assert shop.deploy().returncode == 0
    shop.change()
    with Visit(host) as visit:
        run = shop.deploy()
    assert run.returncode == 0, run.stdout[-4000:]
    assert_unharmed(visit.found)
    releases = {each.check_output("readlink /srv/shop/current") for each in (host, web)}
    assert len(releases) == 1 and len(visit.found["releases"]) == 2
    again = shop.deploy()
    assert (again.returncode, changes(again)) == (0, 0), again.stdout[-4000:]


def test_one_host_that_refuses_a_release_refuses_it_for_all(host, web, shop):
    before = [_serving(each) for each in (host, web)]
    with shop.broken("shop/main.py", ONLY_ON_THE_SECOND), Visit(host) as visit:
        run = shop.deploy(backend_start_timeout=20)
    assert run.returncode != 0 and "not on this host" in words(run)
    assert "It was refused on molecule-tiers-web:" in words(run)
    assert_unharmed(visit.found)
    assert [_serving(each) for each in (host, web)] == before
    assert [each.run("ls /run/lock/mainstay/*.deploy").rc != 0 for each in (host, web)] == [True, True]


def test_a_rollback_returns_all_backends(host, web, shop):
    shop.change()
    before = [_serving(each) for each in (host, web)]
    assert shop.deploy().returncode == 0
    run = shop.deploy("playbooks/rollback.yml")
    assert run.returncode == 0, run.stdout[-4000:]
    assert [_serving(each).split()[1::2] for each in (host, web)] == [each.split()[1::2] for each in before]


def turns_of(run):
    """The instances that were replaced one after the other, as the run tells."""
    return [line for line in run.stdout.splitlines() if line.startswith("included:") and "roll.yml" in line]


def test_without_memory_for_a_second_set_hosts_roll_one_after_the_other(host, shop):
    shop.change()
    with Visit(host) as visit:
        run = shop.deploy(backend_deploy="rolling")
    assert run.returncode == 0, run.stdout[-4000:]
    # What docs/deploys.md says of rolling: a POST meets a closing connection, and is not sent twice.
    met = [failure for failure in visit.found["failures"] if "POST: 502" in failure]
    assert len(met) == visit.found["failed"] <= len(turns_of(run)), visit.found
    assert_unharmed({**visit.found, "failed": 0})
    turns = turns_of(run)
    hosts = [line.rsplit(" for ", 1)[1].split()[0] for line in turns]
    assert len(list(itertools.groupby(hosts))) == 2, turns


def test_a_broken_release_that_rolls_is_told_by_what_it_answered_and_rolls_back(host, web, shop):
    before = [_serving(each) for each in (host, web)]
    with shop.broken("shop/main.py", ANSWERS_500):
        run = shop.deploy(backend_deploy="rolling", backend_start_timeout=20)
    assert run.returncode != 0 and "/health gave status 500" in words(run), run.stdout[-4000:]
    assert "TASK [mainstay.vps.backend : Put web instances back]" in run.stdout
    for _each in range(8):
        assert host.check_output("curl --silent --insecure --fail https://localhost/ready")
    assert [_serving(each) for each in (host, web)] == before
    assert [each.run("ls /run/lock/mainstay/*.deploy").rc != 0 for each in (host, web)] == [True, True]
