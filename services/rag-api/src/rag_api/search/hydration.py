"""From candidates to conversations: texts and versions of the conversations API, never the index's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from mh_client import APIConnectionError, APIStatusError, APITimeoutError, AsyncClient, MHError
from mh_common.errors import UnavailableError
from mh_common.models import Conversation

from rag_api import metrics
from rag_api.search.ranking import Candidate

log = structlog.get_logger(__name__)

STALE_HITS_DROPPED: Final = "stale_hits_dropped"
"""Hits whose conversation is gone or has another version by now; many of them for long: the indexer is behind."""
CONVERSATIONS_FAILED: Final = "conversations_api_failed"


@dataclass(frozen=True)
class Found:
    """A candidate that is the present version of its conversation, with its texts."""

    candidate: Candidate
    row: Conversation


class Hydrator:
    """Gets conversations by id, each call one request."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def confirm(self, batch: Sequence[Candidate]) -> list[Found]:
        """Return the candidates that still are the present version of their conversation, with its texts.

        Raises:
            UnavailableError: the conversations API is down.
        """
        present = {row.id: row for row in await self.rows([one.match.id for one in batch])}
        found = [
            Found(one, present[one.match.id])
            for one in batch
            if one.match.id in present and present[one.match.id].version == one.match.version
        ]
        if len(found) < len(batch):
            metrics.STALE_HITS.inc(len(batch) - len(found))
            log.info(STALE_HITS_DROPPED, count=len(batch) - len(found))
        return found

    async def rows(self, ids: Sequence[int]) -> list[Conversation]:
        """Return those of these conversations that there are.

        Raises:
            UnavailableError: the conversations API is down.
        """
        try:
            with metrics.search_part("fetch"):
                return (await self._conversations.conversations.list(ids=ids, limit=len(ids))).items
        except MHError as error:
            raise unavailable(error) from error


def unavailable(error: MHError) -> UnavailableError:
    """Log that a call of the conversations API failed, and return what that means to a user."""
    log.warning(CONVERSATIONS_FAILED, error=type(error).__name__)
    if isinstance(error, APIStatusError):
        message = f"The conversations API, which holds the texts, answers {error.status_code}."
        return UnavailableError(message, math.ceil(error.retry_after or 5))
    if isinstance(error, APITimeoutError):
        reason = "does not answer in time"
    else:
        reason = "cannot be reached" if isinstance(error, APIConnectionError) else "gave an unreadable answer"
    return UnavailableError(f"The conversations API, which holds the texts, {reason}.", retry_after=5)
