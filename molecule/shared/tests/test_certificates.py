# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates: the pair fits, names the site, keeps its key to root, and is what the site is served with."""

from __future__ import annotations

SITE = "localhost"
TLS = f"/etc/mainstay/tls/{SITE}"


def test_the_pair_fits_and_names_the_site(host):
    public = host.check_output(f"openssl x509 -in {TLS}.crt -noout -pubkey")
    assert host.check_output(f"openssl pkey -in {TLS}.key -pubout") == public
    text = host.check_output(f"openssl x509 -in {TLS}.crt -noout -text")
    assert f"DNS:{SITE}" in text
    assert "NIST CURVE: P-256" in text
    host.check_output(f"openssl x509 -in {TLS}.crt -noout -checkend {30 * 86400}")


def test_the_key_is_root_s_alone(host):
    assert host.check_output(f"stat --dereference --format '%a %U' {TLS}.key") == "600 root"


def test_the_site_is_served_with_it(host):
    served = host.check_output(
        f"openssl s_client -connect 127.0.0.1:443 -servername {SITE} </dev/null 2>/dev/null | openssl x509 -fingerprint -noout"
    )
    assert served == host.check_output(f"openssl x509 -in {TLS}.crt -fingerprint -noout")
