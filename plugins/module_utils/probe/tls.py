# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of a probe, what a visitor of a name is served, and how long a certificate lasts."""

from __future__ import annotations

import os
import socket
import time

from .connection import Failed

_contexts = {}


def wrap(sock, host, spec, limit, seen):
    import ssl

    key = (bool(spec["validate_certs"]), spec["ca_path"])
    if key not in _contexts:
        _contexts[key] = context(*key)
    sock.settimeout(limit.left())
    try:
        secure = _contexts[key].wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise Failed(f"the certificate is not trusted: {error.verify_message}", "tls") from None
    except ssl.SSLError as error:
        detail = str(error.reason or error).replace("_", " ").lower()
        raise Failed(f"the TLS handshake failed: {detail}", "tls") from None
    days = days_left(secure.getpeercert(binary_form=True), time.time())
    seen.tls_days_left = days
    if spec["tls_expiry_days"] is not None and days is not None and days < spec["tls_expiry_days"]:
        seen.object(f"the certificate expires in {days} days, at least {spec['tls_expiry_days']} are wanted", "tls")
    return secure


def context(validate, ca_path=None):
    """How a client checks whom it talks to: by an authority's certificates, else by the machine's own, or not at all."""
    import ssl

    if not validate:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    if not ca_path:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(capath=ca_path) if os.path.isdir(ca_path) else ssl.create_default_context(cafile=ca_path)
    except OSError as error:
        raise Failed(f"ca_path {ca_path} cannot be used: {error.strerror or error}", "tls") from None


def served(name, address=("127.0.0.1", 443), timeout=3, trusting=False):
    """(the DER certificate that a visitor of a name is served, the version of TLS); OSError or ValueError where there is none.

    :param trusting: whether only a certificate counts that the machine's own authorities vouch for, whatever names it is for.
    """
    client = context(trusting)
    client.check_hostname = False
    with socket.create_connection(address, timeout) as plain, client.wrap_socket(plain, server_hostname=name) as secure:
        return secure.getpeercert(binary_form=True), secure.version()


def is_for(certificate, name):
    """Whether a DER certificate names a host: a name in it is plain ASCII behind its tag and length."""
    wanted = [name.encode(), b"*." + name.partition(".")[2].encode()]
    return any(bytes([0x82, len(item)]) + item in certificate for item in wanted if len(item) < 128)


def days_left(certificate, now):
    """Whole days until a DER certificate expires (negative: it has), or None if it cannot be read."""
    try:
        return int((not_after(certificate) - now) // 86400)
    except (ValueError, IndexError, TypeError):
        return None


def not_after(certificate):
    """Seconds since the epoch at which a DER certificate expires."""
    return validity(certificate)[1]


def validity(certificate):
    """Seconds since the epoch from which and until which a DER certificate is valid.

    ssl.getpeercert() gives the date for validated certificates only, so this walks the few fields that come before it:
    Certificate { tbsCertificate { [0] version?, serial, signature, issuer, validity { notBefore, notAfter } } }.
    """
    position = _enter(certificate, _enter(certificate, 0, 0x30), 0x30)
    if certificate[position] == 0xA0:
        position = _field(certificate, position)[2]
    for _skipped in ("serial", "signature", "issuer"):
        position = _field(certificate, position)[2]
    begin = _field(certificate, _enter(certificate, position, 0x30))
    return _moment(certificate, *begin), _moment(certificate, *_field(certificate, begin[2]))


def _moment(certificate, start, tag, end):
    import calendar

    text = certificate[start:end].decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year, 50 and above are 19xx
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != 0x18:  # GeneralizedTime
        raise ValueError("no date where one should be")
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


def _field(data, position):
    """(start of the content, tag, end of the content) of the DER field at a position."""
    tag, length, start = data[position], data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise ValueError("the field is longer than the data")
    return start, tag, start + length


def _enter(data, position, tag):
    start, found, _end = _field(data, position)
    if found != tag:
        raise ValueError(f"tag {found:#x} where {tag:#x} should be")
    return start
