# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders, the mail outbox and the tick."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    now = sa.func.now()
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("item", sa.String(80), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("total_cents", sa.BigInteger),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.Column("queued_at", moment, server_default=now, nullable=False),
        sa.Column("settled_at", moment),
    )
    op.create_index("orders_waiting", "orders", ["queued_at"], postgresql_where=sa.text("settled_at IS NULL"))
    op.create_table(
        "mails",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("order_id", sa.BigInteger, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False, unique=True),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.String(8), server_default="queued", nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("due_at", moment, server_default=now, nullable=False),
        sa.Column("sent_at", moment),
    )
    op.create_index("mails_due", "mails", ["due_at"], postgresql_where=sa.text("status = 'queued'"))
    op.create_table(
        "ticks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("at", moment, server_default=now, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("ticks")
    op.drop_table("mails")
    op.drop_table("orders")
