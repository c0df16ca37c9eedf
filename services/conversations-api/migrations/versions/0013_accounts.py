"""Accounts, sessions of those who signed in, API keys, and the installation's set-up.

Only adds tables: the previous release keeps working, without access control.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from conversations_api.column_types import Key, Sha256, UtcDateTime, exact

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
WITH_IDS: dict[str, Any] = {**TABLE, "sqlite_autoincrement": True}
ROLES = ("counselor", "curator", "operator", "admin")
KINDS = ("person", "service")
STATES = ("active", "disabled")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", Key, autoincrement=True, nullable=False),
        sa.Column("username", exact(128), nullable=False),
        sa.Column("display_name", sa.String(200)),
        sa.Column("email", sa.String(254)),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("role", sa.Enum(*ROLES, name="role", create_constraint=True), nullable=False),
        sa.Column("kind", sa.Enum(*KINDS, name="kind", create_constraint=True), nullable=False),
        sa.Column("state", sa.Enum(*STATES, name="state", create_constraint=True), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("last_login_at", UtcDateTime()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
        **WITH_IDS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", Key, autoincrement=True, nullable=False),
        sa.Column("token_hash", Sha256(), nullable=False),
        sa.Column("user_id", Key, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("idle_until", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ip", sa.String(45)),
        sa.Column("user_agent", sa.String(255)),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"),
        **WITH_IDS,
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "api_keys",
        sa.Column("id", Key, autoincrement=True, nullable=False),
        sa.Column("token_hash", Sha256(), nullable=False),
        sa.Column("shown", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("user_id", Key, nullable=False),
        sa.Column("created_by", Key, nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.Column("last_used_at", UtcDateTime()),
        sa.Column("revoked_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("token_hash", name="uq_api_keys_token_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id_users"),
        **WITH_IDS,
    )
    op.create_index("ix_api_keys_user_id_id", "api_keys", ["user_id", "id"])
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("setup_token_hash", Sha256()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("set_up_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("installation")
    op.drop_table("api_keys")
    op.drop_table("sessions")
    op.drop_table("users")
