# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile dependency and a hostile build have reached, and what they have left behind."""

from __future__ import annotations

import json

import pytest
from attempts import BUILD

RELEASE = "/srv/mole/current"
# What belongs to the hostile app's users, and nothing else on the host may.
OWN = (
    r"^(/srv/mole/shared|/var/lib/mole|/run/mole|/var/cache/mainstay/mole|/dev/shm|/proc|/sys|/tmp/systemd-private|/var/tmp/systemd-private)"
)


@pytest.fixture(scope="module")
def results(host):
    return json.loads(host.file(f"{RELEASE}/public/attempts.json").content_string)


@pytest.mark.parametrize("attempt", BUILD)
def test_a_build_crosses_no_boundary(results, attempt):
    assert results[attempt] is None


def test_a_build_has_what_it_declares(results, host):
    assert results["declared"] > 40
    seen = json.loads(host.file(f"{RELEASE}/seen-by-dependency.json").content_string)
    assert not {"DECLARED", "SECRET_KEY", "DATABASE_URL", "REDIS_CACHE_URL"} & set(seen["environment"])
    assert seen["uid"] == host.user("mole-build").uid


def test_nothing_that_it_started_has_stayed(host):
    assert host.run("pgrep --uid mole-build").stdout == ""
    assert "evil" not in host.file(f"{RELEASE}/README.md").content_string


def test_nothing_outside_is_its_own(host):
    found = host.run("find / -xdev ( -user mole -o -user mole-build ) -print".replace("(", r"\(").replace(")", r"\)")).stdout
    assert not host.run(f"printf %s {found!r} | grep -Ev '{OWN}'").stdout.strip() or found == ""
    assert host.check_output("find /srv/mole -xdev -perm /6000") == ""
    assert not host.file("/srv/mole/pwned").exists and not host.run("find /srv /root /etc -name pwned").stdout


def test_the_release_is_sealed_all_the_same(host):
    assert host.check_output(f"find -H {RELEASE} /srv/mole/environments ! -user root") == ""
    assert host.check_output(f"find -H {RELEASE} /srv/mole/environments ! -type l -perm /o+w,g+w") == ""
    marker = json.loads(host.file(f"{RELEASE}/.complete").content_string)
    assert marker["id"] == host.check_output(f"basename $(readlink {RELEASE})")
    assert "shop" not in marker["environment"]
    assert not host.file(f"{RELEASE}/.migrated").exists and not host.file(f"{RELEASE}/container.env").exists


@pytest.mark.parametrize("path", ["passwd", "above/README.md", ".hidden", "../README.md", "%2e%2e/README.md", "/etc/passwd"])
def test_nginx_serves_what_is_public_and_nothing_behind_a_link(host, path):
    status = host.check_output(
        f"curl --silent --insecure --path-as-is --output /dev/null --write-out '%{{http_code}}' --resolve mole.example.com:443:127.0.0.1 "
        f"https://mole.example.com/files/{path}"
    )
    assert int(status) in (400, 403, 404)


def test_nginx_serves_what_is_public(host):
    for site, file, text in (("mole.example.com", "index.html", "public"), ("localhost", "release.txt", "")):
        said = host.check_output(f"curl --silent --insecure --resolve {site}:443:127.0.0.1 https://{site}/files/{file}")
        assert text in said
