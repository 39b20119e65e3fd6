# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to break this process on purpose: only with FAULTS=1, only from this machine, never in production."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

logger = logging.getLogger(__name__)


@dataclass
class Trouble:
    health_fails: bool = False
    delay_seconds: float = 0
    hoard: list[bytes] = field(default_factory=list)
    running: set[asyncio.Task] = field(default_factory=set)


trouble = Trouble()


def local_only(request: Request) -> None:
    if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
        raise HTTPException(403, "only from this machine")
    logger.warning("fault injected", extra={"fault": request.url.path, "query": request.url.query})


router = APIRouter(prefix="/faults", dependencies=[Depends(local_only)], include_in_schema=False)


@router.post("/hang", status_code=204)
async def hang(seconds: float = 60) -> None:
    """Block the event loop: the port still takes connections, nothing answers."""
    soon(lambda: time.sleep(seconds))


@router.post("/block", status_code=204)
async def block(seconds: float = 60) -> None:
    """The same within the request, whose client waits."""
    time.sleep(seconds)  # noqa: ASYNC251 - this is the fault


@router.post("/exit", status_code=204)
async def die(status: int = 1) -> None:
    """Die without cleaning up."""
    soon(lambda: os._exit(status))


@router.post("/error", status_code=204)
async def error() -> None:
    """Answer 500 on /health until cleared."""
    trouble.health_fails = True


@router.post("/slow", status_code=204)
async def slow(seconds: float = 5) -> None:
    """Answer everything late until cleared."""
    trouble.delay_seconds = seconds


@router.post("/leak", status_code=204)
async def leak(mb: int = 50, seconds: float = 0) -> None:
    """Take memory at once, and as much again every second as long as it lasts."""
    keep(_leak(mb, seconds))


@router.post("/pool", status_code=204)
async def pool(request: Request, connections: int = 10, seconds: float = 60) -> None:
    """Hold connections of the database pool."""
    for _each in range(connections):
        keep(_hold(request.app.state.engine, seconds))


@router.post("/clear", status_code=204)
async def clear() -> None:
    """End everything above that can be ended."""
    for task in trouble.running:
        task.cancel()
    trouble.health_fails, trouble.delay_seconds = False, 0
    trouble.hoard.clear()


def soon(action: Callable[[], object]) -> None:
    """Let the answer to this request leave first."""
    asyncio.get_running_loop().call_later(0.1, action)


def keep(work: Coroutine) -> None:
    task = asyncio.create_task(work)
    trouble.running.add(task)
    task.add_done_callback(trouble.running.discard)


async def _leak(mb: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        trouble.hoard.append(os.urandom(1024) * 1024 * mb)
        if time.monotonic() >= end:
            return
        await asyncio.sleep(1)


async def _hold(engine, seconds: float) -> None:
    async with engine.connect():
        await asyncio.sleep(seconds)


def install(app: FastAPI) -> None:
    app.include_router(router)

    @app.middleware("http")
    async def disturb(request: Request, call_next):
        if not request.url.path.startswith("/faults/"):
            await asyncio.sleep(trouble.delay_seconds)
            if trouble.health_fails and request.url.path == "/health":
                return JSONResponse({"status": "unhealthy"}, 500)
        return await call_next(request)
