"""Column types that differ between MySQL, MariaDB and SQLite."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

Key = BigInteger().with_variant(Integer, "sqlite")
"""A primary key. SQLite auto-increments only columns of type INTEGER."""

MediumText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""Text of up to 16 MB; MySQL's TEXT is limited to 64 KB."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC with microseconds; timezone-aware in Python, without a time zone in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Use microseconds on MySQL, whose DATETIME has whole seconds by default."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to naive UTC. Raises ValueError for naive times, whose time zone is unknown."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone, which the database does not store."""
        return None if value is None else value.replace(tzinfo=UTC)


class Sha256(TypeDecorator[bytes]):
    """A SHA-256: 32 bytes, which MySQL can index."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Use a fixed length on MySQL, which cannot index a BLOB as a whole."""
        return dialect.type_descriptor(mysql.BINARY(32) if dialect.name == "mysql" else LargeBinary(32))

    def bind_processor(self, dialect: Dialect) -> Callable[[bytes | None], bytearray | None] | None:
        """Pass a bytearray to aiomysql, which writes it in hexadecimal.

        For `bytes` it calls a function that PyMySQL no longer has; whatever else it does not know, it looks up in
        PyMySQL's encoders.
        """
        if dialect.driver != "aiomysql":
            return None
        from aiomysql.connection import encoders  # only where that driver is in use

        encoders.setdefault(bytearray, lambda value, _: f"X'{value.hex()}'")
        return lambda value: None if value is None else bytearray(value)


def exact(length: int) -> TypeEngine[str]:
    """Return the type of a text that is compared byte by byte instead of by the table's collation."""
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql")


def enum_column(kind: type[StrEnum], name: str) -> Enum:
    """Return the type of a column that holds a member's value; the database checks it with a constraint."""
    return Enum(
        kind,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        validate_strings=True,
    )
