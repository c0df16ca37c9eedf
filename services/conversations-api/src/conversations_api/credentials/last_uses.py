"""Notes when credentials were used: in memory for each request, and in the database now and then."""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from mh_common.models import CredentialKind

from conversations_api.credentials.repository import CredentialRepository
from conversations_api.database import SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.sessions.service import idle_until

log = structlog.get_logger(__name__)

INTERVAL: Final = 30.0
"""Seconds between two writes. What a process that dies has noted since is lost."""

USES_NOT_WRITTEN: Final = "credential_uses_not_written"


class LastUses:
    """The latest use of each credential since the last write."""

    def __init__(self) -> None:
        self._uses: dict[tuple[CredentialKind, int], datetime] = {}

    def note(self, kind: CredentialKind, credential_id: int, at: datetime) -> None:
        """Note a use. No I/O."""
        self._uses[kind, credential_id] = at

    async def write(self, sessions: SessionFactory) -> None:
        """Write what was noted, in one transaction. If it fails, it stays noted."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            with database_errors():
                async with sessions.begin() as session:
                    credentials = CredentialRepository(session)
                    # In the order of their ids, so that two processes do not wait for each other.
                    for (kind, credential_id), at in sorted(uses.items()):
                        if kind is CredentialKind.API_KEY:
                            await credentials.set_key_used(credential_id, at)
                        else:
                            await credentials.set_session_used(credential_id, at, idle_until(at))
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def write_regularly(self, sessions: SessionFactory, interval: float = INTERVAL) -> None:
        """Write until cancelled, and once more then. A failure is logged; the next write catches up."""
        try:
            while True:
                await asyncio.sleep(interval)
                await self._try_to_write(sessions)
        finally:
            await self._try_to_write(sessions)

    async def _try_to_write(self, sessions: SessionFactory) -> None:
        try:
            await self.write(sessions)
        except Exception as error:  # whatever it was, the next write may succeed
            log.warning(USES_NOT_WRITTEN, error=type(error).__name__)
