"""Which database errors mean that the database is temporarily unavailable."""

import sqlite3
from datetime import datetime

import pytest
from conversations_api.column_types import UtcDateTime
from conversations_api.database_errors import database_errors
from mh_common.errors import UnavailableError
from pymysql import err
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    return error


TEMPORARY = [
    OperationalError("SELECT 1", {}, err.OperationalError(1205, "Lock wait timeout exceeded")),
    OperationalError("SELECT 1", {}, err.OperationalError(1213, "Deadlock found")),
    OperationalError("SELECT 1", {}, err.OperationalError(1040, "Too many connections")),
    OperationalError("SELECT 1", {}, err.OperationalError(2003, "Can't connect")),
    OperationalError("SELECT 1", {}, err.OperationalError(2013, "Lost connection")),
    DBAPIError("SELECT 1", {}, err.InternalError("whatever it says"), connection_invalidated=True),
    OperationalError("SELECT 1", {}, sqlite_error(sqlite3.SQLITE_BUSY)),
    OperationalError("SELECT 1", {}, sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT)),
    OperationalError("SELECT 1", {}, sqlite_error(sqlite3.SQLITE_FULL)),
    PoolTimeoutError("QueuePool limit of size 10 overflow 10 reached"),
]
BUGS = [
    IntegrityError("INSERT", {}, err.IntegrityError(1062, "Duplicate entry")),
    OperationalError("SELECT x", {}, err.OperationalError(1054, "Unknown column")),
    OperationalError("SELECT x", {}, sqlite_error(sqlite3.SQLITE_ERROR)),
    DBAPIError("SELECT x", {}, err.DataError("no number")),
    ValueError("not of the database"),
]


@pytest.mark.parametrize("error", TEMPORARY, ids=str)
def test_temporary_errors_are_unavailable(error: Exception) -> None:
    with pytest.raises(UnavailableError) as raised, database_errors():
        raise error
    assert "SELECT" not in str(raised.value)
    assert "try again" in str(raised.value)


@pytest.mark.parametrize("error", BUGS, ids=str)
def test_other_errors_are_not_converted(error: Exception) -> None:
    with pytest.raises(type(error)), database_errors():
        raise error


def test_a_time_without_a_time_zone_is_rejected() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), mysql.dialect())  # noqa: DTZ001 - the point of the test
