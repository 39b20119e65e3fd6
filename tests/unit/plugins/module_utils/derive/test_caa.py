# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of DNS about CAA records, and what they mean (RFC 8659)."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import caa
from hypothesis import given
from hypothesis import strategies as st

LE = "letsencrypt.org"


def _record(data, kind=257, name=b"\xc0\x0c"):
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def _caa(flags, tag, value):
    return _record(bytes([flags, len(tag)]) + tag.encode() + value.encode())


def _message(*records, number=7, flags=0x8180):
    asked = caa.question("www.example.com", 7)[12:]
    return struct.pack("!6H", number, flags, 1, len(records), 0, 0) + asked + b"".join(records)


def test_a_question_is_one_of_dns():
    assert caa.question("a.example", 258) == b"\1\2\1\0\0\1\0\0\0\0\0\0" + b"\1a\7example\0" + b"\1\1\0\1"


def test_records_are_read_beside_others():
    cname = _record(b"\1x\xc0\x0c", kind=5)
    message = _message(cname, _caa(0, "issue", LE), _caa(128, "ISSUEWILD", ";"))
    assert caa.answer(message, 7) == ([(0, "issue", LE), (128, "issuewild", ";")], False)
    assert caa.answer(_message(flags=0x8183), 7) == ([], False)  # there is no such name
    assert caa.answer(_message(_caa(0, "issue", LE), flags=0x8380), 7) == ([], True)  # cut short


@pytest.mark.parametrize(
    "message", [b"", b"\0", _message(number=8), _message(flags=0x8182), _message(flags=0x0100), _message(_caa(0, "issue", LE))[:-20]]
)
def test_what_is_no_answer_is_refused_or_empty(message):
    try:
        assert caa.answer(message, 7)[0] == []
    except ValueError as error:
        assert str(error)


@given(st.binary(max_size=80))
def test_no_message_breaks_the_reader(noise):
    for message in (noise, _message()[:12] + noise, _message(noise)):
        try:
            records, _is_cut = caa.answer(message, 7)
        except ValueError:
            continue
        assert all(len(record) == 3 for record in records)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([(0, "issue", LE)], None),
        ([(0, "issue", "digicert.com"), (0, "issue", f" {LE.upper()} ; accounturi=x")], None),
        ([(0, "issue", f"{LE}; validationmethods=http-01,dns-01")], None),
        ([(0, "iodef", "mailto:a@example.com"), (0, "issuewild", ";")], None),
        ([(128, "issue", LE)], None),
        ([(0, "issue", "digicert.com")], ["let digicert.com", 'example.com. CAA 0 issue "letsencrypt.org"']),
        ([(0, "issue", ";")], ["let nobody", "for www.example.com, and not letsencrypt.org"]),
        ([(0, "issue", f"{LE}; validationmethods=dns-01")], ["validationmethods=dns-01"]),
        ([(0, "issue", "x\x1b[31m")], ["\\x1b"]),
        ([(128, "tbs", "x"), (0, "issue", LE)], ["demands what no authority knows, tbs"]),
    ],
)
def test_who_may_give_out_a_certificate(records, words):
    problem = caa.forbidden("www.example.com", "example.com", records, LE)
    assert (problem is None) is (words is None), problem
    assert all(word in problem for word in words or [])


def test_names_are_climbed_and_authorities_known():
    assert caa.climb("a.b.example.com.") == ["a.b.example.com", "b.example.com", "example.com", "com"]
    for server, identity in (
        ("https://acme-v02.api.letsencrypt.org/directory", LE),
        ("https://localhost:14000/dir", ""),
        ("https://evilletsencrypt.org/", ""),
    ):
        assert caa.identity_of(server) == identity
    assert caa.identity_of("https://localhost:14000/dir", "own.test") == "own.test"
    assert caa.nameservers("# nameserver 9.9.9.9\nnameserver 127.0.0.53\noptions x\n nameserver fe80::1%eth0\n") == [
        "127.0.0.53",
        "fe80::1%eth0",
    ]
    assert caa.nameservers("") == ["127.0.0.1"]
