"""Unsafe advice in units, found by the same rules as the risk level.

Only adds a nullable column and an index: the previous release keeps working. A conversation that it changes keeps what
was found in its former text until the new release indexes it.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "index_states"
COLUMN = "unsafe_advice"
INDEX = f"ix_{TABLE}_kind_{COLUMN}"
KINDS = (
    "'none', 'medication', 'diagnosis', 'minimising', 'ultimatum', 'frightening', 'silence', 'secrecy', "
    "'leaving_alone', 'delay', 'no_harm_contract', 'encouraging_harm'"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        # A single statement, which fails rather than lock the table while it is copied.
        op.execute(
            f"ALTER TABLE {TABLE} ADD COLUMN {COLUMN} ENUM({KINDS}) NULL,"
            f" ADD INDEX {INDEX} (kind, {COLUMN}), ALGORITHM=INPLACE, LOCK=NONE"
        )
        return
    # SQLite cannot add a constraint to a table, but a column with one.
    check = f"CONSTRAINT ck_{TABLE}_{COLUMN} CHECK ({COLUMN} IN ({KINDS}))"
    op.execute(f"ALTER TABLE {TABLE} ADD COLUMN {COLUMN} VARCHAR(16) {check}")
    op.create_index(INDEX, TABLE, ["kind", COLUMN])


def downgrade() -> None:
    if op.get_bind().dialect.name == "mysql":
        op.execute(f"ALTER TABLE {TABLE} DROP INDEX {INDEX}, DROP COLUMN {COLUMN}")
        return
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, COLUMN)
