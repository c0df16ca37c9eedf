"""The engine and its sessions. What differs between MySQL, MariaDB and SQLite, but for SQL itself, is here as well."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol, Self, TypeAlias

import structlog
from mh_common.errors import UnavailableError
from mh_common.startup import StoreRefusedError
from sqlalchemy import Connection, DateTime, Dialect, Executable, MetaData, Result, TypeDecorator, event, select
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from conversations_api.settings import DatabaseSettings

log = structlog.get_logger(__name__)

Engine: TypeAlias = AsyncEngine

DATABASE_UNAVAILABLE: Final = "database_unavailable"

# What MySQL and MariaDB do by default differs; this is what both shall do.
_MYSQL_SESSION = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "innodb_lock_wait_timeout = {lock_timeout}"
)

# Lock wait timeout, deadlock, NOWAIT.
_MYSQL_LOCKED = frozenset({1205, 1213, 3572})
# Too many connections, no access, no such database, shutting down, read-only, query or connection killed or timed out,
# and the driver's own: cannot connect, gone, lost.
_MYSQL_UNAVAILABLE = _MYSQL_LOCKED | {
    *(1040, 1203, 1044, 1045, 1698, 1049, 1053, 1290, 1836, 1317, 1927, 1969, 3024, 4031),
    *(2002, 2003, 2006, 2013, 2055),
}
# SQLITE_ERROR, which stands for many things; MySQL's have numbers of their own.
_NO_SUCH_TABLE_OR_COLUMN = frozenset({1, 1146, 1054})
_NO_TABLES = (
    "The database that DATABASE_URL names has not the tables of this release: "
    "run `alembic upgrade head` in services/conversations-api"
)
_NO_LOG_IN = "The database refuses the log-in: correct DATABASE_USER and DATABASE_PASSWORD"
# What only an operator can put right, by the server's error number.
_REFUSALS = {
    **dict.fromkeys(_NO_SUCH_TABLE_OR_COLUMN, _NO_TABLES),
    **dict.fromkeys((1044, 1045, 1698), _NO_LOG_IN),
    1049: "The server has no such database: create it, or correct the name at the end of DATABASE_URL",
    14: "The database file cannot be opened: correct DATABASE_URL, or make its folder and let it be written to",
}
# SQLITE_BUSY, SQLITE_LOCKED.
_SQLITE_LOCKED = frozenset({5, 6})
# SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
_SQLITE_UNAVAILABLE = _SQLITE_LOCKED | {8, 10, 13, 14}


class DatabaseNotReadyError(Exception):
    """The service cannot start on this database. The message says in one line what to do."""


class DatabaseRefusedError(DatabaseNotReadyError, StoreRefusedError):
    """The same, and waiting does not help."""


class Executor(Protocol):
    """What repositories ask of a database: a session, or a reader."""

    @property
    def dialect_name(self) -> str:
        """`mysql` (MariaDB as well) or `sqlite`."""
        ...

    async def execute(self, statement: Executable, parameters: Any = None, /) -> Result[*tuple[Any, ...]]:
        """Execute one statement, with the parameters of one row or a sequence of them."""
        ...


class Session:
    """A transaction: what is executed becomes visible to others at once, at its commit, or not at all.

    It begins with its first statement. When that finds the connection lost, it is sent once more, on a new one: nothing
    was done before it. That saves the ping, a round trip, before each transaction. SQLAlchemy's own sessions keep
    objects in step with rows, which nobody needs here and which took more time than the statements.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self.info: dict[str, Any] = {}
        """Notes for the session's owner."""

    @property
    def dialect_name(self) -> str:
        """See `Executor.dialect_name`."""
        return self._engine.dialect.name

    async def connection(self) -> AsyncConnection:
        """Return the connection, which is the session's until it ends."""
        if self._connection is None:
            self._connection = await self._engine.connect()
        return self._connection

    async def execute(self, statement: Executable, parameters: Any = None, /) -> Result[*tuple[Any, ...]]:
        """See `Executor.execute`."""
        connection = await self.connection()
        if connection.in_transaction():
            return await connection.execute(statement, parameters)
        return await _execute_first(connection, statement, parameters)

    async def commit(self) -> None:
        """Make what was executed last, and let others see it."""
        if self._connection is not None:
            try:
                await self._connection.commit()
            except BaseException:
                # Nobody knows what is left of the transaction: the next one must not go on with it.
                await self._connection.invalidate()
                raise

    async def rollback(self) -> None:
        """Undo what was executed."""
        if self._connection is not None:
            await self._connection.rollback()

    async def __aenter__(self) -> Self:
        """Begin; the connection is taken when it is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Undo what was not committed, and give the connection back."""
        if self._connection is not None:
            if self._connection.in_transaction():
                # In a task of its own, which goes on to its end when the present one is cancelled.
                await asyncio.shield(asyncio.create_task(self._connection.rollback()))
            await self._connection.close()


