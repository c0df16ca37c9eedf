"""What an experiment evaluated: search, as all did before, or answers.

Only adds a column with a default: the previous release keeps working, and what it stores evaluates search.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "experiments"


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # Fails rather than lock the table while it is copied.
        op.execute(
            f"ALTER TABLE {TABLE} ADD COLUMN kind VARCHAR(16) NOT NULL DEFAULT 'search', ALGORITHM=INPLACE, LOCK=NONE"
        )
        return
    op.add_column(TABLE, sa.Column("kind", sa.String(16), nullable=False, server_default="search"))


def downgrade() -> None:
    op.drop_column(TABLE, "kind")
