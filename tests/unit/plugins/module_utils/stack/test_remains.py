# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import remains
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

DATABASE = {"postgresql": {"databases": {"old": "old"}, "limits": {"old": 14}}}


def _host(*apps, kept=None, **rest):
    paths = {f"/etc/mainstay/{name}/env": {"type": "file"} for name in apps}
    paths.update({f"{remains.REMOVED}/{name}": {"type": "link", "target": target} for name, target in (kept or {}).items()})
    return {"paths": paths, **rest}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (_host("shop"), []),
        (_host("shop", "old"), ["app old on web1: nothing of it runs. It goes with playbooks/remove.yml -e mainstay_app=old"]),
        (
            _host("shop", "old", active=["old-web@8000.service", "old.target", "shop-web@8100.service"]),
            ["web1: old-web@8000.service still runs."],
        ),
        (_host("old", active=["old-a@1.service", "old-b@1.timer"]), ["old-a@1.service, old-b@1.timer still run."]),
        # Of two apps the one with the longer name has what both names begin.
        (_host("old", "old-b", active=["old-b-web@1.service"]), ["app old on web1: nothing", "app old-b on web1: old-b-web@1.service"]),
        (
            _host(kept={"old": "postgresql,/srv/old/shared"}, **DATABASE),
            ["data of old on web1: its database in PostgreSQL, /srv/old/shared. It goes"],
        ),
        (_host(kept={"old": "postgresql,/srv/old/shared"}), ["data of old on web1: /srv/old/shared. It goes, after a dump, with"]),
        (_host(kept={"old": "postgresql"}), []),
        (_host("old", kept={"old": "/srv/old/shared"}), ["app old on web1"]),
        (_host("shop", kept={"shop": "/srv/shop/shared"}), []),
        (_host(**DATABASE), []),
        # What has two users and nothing else is one whose first build failed; what has one is somebody's.
        (_host("shop", homes={"old": "/srv/old", "old-build": "/nonexistent"}), ["app old on web1: nothing of it runs. It goes with"]),
        (_host("shop", homes={"old": "/srv/old", "me": "/srv/me", "me-build": "/home/me-build"}), []),
        (
            {"mariadb": {"databases": {"shop": "utf8mb4"}, "limits": {"shop@127.0.0.1": 9}}},
            ["database shop in MariaDB on web1: its app is no"],
        ),
        ({"postgresql": {"databases": {"shop": "shop"}, "limits": {"shop": 9}}}, []),
        ({"paths": {"/etc/mainstay/tls/env": {}, "/etc/mainstay/No/env": {}, "/srv/git": {}}}, ["app tls on web1"]),
    ],
)
def test_what_is_no_longer_declared_is_told_with_what_removes_it(host, expected):
    lines = remains.report(SHOP, {"web1": host})
    assert len(lines) == len(expected), lines
    assert all(words in line for words, line in zip(expected, lines))


def test_a_host_that_only_holds_the_database_is_told_of_by_what_others_know():
    lines = remains.report(SHOP, {"web1": _host(kept={"old": "/srv/old/shared"}), "db1": DATABASE})
    assert [line.split(": ")[:2] for line in lines] == [
        [
            "data of old on db1",
            "its database in PostgreSQL. It goes, after a dump, with playbooks/remove.yml -e mainstay_app=old -e mainstay_data=true",
        ],
        [
            "data of old on web1",
            "/srv/old/shared. It goes, after a dump, with playbooks/remove.yml -e mainstay_app=old -e mainstay_data=true",
        ],
    ]


def test_nothing_is_said_of_what_this_run_removes():
    hosts = {"web1": _host("old", "older"), "web2": _host(kept={"old": "/srv/old/shared"})}
    assert [line.split(":")[0] for line in remains.report(SHOP, hosts, "old")] == ["app older on web1"]


PLAN = {"hosts": {"web1": {"processes": {"shop": {"web": {"instances": 2}}}}}}


@pytest.mark.parametrize(
    ("host", "removed", "unit"),
    [
        (_host("old", active=["old-web@8000.service"]), "", "old-web@8000.service has port 8000"),
        (_host("old", enabled=["old-web@8003.service"]), "", "old-web@8003.service has port 8003"),  # it would be back at the next boot
        (_host("old", listeners=[{"unit": "old-web@8001.service", "port": 8001}]), "", "old-web@8001.service has port 8001"),
        (_host("shop-old", active=["shop-old-web@8000.service"]), "", "shop-old-web@8000.service has port 8000, of the app shop-old"),
        (_host("old", active=["old-web@8000.service"]), "old", None),  # this very run removes it
        (_host("old", active=["old-web@8004.service", "old-worker@1.service"]), "", None),
        (_host("shop", active=["shop-web@8000.service"]), "", None),
        (_host("shop", active=["old-web@8000.service"]), "", None),  # of somebody else's; the health gate meets it
        (_host("old", listeners=[{"unit": "", "port": 8000}, {"port": 8001}]), "", None),
    ],
)
def test_the_ports_of_a_renamed_app_are_not_behind_the_new_one(host, removed, unit):
    if unit is None:
        remains.refuse_taken_ports(SHOP, host, PLAN, "web1", removed)
        return
    with pytest.raises(DeclarationError) as refusal:
        remains.refuse_taken_ports(SHOP, host, PLAN, "web1", removed)
    assert str(refusal.value).startswith(f"mainstay_apps.shop.processes.web.port: 8000 cannot be used. On web1 {unit}")
    assert "playbooks/remove.yml -e mainstay_app=" in str(refusal.value)


@pytest.mark.parametrize("removed", ["", "older"])
def test_apps_in_each_other_s_way_are_removed_before_the_new_ones_are_declared(removed):
    host = _host("old", "older", active=["old-web@8000.service", "older-web@8001.service"])
    with pytest.raises(DeclarationError) as refusal:
        remains.refuse_taken_ports(SHOP, host, PLAN, "web1", removed)
    other = "old" if removed else "older"
    assert f"So it is with {removed or other}. Take shop out of mainstay_apps, remove each of those with" in str(refusal.value)
    assert "which then brings" not in str(refusal.value)
