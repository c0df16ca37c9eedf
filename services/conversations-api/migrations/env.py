"""How Alembic reaches the database: with the service's own settings and engine.

Several upgrades at once are safe: one works, the others wait for it and find nothing left to do. Who waits in vain says
so in one line: for other migrations, or for a transaction that uses a table which is to be changed.
`alembic -x lock_timeout=SECONDS upgrade head` waits longer, or less.
"""

import sys

from alembic import context
from conversations_api.database import make_engine
from conversations_api.database_errors import is_locked
from conversations_api.models import Base
from conversations_api.preflight import wait_until_migratable
from conversations_api.settings import Settings
from mh_common.settings import load_settings
from mh_common.startup import run_or_exit
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SchemaItem

# Every release must use the same name. Names are the server's, not the database's, and have at most 64 characters;
# MySQL 9 has no MD5() to shorten them.
LOCK = text("SELECT GET_LOCK(CONCAT('conversations_api_migrations:', LEFT(SHA2(DATABASE(), 256), 32)), :timeout)")
LOCK_TIMEOUT = "120"
"""Seconds."""


class LockedError(Exception):
    """Somebody else kept the database locked for too long."""


async def migrate() -> None:
    """Run what the command asks for, in one connection."""
    timeout = lock_timeout()
    given = context.config.attributes.get("database")
    settings = load_settings(Settings) if given is None else Settings(database=given)
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
            f"The database was locked for {timeout} s, by another migration or by a long transaction. Try again when "
            "it is done, or wait longer: alembic -x lock_timeout=SECONDS upgrade head"
        )
    finally:
        await engine.dispose()


def lock_timeout() -> int:
    """Return how many seconds to wait for a lock."""
    given = context.get_x_argument(as_dictionary=True).get("lock_timeout", LOCK_TIMEOUT)
    if not str(given).isdecimal() or int(given) < 1:
        sys.exit("lock_timeout must be a whole number of seconds, at least 1: alembic -x lock_timeout=120 upgrade head")
    return int(given)


def lock(connection: Connection, timeout: int) -> None:
    """Wait for other migrations. SQLite's are transactions that take the write lock from their start."""
    if connection.dialect.name == "sqlite":
        # To change a table Alembic copies and drops it, which would delete the rows that refer to it. Has no effect
        # inside a transaction, so it goes past SQLAlchemy, which would begin one.
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        return
    taken = connection.scalar(LOCK, {"timeout": timeout})
    # A change of a table waits for the transactions that use it, by default for a day or a year, and whoever needs the
    # table next waits behind it.
    connection.execute(text("SET SESSION lock_wait_timeout = :timeout"), {"timeout": timeout})
    # Alembic shall begin and commit its own transaction; the lock stays with the connection.
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
