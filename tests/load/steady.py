# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady visitor of the example shop, run on the host itself: requests at a fixed rate over connections that are kept open,
and websockets. Prints, as JSON, what happened to them. Ends after some seconds, or earlier with SIGTERM.

A request on a kept connection that the server closes without a byte of an answer is sent again on a new one, once, as every
HTTP client does (RFC 9110, 9.2.2, and RFC 9112, 9.3.1); it counts as `repeated`. Everything else that is not a 2xx is `failed`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import ssl
import time
from collections import Counter
from urllib.parse import urlsplit

TIMEOUT = 15.0


class Visit:
    """What the whole visit saw."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self.tls = ssl._create_unverified_context() if parts.scheme == "https" else None
        self.over = asyncio.Event()
        self.statuses, self.failures, self.releases, self.since = Counter(), [], Counter(), {}
        self.repeated = 0
        self.latencies, self.orders = [], []
        self.closes, self.echoes = Counter(), 0

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=self.host if self.tls else None)

    def failed(self, what, error):
        self.failures.append(f"{time.strftime('%H:%M:%S')} {what}: {error}")


class Client:
    """One kept connection."""

    def __init__(self, visit):
        self.visit, self.reader, self.writer, self.used = visit, None, None, False

    async def request(self, method, path, body=None):
        """The status and the answer; raises OSError or TimeoutError."""
        try:
            return await asyncio.wait_for(self._once(method, path, body), TIMEOUT)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            silent = not getattr(error, "partial", b"")
            stale, self.writer = self.used and silent, None
            if not stale:
                raise
        self.visit.repeated += 1
        return await asyncio.wait_for(self._once(method, path, body), TIMEOUT)

    async def _once(self, method, path, body):
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await self.visit.connect()
            self.used = False
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.visit.host}\r\nContent-Length: {len(content)}\r\n"
        self.writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + content)
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        length = int(fields.get("content-length", 0))
        try:
            answer = await self.reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise OSError(f"the answer ended after {len(error.partial)} of {length} bytes") from error
        self.used = True
        if fields.get("connection") == "close":
            self.writer.close()
        return int(head.split()[1]), answer


async def visitor(visit, number, clients, rate):
    """Every second request writes; the clients take turns, so that together they keep the rate."""
    client, turn = Client(visit), 0
    start = time.monotonic() + number / rate
    while not visit.over.is_set():
        await asyncio.sleep(max(0.0, start + turn * clients / rate - time.monotonic()))
        writes = turn % 2
        turn += 1
        began = time.monotonic()
        try:
            if writes:
                status, answer = await client.request("POST", "/orders", {"item": "steady", "quantity": 1})
            else:
                status, answer = await client.request("GET", "/health")
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            visit.failed("POST" if writes else "GET", f"{type(error).__name__} {error}")
            client = Client(visit)
            continue
        visit.latencies.append(time.monotonic() - began)
        visit.statuses[status] += 1
        if not 200 <= status < 300:
            visit.failed("POST" if writes else "GET", f"{status} {answer[:80]!r}")
        elif writes:
            visit.orders.append(json.loads(answer)["id"])
        else:
            release = json.loads(answer)["release"]
            visit.releases[release] += 1
            visit.since.setdefault(release, round(time.time(), 2))


async def frame(reader):
    """The kind and the content of one frame of a server."""
    first, second = await reader.readexactly(2)
    length = second & 127
    if length > 125:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    return first & 15, await reader.readexactly(length)


def masked(kind, content):
    """A short frame of a client."""
    mask = os.urandom(4)
    return bytes([128 | kind, 128 | len(content)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))


async def websocket(visit):
    """Talk once a second until the server closes, note how, and come back."""
    while not visit.over.is_set():
        try:
            reader, writer = await visit.connect()
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(
                f"GET /ws HTTP/1.1\r\nHost: {visit.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT)
            if b" 101 " not in head:
                raise OSError(head.splitlines()[0].decode())
            visit.closes[str(await converse(visit, reader, writer))] += 1
            writer.close()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            visit.failed("websocket", f"{type(error).__name__} {error}")
            await asyncio.sleep(0.2)


async def converse(visit, reader, writer):
    """The code with which the server closed, or `kept` at the end of the visit."""
    said, incoming = 0.0, asyncio.ensure_future(frame(reader))
    heard = time.monotonic()
    while not visit.over.is_set():
        if time.monotonic() - said >= 1:
            writer.write(masked(1, b"hello"))
            await writer.drain()
            said = time.monotonic()
        done, _waiting = await asyncio.wait([incoming], timeout=0.2)
        if not done:
            if time.monotonic() - heard > TIMEOUT:
                raise asyncio.TimeoutError("nothing heard")
            continue
        kind, content = incoming.result()
        heard = time.monotonic()
        if kind == 8:
            writer.write(masked(8, content[:2]))
            return int.from_bytes(content[:2], "big") if len(content) > 1 else "empty"
        if kind == 9:
            writer.write(masked(10, content))
        visit.echoes += kind == 1
        incoming = asyncio.ensure_future(frame(reader))
    incoming.cancel()
    writer.write(masked(8, (1000).to_bytes(2, "big")))
    return "kept"


async def missing(visit, sample, clients):
    """The accepted orders, at most so many, that cannot be read back."""
    orders = visit.orders[:: max(1, len(visit.orders) // sample)]
    lost = await asyncio.gather(*(unread(visit, orders[first::clients]) for first in range(clients)))
    return [order for part in lost for order in part]


async def unread(visit, orders):
    """Which of these orders one client cannot read back."""
    client, lost = Client(visit), []
    for order in orders:
        try:
            status, _answer = await client.request("GET", f"/orders/{order}")
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            client, status = Client(visit), error
        if status != 200:
            lost.append(f"{order}: {status}")
    return lost


def percentile(values, share):
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000) if values else None


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="https://localhost")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=10, help="connections that are kept open (default: %(default)s)")
    parser.add_argument("--websockets", type=int, default=20, help="open websockets (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=2000, help="orders to read back (default: %(default)s)")
    options = parser.parse_args()
    visit = Visit(options.url)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, visit.over.set)
    loop.call_later(options.seconds, visit.over.set)
    began = time.monotonic()
    await asyncio.gather(
        *(visitor(visit, number, options.clients, options.rate) for number in range(options.clients)),
        *(websocket(visit) for _each in range(options.websockets)),
    )
    seconds = time.monotonic() - began
    lost = await missing(visit, options.sample, options.clients)
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "requests": sum(visit.statuses.values()),
                "statuses": visit.statuses,
                "failed": len(visit.failures),
                "failures": visit.failures[:20],
                "repeated": visit.repeated,
                "orders": len(visit.orders),
                "lost": lost,
                "since": visit.since,
                "releases": visit.releases,
                "websocket_closes": visit.closes,
                "websocket_echoes": visit.echoes,
                "latency_ms": {
                    "p50": percentile(visit.latencies, 0.5),
                    "p99": percentile(visit.latencies, 0.99),
                    "max": percentile(visit.latencies, 1),
                },
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
