"""The engine and its sessions. What differs between MySQL, MariaDB and SQLite, but for SQL itself, is here as well."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, Self, TypeAlias, TypeVar, cast

from sqlalchemy import (
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Executable,
    Insert,
    MetaData,
    Result,
    Select,
    TypeDecorator,
    Update,
    event,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from conversations_api import driver
from conversations_api.database_errors import database_errors, start_errors
from conversations_api.settings import DatabaseSettings

Engine: TypeAlias = AsyncEngine

T = TypeVar("T")

# What MySQL and MariaDB do by default differs; this is what both shall do.
_MYSQL_SESSION = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "innodb_lock_wait_timeout = {lock_timeout}"
)


Read: TypeAlias = Select[*tuple[Any, ...]]


class Executor(Protocol):
    """What repositories ask of a database: a session, or a reader."""

    @property
    def dialect_name(self) -> str:
        """`mysql` (MariaDB as well) or `sqlite`."""
        ...

    async def execute(self, statement: Executable, parameters: Any = None, /) -> Result[*tuple[Any, ...]]:
        """Execute one statement, with the parameters of one row or a sequence of them."""
        ...

    async def read(self, statement: Read, parameters: Mapping[str, Any], /) -> list[dict[str, Any]]:
        """Return the rows, by column, of a SELECT that is made once and then kept; none of its parameters is a list."""
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

    async def read(self, statement: Read, parameters: Mapping[str, Any], /) -> list[dict[str, Any]]:
        """See `Executor.read`."""
        by_sqlalchemy = partial(_read_by_sqlalchemy, self, statement, parameters)
        return await self._sent(partial(driver.read, statement=statement, parameters=parameters), by_sqlalchemy)

    async def write(self, statement: Insert | Update, rows: Sequence[Mapping[str, Any]], /) -> int:
        """Execute an INSERT or UPDATE that is made once and then kept, with rows of the same keys.

        Returns the key that MySQL gave to the first row of an INSERT, or SQLite to its only one.
        """

        async def by_sqlalchemy() -> int:
            done = await self.execute(statement, rows if len(rows) > 1 else rows[0])
            return cast(CursorResult[Any], done).lastrowid or 0

        return await self._sent(partial(driver.write, statement=statement, rows=rows), by_sqlalchemy)

    async def _sent(
        self, by_driver: Callable[[AsyncConnection], Awaitable[T]], by_sqlalchemy: Callable[[], Awaitable[T]]
    ) -> T:
        """Have the driver send a statement; SQLAlchemy with other drivers, and where the first finds no connection."""
        if self._engine.dialect.driver != driver.DRIVER:
            return await by_sqlalchemy()
        connection = await self.connection()
        first = not connection.in_transaction()
        if first:
            # Sends nothing: in MySQL a transaction begins with its first statement.
            cast(Connection, connection.sync_connection).begin()
        try:
            return await by_driver(connection)
        except driver.LostConnectionError:
            await connection.invalidate()
            if not first:
                raise
        await connection.rollback()
        return await by_sqlalchemy()

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


async def _read_by_sqlalchemy(
    executor: Executor, statement: Read, parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [dict(row) for row in (await executor.execute(statement, parameters)).mappings()]


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

    async def read(self, statement: Read, parameters: Mapping[str, Any], /) -> list[dict[str, Any]]:
        """See `Executor.read`."""
        if self._engine.dialect.driver == driver.DRIVER:
            with database_errors(), suppress(driver.LostConnectionError):
                return await driver.read(self._connection, statement, parameters)
        # Where the connection is lost SQLAlchemy finds that out once more, and then does what it takes.
        return await _read_by_sqlalchemy(self, statement, parameters)


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


async def ping(engine: AsyncEngine) -> None:
    """Return when the database answers. Raises `DatabaseNotReadyError`."""
    with start_errors():
        async with engine.connect() as connection:
            await connection.execute(select(1))


async def check_database(engine: AsyncEngine, metadata: MetaData) -> None:
    """Return when every table and column is there. Raises `DatabaseNotReadyError`.

    A newer schema passes, since each migration works with the release before it.
    """
    with start_errors():
        async with engine.connect() as connection:
            for table in metadata.sorted_tables:
                await connection.execute(select(table).limit(0))
