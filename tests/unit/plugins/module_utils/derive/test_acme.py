# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import acme

OWN = ["192.0.2.7"]
HERE = {"address": "192.0.2.7", "here": True, "answer": True, "status": 200, "error": None}
SILENT = {"answer": None, "status": None, "error": "timed out"}


@pytest.mark.parametrize(
    ("findings", "words", "notices"),
    [
        ([HERE], None, 0),
        ([{**HERE, "address": "198.51.100.9", "here": False}], None, 0),  # a router that leads back
        ([], ["a.example.com has no address", "A or AAAA record", "192.0.2.7"], 0),
        ([{**HERE, **SILENT}], None, 1),
        ([{**HERE, **SILENT, "here": False}], ["A record of a.example.com", "timed out", "certificates_acme_addresses"], 0),
        ([{**HERE, "answer": False, "status": 404}], ["not this nginx", "status 404", "192.0.2.7"], 0),
        ([HERE, {**HERE, "address": "2001:db8::9", "answer": False, "status": 200}], ["AAAA record", "2001:db8::9"], 0),
        ([{**HERE, "here": False, "answer": False, "status": 301}], None, 1),
    ],
)
def test_what_the_authority_would_refuse_is_told_before_it_is_asked(findings, words, notices):
    problem, told = acme.judged("a.example.com", findings, OWN)
    assert (problem is None) is (words is None), problem
    assert all(word in problem for word in words or [])
    assert len(told) == notices


REFUSED = """Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: a.example.com
  Type:   {kind}
  Detail: {detail}

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            REFUSED.format(kind="unauthorized", detail="Invalid response: 404"),
            ["a.example.com: unauthorized", "404", "records of the name"],
        ),
        (REFUSED.format(kind="connection", detail="Timeout during connect"), ["Timeout", "Open port 80"]),
        (REFUSED.format(kind="caa", detail="CAA record prevents issuance"), ["CAA records"]),
        ("An unexpected error occurred:\nurn:ietf:params:acme:error:rateLimited :: too many certificates", ["too many", "Wait as long"]),
        ("requests.exceptions.ConnectionError: Connection refused", ["refused", "Nothing answers at certificates_acme_server"]),
        ("requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED]", ["certificates_acme_ca"]),
        ("\x1b[31mboo", ["\\x1b[31mboo", "letsencrypt.log"]),
        ("", ["without a word"]),
    ],
)
def test_what_certbot_said_has_a_remedy(output, words):
    said = acme.reason(output)
    assert all(word in said for word in words), said


def test_what_certbot_hides_is_in_its_log():
    log = "acme.messages.Error: urn:ietf:params:acme:error:rateLimited :: There were too many requests :: too many certificates"
    said = acme.reason("An unexpected error occurred:\nAttributeError: can't set attribute", log)
    assert "too many certificates" in said and "Wait as long" in said and "attribute" not in said


def test_the_command_names_everything_and_asks_nothing():
    site = {"name": "a.example.com", "names": ["a.example.com", "www.a.example.com"]}
    command = acme.certbot_command(site, "https://acme.example.com/directory", "", "/var/lib/mainstay/acme")
    assert command[:2] == ["certbot", "certonly"] and command[-4:] == ["--domain", "a.example.com", "--domain", "www.a.example.com"]
    assert {"--non-interactive", "--register-unsafely-without-email", "--keep-until-expiring", "mainstay-a.example.com"} <= set(command)
    again = acme.certbot_command(site, "https://acme.example.com/directory", "me@example.com", "/var/lib/mainstay/acme", force=True)
    assert {"--force-renewal", "me@example.com"} <= set(again) and "--register-unsafely-without-email" not in again


@pytest.mark.parametrize(("renewal", "same"), [("server = https://a/dir\n", True), ("server = https://b/dir\n", False), ("", False)])
def test_certbot_s_file_tells_the_authority(renewal, same):
    assert acme.same_authority(renewal, "https://a/dir") is same
