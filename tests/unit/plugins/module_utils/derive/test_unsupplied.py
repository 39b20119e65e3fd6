# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.packages import REMEDIES, apt_remedy, stack_packages, wanted_packages
from ansible_collections.mainstay.vps.plugins.module_utils.derive.supply import refuse_unsupplied
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

NOW = 1_798_707_600  # 2026-12-31 09:00 UTC
ROOM = [{"mount": "/", "places": ["/usr", "/var/cache/apt"], "free_mb": 9000, "inodes_free": 500000}]
SUPPLY = {"missing": ["nginx", "postgresql"], "names": {"deb.debian.org": True}, "room": ROOM, "time": NOW}
SILENT = {"names": {"deb.debian.org": False}}


def small(**of):
    return {"room": [{**ROOM[0], **of}]}


@pytest.mark.parametrize("apps", [None, [], {"shop": None}, {"shop": {"colour": 1}}])
def test_what_cannot_be_read_wants_nothing_and_is_the_plan_s_to_refuse(apps):
    assert wanted_packages(SHOP, ["vps", "proxy"]) == stack_packages(SHOP, ["proxy"])
    assert wanted_packages(apps, ["proxy"]) in ([], stack_packages({}, ["proxy"]))


@pytest.mark.parametrize(
    ("found", "variables"),
    [
        ({}, {}),
        ({"missing": [], **SILENT, "time": 0}, {}),  # nothing has to come
        ({"time": NOW - 3500}, {}),
        (SILENT, {"mainstay_environment": {"http_proxy": "http://10.0.0.9:3128"}}),
        (SILENT, {"system_apt_http_proxy": "http://10.0.0.9:3128"}),
        ({"names": {"deb.debian.org": True, "gone.example.com": False}}, {}),
        ({"names": {}}, {}),
        (small(free_mb=402), {}),
        (small(inodes_free=None), {}),
    ],
)
def test_a_host_that_can_be_supplied(found, variables):
    refuse_unsupplied({"supply": {**SUPPLY, **found}}, "web1", NOW, variables)


def test_a_snapshot_without_a_word_of_it():
    refuse_unsupplied({}, "web1", NOW)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (SILENT, "no name server tells the host where deb.debian.org is. Name one that answers in its /etc/resolv.conf"),
        ({"time": NOW - 2 * 86400}, "its clock says 2026-12-29 09:00 UTC where this machine's says 2026-12-31 09:00 UTC"),
        ({"time": NOW + 3700}, "timedatectl set-ntp true"),
        (small(free_mb=400), "/ has 400 MB free of the 402 MB that they need at least. Make room there (df -h /; apt-get clean"),
        (small(mount="/var", places=["/var/cache/apt"], free_mb=40), "/var has 40 MB free of the 200 MB"),
        ({"held": ["nginx"]}, "nginx is on hold, which apt heeds: `sudo apt-mark unhold nginx`."),
        ({"interrupted": True}, "dpkg was interrupted on it: `sudo dpkg --configure -a`"),
        (small(inodes_free=10), "/ has room for 10 files"),
    ],
)
def test_a_host_whose_packages_cannot_come_is_refused_in_a_sentence(found, words):
    with pytest.raises(ValueError) as refusal:
        refuse_unsupplied({"supply": {**SUPPLY, **found}}, "web1", NOW, {"mainstay_environment": None})
    said = str(refusal.value)
    assert said.startswith("web1: 2 packages have to be installed, such as nginx, and ") and said.endswith("Nothing has changed.")
    assert words in said


# As apt-get of Debian 12 says it.
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "E: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'",
            "resolv.conf",
        ),
        (
            "E: Failed to fetch http://deb.debian.org/debian/pool/main/n/nginx/nginx_1.22.1-9_all.deb  404  Not Found [IP: 1.2.3.4 80]",
            "mirror",
        ),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)", "wait for its end"),
        ("E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?", "wait for its end"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "df -h"),
        ("E: Write error - write (28: No space left on device)", "df -h"),
        (
            "E: Release file for http://deb.debian.org/debian/dists/bookworm/InRelease is not valid yet (invalid for another 1d 0h 2min 3s).",
            "timedatectl",
        ),
        ("E: The repository 'http://deb.debian.org/debian jessie Release' does not have a Release file.", "sources.list.d"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.", "Run dpkg --configure -a"),
        ("E: Unable to correct problems, you have held broken packages.", "apt-mark showhold"),
        ("E: Sub-process /usr/bin/dpkg returned an error code (1)", "A package's own script failed"),
        (
            "E: Failed to fetch http://10.0.0.9/debian/dists/x/InRelease  Could not connect to 10.0.0.9:80 (10.0.0.9). - connect (111: Conn",
            "proxy",
        ),
        ("W: GPG error: http://a bookworm InRelease: The following signatures couldn't be verified: NO_PUBKEY 0E98404D386FA1D9", "keyring"),
        ("E: Failed  Certificate verification failed: The certificate is NOT trusted.", "mainstay_ca_certificates"),
        (
            "E: Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)\nE: The list of sources could not be read.",
            "cannot read its own files",
        ),
        ("E: Conflicting values set for option Signed-By regarding source https://a/ x: /a.gpg != /b.gpg", "correct the one that it names"),
        ("E: The package foo needs to be reinstalled, but I can't find an archive for it.", "--reinstall"),
        ("E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).", "--fix-broken"),
        ("E: something new", "by hand"),
    ],
)
def test_what_apt_says_ends_in_a_remedy(said, words):
    assert words in apt_remedy(f"Reading package lists...\n{said}\n")


def test_a_source_that_is_away_is_not_what_a_package_s_script_fails_of():
    gone = "W: Failed to fetch http://packages.example.invalid/InRelease  Could not resolve 'packages.example.invalid'\n"
    failed = "Setting up thing (1) ...\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    assert "package's own script" in apt_remedy(f"Reading package lists...\n{gone}Reading package lists...\n{failed}")
    assert "No name server" in apt_remedy(f"Reading package lists...\n{gone}Reading package lists...\nE: Some index files failed\n")


def test_each_remedy_is_one_sentence():
    assert all(not remedy.endswith(".") and remedy[0].isupper() for _pattern, remedy in REMEDIES)


@pytest.mark.parametrize(
    ("room", "builds", "variables", "words"),
    [
        (
            small(places=["/usr", "/var/cache/apt", "/srv"], free_mb=900),
            True,
            {},
            "/ has 900 MB free of the 914 MB that they and a release need",
        ),
        (small(places=["/usr", "/var/cache/apt", "/srv"], free_mb=900), False, {}, None),
        (small(places=["/usr", "/var/cache/apt", "/srv"], free_mb=900), True, {"backend_minimum_free_mb": "100"}, None),
        (
            {"room": [*ROOM, {**ROOM[0], "mount": "/srv", "places": ["/srv"], "free_mb": 60}]},
            True,
            {},
            "/srv has 60 MB free of the 512 MB that a release",
        ),
        ({"room": [*ROOM, {**ROOM[0], "mount": "/srv", "places": ["/srv"], "free_mb": 600}]}, True, {}, None),
    ],
)
def test_a_first_release_wants_its_room_beside_the_packages(room, builds, variables, words):
    host = {"supply": {**SUPPLY, **room}}
    if words is None:
        refuse_unsupplied(host, "web1", NOW, variables, builds)
        return
    with pytest.raises(ValueError, match=words):
        refuse_unsupplied(host, "web1", NOW, variables, builds)
