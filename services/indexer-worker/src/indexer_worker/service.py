"""Bring the index in step with some conversations, whatever happens to them meanwhile."""

from collections.abc import Sequence
from typing import Final

import structlog
from mh_client import AsyncClient, MHError
from mh_common.embeddings import Embedder, EmbedderError
from mh_common.models import Conversation, IndexOutcome, IndexReport, IndexStatus

from indexer_worker.errors import IndexingError, VectorStoreError
from indexer_worker.repository import VectorRepository, vector_row

log = structlog.get_logger(__name__)

ROW_REFUSED: Final = "index_row_refused"
"""Logged for each row that the embedder refuses for good; it is reported as failed."""

MAX_ROUNDS: Final = 10
"""Rows that change faster than they can be indexed are left to the job's next attempt after so many rounds."""

MAX_REASON: Final = 500

Vector = list[float]


class IndexService:
    """Reads conversations from the API, embeds their questions, writes the index and reports to the API."""

    def __init__(self, conversations: AsyncClient, embedder: Embedder, repository: VectorRepository) -> None:
        self._conversations = conversations
        self._embedder = embedder
        self._repository = repository

    async def index(self, ids: Sequence[int]) -> None:
        """Make the index hold the present version of these conversations (1 to 64), and none that do not exist.

        May be interrupted anywhere and run any number of times, also at the same time elsewhere: what it wrote is
        compared with the present versions afterwards, and done again where they moved.

        Raises:
            IndexingError: a service it needs does not answer, or rows change faster than they can be indexed.
            IndexMismatchError: the collection is not the configured one.
        """
        left = list(dict.fromkeys(ids))
        try:
            for _ in range(MAX_ROUNDS):
                left = await self._round(left)
                if not left:
                    return
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        raise IndexingError(f"{len(left)} conversations changed in each of {MAX_ROUNDS} rounds")

    async def _round(self, ids: Sequence[int]) -> list[int]:
        """Read, write and report once; return the ids of the rows that moved meanwhile."""
        page = await self._conversations.conversations.list(ids=ids, limit=len(ids))
        vectors, refusals = await self._embed(list(dict.fromkeys(row.question for row in page.items)))
        rows = [vector_row(row, vectors[row.question]) for row in page.items if row.question in vectors]
        if rows:
            await self._repository.upsert(rows)
        # A refused row goes too: an older version of it is of no use to anybody.
        written = {row.id for row in page.items if row.question in vectors}
        if absent := [key for key in ids if key not in written]:
            await self._repository.delete(absent)
        return await self._report(page.items, refusals)

    async def _embed(self, texts: list[str]) -> tuple[dict[str, Vector], dict[str, str]]:
        """Return the vectors, and for texts that the embedder refuses for good the reason, by text."""
        if not texts:
            return {}, {}
        try:
            return dict(zip(texts, await self._embedder.embed(texts), strict=True)), {}
        except EmbedderError as error:
            if error.transient:
                raise
            if len(texts) == 1:
                return {}, {texts[0]: str(error)[:MAX_REASON]}
        # One text can be the cause for all: halve until it is alone.
        middle = len(texts) // 2
        vectors, refusals = await self._embed(texts[:middle])
        more_vectors, more_refusals = await self._embed(texts[middle:])
        return vectors | more_vectors, refusals | more_refusals

    async def _report(self, conversations: Sequence[Conversation], refusals: dict[str, str]) -> list[int]:
        """Tell the API what was done, remove what it no longer has, and return the ids of the rows that moved."""
        if not conversations:
            return []
        outcomes = [_outcome(conversation, refusals.get(conversation.question)) for conversation in conversations]
        answer = await self._conversations.index.report(IndexReport(outcomes=outcomes))
        present = {entry.conversation_id: entry.version for entry in answer.versions}
        if gone := [outcome.conversation_id for outcome in outcomes if present[outcome.conversation_id] is None]:
            await self._repository.delete(gone)
        return [
            outcome.conversation_id
            for outcome in outcomes
            if present[outcome.conversation_id] not in (None, outcome.version)
        ]


def _outcome(conversation: Conversation, refusal: str | None) -> IndexOutcome:
    if refusal is not None:
        log.warning(ROW_REFUSED, conversation_id=conversation.id, version=conversation.version, reason=refusal)
    return IndexOutcome(
        conversation_id=conversation.id,
        version=conversation.version,
        status=IndexStatus.INDEXED if refusal is None else IndexStatus.FAILED,
        reason=refusal,
    )