async def _execute_first(
    connection: AsyncConnection, statement: Executable, parameters: Any
) -> Result[*tuple[Any, ...]]:
    """Execute a statement with nothing done before it: once more, on a new connection, where this one is lost."""
    try:
        return await connection.execute(statement, parameters)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    await connection.rollback()
    return await connection.execute(statement, parameters)


class Reader:
    """A connection for statements that only read, each by itself: no transaction, and nothing of a session's cost.

    A statement that finds the connection lost is sent once more, on a new one. That is safe for reads, and saves the
    ping, a round trip, before each of them. Raises `UnavailableError` when the database is busy or absent.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @property
    def dialect_name(self) -> str:
        """See `Executor.dialect_name`."""
        return self._engine.dialect.name

    async def __aenter__(self) -> Self:
        """Take a connection of the pool."""
        with database_errors():
            self._connection = await self._engine.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the connection back."""
        await self._connection.close()

    async def execute(self, statement: Executable, parameters: Any = None, /) -> Result[*tuple[Any, ...]]:
        """See `Executor.execute`."""
        with database_errors():
            return await _execute_first(self._connection, statement, parameters)


SessionFactory: TypeAlias = Callable[[], Session]
ReaderFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Executor]]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC with microseconds; aware in Python, without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """MySQL's DATETIME has whole seconds unless told otherwise."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody could tell their zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back the zone that the database does not keep."""
        return None if value is None else value.replace(tzinfo=UTC)


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
    engine = create_async_engine(settings.address, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _options(settings: DatabaseSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # A driver's error message repeats the parameters, and these are what patients and counselors wrote.
        "hide_parameters": True,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
        # Whoever gives a connection back has committed or rolled back: a second rollback is a round trip for nothing.
        "pool_reset_on_return": None,
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


def make_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Return the factory of sessions on the engine for transactions."""
    return partial(Session, engine)


def make_reader_factory(engine: AsyncEngine) -> ReaderFactory:
    """Return the factory of readers on the read engine."""
    return partial(Reader, engine)


@asynccontextmanager
async def transaction(factory: SessionFactory) -> AsyncIterator[Session]:
    """One unit of work: commits when the block ends, rolls back when it raises."""
    async with factory() as session:
        yield session
        await session.commit()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what a busy or absent database raises into `UnavailableError`; anything else it raises is a bug."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if not _is_unavailable(error):
            raise
        log.warning(DATABASE_UNAVAILABLE, error=type(error).__name__, code=_code(error))
        raise UnavailableError("The database is busy or cannot be reached. Nothing was changed; try again.") from error


async def ping(engine: AsyncEngine) -> None:
    """Return when the database answers. Raises `DatabaseNotReadyError`."""
    with _start_errors():
        async with engine.connect() as connection:
            await connection.execute(select(1))


def is_locked(error: DBAPIError) -> bool:
    """Return whether the statement failed because another transaction holds a lock."""
    return _code(error) in (_MYSQL_LOCKED | _SQLITE_LOCKED)


def _is_unavailable(error: DBAPIError | PoolTimeoutError) -> bool:
    if isinstance(error, PoolTimeoutError) or error.connection_invalidated:
        return True
    return _code(error) in (_MYSQL_UNAVAILABLE | _SQLITE_UNAVAILABLE)


def _code(error: Exception) -> int | None:
    """Return the server's error number: MySQL's, or SQLite's primary code."""
    cause = getattr(error, "orig", None)
    if (sqlite_code := getattr(cause, "sqlite_errorcode", None)) is not None:
        return int(sqlite_code) & 0xFF
    arguments = getattr(cause, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


async def check_database(engine: AsyncEngine, metadata: MetaData) -> None:
    """Return when every table and column is there. Raises `DatabaseNotReadyError`.

    A newer schema passes, since each migration works with the release before it.
    """
    with _start_errors():
        async with engine.connect() as connection:
            for table in metadata.sorted_tables:
                await connection.execute(select(table).limit(0))


@contextmanager
def _start_errors() -> Iterator[None]:
    """Say in one line what is wrong with the database and how to put it right."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        code = _code(error)
        if code in _REFUSALS:
            raise DatabaseRefusedError(_REFUSALS[code]) from error
        raise DatabaseNotReadyError(
            f"The database cannot be used (error {code or type(error).__name__}): check DATABASE_URL, "
            "DATABASE_USER and DATABASE_PASSWORD, and that the server runs and has the database"
        ) from error
