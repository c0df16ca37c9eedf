"""Source, category and author of a conversation.

Only adds nullable columns and indexes: the previous release keeps working.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "mental_health_conversations"
NAMES = ("source_url", "source_date", "category", "author")


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # A single statement is atomic and copies the table only once; tables with a full-text index must be copied.
        op.execute(
            f"ALTER TABLE {TABLE}"
            " ADD COLUMN source_url VARCHAR(2048) COLLATE utf8mb4_bin NULL,"
            " ADD COLUMN source_date DATE NULL,"
            " ADD COLUMN category VARCHAR(64) COLLATE utf8mb4_bin NULL,"
            " ADD COLUMN author VARCHAR(128) COLLATE utf8mb4_bin NULL,"
            f" ADD INDEX ix_{TABLE}_source_url (source_url(255)),"
            f" ADD INDEX ix_{TABLE}_source_date (source_date),"
            f" ADD INDEX ix_{TABLE}_category (category),"
            f" ADD INDEX ix_{TABLE}_author (author)"
        )
        return
    for column in (
        sa.Column("source_url", sa.String(2048), nullable=True),
        sa.Column("source_date", sa.Date(), nullable=True),
        sa.Column("category", sa.String(64), nullable=True),
        sa.Column("author", sa.String(128), nullable=True),
    ):
        op.add_column(TABLE, column)
        op.create_index(f"ix_{TABLE}_{column.name}", TABLE, [column.name])


def downgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        indexes = (f"DROP INDEX ix_{TABLE}_{name}" for name in NAMES)
        op.execute(f"ALTER TABLE {TABLE} {', '.join((*indexes, *(f'DROP COLUMN {name}' for name in NAMES)))}")
        return
    for name in NAMES:
        op.drop_index(f"ix_{TABLE}_{name}", TABLE)
        op.drop_column(TABLE, name)
