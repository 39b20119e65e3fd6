# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Liveness is about this process alone; readiness asks everything a request needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shop.config import APP, RELEASE

logger = logging.getLogger(__name__)
router = APIRouter()

TIMEOUT_SECONDS = 2


@router.get("/health")
async def health() -> dict:
    return {"status": "healthy", "app": APP, "release": RELEASE}


@router.get("/ready")
async def ready(request: Request, response: Response) -> dict:
    state = request.app.state
    checks = {"database": select_one(state.engine), "redis": state.cache.ping(), "queue": state.queue.ping()}
    results = await asyncio.gather(*(verdict(name, check) for name, check in checks.items()))
    healthy = all(result == "healthy" for result in results)
    response.status_code = 200 if healthy else 503
    return {"status": "healthy" if healthy else "unhealthy", "components": dict(zip(checks, results, strict=True))}


async def select_one(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def verdict(name: str, check: Awaitable) -> str:
    """Why a component is unhealthy goes to the log, never to the caller."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await check
    except (OSError, RedisError, SQLAlchemyError) as error:
        logger.warning("not ready", extra={"component": name, "error": f"{type(error).__name__}: {error}"})
        return "unhealthy"
    return "healthy"
