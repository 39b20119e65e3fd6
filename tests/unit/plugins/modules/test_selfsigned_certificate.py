# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.modules import selfsigned_certificate
from ansible_collections.mainstay.vps.tests.unit.run_module import run_module

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture
def run(tmp_path):
    def run(check=False, **options):
        return run_module(
            selfsigned_certificate, {"sites": [{"name": "a.example.com"}], "directory": str(tmp_path / "tls"), **options}, tmp_path, check
        )

    return run


def _openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout


def test_a_pair_is_made_once_and_fits_together(run, tmp_path):
    tls = tmp_path / "tls"
    site = {"name": "a.example.com", "names": ["www.a.example.com", "192.0.2.1"]}
    assert run(sites=[site])["made"] == ["a.example.com"]
    text = _openssl("x509", "-in", str(tls / "a.example.com.crt"), "-noout", "-text")
    assert "DNS:a.example.com, DNS:www.a.example.com, IP Address:192.0.2.1" in text
    assert "NIST CURVE: P-256" in text
    assert "CA:FALSE" in text
    assert "TLS Web Server Authentication" in text
    public = _openssl("pkey", "-in", str(tls / "a.example.com.key"), "-pubout")
    assert _openssl("x509", "-in", str(tls / "a.example.com.crt"), "-noout", "-pubkey") == public
    assert (tls / "a.example.com.key").resolve().stat().st_mode & 0o777 == 0o600
    assert (tls / "a.example.com.crt").resolve().stat().st_mode & 0o777 == 0o644
    assert run(sites=[site])["changed"] is False


def test_check_mode_predicts_and_makes_nothing(run, tmp_path):
    predicted = run(check=True)
    assert predicted["changed"] is True
    assert predicted["diff"][0]["before"] == "missing\n"
    assert not (tmp_path / "tls").exists()


def test_other_names_and_a_near_end_make_a_new_pair_and_the_old_one_goes(run, tmp_path):
    run(days=40)
    first = (tmp_path / "tls/a.example.com.pair").readlink()
    assert run(renew_days=39)["changed"] is False
    assert run(renew_days=41)["changed"] is True
    second = (tmp_path / "tls/a.example.com.pair").readlink()
    assert run(sites=[{"name": "a.example.com", "names": ["b.example.com"]}])["changed"] is True
    third = (tmp_path / "tls/a.example.com.pair").readlink()
    assert len({first, second, third}) == 3
    assert [folder.name for folder in (tmp_path / "tls/.pairs").iterdir()] == [third.name]


def test_a_half_pair_is_made_again(run, tmp_path):
    run()
    (tmp_path / "tls/a.example.com.key").resolve().unlink()
    assert run()["changed"] is True


@pytest.mark.parametrize(
    ("options", "word"), [({"days": 826}, "825"), ({"days": 30}, "renew_days"), ({"sites": [{"name": "../x"}]}, "host name")]
)
def test_what_cannot_work_is_refused(run, tmp_path, options, word):
    refused = run(**options)
    assert refused["failed"] is True
    assert word in refused["msg"]
    assert not (tmp_path / "tls").exists()
