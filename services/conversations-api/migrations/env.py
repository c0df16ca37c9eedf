"""Connects Alembic to the database, with the service's own settings and engine.

Several upgrades can run at once: one does the work, the others wait for it and then find nothing to do. If a lock times
out, held by another migration or by a transaction on a table to be changed, the command exits with a one-line message.
`alembic -x lock_timeout=SECONDS upgrade head` changes the timeout.
"""

import sys

from alembic import context
from conversations_api.database import make_engine
from conversations_api.database_errors import is_locked
from conversations_api.models import Base
from conversations_api.preflight import wait_until_migratable
from conversations_api.settings import AccountsSettings
from mh_common.settings import load_settings
from mh_common.startup import run_or_exit
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SchemaItem

# Every release must use the same name. Lock names are global to the server, not the database, and limited to 64
# characters. They are shortened with SHA2(), because MySQL 9 has no MD5().
LOCK = text("SELECT GET_LOCK(CONCAT('conversations_api_migrations:', LEFT(SHA2(DATABASE(), 256), 32)), :timeout)")
LOCK_TIMEOUT = "120"
"""Seconds."""


class LockedError(Exception):
    """The migration lock was not released within the timeout."""


async def migrate() -> None:
    """Run the Alembic command on one connection."""
    timeout = lock_timeout()
    given = context.config.attributes.get("database")
    settings = load_settings(AccountsSettings) if given is None else AccountsSettings(database=given)
    await wait_until_migratable(settings)
    engine = make_engine(settings.database.model_copy(update={"lock_timeout": timeout}))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lock, timeout)
            await connection.run_sync(run)
    except (LockedError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and not is_locked(error):
            raise
        sys.exit(
            f"The database was locked for {timeout} s by another migration or a long transaction. Try again when that "
            "is done, or wait longer: alembic -x lock_timeout=SECONDS upgrade head"
        )
    finally:
        await engine.dispose()


def lock_timeout() -> int:
    """Return the lock timeout in seconds."""
    given = context.get_x_argument(as_dictionary=True).get("lock_timeout", LOCK_TIMEOUT)
    if not str(given).isdecimal() or int(given) < 1:
        sys.exit("lock_timeout must be a whole number of seconds, at least 1: alembic -x lock_timeout=120 upgrade head")
    return int(given)


def lock(connection: Connection, timeout: int) -> None:
    """Wait for other migrations. On SQLite these are transactions that take the write lock when they begin."""
    if connection.dialect.name == "sqlite":
        # To alter a table, Alembic copies and drops it, which would cascade to the rows that reference it. The pragma
        # has no effect inside a transaction, so it bypasses SQLAlchemy, which would begin one.
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        return
    taken = connection.scalar(LOCK, {"timeout": timeout})
    # ALTER TABLE waits for transactions that use the table, by default for a day or a year, and all later statements on
    # the table wait behind it.
    connection.execute(text("SET SESSION lock_wait_timeout = :timeout"), {"timeout": timeout})
    # Alembic begins and commits its own transaction; the lock belongs to the connection.
    connection.commit()
    if taken != 1:
        raise LockedError


def run(connection: Connection) -> None:
    """Run the migrations."""
    is_sqlite = connection.dialect.name == "sqlite"

    def belongs_here(_: SchemaItem, name: str | None, kind: str, __: bool, ___: SchemaItem | None) -> bool:
        full_text = kind == "index" and name is not None and name.startswith("ft_")
        return not (is_sqlite and full_text)

    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=is_sqlite,
        include_object=belongs_here,
    )
    with context.begin_transaction():
        context.run_migrations()


run_or_exit(migrate())
