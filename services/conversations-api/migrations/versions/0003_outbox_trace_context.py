"""The trace context of an outbox row.

Only adds a nullable column: the previous release keeps writing rows without it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("index_outbox", sa.Column("trace_context", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("index_outbox") as table:
        table.drop_column("trace_context")
