"""Query history.

Only adds a table: the previous release keeps working.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
medium_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
table: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql")


def upgrade() -> None:
    op.create_table(
        "query_history",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("answer_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", exact(128), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("question", medium_text, nullable=False),
        sa.Column("standalone_query", medium_text, nullable=True),
        sa.Column("filters", medium_text, nullable=False),
        sa.Column("hits", medium_text, nullable=False),
        sa.Column("answer", medium_text, nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("prompt_version", sa.String(length=200), nullable=True),
        sa.Column("usage", sa.Text(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("rating", sa.Enum("up", "down", name="rating", create_constraint=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("feedback_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query_history")),
        sa.UniqueConstraint("answer_id", name=op.f("uq_query_history_answer_id")),
        sqlite_autoincrement=True,
        **table,
    )
    op.create_index("ix_query_history_user_id_id", "query_history", ["user_id", "id"])
    op.create_index("ix_query_history_created_at", "query_history", ["created_at"])


def downgrade() -> None:
    op.drop_table("query_history")
