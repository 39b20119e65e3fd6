# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
import threading
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import supply
from fixture_host import Host

# As Debian 12, Debian 13 (cloud image) and Ubuntu 24.04 have them.
DEBIAN_12 = "deb http://deb.debian.org/debian/ bookworm main\n# deb http://old.example.com/ x main\n"
DEBIAN_13 = """\
Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: trixie trixie-updates
Components: main

Types: deb
URIs: https://deb.debian.org/debian-security
Suites: trixie-security
Components: main
"""
UBUNTU_24 = """\
## See the sources.list(5) manual page for further settings.
Enabled: no
Types: deb
URIs: http://proposed.example.com/ubuntu/
Suites: noble

Types: deb
URIs: http://archive.ubuntu.com/ubuntu/
 http://user:secret@mirror.example.com:8080/ubuntu
Suites: noble noble-updates
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({}, []),
        ({"sources.list": DEBIAN_12}, ["deb.debian.org"]),
        ({"sources.list.d/debian.sources": DEBIAN_13}, ["deb.debian.org"]),
        ({"sources.list.d/ubuntu.sources": UBUNTU_24}, ["archive.ubuntu.com", "mirror.example.com"]),
        (
            {"sources.list.d/a.list": "deb [signed-by=/k arch=amd64] https://apt.postgresql.org/pub/repos/apt x main"},
            ["apt.postgresql.org"],
        ),
        ({"sources.list": "deb http://10.0.0.9/debian x main\ndeb file:/srv/debian x main\ndeb cdrom:[Debian]/ x main\n"}, []),
        ({"sources.list.d/a.list.save": DEBIAN_12}, []),
        ({"sources.list": DEBIAN_12, "apt.conf.d/01proxy": 'Acquire::http::Proxy "http://10.0.0.9:3142";\n'}, []),
        ({"sources.list": DEBIAN_12, "apt.conf": 'Acquire {\n http { Proxy "http://10.0.0.9:3142"; };\n};\n'}, []),
        ({"sources.list": DEBIAN_12, "apt.conf.d/01proxy": '// Acquire::http::Proxy "http://10.0.0.9:3142";\n'}, ["deb.debian.org"]),
        ({"sources.list": DEBIAN_12, "apt.conf.d/01proxy": 'Acquire::http::Proxy::own.example.com "DIRECT";\n'}, ["deb.debian.org"]),
    ],
)
def test_the_names_that_apt_looks_up(tmp_path, monkeypatch, files, names):
    monkeypatch.delenv("http_proxy", raising=False)
    for name, text in files.items():
        file = tmp_path / "etc/apt" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert supply.source_names(tmp_path) == names


def test_a_name_that_leads_nowhere_and_one_that_nobody_answers_for_are_told():
    silent = threading.Event()

    def resolve(name, _port):
        if name == "silent.example.com":
            silent.wait(60)
        if name == "dead.example.com":
            raise socket.gaierror(-3, "Temporary failure in name resolution")

    began = time.monotonic()
    asking = supply.Resolving(["deb.debian.org", "dead.example.com", "silent.example.com"], resolve)
    assert asking.finish(0.2) == {"deb.debian.org": True, "dead.example.com": False, "silent.example.com": False}
    assert time.monotonic() - began < 2
    silent.set()


def test_room_is_told_by_file_system(tmp_path):
    for place in supply.PLACES:
        (tmp_path / place.lstrip("/")).mkdir(parents=True)
    (entry,) = supply.room(tmp_path)
    assert (entry["mount"], entry["places"]) == ("/", list(supply.PLACES))
    assert entry["free_mb"] == pytest.approx(os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize / 2**20, abs=64)


def test_nothing_is_asked_where_nothing_is_missing(tmp_path):
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text(DEBIAN_12)
    asking = supply.start_resolving([], tmp_path, resolve=None)
    told = supply.supply([], asking, tmp_path)
    assert (told["names"], told["room"]) == ({}, []) and told["time"] > 0


def test_what_is_missing_and_held_is_told(tmp_path):
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: nginx\nStatus: hold ok not-installed\nPriority: extra\n\nPackage: curl\nStatus: hold ok installed\n\n"
        "Package: acl\nStatus: install ok installed\n"
    )
    assert supply.held(["acl", "nginx", "podman"], tmp_path) == ["nginx"]
    assert supply.held([], tmp_path) == []


@pytest.mark.parametrize(
    ("journal", "is_locked", "expected"), [("0003", False, True), ("0003", True, False), ("tmp.i", False, False), (None, False, False)]
)
def test_a_dpkg_that_was_interrupted_is_known_from_one_at_work(tmp_path, journal, is_locked, expected):
    host = Host(str(tmp_path))
    host.write("var/lib/dpkg/lock", "")
    number = (tmp_path / "var/lib/dpkg/lock").stat().st_ino
    other = number + 1
    host.write(
        "proc/locks",
        f"1: POSIX  ADVISORY  WRITE 812 fe:01:{number if is_locked else other} 0 EOF\n1: -> POSIX  ADVISORY  WRITE 9 0:1:{number} 0 EOF\n",
    )
    if journal:
        host.write(f"var/lib/dpkg/updates/{journal}", "Package: tree\n")
    assert supply.interrupted(host.root) is expected
