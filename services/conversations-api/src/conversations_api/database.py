"""Engines and sessions, and the differences between MySQL, MariaDB and SQLite other than SQL itself."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import aiosqlite
from mh_common.text import as_read
from sqlalchemy import Connection, MetaData, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.ext.asyncio import AsyncSession as AsyncSession  # for services, which import nothing from SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from conversations_api.database_errors import startup_errors
from conversations_api.settings import DatabaseSettings

SessionFactory: TypeAlias = async_sessionmaker[AsyncSession]

# The defaults of MySQL and MariaDB differ; these settings make both behave alike.
_MYSQL_SESSION = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "innodb_lock_wait_timeout = {lock_timeout}"
)


def make_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine for transactions. The caller must `await engine.dispose()` in the event loop that used it."""
    engine = create_async_engine(settings.address, **_options(settings))
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def make_read_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine for reads, in autocommit mode: no transaction to begin or end, and no waiting for writers.

    It has a connection pool of its own, so that many slow reads do not use up the writers' connections.
    """
    options = {**_options(settings), "isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    engine = create_async_engine(settings.address, **{**options, "pool_pre_ping": False})
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    else:
        event.listen(engine.sync_engine, "checkout", _reject_closed)
    return engine


def make_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Return a factory of sessions; `factory.begin()` opens a transaction that is committed at the end of the block."""
    # A session class of its own, so that listeners of one factory's sessions do not receive another's events.
    return async_sessionmaker(engine, sync_session_class=sessionmaker(), expire_on_commit=False)


def after_each_commit(sessions: SessionFactory, call: Callable[[Session], None]) -> None:
    """Call `call` after every commit of a session from this factory."""
    event.listen(sessions.kw["sync_session_class"], "after_commit", call)


def _options(settings: DatabaseSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # Error messages would contain the parameters, which are texts of patients and counselors.
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
    }
    if settings.address.get_backend_name() == "sqlite":
        return {**options, "connect_args": {"timeout": settings.lock_timeout, "async_creator_fn": _open_sqlite}}
    session = _MYSQL_SESSION.format(lock_timeout=settings.lock_timeout)
    return {
        **options,
        # With the gap locks of the default isolation level, the relay's scan would block inserts.
        "isolation_level": "READ COMMITTED",
        "pool_recycle": 1800,
        "connect_args": {"charset": "utf8mb4", "connect_timeout": 5, "init_command": session},
    }


async def _open_sqlite(*place: Any, **options: Any) -> aiosqlite.Connection:
    """Open a connection. If this is cancelled, as background work is at shutdown, close what was opened meanwhile.

    aiosqlite 0.22 leaves that open.
    """
    connection = aiosqlite.connect(*place, **options)
    # As SQLAlchemy has it: a connection in use does not hold up the end of the process.
    connection._thread.daemon = True
    opening = asyncio.create_task(_opened(connection))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait([opening])
        if opening.exception() is None:
            await connection.close()
        raise


async def _opened(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    return await connection


def _reject_closed(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    # Instead of a ping, whose round trip would add a tenth to a read; aiomysql's own pool checks the same. On this
    # error SQLAlchemy's pool uses another connection.
    if cast(Any, entry.driver_connection)._reader.at_eof():
        raise DisconnectionError


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin when SQLAlchemy begins them (see _begin_sqlite), not implicitly in the driver.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's own functions fold only ASCII letters.
    connection.create_function("folded", 1, _folded, deterministic=True)


def _folded(text: str) -> str:
    """Return a stored text for comparisons that ignore case: what is shown of it."""
    return as_read(text).casefold()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes fails immediately if another one wrote in between; a transaction that
    # takes the write lock when it begins waits for its turn instead.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def ping(engine: AsyncEngine) -> None:
    """Check that the database answers. Raises `DatabaseNotReadyError`."""
    with startup_errors():
        async with engine.connect() as connection:
            await connection.execute(select(1))


async def check_database(engine: AsyncEngine, metadata: MetaData) -> None:
    """Check that every table and column exists. Raises `DatabaseNotReadyError`.

    A newer schema passes, since each migration is compatible with the previous release.
    """
    with startup_errors():
        async with engine.connect() as connection:
            for table in metadata.sorted_tables:
                await connection.execute(select(table).limit(0))
