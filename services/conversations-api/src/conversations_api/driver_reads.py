"""SELECTs that are made once and read often, sent by the driver itself.

SQLAlchemy writes them and knows the types of their columns. What its execution adds to the driver's, mostly for the
sake of statements that it has not seen before, takes longer than all that the driver does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from pymysql.err import MySQLError
from sqlalchemy import Dialect, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

DRIVER: Final = "aiomysql"
"""Name of the one driver that this is for."""

Convert = Callable[[Any], Any]


class LostConnectionError(Exception):
    """The connection is lost; nobody knows how far the statement came."""


async def read(
    connection: AsyncConnection, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows by column. The connection must be in autocommit, and is never in a transaction afterwards.

    Raises:
        LostConnectionError: The connection is lost.
        DBAPIError: The server refuses the statement; `orig` is the driver's error.
    """
    prepared = _prepare(statement, connection.dialect)
    try:
        rows = await _fetch(connection, prepared.sql, prepared.arguments(parameters))
    except MySQLError as error:
        if connection.dialect.is_disconnect(cast(Any, error), None, None):
            raise LostConnectionError from error
        raise DBAPIError(prepared.sql, None, error, hide_parameters=True) from error
    except BaseException:
        # Cancelled half way: the next statement must not be answered with what is left of this one's answer.
        await connection.invalidate()
        raise
    return [prepared.row(values) for values in rows]


async def _fetch(connection: AsyncConnection, sql: str, arguments: Sequence[Any]) -> Sequence[Sequence[Any]]:
    assert connection.sync_connection is not None
    driver: Any = connection.sync_connection.connection.driver_connection
    async with driver.cursor() as cursor:
        await cursor.execute(sql, arguments)
        rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        return rows


class _Prepared:
    """A statement as the driver takes it, and what turns values into the driver's and back."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        def implementation(kind: TypeEngine[Any]) -> TypeEngine[Any]:
            return kind.dialect_impl(dialect)

        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        given = compiled.params
        self._arguments: list[tuple[str, Any, Convert | None]] = [
            (name, given[name], implementation(compiled.binds[name].type).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        columns = statement.selected_columns
        self._names = columns.keys()
        converts = (implementation(column.type).result_processor(dialect, None) for column in columns)
        self._converts = [(name, convert) for name, convert in zip(self._names, converts, strict=True) if convert]

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


@lru_cache(maxsize=64)
def _prepare(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> _Prepared:
    """Compile a statement, once for each that is made."""
    return _Prepared(statement, dialect)
