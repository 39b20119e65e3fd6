# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table, and a pool of the size that the capacity plan has counted."""

from __future__ import annotations

import os

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, create_engine, func

metadata = MetaData()
entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("written", DateTime, nullable=False, server_default=func.now()),
    Column("name", String(80), nullable=False),
    Column("message", String(500), nullable=False),
)

engine = create_engine(
    os.environ["DATABASE_URL"],  # mysql+pymysql://…, as DATABASE_SCHEME asks for
    pool_size=int(os.environ.get("DB_POOL_SIZE", "2")),
    max_overflow=int(os.environ.get("DB_MAX_OVERFLOW", "2")),
    pool_timeout=5,
    pool_pre_ping=True,  # a session that the server has ended must not cost a request
    connect_args={"connect_timeout": 3},
)
