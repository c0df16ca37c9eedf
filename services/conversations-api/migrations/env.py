"""How Alembic reaches the database: with the service's own settings and engine.

Two upgrades at once are safe: the second waits for the first and finds nothing left to do.
"""

import sys

from alembic import context
from conversations_api.database import make_engine
from conversations_api.models import Base
from conversations_api.preflight import wait_until_migratable
from conversations_api.settings import Settings
from mh_common.settings import load_settings
from mh_common.startup import run_or_stop
from sqlalchemy import Connection, text
from sqlalchemy.schema import SchemaItem

LOCK = "conversations_api_migrations"
LOCK_TIMEOUT = 120
"""Seconds."""


async def migrate() -> None:
    """Run what the command asks for, in one connection."""
    given = context.config.attributes.get("database")
    settings = load_settings(Settings) if given is None else Settings(database=given)
    await wait_until_migratable(settings)
    engine = make_engine(settings.database)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lock)
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def lock(connection: Connection) -> None:
    """Wait for other migrations. SQLite's are transactions that take the write lock from their start."""
    if connection.dialect.name == "sqlite":
        # To change a table Alembic copies and drops it, which would delete the rows that refer to it. Has no effect
        # inside a transaction, so it goes past SQLAlchemy, which would begin one.
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        return
    taken = connection.scalar(text("SELECT GET_LOCK(:lock, :timeout)"), {"lock": LOCK, "timeout": LOCK_TIMEOUT})
    # Alembic shall begin and commit its own transaction; the lock stays with the connection.
    connection.commit()
    if taken != 1:
        sys.exit("Another migration of this database is running; try again when it is done.")


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


run_or_stop(migrate())
