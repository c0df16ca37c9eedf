"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CONVERSATIONS = "mental_health_conversations"

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
medium_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
table: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def sentiment(name: str) -> sa.Enum:
    return sa.Enum("positive", "negative", "neutral", name=name, create_constraint=True)


def upgrade() -> None:
    op.create_table(
        CONVERSATIONS,
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("question", medium_text, nullable=False),
        sa.Column("answer", medium_text, nullable=False),
        sa.Column("question_sentiment", sentiment("question_sentiment"), nullable=False),
        sa.Column("answer_sentiment", sentiment("answer_sentiment"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mental_health_conversations")),
        sqlite_autoincrement=True,
        **table,
    )
    op.create_index("ix_mental_health_conversations_created_at_id", CONVERSATIONS, ["created_at", "id"])
    op.create_index("ix_mental_health_conversations_updated_at_id", CONVERSATIONS, ["updated_at", "id"])
    if op.get_context().dialect.name == "mysql":
        op.create_index(
            "ft_mental_health_conversations_question_answer",
            CONVERSATIONS,
            ["question", "answer"],
            mysql_prefix="FULLTEXT",
        )
    op.create_table(
        "index_states",
        sa.Column("conversation_id", key, autoincrement=False, nullable=False),
        sa.Column(
            "status", sa.Enum("pending", "indexed", "failed", name="status", create_constraint=True), nullable=False
        ),
        sa.Column("indexed_version", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("queued_at", moment, nullable=False),
        sa.Column("indexed_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["mental_health_conversations.id"],
            name=op.f("fk_index_states_conversation_id_mental_health_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_index_states")),
        **table,
    )
    op.create_index("ix_index_states_status_queued_at", "index_states", ["status", "queued_at"])
    op.create_table(
        "index_outbox",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("conversation_id", key, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_outbox")),
        sqlite_autoincrement=True,
        **table,
    )
    op.create_index("ix_index_outbox_conversation_id_id", "index_outbox", ["conversation_id", "id"])
    op.create_table(
        "idempotency_keys",
        sa.Column(
            "key",
            sa.String(length=255).with_variant(mysql.VARCHAR(length=255, collation="utf8mb4_bin"), "mysql"),
            nullable=False,
        ),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("conversation_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
        **table,
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("index_outbox")
    op.drop_table("index_states")
    op.drop_table(CONVERSATIONS)
