# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web process: `uvicorn shop.main:app --host $HOST --port $PORT`."""

from __future__ import annotations

import html
import logging
import time
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop import health, live, log, orders
from shop.config import APP, RELEASE, settings
from shop.db import async_engine

HERE = Path(__file__).parent
REDIS = {"max_connections": 10, "timeout": 2, "socket_timeout": 2, "socket_connect_timeout": 2}

logger = logging.getLogger(__name__)
log.setup()


def redis(url: str) -> Redis:
    """A bounded pool; a connection that the server closed meanwhile is replaced at once."""
    return Redis.from_pool(BlockingConnectionPool.from_url(url, retry=Retry(NoBackoff(), 1), **REDIS))


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Nothing connects here: the process starts, and says so on /health, whatever its dependencies do."""
    app.state.started = time.monotonic()
    app.state.engine = async_engine("web")
    app.state.cache = redis(settings.redis_cache_url)
    app.state.queue = redis(settings.redis_queue_url)
    logger.info("started", extra={"release": RELEASE})
    yield
    await app.state.cache.aclose()
    await app.state.queue.aclose()
    await app.state.engine.dispose()


# Without FastAPI's documentation pages: they load scripts from elsewhere.
app = FastAPI(title=APP, version=RELEASE, lifespan=lifespan, docs_url=None, redoc_url=None)
app.include_router(health.router)
app.include_router(orders.router)
app.include_router(live.router)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

if settings.faults:
    from shop import faults

    faults.install(app)


@app.exception_handler(InterfaceError)
@app.exception_handler(OperationalError)
@app.exception_handler(PoolTimeoutError)
async def database_away(request: Request, error: Exception) -> JSONResponse:
    logger.warning("database not available", extra={"path": request.url.path, "error": type(error).__name__})
    return JSONResponse({"detail": "try again soon"}, 503, {"Retry-After": "5"})


PAGE = Template((HERE / "index.html").read_text("utf-8")).substitute(app=html.escape(APP), release=html.escape(RELEASE))


@app.get("/", response_class=HTMLResponse, include_in_schema=False)
async def index() -> str:
    return PAGE
