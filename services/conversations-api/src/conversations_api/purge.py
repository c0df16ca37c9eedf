"""Deletes expired rows: idempotency keys and locks after their lifetime, history entries after their retention."""

import asyncio
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from conversations_api.clock import utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors

log = structlog.get_logger(__name__)

CHUNK: Final = 500
"""Rows deleted in one transaction."""

INTERVAL: Final = 3600.0
"""Seconds between two purges."""

FIRST_AFTER: Final = 30.0
"""Seconds from the start to the first purge: requests that wait for the start come first."""

PURGE_FAILED: Final = "purge_failed"


class Repository(Protocol):
    """The interface of repositories whose rows expire."""

    def __init__(self, session: AsyncSession) -> None: ...

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the rows stored before `cutoff`; return how many."""
        ...


async def purge(sessions: SessionFactory, repository: type[Repository], cutoff: datetime) -> int:
    """Delete all rows stored before `cutoff`, in short transactions; return how many there were."""
    deleted = 0
    while True:
        async with sessions.begin() as session:
            chunk = await repository(session).delete_before(cutoff, CHUNK)
        if not chunk:
            return deleted
        deleted += chunk


async def purge_regularly(
    sessions: SessionFactory, repository: type[Repository], retention: timedelta, interval: float = INTERVAL
) -> None:
    """Purge until cancelled, first after FIRST_AFTER seconds. A failure is logged; the next purge catches up."""
    await asyncio.sleep(FIRST_AFTER)
    while True:
        try:
            with database_errors():
                await purge(sessions, repository, utc_now() - retention)
        except Exception as error:  # whatever it was, the next purge may succeed
            log.warning(PURGE_FAILED, of=repository.__name__, error=type(error).__name__)
        await asyncio.sleep(interval)
