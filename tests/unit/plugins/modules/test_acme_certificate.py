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
