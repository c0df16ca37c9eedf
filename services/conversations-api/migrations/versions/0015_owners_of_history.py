"""Who the entries of the query history belong to: an account, or a person without one.

`user_id` held an account's id as text or, without accounts, whatever `X-User-Id` said, so that the person "7" and
account 7 were one. What was stored for a number after an account of that number was made is that account's; all else
belongs to people of the time without accounts. The previous release knows the old column only, so stop it first.
"""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations
from conversations_api.column_types import Key, UtcDateTime, exact

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

requires_downtime = True

TABLE = "query_history"
# As `conversations_api.outside_users.repository.OPEN` had it when this was written.
OPEN = "urn:mental-health-platform:open"
ACCOUNT, IDENTITY = f"fk_{TABLE}_account_id_users", f"fk_{TABLE}_identity_id_user_identities"
REFERENCES = {"account_id": (ACCOUNT, "users"), "identity_id": (IDENTITY, "user_identities")}
BY_USER, BY_ACCOUNT, BY_IDENTITY = (f"ix_{TABLE}_{name}_id" for name in ("user_id", "account_id", "identity_id"))

history = sa.table(
    TABLE,
    sa.column("account_id", Key),
    sa.column("identity_id", Key),
    sa.column("user_id", exact(128)),
    sa.column("created_at", UtcDateTime()),
)
users = sa.table("users", sa.column("id", Key), sa.column("created_at", UtcDateTime()))
identities = sa.table(
    "user_identities",
    sa.column("id", Key),
    sa.column("user_id", Key),
    sa.column("issuer", exact(255)),
    sa.column("subject", exact(255)),
    sa.column("email_verified", sa.Boolean()),
    sa.column("linked_at", UtcDateTime()),
)


def upgrade() -> None:
    is_mysql = op.get_bind().dialect.name == "mysql"
    if is_mysql:
        op.execute(
            f"ALTER TABLE {TABLE} ADD COLUMN account_id BIGINT NULL, ADD COLUMN identity_id BIGINT NULL,"
            f" ADD INDEX {BY_ACCOUNT} (account_id, id), ADD INDEX {BY_IDENTITY} (identity_id, id),"
            f" ADD CONSTRAINT {ACCOUNT} FOREIGN KEY (account_id) REFERENCES users (id) ON DELETE CASCADE,"
            f" ADD CONSTRAINT {IDENTITY} FOREIGN KEY (identity_id) REFERENCES user_identities (id) ON DELETE CASCADE"
        )
    else:
        with _recreated() as batch:
            for name, (constraint, table) in REFERENCES.items():
                batch.add_column(sa.Column(name, Key))
                batch.create_foreign_key(constraint, table, [name], ["id"], ondelete="CASCADE")
        op.create_index(BY_ACCOUNT, TABLE, ["account_id", "id"])
        op.create_index(BY_IDENTITY, TABLE, ["identity_id", "id"])
    _find_owners()
    if is_mysql:
        op.execute(f"ALTER TABLE {TABLE} DROP INDEX {BY_USER}, DROP COLUMN user_id")
        return
    op.drop_index(BY_USER, TABLE)
    op.drop_column(TABLE, "user_id")


def _recreated() -> AbstractContextManager[BatchOperations]:
    """Return a change of the table on SQLite, which cannot add a constraint: the table is made anew."""
    return op.batch_alter_table(TABLE, recreate="always", table_kwargs={"sqlite_autoincrement": True})


def _find_owners() -> None:
    connection = op.get_bind()
    for account in connection.execute(sa.select(users.c.id, users.c.created_at)).all():
        # Nobody can have asked with an account before it was made.
        its_own = (history.c.user_id == str(account.id)) & (history.c.created_at >= account.created_at)
        connection.execute(sa.update(history).where(its_own).values(account_id=account.id))
    of_nobody_known = history.c.user_id.is_not(None) & history.c.account_id.is_(None)
    people = sa.select(
        sa.literal(OPEN, exact(255)), history.c.user_id, sa.false(), sa.func.min(history.c.created_at)
    ).where(of_nobody_known)
    columns = ["issuer", "subject", "email_verified", "linked_at"]
    connection.execute(sa.insert(identities).from_select(columns, people.group_by(history.c.user_id)))
    person = sa.select(identities.c.id).where(identities.c.issuer == OPEN, identities.c.subject == history.c.user_id)
    connection.execute(sa.update(history).where(of_nobody_known).values(identity_id=person.scalar_subquery()))


def downgrade() -> None:
    is_mysql = op.get_bind().dialect.name == "mysql"
    if is_mysql:
        op.execute(
            f"ALTER TABLE {TABLE} ADD COLUMN user_id VARCHAR(128) COLLATE utf8mb4_bin NULL AFTER answer_id,"
            f" ADD INDEX {BY_USER} (user_id, id)"
        )
    else:
        op.add_column(TABLE, sa.Column("user_id", exact(128)))
        op.create_index(BY_USER, TABLE, ["user_id", "id"])
    _name_owners()
    # The columns first: deleting the people would delete their entries.
    if is_mysql:
        op.execute(
            f"ALTER TABLE {TABLE} DROP FOREIGN KEY {ACCOUNT}, DROP FOREIGN KEY {IDENTITY}, DROP INDEX {BY_ACCOUNT},"
            f" DROP INDEX {BY_IDENTITY}, DROP COLUMN account_id, DROP COLUMN identity_id"
        )
    else:
        op.drop_index(BY_ACCOUNT, TABLE)
        op.drop_index(BY_IDENTITY, TABLE)
        with _recreated() as batch:
            for name, (constraint, _) in REFERENCES.items():
                batch.drop_constraint(constraint, type_="foreignkey")
                batch.drop_column(name)
    op.get_bind().execute(sa.delete(identities).where(identities.c.issuer == OPEN))


def _name_owners() -> None:
    """Write what the previous release compares: for it, whom an account's keys act for is the account."""
    connection = op.get_bind()
    accounts = sa.select(history.c.account_id).union(
        sa.select(identities.c.user_id).where(identities.c.id.in_(sa.select(history.c.identity_id)))
    )
    for account_id in connection.execute(accounts).scalars().all():
        if account_id is not None:
            people = sa.select(identities.c.id).where(identities.c.user_id == account_id)
            its_own = (history.c.account_id == account_id) | history.c.identity_id.in_(people)
            connection.execute(sa.update(history).where(its_own).values(user_id=str(account_id)))
    subject = sa.select(identities.c.subject).where(identities.c.id == history.c.identity_id)
    others = history.c.user_id.is_(None) & history.c.identity_id.is_not(None)
    connection.execute(sa.update(history).where(others).values(user_id=subject.scalar_subquery()))
