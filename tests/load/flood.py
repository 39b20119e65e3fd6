# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that want all of a proxy, and another that only visits: ``flood.py KIND`` and ``flood.py visit``, each from source addresses of
its own, against a host of one's own. Prints, as JSON, what happened; ends after some seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import resource
import ssl
import time

PATIENCE = 5.0
TRICKLE = 4.0


class Flood:
    """Connections, as many as are wanted, each kept as long as the other side lets it."""

    def __init__(self, options):
        self.options, self.open, self.most, self.refused, self.done = options, 0, 0, 0, 0
        self.context = ssl._create_unverified_context()
        self.end = time.monotonic() + options.seconds
        self.sources = itertools.cycle(options.source)

    async def connect(self, encrypted=True):
        names = {"ssl": self.context, "server_hostname": self.options.name} if encrypted else {}
        port = 443 if encrypted else 80
        connecting = asyncio.open_connection(self.options.target, port, local_addr=(next(self.sources), 0), **names)
        return await asyncio.wait_for(connecting, PATIENCE)

    async def hold(self, kind):
        """One connection after the other, until the time is over."""
        while time.monotonic() < self.end:
            try:
                reader, writer = await self.connect(kind not in ("idle", "headers"))
            except (OSError, asyncio.TimeoutError, ssl.SSLError):
                self.refused += 1
                await asyncio.sleep(0.2)
                continue
            self.open += 1
            self.most = max(self.most, self.open)
            try:
                await asyncio.wait_for(getattr(self, kind)(reader, writer), max(0.1, self.end - time.monotonic()))
            except (OSError, EOFError, asyncio.TimeoutError, ssl.SSLError):
                pass
            finally:
                self.open -= 1
                writer.transport.abort()

    async def _trickle(self, writer, head):
        writer.write(head)
        while True:
            await asyncio.sleep(TRICKLE)
            writer.write(b"a")
            await writer.drain()

    async def headers(self, _reader, writer):
        await self._trickle(writer, f"GET / HTTP/1.1\r\nHost: {self.options.name}\r\nX-A: ".encode())

    async def body(self, _reader, writer):
        head = f"POST /orders HTTP/1.1\r\nHost: {self.options.name}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        await self._trickle(writer, head.encode())

    async def idle(self, reader, _writer):
        await reader.read(1)

    async def slow_read(self, _reader, writer):
        """Asks for much and reads nothing."""
        writer.transport.pause_reading()
        writer.write(f"GET {self.options.path} HTTP/1.1\r\nHost: {self.options.name}\r\n\r\n".encode() * 200)
        await asyncio.sleep(self.options.seconds)

    async def websocket(self, reader, writer):
        words = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(f"GET /ws HTTP/1.1\r\nHost: {self.options.name}\r\n{words}\r\n\r\n".encode())
        while await reader.read(65536):
            pass

    async def handshakes(self, _reader, _writer):
        """The connection has done what it is for: it has cost a handshake."""
        self.done += 1

    async def requests(self, reader, writer):
        while True:
            writer.write(f"GET /health HTTP/1.1\r\nHost: {self.options.name}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.done += 1

    async def run(self, kind):
        await asyncio.gather(*(self.hold(kind) for _each in range(self.options.connections)))
        return {"kind": kind, "most": self.most, "refused": self.refused, "done": self.done}

    async def visit(self):
        """A request on a new connection, at a fixed rate: how long each took, from the first packet to the end of the answer."""
        taken, failed = [], []

        async def once():
            started = time.monotonic()
            try:
                reader, writer = await self.connect()
                writer.write(f"GET /health HTTP/1.1\r\nHost: {self.options.name}\r\nConnection: close\r\n\r\n".encode())
                answer = await asyncio.wait_for(reader.read(), PATIENCE)
                writer.transport.abort()
                if not answer.startswith(b"HTTP/1.1 200"):
                    failed.append(answer[:30].decode(errors="replace"))
            except (OSError, asyncio.TimeoutError, ssl.SSLError) as error:
                failed.append(repr(error))
            taken.append(round((time.monotonic() - started) * 1000))

        visits = []
        while time.monotonic() < self.end:
            visits.append(asyncio.ensure_future(once()))
            await asyncio.sleep(1 / self.options.rate)
        await asyncio.gather(*visits)
        taken.sort()
        return {"visits": len(taken), "failed": failed[:5], "p50_ms": taken[len(taken) // 2], "p99_ms": taken[int(len(taken) * 0.99)]}


KINDS = ("headers", "body", "idle", "slow_read", "websocket", "handshakes", "requests")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[*KINDS, "visit"])
    parser.add_argument("--target", required=True, help="address of the host")
    parser.add_argument("--source", required=True, nargs="+", help="addresses to come from, one after the other")
    parser.add_argument("--name", default="localhost", help="name of the site (default: %(default)s)")
    parser.add_argument("--path", default="/", help="what slow_read asks for (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=1000, help="connections to try for at once (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10, help="visits in a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="(default: %(default)s)")
    options = parser.parse_args()
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    flood = Flood(options)
    print(json.dumps(asyncio.run(flood.visit() if options.kind == "visit" else flood.run(options.kind))))


if __name__ == "__main__":
    main()
