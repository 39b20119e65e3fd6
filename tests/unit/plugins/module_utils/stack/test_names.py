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


FOLDER = {"type": "directory", "target": None, "mode": "0755", "owner": "root"}
RELEASES = {"/srv/shop": FOLDER, "/srv/shop/current": {**FOLDER, "type": "link"}, "/srv/shop/releases": FOLDER}


@pytest.mark.parametrize(
    ("paths", "homes", "word"),
    [
        ({}, {}, None),
        ({"/srv/shop": FOLDER, "/srv/other/releases": FOLDER}, {}, None),  # a disk is mounted there
        (
            {"/srv/shop": {**FOLDER, "owner": "admin"}},
            {},
            "web1 /srv/shop, where it would lie, belongs to admin; move that elsewhere, or call the app",
        ),
        ({"/srv/shop": {**FOLDER, "type": "link"}}, {}, "is a link"),
        ({"/srv/shop": {**FOLDER, "type": "file"}}, {}, "is no folder"),
        (RELEASES, {}, "holds /srv/shop/current and /srv/shop/releases"),
        (RELEASES, {"shop": "/srv/shop"}, None),  # its own
    ],
)
def test_a_folder_of_somebody_is_not_taken_over(paths, homes, word):
    host = {**HOST, "homes": {**HOST["homes"], **homes}, "paths": paths}
    if word is None:
        names.refuse_taken_names(SHOP, host, "web1")
        return
    with pytest.raises(ValueError, match=word):
        names.refuse_taken_names(SHOP, host, "web1")


@pytest.mark.parametrize(
    ("path", "homes", "is_refused"),
    [
        ("/var/lib/shop", {}, True),
        ("/run/shop", {}, True),
        ("/etc/systemd/system/shop.target", {}, True),
        ("/etc/systemd/system/shop-web@.service", {}, True),
        ("/etc/systemd/system/shop-other@.service", {}, False),
        ("/var/lib/shop", {"shop": "/srv/shop"}, False),
    ],
)
def test_what_systemd_would_make_the_app_s_is_nobody_s_else(path, homes, is_refused):
    host = {**HOST, "homes": {**HOST["homes"], **homes}, "paths": {path: FOLDER}}
    if not is_refused:
        names.refuse_taken_names(SHOP, host, "web1")
        return
    with pytest.raises(
        ValueError, match=f"here is {path} of somebody's on web1, which the app would take over; call the app something else"
    ):
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


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
# Each public variable that a run reads at once: values that work, and values with what is said of them. A play has them from YAML, or
# as texts from the command line.
NOTHING_OR_TEXT = [["", None, "shop"], [(5, "write a text"), (["shop"], "write a text")]]
SWITCH = [[True, False, "true", "no"], [("perhaps", "use true or false"), (None, "use true or false"), ([True], "use true or false")]]
NAMES = [[{}, None, {"a": 1}], [("a", "write a mapping"), ([1], "write a mapping")]]
VALUES = {
    "mainstay_address": [
        ["10.0.0.7", "fd00::7"],
        [
            ("nowhere at all", "write an IP address of the host"),
            ("127.0.0.1", "nobody finds the host there"),
            (7, "write an IP"),
            (None, "IP"),
        ],
    ],
    "mainstay_adopt": [[[], ["firewall"]], [("firewall", "write a list"), (["firewal"], "did you mean firewall")]],
    "mainstay_app": NOTHING_OR_TEXT,
    "mainstay_app_file": NOTHING_OR_TEXT,
    "mainstay_backup_secrets": SWITCH,
    "mainstay_ca_certificates": [
        [[], [PEM]],
        [
            ("/nowhere.pem", "write a list: \\[/nowhere.pem\\]"),
            (["/nowhere.pem"], "the file cannot be read on this machine"),
            (["ca.pem"], "write the absolute path"),
            ([__file__], "no certificate is in it"),
            ([{"a": 1}], "write a text"),
        ],
    ],
    "mainstay_confirm": NOTHING_OR_TEXT,
    "mainstay_data": SWITCH,
    "mainstay_environment": [
        [{}, None, {"http_proxy": "http://proxy.example.com:3128", "HTTPS_PROXY": "", "PIP_RETRIES": 3}],
        [
            (["x"], "write a mapping"),
            ("http_proxy=x", "write a mapping"),
            ({"http_proxy": None}, "write a text, a number"),
            ({"http_proxy": ["x"]}, "write a text"),
            ({"http_proxy": "squid"}, "write a URL"),
            ({"a b": "x"}, "a variable's name has letters"),
        ],
    ],
    "mainstay_http3": [[True, False], [("true", "without quotes"), ("yes", "did you mean true"), (None, "use true or false")]],
    "mainstay_lock_wait": [[0, "600", 86400], [("long", "whole number from 0 to 86400"), (-1, "whole number"), ("10m", "whole number")]],
    "mainstay_outside": SWITCH,
    "mainstay_outside_address": [
        ["192.0.2.7", "2001:db8::7", "Shop.example.com"],
        [
            (5, "write the name or the IP address"),
            ("nowhere at all", "write the name"),
            ("192.0.2", "write the name"),
            ("http://a", "name"),
        ],
    ],
    "mainstay_release": NOTHING_OR_TEXT,
    "mainstay_reserved_memory_mb": [[0, "400"], [("1g", "whole number from 0"), (-1, "whole number"), (None, "whole number")]],
    "mainstay_restore": [["all"], [("everything", "use one of database, files, all")]],
    "mainstay_restore_path": NOTHING_OR_TEXT,
    "mainstay_secret": NOTHING_OR_TEXT,
    "mainstay_snapshot": NOTHING_OR_TEXT,
    "mainstay_time": NOTHING_OR_TEXT,
    "mainstay_source": NOTHING_OR_TEXT,
    "mainstay_trusted_proxies": [[[], ["10.0.0.0/8"]], [("10.0.0.0/8", "write a list"), (["10.0.0.1/8"], "host bits"), (None, "list")]],
    "mainstay_verify_alert": SWITCH,
    "mainstay_verify_chaos": SWITCH,
    "mainstay_verify_chaos_options": NAMES,
    "mainstay_verify_drift": SWITCH,
    "mainstay_verify_limits": NAMES,
    "mainstay_verify_load": SWITCH,
    "mainstay_verify_load_limits": NAMES,
    "mainstay_verify_report": NOTHING_OR_TEXT,
    "mainstay_verify_waived": NAMES,
    "mainstay_verify_websocket_limits": NAMES,
}


def test_each_public_variable_is_judged():
    assert set(VALUES) == set(names.VARIABLES) - set(names.READ_BY_THE_PLAN)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_a_public_variable_works_or_is_refused_in_a_sentence_with_its_name(name):
    works, refused = VALUES[name]
    for value in works:
        names.refuse_wrong_values({name: value, "another": 1})
    for value, words in refused:
        with pytest.raises(ValueError, match=f"(?i)^{name}.*cannot be used\\. .*{words}"):
            names.refuse_wrong_values({name: value})


def test_the_password_of_a_proxy_is_not_told():
    with pytest.raises(ValueError) as refusal:
        names.refuse_wrong_values({"mainstay_environment": {"https_proxy": "anna:horse@proxy"}})
    assert "horse" not in str(refusal.value)
