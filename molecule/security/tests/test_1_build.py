# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile dependency and a hostile build have reached, and what they have left behind."""

from __future__ import annotations

import json
import shlex
import time

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.release import confinement
from attempts import BUILD
from plays import ROOT, play, words

RELEASE = "/srv/mole/current"
# What belongs to the hostile app's users, and nothing else on the host may.
OWN = r"^(/srv/mole/shared|/var/lib/mole|/run/mole|/var/cache/mainstay/mole|/dev/shm|/proc|/sys|/tmp/systemd-private|/var/tmp/systemd-private)"


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
    written = host.file(f"{RELEASE}/README.md").size
    time.sleep(0.5)
    assert host.file(f"{RELEASE}/README.md").size == written


def test_a_reload_while_a_step_starts_opens_nothing(host):
    """systemd then reads back what it wrote of the unit, as each installation of a package makes it do."""
    step = confinement.build("mole", "mole-build", "mole", [f"{RELEASE}/"])
    names = sorted({item.partition("=")[0] for item in step} - {"BindPaths"})
    argv = confinement.command_line("slow-step", "/", "/dev/null", "/dev/null", 100, 30, [*step, "ExecStartPre=/bin/sleep 3"])
    host.run(f"{shlex.join(argv)} > /dev/null 2>&1 &")
    show = f"systemctl show slow-step {' '.join(f'--property={name}' for name in names)}"
    time.sleep(1)
    before = host.check_output(show)
    host.check_output("systemctl daemon-reload")
    assert "RestrictSUIDSGID=yes" in before and host.check_output(show) == before
    host.run("systemctl stop slow-step")


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


def _page(host, path):
    return host.check_output(
        "curl --silent --insecure --path-as-is --write-out '%{http_code}' --resolve mole.example.com:443:127.0.0.1 "
        f"https://mole.example.com/files/{path}"
    )


@pytest.mark.parametrize("path", ["passwd", "above/README.md", ".hidden", "/etc/passwd"])
def test_nginx_serves_what_is_public_and_nothing_behind_a_link(host, path):
    assert _page(host, path)[-3:] in ("400", "403", "404")


@pytest.mark.parametrize("path", ["../README.md", "%2e%2e/README.md", "..%2fREADME.md"])
def test_a_path_that_leaves_the_folder_is_the_app_s(host, path):
    said = _page(host, path)
    assert "A hostile app" not in said and '"status"' in said


def test_nginx_serves_what_is_public(host):
    for site, file, text in (("mole.example.com", "index.html", "public"), ("localhost", "release.txt", "")):
        said = host.check_output(f"curl --silent --insecure --resolve {site}:443:127.0.0.1 https://{site}/files/{file}")
        assert text in said


def test_a_uv_of_other_bytes_is_not_installed(host):
    """Whoever answers in the place of PyPI: root installs and runs the package of a known hash, or none."""
    apps = yaml.safe_load((ROOT / "molecule/security/group_vars/all/stack.yml").read_text())["mainstay_apps"]
    apps["shop"]["build"] = [{"command": "true"}]  # another release
    served = host.check_output("readlink /srv/shop/current")
    host.check_output("mv /opt/mainstay/uv /opt/mainstay/uv.kept")
    try:
        run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps, "backend_uv_hashes": ["0" * 64]})
        assert not host.file("/opt/mainstay/uv/bin/uv").exists
    finally:
        host.check_output("rm --recursive --force /opt/mainstay/uv && mv /opt/mainstay/uv.kept /opt/mainstay/uv")
    assert run.returncode != 0 and "backend_uv_hashes" in words(run) and "DO NOT MATCH THE HASHES" in words(run)
    assert host.check_output("readlink /srv/shop/current") == served
