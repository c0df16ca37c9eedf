"""Experiments.

Only adds a table: the previous release keeps working.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
medium_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
table: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("configuration", medium_text, nullable=False),
        sa.Column("data_set_name", sa.String(length=200), nullable=False),
        sa.Column("data_set_sha256", sa.String(length=64), nullable=False),
        sa.Column("data_set_cases", sa.Integer(), nullable=False),
        sa.Column("metrics", medium_text, nullable=False),
        sa.Column("per_case", medium_text, nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sqlite_autoincrement=True,
        **table,
    )
    op.create_index("ix_experiments_data_set_sha256_id", "experiments", ["data_set_sha256", "id"])


def downgrade() -> None:
    op.drop_table("experiments")
