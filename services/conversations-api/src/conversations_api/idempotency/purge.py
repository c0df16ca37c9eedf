"""Forgetting idempotency keys that nobody will repeat any more."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from conversations_api.database import SessionFactory, transaction
from conversations_api.database_errors import database_errors
from conversations_api.idempotency.repository import KEY_LIFETIME, IdempotencyRepository

log = structlog.get_logger(__name__)

INTERVAL: Final = 3600.0
"""Seconds between two rounds."""

PURGE_FAILED: Final = "idempotency_purge_failed"


async def purge(sessions: SessionFactory, now: datetime) -> int:
    """Delete the keys that are past their lifetime, in short transactions; return how many there were."""
    deleted = 0
    while True:
        async with transaction(sessions) as session:
            chunk = await IdempotencyRepository(session).delete_older(now - KEY_LIFETIME)
        if not chunk:
            return deleted
        deleted += chunk


async def purge_regularly(sessions: SessionFactory, interval: float = INTERVAL) -> None:
    """Purge until cancelled. A round that fails is logged; the next one makes up for it."""
    while True:
        try:
            with database_errors():
                await purge(sessions, datetime.now(UTC))
        except Exception as error:  # whatever it was, the next round may succeed
            log.warning(PURGE_FAILED, error=type(error).__name__)
        await asyncio.sleep(interval)
