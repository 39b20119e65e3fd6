# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's release of its distribution is too old for."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import versions


def _host(codename, **packages):
    return {"distribution": {"codename": codename}, "packages": packages}


@pytest.mark.parametrize(
    ("host", "version"), [(_host("bookworm"), "1.22.1"), (_host("trixie", nginx="1.28.0-1"), "1.28.0-1"), (_host("forky"), ""), ({}, "")]
)
def test_the_version_of_nginx_is_the_host_s_or_its_release_s(host, version):
    assert versions.nginx_version(host) == version


@pytest.mark.parametrize("host", [_host("bookworm"), _host("jammy"), _host("noble"), _host("trixie", nginx="1.24.0-2")])
def test_http3_is_refused_where_nginx_has_none(host):
    versions.refuse_http3(False, host, "web1")
    with pytest.raises(ValueError, match=r"mainstay_http3: .*Nginx 1\.\d\d.* of web1 has no HTTP/3"):
        versions.refuse_http3(True, host, "web1")


@pytest.mark.parametrize("host", [_host("trixie"), _host("resolute"), _host("bookworm", nginx="1.26.3-3+deb13u1"), _host("forky"), {}])
def test_http3_is_let_pass_where_nginx_has_it_or_nobody_knows(host):
    versions.refuse_http3(True, host, "web1")


def test_what_is_no_yes_or_no_is_refused():
    with pytest.raises(ValueError, match="mainstay_http3"):
        versions.refuse_http3("perhaps", _host("trixie"), "web1")


BOXES = {"api": {"name": "api", "runtime": "python"}, "box": {"name": "box", "runtime": "container"}}


@pytest.mark.parametrize("host", [_host("jammy"), _host("bookworm", podman="3.0.1+dfsg1-3")])
def test_containers_are_refused_where_podman_starts_none(host):
    versions.refuse_containers({"api": BOXES["api"]}, host, "web1")
    with pytest.raises(ValueError, match=r"mainstay_apps.box.runtime: .*odman 3\.\d\.\d.* of web1 is older than 4\.3"):
        versions.refuse_containers(BOXES, host, "web1")


@pytest.mark.parametrize(
    "host", [_host("bookworm"), _host("noble"), _host("resolute"), _host("jammy", podman="4.6.2-1"), _host("forky"), {}]
)
def test_containers_pass_where_podman_starts_them_or_nobody_knows(host):
    versions.refuse_containers(BOXES, host, "web1")
