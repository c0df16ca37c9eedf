"""Who accounts are elsewhere, and teams.

Only adds tables: the previous release keeps working.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from conversations_api.column_types import Key, UtcDateTime, exact

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
WITH_IDS: dict[str, Any] = {**TABLE, "sqlite_autoincrement": True}


def upgrade() -> None:
    op.create_table(
        "user_identities",
        sa.Column("id", Key, autoincrement=True, nullable=False),
        sa.Column("user_id", Key),
        sa.Column("issuer", exact(255), nullable=False),
        sa.Column("subject", exact(255), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("linked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_identities"),
        sa.UniqueConstraint("issuer", "subject", name="uq_user_identities_issuer_subject"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_identities_user_id_users", ondelete="CASCADE"),
        **WITH_IDS,
    )
    op.create_index("ix_user_identities_user_id_id", "user_identities", ["user_id", "id"])
    op.create_table(
        "teams",
        sa.Column("id", Key, autoincrement=True, nullable=False),
        sa.Column("name", exact(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("name", name="uq_teams_name"),
        **WITH_IDS,
    )
    op.create_table(
        "team_members",
        sa.Column("team_id", Key, nullable=False),
        sa.Column("user_id", Key, nullable=False),
        sa.Column("lead", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_team_members"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_team_members_team_id_teams", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_team_members_user_id_users", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_index("ix_team_members_user_id", "team_members", ["user_id"])


def downgrade() -> None:
    op.drop_table("team_members")
    op.drop_table("teams")
    op.drop_table("user_identities")
