# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.modules import acme_certificate
from ansible_collections.mainstay.vps.tests.unit.run_module import run_module

SITES = [{"name": "a.invalid", "names": ["a.invalid"]}, {"name": "b.invalid", "names": ["b.invalid"]}]


@pytest.fixture
def run(tmp_path):
    def run(check=False, **options):
        folders = {"directory": str(tmp_path / "tls"), "webroot": str(tmp_path / "acme")}
        return run_module(acme_certificate, {"sites": SITES, **folders, **options}, tmp_path, check)

    return run


def test_check_mode_predicts_and_asks_nobody(run, tmp_path):
    predicted = run(check=True)
    assert (predicted["changed"], predicted["obtained"]) == (True, ["a.invalid", "b.invalid"])
    assert predicted["diff"][0]["before"] == "missing\n"
    assert not (tmp_path / "acme").exists()


def test_every_name_without_an_address_is_told_and_no_token_stays(run, tmp_path):
    refused = run()
    assert (refused["failed"], refused["changed"], refused["obtained"]) == (True, False, [])
    assert set(refused["failed_sites"]) == {"a.invalid", "b.invalid"}
    assert "b.invalid has no address. Set the A or AAAA record" in refused["msg"]
    assert list((tmp_path / "acme/.well-known/acme-challenge").iterdir()) == []


def test_nothing_to_have_is_nothing_to_do(run):
    assert run(sites=[])["changed"] is False


def test_only_this_host_s_addresses_are_here():
    assert acme_certificate.is_here("127.0.0.1") and not acme_certificate.is_here("192.0.2.1")


def _left_behind(tmp_path, name):
    """A pair of an authority's in use, as the module leaves it."""
    tls = tmp_path / "tls"
    (tls / f".pairs/{name}.acme.0123abcd").mkdir(parents=True)
    (tls / f"{name}.pair").symlink_to(f".pairs/{name}.acme.0123abcd")
    for kind in ("crt", "key"):
        (tls / f"{name}.{kind}").symlink_to(f"{name}.pair/{kind}")
    sites = tmp_path / "sites"
    sites.mkdir()
    return tls, sites


@pytest.fixture
def certbot(tmp_path, monkeypatch):
    """A certbot that writes down what it is asked, and fails where there is a file named fails."""
    program = tmp_path / "bin/certbot"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ntest ! -e {tmp_path}/fails\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return lambda: (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []


def test_what_certbot_has_of_an_undeclared_site_is_deleted_with_its_pair(run, tmp_path, certbot):
    tls, sites = _left_behind(tmp_path, "gone.test")
    options = {"sites": [], "unused": ["gone.test"], "sites_directory": str(sites)}
    assert run(check=True, **options)["deleted"] == ["gone.test"] and certbot() == []
    done = run(**options)
    assert (done["changed"], done["deleted"]) == (True, ["gone.test"])
    assert certbot() == ["delete --non-interactive --cert-name mainstay-gone.test"]
    assert [path.name for path in tls.rglob("*")] == [".pairs"]


@pytest.mark.parametrize(
    "line", ["ssl_certificate {tls}/gone.test.crt;", "ssl_certificate /etc/letsencrypt/live/mainstay-gone.test/fullchain.pem;"]
)
def test_what_nginx_still_serves_stays_and_is_told(run, tmp_path, certbot, line):
    tls, sites = _left_behind(tmp_path, "gone.test")
    (sites / "other.conf").write_text(line.format(tls=tls))
    done = run(sites=[], unused=["gone.test"], sites_directory=str(sites))
    assert (done["changed"], done["deleted"], certbot()) == (False, [], [])
    assert "gone.test is served" in done["notices"][0] and (tls / "gone.test.crt").is_symlink()


def test_a_pair_that_is_not_the_authority_s_stays_and_so_does_one_that_certbot_keeps(run, tmp_path, certbot):
    tls, sites = _left_behind(tmp_path, "gone.test")
    (tls / "gone.test.pair").unlink()
    (tls / "gone.test.pair").symlink_to(".pairs/gone.test.20270101.0123abcd")  # self-signed since
    (sites / "gone.test.conf").write_text(f"ssl_certificate {tls}/gone.test.crt;")
    assert run(sites=[], unused=["gone.test"], sites_directory=str(sites))["deleted"] == ["gone.test"]
    assert (tls / "gone.test.crt").is_symlink()
    (tmp_path / "fails").touch()
    kept = run(sites=[], unused=["gone.test"], sites_directory=str(sites))
    assert (kept["changed"], kept["deleted"]) == (False, []) and "could not be deleted" in kept["notices"][0]
