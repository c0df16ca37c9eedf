"""Risk noticed in questions, answers withheld for it, and feedback on notices of risk.

Only adds nullable columns: the previous release keeps working, and its entries have no risk.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "query_history"
COLUMNS = {
    "risk_level": sa.String(32),
    "risk_categories": sa.Text(),
    "withheld": sa.String(32),
    "risk_notice": sa.String(32),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # A single statement is atomic.
        op.execute(
            f"ALTER TABLE {TABLE}"
            " ADD COLUMN risk_level VARCHAR(32) NULL,"
            " ADD COLUMN risk_categories TEXT NULL,"
            " ADD COLUMN withheld VARCHAR(32) NULL,"
            " ADD COLUMN risk_notice VARCHAR(32) NULL"
        )
        return
    for name, kind in COLUMNS.items():
        op.add_column(TABLE, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        op.execute(f"ALTER TABLE {TABLE} {', '.join(f'DROP COLUMN {name}' for name in COLUMNS)}")
        return
    for name in COLUMNS:
        op.drop_column(TABLE, name)
