"""The engines and their sessions, and what differs between MySQL, MariaDB and SQLite, but for SQL itself."""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from sqlalchemy import Connection, MetaData, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.ext.asyncio import AsyncSession as AsyncSession  # for services, which know nothing else of SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from conversations_api.database_errors import startup_errors
from conversations_api.settings import DatabaseSettings

SessionFactory: TypeAlias = async_sessionmaker[AsyncSession]

# What MySQL and MariaDB do by default differs; this is what both shall do.
_MYSQL_SESSION = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "innodb_lock_wait_timeout = {lock_timeout}"
)


def make_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine for transactions. Its owner must `await engine.dispose()` in the event loop that used it."""
    engine = create_async_engine(settings.address, **_options(settings))
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def make_read_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine for reads: each statement by itself, with nothing to begin or end, and no writer to wait for.

    Its connections are its own, so that a rush of slow searches leaves those of the writers free.
    """
    options = {**_options(settings), "isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    engine = create_async_engine(settings.address, **{**options, "pool_pre_ping": False})
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    else:
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def make_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Return the factory of an engine's sessions; `factory.begin()` gives one transaction, committed at its end."""
    # Of its own, so that who listens to one factory's sessions does not hear those of another.
    return async_sessionmaker(engine, sync_session_class=sessionmaker(), expire_on_commit=False)


def after_each_commit(sessions: SessionFactory, call: Callable[[Session], None]) -> None:
    """Call this after each commit of a session of this factory."""
    event.listen(sessions.kw["sync_session_class"], "after_commit", call)


def _options(settings: DatabaseSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # A driver's error message repeats the parameters, and these are what patients and counselors wrote.
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
    }
    if settings.address.get_backend_name() == "sqlite":
        return {**options, "connect_args": {"timeout": settings.lock_timeout}}
    session = _MYSQL_SESSION.format(lock_timeout=settings.lock_timeout)
    return {
        **options,
        # Gap locks of the default level would let the relay's scan hold up inserts.
        "isolation_level": "READ COMMITTED",
        "pool_recycle": 1800,
        "connect_args": {"charset": "utf8mb4", "connect_timeout": 5, "init_command": session},
    }


def _refuse_closed(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    # Instead of a ping, whose round trip takes a tenth of a read: aiomysql's own pool looks at the same. The pool takes
    # another connection then.
    if cast(Any, entry.driver_connection)._reader.at_eof():
        raise DisconnectionError


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin when SQLAlchemy says so (see _begin_sqlite), not when the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's own functions know the case of ASCII letters only.
    connection.create_function("casefold", 1, str.casefold, deterministic=True)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another wrote in between; one that takes the
    # write lock from its start waits its turn instead.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def ping(engine: AsyncEngine) -> None:
    """Return when the database answers. Raises `DatabaseNotReadyError`."""
    with startup_errors():
        async with engine.connect() as connection:
            await connection.execute(select(1))


async def check_database(engine: AsyncEngine, metadata: MetaData) -> None:
    """Return when every table and column is there. Raises `DatabaseNotReadyError`.

    A newer schema passes, since each migration works with the release before it.
    """
    with startup_errors():
        async with engine.connect() as connection:
            for table in metadata.sorted_tables:
                await connection.execute(select(table).limit(0))
