# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import names
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

# As read on a host of the lab, Debian 12, in parts.
HOST = {
    "homes": {"root": "/root", "daemon": "/usr/sbin", "admin": "/home/admin", "_apt": "/nonexistent", "messagebus": "/nonexistent"},
    "groups": {"root": 0, "users": 100, "audio": 29, "systemd-network": 998},
    "unit_files": ["network.target", "console-getty.service", "getty@.service", "timers.target"],
}


def _named(name, processes=()):
    return {name: {"source": {"path": "x"}, "processes": {process: {"command": "x", "kind": "worker"} for process in processes}}}


@pytest.mark.parametrize(
    ("name", "processes", "word"),
    [
        ("network", (), "unit network.target from a package"),
        ("timers", (), "unit timers.target"),
        ("users", (), "group of that name"),
        ("audio", (), "group of that name"),
        ("systemd-network", (), "group of that name"),
        ("console", ("getty",), None),  # its unit would be console-getty@.service
        ("shop", ("web",), None),
    ],
)
def test_a_name_that_is_the_host_s_is_refused(name, processes, word):
    if word is None:
        names.refuse_taken_names(_named(name, processes), HOST, "web1")
        return
    with pytest.raises(ValueError, match=f"mainstay_apps.{name}: '{name}' cannot be used. .*{word}.*such as {name}-app"):
        names.refuse_taken_names(_named(name, processes), HOST, "web1")


@pytest.mark.parametrize(
    ("homes", "word"),
    [({"shop": "/home/shop"}, "at home in /home/shop"), ({"shop-build": "/home/x"}, "builds the app"), ({"shop": "/srv/shop"}, None)],
)
def test_a_user_of_somebody_is_not_taken_over_and_the_app_s_own_is(homes, word):
    host = {**HOST, "homes": {**HOST["homes"], **homes}, "groups": {**HOST["groups"], **dict.fromkeys(homes, 999)}}
    if word is None:
        names.refuse_taken_names(SHOP, host, "web1")
        return
    with pytest.raises(ValueError, match=word):
        names.refuse_taken_names(SHOP, host, "web1")


@pytest.mark.parametrize(
    ("variable", "word"),
    [
        ("mainstay_user", "Did you mean mainstay_users?"),
        ("mainstay_zone", "There are mainstay_address, "),
        ("mainstay_ca_certificate", "Did you mean mainstay_ca_certificates?"),
    ],
)
def test_a_variable_that_nobody_reads_is_refused(variable, word):
    with pytest.raises(ValueError, match=f"{variable}: nothing reads") as refusal:
        names.refuse_unknown_variables(["mainstay_apps", "inventory_hostname", variable])
    assert word in str(refusal.value)


def test_the_variables_of_the_stack_are_known():
    names.refuse_unknown_variables([*names.VARIABLES, *names.FACTS, "ansible_host", "nginx_my_own"])


@pytest.mark.parametrize("variables", [{}, {"mainstay_apps": None}, {"mainstay_app": {"shop": {}}}])
def test_apps_that_nobody_declared_are_missing(variables):
    with pytest.raises(ValueError, match=r"mainstay_apps: no app is declared\..*or write {} for hosts without any\."):
        names.refuse_missing_apps(variables.get("mainstay_apps", {}), {"inventory_hostname": "web1", **variables})


def test_a_host_may_be_without_any_app():
    names.refuse_missing_apps({}, {"mainstay_apps": {}})
