"""Risk level of units, and the rules that screened them.

Only adds nullable columns and an index: the previous release keeps working. A conversation that it changes keeps the
level of its former text until the new release indexes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "index_states"
INDEX = f"ix_{TABLE}_kind_risk_level"
LEVELS = "'none', 'low', 'elevated', 'acute'"


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # A single statement, which fails rather than lock the table while it is copied.
        op.execute(
            f"ALTER TABLE {TABLE} ADD COLUMN risk_level ENUM({LEVELS}) NULL,"
            " ADD COLUMN screened_by VARCHAR(64) COLLATE utf8mb4_bin NULL,"
            f" ADD INDEX {INDEX} (kind, risk_level), ALGORITHM=INPLACE, LOCK=NONE"
        )
        return
    # SQLite cannot add a constraint to a table, but a column with one.
    check = f"CONSTRAINT ck_{TABLE}_risk_level CHECK (risk_level IN ({LEVELS}))"
    op.execute(f"ALTER TABLE {TABLE} ADD COLUMN risk_level VARCHAR(8) {check}")
    op.add_column(TABLE, sa.Column("screened_by", sa.String(64), nullable=True))
    op.create_index(INDEX, TABLE, ["kind", "risk_level"])


def downgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        op.execute(f"ALTER TABLE {TABLE} DROP INDEX {INDEX}, DROP COLUMN risk_level, DROP COLUMN screened_by")
        return
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, "screened_by")
    op.drop_column(TABLE, "risk_level")
