"""Hydration: load current texts and versions from the conversations API; the index's own copies are never shown.

What is stored may be HTML; everything behind hydration, from sentences to the integrations, works on plain text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from mh_client import APIConnectionError, APIStatusError, APITimeoutError, AsyncClient, MHError
from mh_common.errors import UnavailableError
from mh_common.models import Conversation
from mh_common.units import Unit, conversation_unit

from rag_api import metrics
from rag_api.search.ranking import Candidate

log = structlog.get_logger(__name__)

STALE_HITS_DROPPED: Final = "stale_hits_dropped"
"""Hits whose conversation was deleted or changed since indexing. If there are many for long, the indexer is behind."""
CONVERSATIONS_FAILED: Final = "conversations_api_failed"


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
        """
        try:
            with metrics.search_part("fetch"):
                page = await self._conversations.conversations.list(ids=ids, limit=len(ids))
        except MHError as error:
            raise to_unavailable_error(error) from error
        return [row.as_read() for row in page.items]


def to_unavailable_error(error: MHError) -> UnavailableError:
    """Log the failed call of the conversations API, and return the error to show to a user."""
    log.warning(CONVERSATIONS_FAILED, error=type(error).__name__)
    if isinstance(error, APIStatusError):
        message = f"The conversations API, which holds the texts, answered {error.status_code}."
        return UnavailableError(message, math.ceil(error.retry_after or 5))
    if isinstance(error, APITimeoutError):
        reason = "did not answer in time"
    else:
        reason = "cannot be reached" if isinstance(error, APIConnectionError) else "sent an unreadable response"
    return UnavailableError(f"The conversations API, which holds the texts, {reason}.", retry_after=5)
