"""Hydration: load current texts and versions from the conversations API; the index's own copies are never shown.

What is stored may be HTML; everything behind hydration, from sentences to the integrations, works on plain text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from mh_client import AsyncClient, MHError
from mh_common.models import Conversation
from mh_common.units import Unit, conversation_unit

from rag_api import metrics
from rag_api.api_calls import to_domain_error
from rag_api.search.ranking import Candidate

log = structlog.get_logger(__name__)

STALE_HITS_DROPPED: Final = "stale_hits_dropped"
"""Hits whose conversation was deleted or changed since indexing. If there are many for long, the indexer is behind."""


@dataclass(frozen=True)
class HydratedHit:
    """A candidate whose indexed version is current, with the conversation's texts."""

    candidate: Candidate
    row: Conversation


class Hydrator:
    """Fetches conversations by id; each call sends one request."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def hydrate(self, batch: Sequence[Candidate]) -> list[HydratedHit]:
        """Return the candidates whose indexed version is still current, with the conversation's texts.

        Raises:
            UnavailableError: the conversations API is down.
            AuthenticationError, PermissionDeniedError: it refuses the caller's credential.
        """
        rows = await self.fetch([one.match.unit.key.source_id for one in batch])
        current = {Unit(conversation_unit(row.id), row.version): row for row in rows}
        found = [HydratedHit(one, current[one.match.unit]) for one in batch if one.match.unit in current]
        if len(found) < len(batch):
            metrics.STALE_HITS.inc(len(batch) - len(found))
            log.info(STALE_HITS_DROPPED, count=len(batch) - len(found))
        return found

    async def fetch(self, ids: Sequence[int]) -> list[Conversation]:
        """Return the conversations with these ids, their texts as plain text; ids that do not exist are skipped.

        Raises:
            UnavailableError: the conversations API is down.
            AuthenticationError, PermissionDeniedError: it refuses the caller's credential.
        """
        try:
            with metrics.search_part("fetch"):
                page = await self._conversations.conversations.list(ids=ids, limit=len(ids))
        except MHError as error:
            raise to_domain_error(error) from error
        return [row.as_read() for row in page.items]
