# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's environment: `alembic upgrade head`, online only, with the application's own settings."""

from __future__ import annotations

from alembic import context
from shop import log
from shop.config import APP
from shop.db import URL, Base
from sqlalchemy import NullPool, create_engine, text

log.setup()
engine = create_engine(URL, poolclass=NullPool, connect_args={"connect_timeout": 5, "application_name": f"{APP}-migrate"})

with engine.connect() as connection:
    # The release before still serves: better fail and keep it than queue every request behind a lock.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
