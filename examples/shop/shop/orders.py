# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an order, follow it, count them all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import time
from datetime import datetime
from typing import Annotated

from celery.exceptions import CeleryError
from fastapi import APIRouter, HTTPException, Request, Response
from kombu.exceptions import KombuError
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop import live, tasks
from shop.config import APP, RELEASE, settings
from shop.db import Mail, Order, Tick

logger = logging.getLogger(__name__)
router = APIRouter()

STATS_KEY, STATS_SECONDS = f"{APP}:stats", 5
QUEUE_ERRORS = (KombuError, CeleryError, RedisError, OSError)


class NewOrder(BaseModel):
    item: Annotated[str, Field(min_length=1, max_length=80)]
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] = "customer@example.com"


class OrderView(BaseModel):
    id: str
    item: str
    quantity: int
    status: str
    total_cents: int | None
    created_at: datetime
    settled_at: datetime | None
    mail: str | None = None
    task: dict | None = None


def seal(number: int) -> str:
    """An order's public name: its number and a signature, so that nobody reads the neighbour's by counting."""
    return f"{number}-{hmac.digest(settings.secret_key, b'order:%d' % number, hashlib.sha256).hex()[:20]}"


def unseal(name: str) -> int:
    number = name.partition("-")[0]
    if not (number.isascii() and number.isdigit() and hmac.compare_digest(seal(int(number)).encode(), name.encode())):
        raise HTTPException(404, "no such order")
    return int(number)


def view(order: Order, **more) -> OrderView:
    fields = {name: getattr(order, name) for name in ("item", "quantity", "total_cents", "created_at", "settled_at")}
    return OrderView(id=seal(order.id), status="done" if order.settled_at else "pending", **fields, **more)


@router.post("/orders", status_code=202)
async def create(new: NewOrder, request: Request, response: Response) -> OrderView:
    """The order is safe once it is in the database: if the queue is away, the next tick queues it."""
    async with AsyncSession(request.app.state.engine, expire_on_commit=False) as session, session.begin():
        order = Order(**new.model_dump())
        session.add(order)
        await session.flush()
    try:
        await asyncio.to_thread(tasks.enqueue, order.id)
    except QUEUE_ERRORS as error:
        logger.warning("order not queued yet", extra={"order": order.id, "error": type(error).__name__})
    placed = view(order)
    response.headers["Location"] = f"/orders/{placed.id}"
    return placed


@router.get("/orders/{name}")
async def read(name: str, request: Request) -> OrderView:
    number = unseal(name)
    async with AsyncSession(request.app.state.engine) as session:
        row = (
            await session.execute(select(Order, Mail.status).outerjoin(Mail, Mail.order_id == Order.id).where(Order.id == number))
        ).first()
    if row is None:
        raise HTTPException(404, "no such order")
    order, mail = row
    return view(order, mail=mail, task=await asyncio.to_thread(task_state, number))


def task_state(number: int) -> dict:
    try:
        result = tasks.app.AsyncResult(tasks.task_id(number))
        state = result.state
        return {"state": state, "result": result.result if state == "SUCCESS" else None}
    except QUEUE_ERRORS:
        return {"state": "UNKNOWN", "result": None}


@router.get("/stats")
async def stats(request: Request) -> dict:
    """Shared numbers come from the cache, at most a few seconds old; this process's own are live."""
    state = request.app.state
    shared = await cached(state.cache, lambda: count(state.engine))
    process = {
        "pid": os.getpid(),
        "uptime_seconds": round(time.monotonic() - state.started, 1),
        "websockets": len(live.connections),
        "pool": state.engine.pool.status(),
    }
    return {"app": APP, "release": RELEASE, **shared, "process": process}


async def cached(cache, compute) -> dict:
    """A cache that is away only costs time."""
    try:
        if found := await cache.get(STATS_KEY):
            return json.loads(found)
        fresh = await compute()
        await cache.set(STATS_KEY, json.dumps(fresh), ex=STATS_SECONDS)
    except (RedisError, OSError):
        return await compute()
    return fresh


async def count(engine) -> dict:
    async with engine.connect() as connection:
        done, pending = (
            await connection.execute(
                select(
                    func.count(Order.settled_at),
                    func.count().filter(Order.settled_at.is_(None)),
                ).select_from(Order)
            )
        ).one()
        mails = (await connection.execute(select(Mail.status, func.count()).group_by(Mail.status))).all()
        age = await connection.scalar(select(func.extract("epoch", func.now() - Tick.at)).where(Tick.name == "tick"))
    return {
        "orders": {"done": done, "pending": pending},
        "mails": dict(mails),
        "tick_age_seconds": None if age is None else round(float(age), 1),
    }
