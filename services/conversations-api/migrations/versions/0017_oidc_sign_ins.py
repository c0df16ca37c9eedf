"""Browsers that were sent to the OpenID provider and are expected back.

Only adds a table: the previous release keeps working.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from conversations_api.column_types import Sha256, UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    op.create_table(
        "oidc_sign_ins",
        sa.Column("state_hash", Sha256(), nullable=False),
        sa.Column("browser_hash", Sha256(), nullable=False),
        sa.Column("return_to", sa.String(500), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name="pk_oidc_sign_ins"),
        **TABLE,
    )
    op.create_index("ix_oidc_sign_ins_created_at", "oidc_sign_ins", ["created_at"])


def downgrade() -> None:
    op.drop_table("oidc_sign_ins")
