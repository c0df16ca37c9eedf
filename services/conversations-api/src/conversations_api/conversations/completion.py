"""Completes, in the background, the rows that a release without computed columns or another program wrote."""

import asyncio
import time
from typing import Final

import structlog

from conversations_api.conversations.duplicates import DuplicateRepository
from conversations_api.database import SessionFactory
from conversations_api.database_errors import database_errors

log = structlog.get_logger(__name__)

CHUNK: Final = 100
"""Rows completed in one transaction: their texts are in memory, and the rows are locked until the commit."""
INTERVAL: Final = 60.0
"""Seconds between two looks for such rows."""

CONVERSATIONS_COMPLETED: Final = "conversations_completed"
COMPLETION_FAILED: Final = "completion_failed"


async def complete(sessions: SessionFactory) -> int:
    """Complete all rows that other processes do not, in short transactions; return how many there were.

    What is done is committed piece by piece, so that it can be interrupted at any point. Between two pieces it waits as
    long as one takes, so that requests get their turn.
    """
    completed = 0
    while True:
        started = time.monotonic()
        async with sessions.begin() as session:
            chunk = await DuplicateRepository(session).complete(CHUNK)
        completed += chunk
        if chunk < CHUNK:
            return completed
        await asyncio.sleep(time.monotonic() - started)


async def complete_regularly(sessions: SessionFactory, interval: float = INTERVAL) -> None:
    """Complete rows until cancelled. A failure is logged; the next look catches up."""
    while True:
        try:
            with database_errors():
                if completed := await complete(sessions):
                    log.info(CONVERSATIONS_COMPLETED, count=completed)
        except Exception as error:  # whatever it was, the next attempt may succeed
            log.warning(COMPLETION_FAILED, error=type(error).__name__)
        await asyncio.sleep(interval)
