# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something speaks QUIC, and HTTP/3 with it: a server names its versions to a client that begins with none of them (RFC 8999, 9000)."""

from __future__ import annotations

import os
import socket
import struct

from .connection import Failed, resolve

# Of the versions 0x?a?a?a?a, which no server has and which are there to be asked for (RFC 9000, section 15).
NO_VERSION = 0x1A2A3A4A
LONG_HEADER = 0xC0
# A server answers no smaller first datagram (RFC 9000, section 14.1).
DATAGRAM = 1200
# A datagram may be lost: seconds after which the next is sent.
AGAIN = 1


def try_quic(spec, limit, seen):
    """The port answers with the versions of QUIC that it speaks."""
    family, address = resolve(spec["host"], spec["port"], limit)[0]
    client, asked = os.urandom(8), os.urandom(8)
    hello = struct.pack("!BIB8sB8s", LONG_HEADER, NO_VERSION, len(asked), asked, len(client), client)
    # Version 0 marks a negotiation; the names of both sides come back, each in the other's place.
    answer = struct.pack("!IB8sB8s", 0, len(client), client, len(asked), asked)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        while True:
            sock.settimeout(min(AGAIN, limit.left()))
            sock.send(hello.ljust(DATAGRAM, b"\0"))
            try:
                heard = sock.recv(DATAGRAM)
            except TimeoutError:
                continue
            seen.answered = True
            if heard[1 : 1 + len(answer)] != answer:
                raise Failed("what it says is no QUIC", "content")
            seen.status = "open"
            return
