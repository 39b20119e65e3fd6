# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many websockets of one site, opened, held and asked for a pong each second, by Debian's python3-websockets on the host itself."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
import resource
import time
from urllib.parse import urlsplit

from ..probe import tls
from ..text import read
from . import load

LIMITS = {"success_percent": 99, "p99_ms": 500}
MOST_CONNECTIONS, MOST_SECONDS = 1000, 600
# Handshakes under way at once: more arrive at no site in the same moment, and nginx queues no more than its backlog.
AT_ONCE = 50
# Files that the program has open beside its connections.
OWN_FILES = 100
# What a route answers whose app wants to know first who comes; 400 is said of a token that is missing, too.
LOGINS = {400, 401, 403}
FULL = {429, 503}


def check(url, connections, seconds, headers):
    """Refuse what is no websocket of one of the host's sites, or no test any more."""
    load.check_site(url, ("ws", "wss"), "a websocket of one of the host's own sites, such as wss://shop.example.com/ws", headers)
    load.check_number("connections", connections, MOST_CONNECTIONS)
    load.check_number("seconds", seconds, MOST_SECONDS)


class Visitor:
    """One websocket: what became of its handshake, its pongs and its end."""

    def __init__(self):
        self.status, self.handshake_ms, self.pongs_ms, self.ended = None, None, [], "no answer"

    async def visit(self, connect, options, gate):
        try:
            async with gate:
                began = time.monotonic()
                socket = await asyncio.wait_for(connect(), options["timeout"])
                self.handshake_ms = 1000 * (time.monotonic() - began)
        except failures() as error:
            # Named so before version 13 and since.
            self.status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
            return
        self.status = 101
        # What is not read is not answered either, pongs among it.
        reader = asyncio.ensure_future(drain(socket))
        try:
            self.ended = await self.hold(socket, options)
        finally:
            reader.cancel()
            with contextlib.suppress(*failures()):
                await asyncio.wait_for(socket.close(), 1)

    async def hold(self, socket, options):
        end = time.monotonic() + options["seconds"]
        while time.monotonic() < end:
            asked = time.monotonic()
            try:
                await asyncio.wait_for(await socket.ping(), options["timeout"])
            except asyncio.TimeoutError:
                return "silent"
            except failures():
                return f"closed with {getattr(socket, 'close_code', None) or 'no word'}"
            self.pongs_ms.append(1000 * (time.monotonic() - asked))
            await asyncio.sleep(max(0.0, min(asked + 1, end) - time.monotonic()))
        return "kept"


def failures():
    """How a connection fails: by the network, TLS among it, in time, or as the library has it."""
    from websockets.exceptions import WebSocketException

    return OSError, EOFError, asyncio.TimeoutError, WebSocketException


async def drain(socket):
    async for _message in socket:
        pass


def connector(options):
    """A function that opens a websocket of the URL on 127.0.0.1, whatever address its name has."""
    parts = urlsplit(options["url"])
    secure = parts.scheme == "wss"
    to = {"host": "127.0.0.1", "port": parts.port or (443 if secure else 80), "ping_interval": None, "close_timeout": 1}
    if secure:
        to.update(ssl=tls.context(validate=False), server_hostname=parts.hostname)
    to["origin"] = parts._replace(scheme="https" if secure else "http", path="", query="", fragment="").geturl()
    headers = {str(name): str(value) for name, value in options["headers"].items()}
    try:
        from websockets.asyncio.client import connect
    except ImportError:  # before version 13
        from websockets import connect

        return lambda: connect(options["url"], extra_headers=headers, **to)
    return lambda: connect(options["url"], additional_headers=headers, proxy=None, **to)


