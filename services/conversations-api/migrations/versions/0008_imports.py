"""What finds equal conversations, the tag of the import that added one, and what imports updated.

Only adds nullable columns, indexes and tables: the previous release keeps working. The rows that it writes meanwhile,
and those that are there already, have no `content_hash`; the service computes it in the background, a few at a time.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CONVERSATIONS, LOCKS, UPDATES = "mental_health_conversations", "import_locks", "import_updates"
NAMES = ("import_tag", "content_hash", "markup_words")
INDEXED = ("import_tag", "content_hash")

key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
sha256 = sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql")
moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
tag = sa.String(128).with_variant(mysql.VARCHAR(128, collation="utf8mb4_bin"), "mysql")
table: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    op.create_table(
        LOCKS,
        sa.Column("content_hash", sha256, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("content_hash", name=op.f(f"pk_{LOCKS}")),
        **table,
    )
    op.create_table(
        UPDATES,
        sa.Column("import_tag", tag, nullable=False),
        sa.Column("conversation_id", key, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("import_tag", "conversation_id", name=op.f(f"pk_{UPDATES}")),
        **table,
    )
    if op.get_bind().dialect.name == "mysql":
        # A single statement is atomic and copies the table only once; tables with a full-text index must be copied.
        op.execute(
            f"ALTER TABLE {CONVERSATIONS}"
            " ADD COLUMN import_tag VARCHAR(128) COLLATE utf8mb4_bin NULL,"
            " ADD COLUMN content_hash BINARY(32) NULL,"
            " ADD COLUMN markup_words TEXT NULL,"
            f" ADD INDEX ix_{CONVERSATIONS}_import_tag (import_tag),"
            f" ADD INDEX ix_{CONVERSATIONS}_content_hash (content_hash)"
        )
        return
    for column in (
        sa.Column("import_tag", tag, nullable=True),
        sa.Column("content_hash", sha256, nullable=True),
        sa.Column("markup_words", sa.Text(), nullable=True),
    ):
        op.add_column(CONVERSATIONS, column)
    for name in INDEXED:
        op.create_index(f"ix_{CONVERSATIONS}_{name}", CONVERSATIONS, [name])


def downgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        indexes = (f"DROP INDEX ix_{CONVERSATIONS}_{name}" for name in INDEXED)
        op.execute(f"ALTER TABLE {CONVERSATIONS} {', '.join((*indexes, *(f'DROP COLUMN {name}' for name in NAMES)))}")
    else:
        for name in INDEXED:
            op.drop_index(f"ix_{CONVERSATIONS}_{name}", CONVERSATIONS)
        for name in NAMES:
            op.drop_column(CONVERSATIONS, name)
    op.drop_table(UPDATES)
    op.drop_table(LOCKS)
