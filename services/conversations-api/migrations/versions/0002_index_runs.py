"""Runs over the whole index.

Only adds a table: the previous release keeps working.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
table: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    op.create_table(
        "index_runs",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Enum("reconcile", "rebuild", name="kind", create_constraint=True), nullable=False),
        sa.Column(
            "status",
            sa.Enum("queued", "running", "done", "failed", name="status", create_constraint=True),
            nullable=False,
        ),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("since", moment, nullable=True),
        sa.Column("requested_at", moment, nullable=False),
        sa.Column("started_at", moment, nullable=True),
        sa.Column("finished_at", moment, nullable=True),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("checked", "missing", "stale", "orphaned", "repaired")
        ),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", moment, nullable=True),
        sa.Column("message_due_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_runs")),
        sqlite_autoincrement=True,
        **table,
    )
    op.create_index("ix_index_runs_status_id", "index_runs", ["status", "id"])
    op.create_index("ix_index_runs_message_due_at", "index_runs", ["message_due_at"])


def downgrade() -> None:
    op.drop_table("index_runs")
