# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CAA records (RFC 8659): which authorities may give out a certificate for a name. The messages of DNS, and what they mean."""

from __future__ import annotations

import re
import struct
from urllib.parse import urlsplit

from ..text import printable

CAA, IN = 257, 1
NO_ERROR, NO_SUCH_NAME = 0, 3
CRITICAL = 0x80
KNOWN = ("issue", "issuewild", "issuemail", "issuevmc", "iodef")
NAMESERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)
LETSENCRYPT = "letsencrypt.org"


def identity_of(server, declared=""):
    """By which name CAA records call the authority; empty where nobody knows."""
    host = urlsplit(server).hostname or ""
    return declared or (LETSENCRYPT if host == LETSENCRYPT or host.endswith(f".{LETSENCRYPT}") else "")


def nameservers(resolv_conf):
    """The name servers that the host asks, as /etc/resolv.conf has them."""
    return NAMESERVER.findall(resolv_conf) or ["127.0.0.1"]


def climb(name):
    """The names whose records count, the nearest first: of the first that has any."""
    labels = name.rstrip(".").split(".")
    return [".".join(labels[index:]) for index in range(len(labels))]


def question(name, number):
    """The message that asks a name server for a name's CAA records."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", CAA, IN)


def _after_name(message, at):
    """Where a name in a message ends; it may end in a pointer to another one."""
    while message[at]:
        if message[at] & 0xC0 == 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


def answer(message, number):
    """The records in a name server's message, ``[(flags, tag, value), …]``, and whether it was cut short.

    :raises ValueError: where it is no answer to this question, or says that the server cannot tell.
    """
    try:
        given, flags, questions, records = struct.unpack("!4H", message[:8])
        if given != number or not flags & 0x8000:
            raise ValueError("that is no answer to what was asked")
        code = flags & 0x000F
        if code not in (NO_ERROR, NO_SUCH_NAME):
            raise ValueError(f"the name server answers with error {code}")
        found, at = [], 12
        for _question in range(questions):
            at = _after_name(message, at) + 4
        for _record in range(records if not flags & 0x0200 else 0):
            at = _after_name(message, at)
            kind, _class, _ttl, length = struct.unpack("!HHIH", message[at : at + 10])
            data, at = message[at + 10 : at + 10 + length], at + 10 + length
            if kind == CAA and len(data) == length and length >= 2 + data[1]:
                tag, value = data[2 : 2 + data[1]], data[2 + data[1] :]
                found.append((data[0], tag.decode("ascii", "replace").lower(), value.decode("utf-8", "replace")))
        return found, bool(flags & 0x0200)
    except (struct.error, IndexError) as error:
        raise ValueError("the name server's answer makes no sense") from error


def _allows(value, identity):
    """Whether the value of an ``issue`` record lets this authority give out a certificate by a request to port 80."""
    issuer, *parameters = (part.strip() for part in value.split(";"))
    methods = [part.partition("=")[2].split(",") for part in parameters if part.partition("=")[0].strip() == "validationmethods"]
    return issuer.rstrip(".").lower() == identity and all("http-01" in (method.strip() for method in listed) for listed in methods)


def forbidden(name, holder, records, identity):
    """Why the authority may give out no certificate for a name, with the record to set; or None.

    :param holder: the name at which the records stand: the name's own, or one above it.
    """
    issue = [value for _flags, tag, value in records if tag == "issue"]
    strange = sorted(tag for flags, tag, _value in records if flags & CRITICAL and tag not in KNOWN)
    if strange:
        return f"A CAA record of {holder} demands what no authority knows, {printable(strange[0])}. Remove it."
    if not issue or any(_allows(value, identity) for value in issue):
        return None
    allowed = ", ".join(printable(value) for value in sorted(issue) if value.strip(" ;")) or "nobody"
    return (
        f"The CAA records of {holder} let {allowed} give out certificates for {name}, and not {identity}. Set one beside them: "
        f'{holder}. CAA 0 issue "{identity}".'
    )
