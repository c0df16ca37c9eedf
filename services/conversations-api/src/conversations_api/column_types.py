"""Column types that differ between MySQL, MariaDB and SQLite."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

Key = BigInteger().with_variant(Integer, "sqlite")
"""A key. SQLite counts up only what it calls INTEGER."""

MediumText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""Text of up to 16 MB, where MySQL's TEXT ends at 64 KB."""


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


def exact(length: int) -> TypeEngine[str]:
    """Return the type of a text that is compared character by character, not by the tables' collation."""
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql")


def enum_column(kind: type[StrEnum], name: str) -> Enum:
    """Return the type of a column that holds one of these values, checked by the database as well."""
    return Enum(
        kind,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        validate_strings=True,
    )
