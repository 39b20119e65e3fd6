# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes on their way to nginx, as no library would send them, and what comes back."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shlex
import zlib

SITE = "mole.example.com"
# Runs on the host, all asks beside one another: who is slow is to keep nobody waiting.
CLIENT = """
import base64, json, socket, ssl, sys, time, zlib
from concurrent.futures import ThreadPoolExecutor
def tls(one):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if one["version"]:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion[one["version"]]
        context.set_ciphers("ALL:@SECLEVEL=0")
    if one["ciphers"]:
        context.set_ciphers(one["ciphers"])
    if one["protocols"]:
        context.set_alpn_protocols(one["protocols"])
    return context
def ask(one):
    answer, error, spoken, start = b"", "", None, time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", 443 if one["name"] else 80), timeout=10) as plain:
            with (tls(one).wrap_socket(plain, server_hostname=one["name"]) if one["name"] else plain) as stream:
                spoken = one["name"] and stream.selected_alpn_protocol()
                try:
                    for number, part in enumerate(one["parts"]):
                        time.sleep(one["pause"] if number else 0)
                        stream.sendall(zlib.decompress(base64.b64decode(part)))
                except OSError as failed:
                    error = type(failed).__name__
                stream.settimeout(one["patience"])
                while chunk := stream.recv(65536):
                    answer += chunk
    except OSError as failed:
        error = getattr(failed, "reason", None) or type(failed).__name__
    return {"error": error, "bytes": answer.decode("latin-1"), "seconds": time.monotonic() - start, "spoken": spoken}
with ThreadPoolExecutor(16) as pool:
    print(json.dumps(list(pool.map(ask, json.load(sys.stdin)))))
"""


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a client sends: parts with a pause between them, by TLS where a name is given, else to port 80."""

    parts: tuple
    name: str | None = SITE
    pause: float = 0
    patience: float = 5
    version: str | None = None
    ciphers: str | None = None
    protocols: tuple = ()


@dataclasses.dataclass(frozen=True)
class Answer:
    error: str
    bytes: str
    seconds: float
    spoken: str | None

    @property
    def statuses(self):
        return re.findall(r"HTTP/1\.[01] (\d{3}) ", self.bytes)

    @property
    def head(self):
        """Names in small letters and values of the last head."""
        head = self.bytes.rpartition("HTTP/1.")[2].partition("\r\n\r\n")[0]
        return {name.lower(): value for name, _colon, value in (line.partition(": ") for line in head.split("\r\n")[1:])}

    @property
    def body(self):
        return self.bytes.partition("\r\n\r\n")[2]


def ask(host, sent):
    """Send it all from the host itself, to which no limit applies."""
    asked = [
        {
            **dataclasses.asdict(one),
            "parts": [
                base64.b64encode(zlib.compress(part if isinstance(part, bytes) else part.encode("latin-1"))).decode() for part in one.parts
            ],
        }
        for one in sent
    ]
    text = shlex.quote(json.dumps(asked))
    said = host.check_output(f"printf %s {text} >/run/wire.json && python3 -c {shlex.quote(CLIENT)} </run/wire.json")
    return [Answer(**one) for one in json.loads(said)]


def request(*lines, method="GET", path="/echo", host=SITE, version="HTTP/1.1", body="", close=True):
    head = [f"{method} {path} {version}", *([f"Host: {host}"] if host else []), *lines, *(["Connection: close"] if close else [])]
    return "\r\n".join(head) + "\r\n\r\n" + body


def post(*lines, body, **options):
    return request(*lines, method="POST", body=body, **options)


# HTTP/2, frame by frame
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
STATUSES = {0x88: "200", 0x89: "204", 0x8A: "206", 0x8B: "304", 0x8C: "400", 0x8D: "404", 0x8E: "500"}  # of HPACK's own table


def frame(kind, stream=1, payload=b"", flags=0):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields):
    """Fields as HPACK has them that are in no table."""
    parts = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in parts)


def fields(*more, **pseudo):
    """Those of a request of ours: other values by their names, None for none."""
    all_of = {"method": "GET", "scheme": "https", "authority": SITE, "path": "/echo", **pseudo}
    return [*((f":{name}", value) for name, value in all_of.items() if value is not None), *more]


def http2(*frames, **options):
    parts = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0), *frames)
    return Sent((b"".join(parts),), protocols=("h2",), **options)


def frames(answer):
    """Each frame of an answer: what kind of one it is, its stream, and its payload."""
    rest, found = answer.bytes.encode("latin-1"), []
    while len(rest) >= 9:
        end = 9 + int.from_bytes(rest[:3], "big")
        found.append((rest[3], int.from_bytes(rest[5:9], "big"), rest[9:end]))
        rest = rest[end:]
    return found


def status_of(payload):
    """The first field of an answer's head, behind what changes the size of the table."""
    payload = payload[1:] if payload[0] >> 5 == 1 else payload
    return STATUSES.get(payload[0]) or payload[2:5].decode("latin-1")
