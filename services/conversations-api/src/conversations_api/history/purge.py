"""Forgetting entries that are past their retention, also while the history is turned off."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from conversations_api.database import SessionFactory, transaction
from conversations_api.database_errors import database_errors
from conversations_api.history.repository import HistoryRepository

log = structlog.get_logger(__name__)

INTERVAL: Final = 3600.0
"""Seconds between two rounds."""

PURGE_FAILED: Final = "history_purge_failed"


async def purge(sessions: SessionFactory, older_than: datetime) -> int:
    """Delete the entries stored before that time, in short transactions; return how many there were."""
    deleted = 0
    while True:
        async with transaction(sessions) as session:
            chunk = await HistoryRepository(session).delete_older(older_than)
        if not chunk:
            return deleted
        deleted += chunk


async def purge_regularly(sessions: SessionFactory, retention: timedelta, interval: float = INTERVAL) -> None:
    """Purge until cancelled. A round that fails is logged; the next one makes up for it."""
    while True:
        try:
            with database_errors():
                await purge(sessions, datetime.now(UTC) - retention)
        except Exception as error:  # whatever it was, the next round may succeed
            log.warning(PURGE_FAILED, error=type(error).__name__)
        await asyncio.sleep(interval)
