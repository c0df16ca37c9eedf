"""Key index states and outbox rows by unit, of any kind; let idempotency keys hold the ids of any result.

The primary key of `index_states` changes, so the previous release cannot write to it: stop that release first. No
version has been published yet.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

requires_downtime = True

STATES, OUTBOX, KEYS, CONVERSATIONS = "index_states", "index_outbox", "idempotency_keys", "mental_health_conversations"
STATE = "status, indexed_version, attempts, reason, queued_at, indexed_at"
FOREIGN_KEY = f"fk_{STATES}_conversation_id_{CONVERSATIONS}"
BY_STATUS, BY_KIND_AND_STATUS = f"ix_{STATES}_status_queued_at", f"ix_{STATES}_kind_status_queued_at"
BY_CONVERSATION, BY_UNIT = f"ix_{OUTBOX}_conversation_id_id", f"ix_{OUTBOX}_kind_source_id_ordinal_id"
KIND = "VARCHAR(32) COLLATE utf8mb4_bin NOT NULL"

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
OLD = f"{STATES}_old"


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # One atomic statement for each table. Existing rows get their values from column defaults, which are dropped
        # afterwards.
        op.execute(
            f"ALTER TABLE {STATES} DROP FOREIGN KEY {FOREIGN_KEY}, DROP PRIMARY KEY, DROP INDEX {BY_STATUS},"
            f" ADD COLUMN kind {KIND} DEFAULT 'conversation' FIRST,"
            " CHANGE conversation_id source_id BIGINT NOT NULL,"
            " ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0 AFTER source_id,"
            " ADD PRIMARY KEY (kind, source_id, ordinal),"
            f" ADD INDEX {BY_KIND_AND_STATUS} (kind, status, queued_at)"
        )
        op.execute(
            f"ALTER TABLE {OUTBOX} DROP INDEX {BY_CONVERSATION},"
            f" ADD COLUMN kind {KIND} DEFAULT 'conversation' AFTER id,"
            " CHANGE conversation_id source_id BIGINT NOT NULL,"
            " ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0 AFTER source_id,"
            f" ADD INDEX {BY_UNIT} (kind, source_id, ordinal, id)"
        )
        for name in (STATES, OUTBOX):
            op.execute(f"ALTER TABLE {name} ALTER COLUMN kind DROP DEFAULT, ALTER COLUMN ordinal DROP DEFAULT")
        op.execute(f"ALTER TABLE {KEYS} CHANGE conversation_ids result_ids TEXT NOT NULL")
        return
    op.rename_table(STATES, OLD)
    op.drop_index(BY_STATUS, OLD)
    names: list[sa.Column[Any]] = [
        sa.Column("kind", sa.String(32)),
        sa.Column("source_id", key),
        sa.Column("ordinal", sa.Integer()),
    ]
    _create_states(names)
    op.create_index(BY_KIND_AND_STATUS, STATES, ["kind", "status", "queued_at"])
    op.execute(
        f"INSERT INTO {STATES} (kind, source_id, ordinal, {STATE})"  # noqa: S608 - constants
        f" SELECT 'conversation', conversation_id, 0, {STATE} FROM {OLD}"
    )
    op.drop_table(OLD)
    op.drop_index(BY_CONVERSATION, OUTBOX)
    op.execute(f"ALTER TABLE {OUTBOX} RENAME COLUMN conversation_id TO source_id")
    op.add_column(OUTBOX, sa.Column("kind", sa.String(32), nullable=False, server_default="conversation"))
    op.add_column(OUTBOX, sa.Column("ordinal", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(BY_UNIT, OUTBOX, ["kind", "source_id", "ordinal", "id"])
    op.execute(f"ALTER TABLE {KEYS} RENAME COLUMN conversation_ids TO result_ids")


def downgrade() -> None:
    # Delete what the old tables cannot hold: other kinds, which a rebuild indexes again, and states without a
    # conversation.
    op.execute(f"DELETE FROM {OUTBOX} WHERE kind <> 'conversation'")  # noqa: S608 - constants
    op.execute(
        f"DELETE FROM {STATES} WHERE kind <> 'conversation' OR source_id NOT IN (SELECT id FROM {CONVERSATIONS})"  # noqa: S608
    )
    if op.get_bind().dialect.name == "mysql":
        op.execute(
            f"ALTER TABLE {STATES} DROP PRIMARY KEY, DROP INDEX {BY_KIND_AND_STATUS}, DROP COLUMN kind,"
            " DROP COLUMN ordinal, CHANGE source_id conversation_id BIGINT NOT NULL, ADD PRIMARY KEY (conversation_id),"
            f" ADD INDEX {BY_STATUS} (status, queued_at),"
            f" ADD CONSTRAINT {FOREIGN_KEY} FOREIGN KEY (conversation_id) REFERENCES {CONVERSATIONS} (id)"
            " ON DELETE CASCADE"
        )
        op.execute(
            f"ALTER TABLE {OUTBOX} DROP INDEX {BY_UNIT}, DROP COLUMN kind, DROP COLUMN ordinal,"
            " CHANGE source_id conversation_id BIGINT NOT NULL,"
            f" ADD INDEX {BY_CONVERSATION} (conversation_id, id)"
        )
        op.execute(f"ALTER TABLE {KEYS} CHANGE result_ids conversation_ids TEXT NOT NULL")
        return
    op.rename_table(STATES, OLD)
    op.drop_index(BY_KIND_AND_STATUS, OLD)
    _create_states(
        [sa.Column("conversation_id", key)],
        sa.ForeignKeyConstraint(["conversation_id"], [f"{CONVERSATIONS}.id"], name=FOREIGN_KEY, ondelete="CASCADE"),
    )
    op.create_index(BY_STATUS, STATES, ["status", "queued_at"])
    op.execute(
        f"INSERT INTO {STATES} (conversation_id, {STATE}) SELECT source_id, {STATE} FROM {OLD}"  # noqa: S608
    )
    op.drop_table(OLD)
    op.drop_index(BY_UNIT, OUTBOX)
    op.drop_column(OUTBOX, "ordinal")
    op.drop_column(OUTBOX, "kind")
    op.execute(f"ALTER TABLE {OUTBOX} RENAME COLUMN source_id TO conversation_id")
    op.create_index(BY_CONVERSATION, OUTBOX, ["conversation_id", "id"])
    op.execute(f"ALTER TABLE {KEYS} RENAME COLUMN result_ids TO conversation_ids")


def _create_states(unit: list[sa.Column[Any]], *constraints: sa.Constraint) -> None:
    """Create the table of states with these key columns: SQLite cannot change the primary key of a table."""
    statuses = sa.Enum("pending", "indexed", "failed", name="status", create_constraint=True)
    op.create_table(
        STATES,
        *unit,
        sa.Column("status", statuses, nullable=False),
        sa.Column("indexed_version", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("queued_at", moment, nullable=False),
        sa.Column("indexed_at", moment, nullable=True),
        sa.PrimaryKeyConstraint(*(column.name for column in unit), name=op.f(f"pk_{STATES}")),
        *constraints,
    )
