"""Statements that are made once and sent often, by the driver itself.

SQLAlchemy writes them and knows the types of their columns. What its execution adds to the driver's, mostly for the
sake of statements that it has not seen before, takes longer than all that the driver does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

from pymysql.err import MySQLError
from sqlalchemy import Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

DRIVER: Final = "aiomysql"
"""Name of the one driver that this is for."""

Kept = Select[*tuple[Any, ...]] | Insert | Update
"""A statement that is made once."""
Convert = Callable[[Any], Any]
T = TypeVar("T")


class LostConnectionError(DBAPIError):
    """The connection is lost; nobody knows how far the statement came."""


async def read(
    connection: AsyncConnection, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows by column.

    Raises:
        LostConnectionError: The connection is lost.
        DBAPIError: The server refuses the statement; `orig` is the driver's error.
    """
    prepared = _prepare(statement, connection.dialect)

    async def fetch(cursor: Any) -> Sequence[Sequence[Any]]:
        await cursor.execute(prepared.sql, prepared.arguments(parameters))
        rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        return rows

    return [prepared.row(values) for values in await _with_cursor(connection, prepared.sql, fetch)]


async def write(connection: AsyncConnection, statement: Insert | Update, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows in one statement, or update with each of them; all have the same keys.

    Returns the key that the database gave the first row of an INSERT. Raises as `read`.
    """
    prepared = _prepare(statement, connection.dialect, tuple(rows[0]))
    arguments = [prepared.arguments(row) for row in rows]

    async def execute(cursor: Any) -> int:
        if len(arguments) == 1:
            await cursor.execute(prepared.sql, arguments[0])
        else:
            # Of the rows of an INSERT the driver makes one statement.
            await cursor.executemany(prepared.sql, arguments)
        return int(cursor.lastrowid or 0)

    return await _with_cursor(connection, prepared.sql, execute)


async def _with_cursor(connection: AsyncConnection, sql: str, work: Callable[[Any], Awaitable[T]]) -> T:
    assert connection.sync_connection is not None
    driver: Any = connection.sync_connection.connection.driver_connection
    try:
        async with driver.cursor() as cursor:
            return await work(cursor)
    except MySQLError as error:
        if connection.dialect.is_disconnect(cast(Any, error), None, None):
            raise LostConnectionError(sql, None, error, hide_parameters=True, connection_invalidated=True) from error
        raise DBAPIError.instance(
            sql, None, error, MySQLError, hide_parameters=True, dialect=connection.dialect
        ) from error
    except BaseException:
        # Cancelled half way: the next statement must not be answered with what is left of this one's answer.
        await connection.invalidate()
        raise


class _Prepared:
    """A statement as the driver takes it, and what turns values into the driver's and back."""

    def __init__(self, statement: Kept, dialect: Dialect, keys: tuple[str, ...]) -> None:
        def implementation(kind: TypeEngine[Any]) -> TypeEngine[Any]:
            return kind.dialect_impl(dialect)

        compiled: Any = statement.compile(dialect=dialect, column_keys=keys or None)
        self.sql = str(compiled)
        given = compiled.params
        self._arguments: list[tuple[str, Any, Convert | None]] = [
            (name, given[name], implementation(compiled.binds[name].type).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        columns = statement.selected_columns.items() if isinstance(statement, Select) else []
        self._names = [name for name, _ in columns]
        converts = ((name, implementation(column.type).result_processor(dialect, None)) for name, column in columns)
        self._converts = [(name, convert) for name, convert in converts if convert]

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values of the statement's markers, in their order; its own ones for those left out."""
        return [
            convert(parameters.get(name, own)) if convert else parameters.get(name, own)
            for name, own, convert in self._arguments
        ]

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row by column."""
        row = dict(zip(self._names, values, strict=True))
        for name, convert in self._converts:
            row[name] = convert(row[name])
        return row


@lru_cache(maxsize=128)
def _prepare(statement: Kept, dialect: Dialect, keys: tuple[str, ...] = ()) -> _Prepared:
    """Compile a statement, once for each that is made; `keys` are those of the values that it writes."""
    return _Prepared(statement, dialect, keys)
