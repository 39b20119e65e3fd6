# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables, and the two engines: asynchronous for the web, synchronous for workers."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Engine,
    ForeignKey,
    Identity,
    Index,
    NullPool,
    String,
    Text,
    create_engine,
    func,
    make_url,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shop.config import APP, settings


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict] = {datetime: DateTime(timezone=True)}


class Order(Base):
    __tablename__ = "orders"
    # Only the few orders that still wait are indexed: what the sweep looks for stays cheap for ever.
    __table_args__ = (Index("orders_waiting", "queued_at", postgresql_where="settled_at IS NULL"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    item: Mapped[str] = mapped_column(String(80))
    quantity: Mapped[int]
    email: Mapped[str] = mapped_column(String(254))
    total_cents: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class Mail(Base):
    __tablename__ = "mails"
    __table_args__ = (Index("mails_due", "due_at", postgresql_where="status = 'queued'"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), unique=True)
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(8), server_default="queued")
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]


class Tick(Base):
    """When the scheduler and a worker last worked together."""

    __tablename__ = "ticks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


def _options(process: str) -> dict:
    """A pool within the plan: it never waits longer than the proxy does, and never trusts an idle connection."""
    arguments = {"connect_timeout": 5, "application_name": f"{APP}-{process}"}
    if not settings.db_prepared_statements:  # a pooler may answer the next transaction with another session
        arguments["prepare_threshold"] = None
    options = {
        "connect_args": arguments,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
    }
    if settings.db_pool_size == 0:  # SQLAlchemy takes 0 for "no limit"; the plan means "keep none"
        return options | {"poolclass": NullPool}
    return options | {
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_max_overflow,
        "pool_timeout": 10,
    }


@cache
def engine(process: str) -> Engine:
    """Built on first use, so that a forked worker never shares a connection with its parent."""
    return create_engine(URL, **_options(process))


def async_engine(process: str) -> AsyncEngine:
    return create_async_engine(URL, **_options(process))


URL = make_url(settings.database_url).set(drivername="postgresql+psycopg")
