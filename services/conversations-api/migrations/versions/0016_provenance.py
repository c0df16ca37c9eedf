"""Who added, changed and reviewed conversations, how they came, and their earlier versions.

Only adds columns that may be left out, indexes and a table: the previous release keeps working. What it adds meanwhile
is unreviewed and of unknown origin; what it changes leaves no earlier version, and keeps what was decided about it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from conversations_api.column_types import Key, MediumText, UtcDateTime, exact

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

CONVERSATIONS, VERSIONS = "mental_health_conversations", "conversation_versions"
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
ORIGINS = "'import', 'person', 'api', 'connection'"
STATES = "'unreviewed', 'approved', 'rejected'"
NAMES = ("created_by", "updated_by", "origin", "review_state", "reviewed_by", "reviewed_at")
INDEXED = ("origin", "review_state")


def sentiment(name: str) -> sa.Enum:
    return sa.Enum("positive", "negative", "neutral", name=name, create_constraint=True)


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # A single statement is atomic and copies the table only once; tables with a full-text index must be copied.
        op.execute(
            f"ALTER TABLE {CONVERSATIONS}"
            " ADD COLUMN created_by BIGINT NULL,"
            " ADD COLUMN updated_by BIGINT NULL,"
            f" ADD COLUMN origin ENUM({ORIGINS}) NULL,"
            f" ADD COLUMN review_state ENUM({STATES}) NOT NULL DEFAULT 'unreviewed',"
            " ADD COLUMN reviewed_by BIGINT NULL,"
            " ADD COLUMN reviewed_at DATETIME(6) NULL,"
            f" ADD INDEX ix_{CONVERSATIONS}_origin (origin),"
            f" ADD INDEX ix_{CONVERSATIONS}_review_state (review_state)"
        )
    else:
        # SQLite cannot add a constraint to a table, but a column with one.
        op.add_column(CONVERSATIONS, sa.Column("created_by", Key))
        op.add_column(CONVERSATIONS, sa.Column("updated_by", Key))
        check = f"CONSTRAINT ck_{CONVERSATIONS}_origin CHECK (origin IN ({ORIGINS}))"
        op.execute(f"ALTER TABLE {CONVERSATIONS} ADD COLUMN origin VARCHAR(10) {check}")
        check = f"CONSTRAINT ck_{CONVERSATIONS}_review_state CHECK (review_state IN ({STATES}))"
        column = "review_state VARCHAR(10) NOT NULL DEFAULT 'unreviewed'"
        op.execute(f"ALTER TABLE {CONVERSATIONS} ADD COLUMN {column} {check}")
        op.add_column(CONVERSATIONS, sa.Column("reviewed_by", Key))
        op.add_column(CONVERSATIONS, sa.Column("reviewed_at", UtcDateTime()))
        for name in INDEXED:
            op.create_index(f"ix_{CONVERSATIONS}_{name}", CONVERSATIONS, [name])
    op.create_table(
        VERSIONS,
        sa.Column("conversation_id", Key, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", Key),
        sa.Column("question", MediumText, nullable=False),
        sa.Column("answer", MediumText, nullable=False),
        sa.Column("question_sentiment", sentiment("question_sentiment"), nullable=False),
        sa.Column("answer_sentiment", sentiment("answer_sentiment"), nullable=False),
        sa.Column("source_url", exact(2048)),
        sa.Column("source_date", sa.Date()),
        sa.Column("category", exact(64)),
        sa.Column("author", exact(128)),
        sa.PrimaryKeyConstraint("conversation_id", "version", name=f"pk_{VERSIONS}"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            [f"{CONVERSATIONS}.id"],
            name=f"fk_{VERSIONS}_conversation_id",
            ondelete="CASCADE",
        ),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table(VERSIONS)
    if op.get_bind().dialect.name == "mysql":
        indexes = (f"DROP INDEX ix_{CONVERSATIONS}_{name}" for name in INDEXED)
        op.execute(f"ALTER TABLE {CONVERSATIONS} {', '.join((*indexes, *(f'DROP COLUMN {name}' for name in NAMES)))}")
        return
    for name in INDEXED:
        op.drop_index(f"ix_{CONVERSATIONS}_{name}", CONVERSATIONS)
    for name in NAMES:
        op.drop_column(CONVERSATIONS, name)
