"""Classifies database errors: unavailable, locked, or not set up for this release."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from mh_common.errors import UnavailableError
from mh_common.startup import StoreRefusedError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = structlog.get_logger(__name__)

DATABASE_UNAVAILABLE: Final = "database_unavailable"

# Lock wait timeout, deadlock, lock not available (NOWAIT).
_MYSQL_LOCKED = frozenset({1205, 1213, 3572})
# Too many connections, access denied, unknown database, shutting down, read-only, query or connection killed or timed
# out; and the driver's own: cannot connect, server has gone away, connection lost.
_MYSQL_UNAVAILABLE = _MYSQL_LOCKED | {
    *(1040, 1203, 1044, 1045, 1698, 1049, 1053, 1290, 1836, 1317, 1927, 1969, 3024, 4031),
    *(2002, 2003, 2006, 2013, 2055),
}
# SQLITE_ERROR, which covers many errors; MySQL has specific numbers.
_NO_SUCH_TABLE_OR_COLUMN = frozenset({1, 1146, 1054})
_NO_TABLES = (
    "The database in DATABASE_URL does not have this release's tables: "
    "run `alembic upgrade head` in services/conversations-api"
)
_LOGIN_REFUSED = "The database refuses the login: correct DATABASE_USER and DATABASE_PASSWORD"
# Errors that only an operator can fix, by the server's error number.
_REFUSALS = {
    **dict.fromkeys(_NO_SUCH_TABLE_OR_COLUMN, _NO_TABLES),
    **dict.fromkeys((1044, 1045, 1698), _LOGIN_REFUSED),
    1049: "The database does not exist on the server: create it, or correct the name at the end of DATABASE_URL",
    14: "The database file cannot be opened: correct DATABASE_URL, or create its folder and make it writable",
}
# SQLITE_BUSY, SQLITE_LOCKED.
_SQLITE_LOCKED = frozenset({5, 6})
# SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
_SQLITE_UNAVAILABLE = _SQLITE_LOCKED | {8, 10, 13, 14}


class DatabaseNotReadyError(Exception):
    """The service cannot start with this database. The one-line message says what to do."""


class DatabaseRefusedError(DatabaseNotReadyError, StoreRefusedError):
    """The service cannot start with this database, and waiting does not help."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn errors of a busy or unreachable database into `UnavailableError`; other database errors are bugs."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if not _is_unavailable(error):
            raise
        log.warning(DATABASE_UNAVAILABLE, error=type(error).__name__, code=_code(error))
        raise UnavailableError("The database is busy or unreachable. Nothing was changed; try again.") from error


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


@contextmanager
def startup_errors() -> Iterator[None]:
    """Turn errors at start-up into one line that says what is wrong with the database and how to fix it."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        code = _code(error)
        if code in _REFUSALS:
            raise DatabaseRefusedError(_REFUSALS[code]) from error
        raise DatabaseNotReadyError(
            f"The database cannot be used (error {code or type(error).__name__}): check DATABASE_URL, "
            "DATABASE_USER and DATABASE_PASSWORD, and that the server is running and has this database"
        ) from error