def run(options):
    """What so many websockets have shown; ValueError where they came to no end.

    :param options: those of the module websocket_load.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, options["connections"] + OWN_FILES), hard))
    before, began = read("/proc/stat"), time.monotonic()
    visitors = asyncio.run(_visit(options))
    return {
        **summary(visitors),
        "seconds": round(time.monotonic() - began, 1),
        "cpu_percent": load.busy(before, read("/proc/stat")),
    }


async def _visit(options):
    connect, gate = connector(options), asyncio.Semaphore(AT_ONCE)
    visitors = [Visitor() for _number in range(options["connections"])]
    visits = asyncio.gather(*(visitor.visit(connect, options, gate) for visitor in visitors))
    deadline = options["seconds"] + options["timeout"] * (2 + math.ceil(options["connections"] / AT_ONCE))
    try:
        await asyncio.wait_for(visits, deadline)
    except asyncio.TimeoutError:
        raise ValueError(f"the websockets did not come to their end within {deadline} s") from None
    return visitors


def summary(visitors):
    """The figures of all visits together."""
    pongs = sorted(latency for visitor in visitors for latency in visitor.pongs_ms)
    handshakes = sorted(visitor.handshake_ms for visitor in visitors if visitor.handshake_ms is not None)
    kept = sum(visitor.ended == "kept" for visitor in visitors)
    refused = collections.Counter(str(visitor.status) for visitor in visitors if visitor.status not in (None, 101))
    ended = collections.Counter(visitor.ended for visitor in visitors if visitor.status in (None, 101) and visitor.ended != "kept")
    return {
        "connections": len(visitors),
        "kept": kept,
        "success_percent": round(100 * kept / len(visitors), 2),
        "refused": dict(sorted(refused.items())),
        "ended": dict(sorted(ended.items())),
        "wants_login": kept == 0 and sum(number for status, number in refused.items() if int(status) in LOGINS) == len(visitors),
        "handshake_p50_ms": percentile(handshakes, 50),
        "handshake_p99_ms": percentile(handshakes, 99),
        "pongs": len(pongs),
        "mean_ms": round(sum(pongs) / len(pongs), 1) if pongs else None,
        **{name: percentile(pongs, number) for name, number in load.PERCENTILES.items()},
    }


def percentile(values, percent):
    """That of values in their order, the nearest rank; None of none."""
    return round(values[max(0, math.ceil(len(values) * percent / 100) - 1)], 1) if values else None


def missed(result, limits=None):
    """The limits that were not held, in words; an app that wants a login first was not tried."""
    limits = {**LIMITS, **(limits or {})}
    if result["wants_login"]:
        return []
    lines = []
    if result["success_percent"] <= limits["success_percent"]:
        told = [f"{number} refused with {status}" for status, number in result["refused"].items()]
        told += [f"{number} {how}" for how, number in result["ended"].items()]
        lines.append(f"{result['success_percent']:g} % were kept, not more than {limits['success_percent']:g} % ({', '.join(told)})")
    if result["pongs"] and result["p99_ms"] >= limits["p99_ms"]:
        lines.append(f"99 % of the pongs came within {result['p99_ms']:g} ms, not less than {limits['p99_ms']:g} ms")
    return lines


def bound(result, lines, cpus):
    """(what gave way, what would change it): login, limit, app, connections, cpu, or nothing."""
    if result["wants_login"]:
        return "login", f"Every handshake got {listed(result['refused'])}: give headers with which the app lets one in, such as a Cookie."
    if not lines:
        return "none", ""
    full = sum(number for status, number in result["refused"].items() if int(status) in FULL)
    if full:
        return "limit", (
            f"{full} handshakes were refused as too many: max_connections of the route, or MAX_WS_CONNECTIONS as the app keeps it; "
            "mainstay plan shows the number that the host is planned for."
        )
    if result["refused"] or any(how.startswith("closed") for how in result["ended"]):
        told = ", ".join(filter(None, (listed(result["refused"]), listed(result["ended"]))))
        return "app", f"The app did not keep them ({told}): its journal (mainstay logs <app>) and /var/log/nginx/error.log say why."
    if result["ended"].get("no answer"):
        return "connections", (
            f"{result['ended']['no answer']} handshakes had no answer: see worker_connections and LimitNOFILE in mainstay plan, and whether "
            "the process was restarted meanwhile (mainstay history)."
        )
    cpu_percent = result["cpu_percent"] or 0
    if cpu_percent >= load.BUSY_PERCENT:
        return "cpu", (
            f"The {cpus} CPUs were busy to {cpu_percent:.0f} %, the visitors among them: more CPUs, or more instances of the process where "
            "the plan has memory for them (instances)."
        )
    return "app", (
        f"The CPUs were busy to {cpu_percent:.0f} % only: something in the app keeps its event loop from answering, such as a call that "
        "waits for a database without await."
    )


def listed(counts):
    return ", ".join(f"{number} times {what}" for what, number in counts.items())
