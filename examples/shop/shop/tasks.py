# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Celery application: settle orders, and tick so that everybody sees the queue moving."""

from __future__ import annotations

import logging
import zlib
from datetime import timedelta

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.beat import Scheduler
from celery.signals import heartbeat_sent, setup_logging
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shop import log
from shop.config import APP, settings
from shop.db import Mail, Order, Tick, engine

logger = logging.getLogger(__name__)

TICK_SECONDS = 30
REDIS = {"global_keyprefix": f"{APP}:", "socket_timeout": 10, "socket_connect_timeout": 3, "socket_keepalive": True}

app = Celery(APP, broker=settings.redis_queue_url, backend=f"shop.tasks:Results+{settings.redis_queue_url}")
app.conf.update(
    beat_schedule={"tick": {"task": "tick", "schedule": TICK_SECONDS, "options": {"expires": TICK_SECONDS}}},
    beat_scheduler="shop.tasks:MemoryScheduler",
    broker_connection_retry_on_startup=True,
    broker_transport_options=REDIS | {"visibility_timeout": 900},
    result_backend_transport_options=REDIS,
    result_expires=3600,
    task_acks_late=True,  # a task that dies with its worker runs again, so every task is idempotent
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2},
    task_reject_on_worker_lost=True,
    task_soft_time_limit=270,
    task_time_limit=300,
    worker_cancel_long_running_tasks_on_connection_loss=True,  # the queue hands them out again anyway
    worker_max_memory_per_child=150_000,  # kB: a child that grew is replaced between two tasks
    worker_max_tasks_per_child=1000,
    worker_prefetch_multiplier=1,
)


class Results(RedisBackend):
    """Results are looked up, never waited for: no subscription and no connection of its own for each task sent."""

    def on_task_call(self, producer, task_id):
        return None


class MemoryScheduler(Scheduler):
    """Celery's scheduler without its schedule file: nothing to write, nothing to corrupt; all is due at the start."""

    def setup_schedule(self):
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at -= timedelta(days=1)

    def tick(self, *args, **kwargs):
        settings.heartbeat()
        return super().tick(*args, **kwargs)


@setup_logging.connect
def _setup_logging(**_):
    log.setup()


@heartbeat_sent.connect
def _worker_turns(**_):
    settings.heartbeat()


def task_id(order_id: int) -> str:
    return f"order-{order_id}"


def enqueue(order_id: int) -> None:
    settle.apply_async((order_id,), task_id=task_id(order_id))


@app.task(name="settle", autoretry_for=(OperationalError,), retry_backoff=True, max_retries=5)
def settle(order_id: int) -> int:
    """Price an order and write its confirmation into the outbox, both or neither."""
    with Session(engine("worker")) as session, session.begin():
        order = session.get(Order, order_id, with_for_update=True)
        if order is None:
            raise LookupError(f"order {order_id} does not exist")
        if order.settled_at is None:
            order.total_cents = order.quantity * price_cents(order.item)
            order.settled_at = func.now()
            session.add(
                Mail(
                    order_id=order.id,
                    recipient=order.email,
                    subject=f"Your order {order.id}",
                    body=f"{order.quantity} × {order.item}: {order.total_cents / 100:.2f} €. Thank you!",
                )
            )
        total = order.total_cents
    logger.info("order settled", extra={"order": order_id, "total_cents": total})
    return total


@app.task(name="tick", ignore_result=True)
def tick() -> None:
    """Leave a trace, and queue again what a lost queue forgot."""
    with Session(engine("worker")) as session, session.begin():
        now = func.now()
        session.execute(insert(Tick).values(name="tick", at=now).on_conflict_do_update(index_elements=["name"], set_={"at": now}))
        forgotten = (
            select(Order.id)
            .where(Order.settled_at.is_(None), Order.queued_at < now - timedelta(seconds=2 * TICK_SECONDS))
            .order_by(Order.queued_at)
            .limit(100)
            .with_for_update(skip_locked=True)
        )
        orders = session.scalars(
            update(Order).where(Order.id.in_(forgotten.scalar_subquery())).values(queued_at=now).returning(Order.id)
        ).all()
    for order_id in orders:
        enqueue(order_id)
    if orders:
        logger.warning("orders queued again", extra={"orders": len(orders)})


def price_cents(item: str) -> int:
    """A price for anything: the same item always costs the same."""
    return 99 + zlib.crc32(item.strip().lower().encode()) % 2400
