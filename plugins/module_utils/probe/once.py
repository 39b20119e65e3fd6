# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a service whether it is healthy: HTTP, WebSocket, TCP, Unix socket, QUIC, Redis, PostgreSQL, MySQL or a command.

`check_once(spec)` is one try, `run(spec)` repeats it until thresholds or the deadline decide, `run_all(specs)` does
that for many at once. All return the same keys, whatever happened. Standard library only, and heavy parts are imported
when needed: the agent on the host keeps this module in memory and calls `check_once` every few seconds.
"""

from __future__ import annotations

import time

from .command import try_command
from .connection import Failed, Limit, Seen, in_words, try_stream
from .databases import try_mysql, try_postgresql, try_redis
from .declared import masker, normalise, target
from .quic import try_quic
from .web import try_http

EXCERPT = 512


def check_once(spec):
    """One try. `spec` as in DEFAULTS (missing keys take these values, unknown keys are ignored)."""
    spec = normalise(spec)
    seen = Seen()
    limit = Limit(spec["timeout"])
    started = time.monotonic()
    try:
        _TRIES[spec["kind"]](spec, limit, seen)
    except Failed as failure:
        seen.object(failure.reason, failure.cause)
    except OSError as error:
        seen.object(*in_words(error, limit))
    latency = round((time.monotonic() - started) * 1000, 1) if seen.answered else None
    if latency is not None and spec["max_latency_ms"] is not None and latency > spec["max_latency_ms"]:
        seen.object(f"answered in {latency:.0f} ms, allowed are {spec['max_latency_ms']:g} ms", "slow")
    hide = masker(spec)
    reasons = [hide(reason) for reason in seen.reasons]
    healthy = not reasons
    return {
        "healthy": healthy,
        "name": spec["name"],
        "kind": spec["kind"],
        "target": target(spec),
        "status": seen.status,
        "cause": seen.cause,
        "attempts": 1,
        "consecutive": 1,
        "latency_ms": {"min": latency, "p50": latency, "max": latency, "last": latency},
        "reasons": reasons,
        "history": [event_of(0, healthy, seen.status, latency, reasons)],
        "body": hide(seen.body)[:EXCERPT],
        "tls_days_left": seen.tls_days_left,
    }


def event_of(at_ms, healthy, status, latency, reasons):
    return {"at_ms": at_ms, "healthy": healthy, "status": status, "latency_ms": latency, "reason": "; ".join(reasons)}


_TRIES = {
    "http": try_http,
    "websocket": try_http,
    "tcp": try_stream,
    "unix": try_stream,
    "quic": try_quic,
    "redis": try_redis,
    "postgresql": try_postgresql,
    "mysql": try_mysql,
    "command": try_command,
}
