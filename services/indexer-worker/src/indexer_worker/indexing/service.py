"""Bring the index in step with some conversations, whatever happens to them meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final
from uuid import uuid4

import structlog
from mh_client import MHError
from mh_common import vector_index as fields
from mh_common.embeddings import Embedder, EmbedderError, VectorLengthError
from mh_common.models import Conversation, IndexOutcome, IndexReport, IndexStatus

from indexer_worker import metrics
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, RowsRefusedError, VectorStoreError
from indexer_worker.vector_store.repository import VectorRepository
from indexer_worker.vector_store.rows import Row, vector_row

log = structlog.get_logger(__name__)

ROW_REFUSED: Final = "index_row_refused"
"""Logged for each row that the embedder or Milvus refuses for good; it is reported as failed."""

MAX_ROUNDS: Final = 10
"""Rows that change faster than they can be indexed are left to the job's next attempt after so many rounds."""

MAX_REASON: Final = 500

LENGTH_CHECKS: Final = 3
"""How often in a row a text alone gets a vector of the wrong length, and another text a good one, before it is given
up: a server that fails now and then must not cost a row."""

Vector = list[float]


@dataclass
class Written:
    """What became of the rows of one round. `refused` and `stuck` hold reasons, by id."""

    rows: Sequence[Conversation]
    refused: dict[int, str] = field(default_factory=dict)
    """These are given up until their text changes or somebody asks for them again."""
    stuck: dict[int, str] = field(default_factory=dict)
    """These could not be written, and nobody knows whether it is their own fault."""

    @property
    def settled(self) -> list[Conversation]:
        """The rows whose outcome is known."""
        return [row for row in self.rows if row.id not in self.stuck]


class IndexService:
    """Reads conversations from the API, embeds them, writes the index and reports to the API."""

    def __init__(self, conversations: ConversationsAPI, embedder: Embedder, repository: VectorRepository) -> None:
        self._conversations = conversations
        self._embedder = embedder
        self._repository = repository

    async def index(self, ids: Sequence[int]) -> None:
        """Make the index hold the present version of these conversations (1 to 64), and none that do not exist.

        May be interrupted anywhere and run any number of times, also at the same time elsewhere: what it wrote is
        compared with the present versions afterwards, and done again where they moved.

        Raises:
            IndexingError: a service it needs does not answer, rows change faster than they can be indexed, or Milvus
                does not take some of them; its `left` names those, and the others are done.
            IndexMismatchError: the collection is not the configured one.
        """
        left = list(dict.fromkeys(ids))
        stuck: dict[int, str] = {}
        try:
            for _ in range(MAX_ROUNDS):
                left = await self._round(left, stuck)
                if not left:
                    break
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        if left:
            message = f"{len(left)} conversations changed in each of {MAX_ROUNDS} rounds"
            raise IndexingError(message, left=[*left, *stuck])
        if stuck:
            raise IndexingError(next(iter(stuck.values())), left=list(stuck))

    async def write(self, ids: Sequence[int]) -> int:
        """Write the present version of these conversations (1 to 64) and return how many the index took.

        For an index that is being filled: nothing is reported, and what changes meanwhile is found later by comparing.
        Raises as `index`.
        """
        try:
            written = await self._write(ids)
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        return len(written.rows) - len(written.refused) - len(written.stuck)

    async def give_up(self, key: int, reason: str) -> None:
        """Report that a conversation cannot be indexed, and take what the index holds of it away. Reads no text.

        Raises as `index`.
        """
        try:
            page = await self._conversations.versions(after=key - 1, limit=1)
            await self._repository.delete([key])
            present = [row.version for row in page.items if row.conversation_id == key]
            if present:
                await self._conversations.report(IndexReport(outcomes=[_failure(key, present[0], reason)]))
        except (MHError, VectorStoreError) as error:
            raise IndexingError(str(error)) from error

    async def _round(self, ids: Sequence[int], stuck: dict[int, str]) -> list[int]:
        """Read, write and report once; add to `stuck`, and return the ids of the rows that moved meanwhile."""
        written = await self._write(ids)
        stuck |= written.stuck
        return await self._report(written.settled, written.refused)

    async def _write(self, ids: Sequence[int]) -> Written:
        present = await self._read(ids)
        texts = {row.id: (row.question, fields.embedded_text(row.question, row.answer)) for row in present}
        vectors, refusals = await self._embed(list(dict.fromkeys(chain.from_iterable(texts.values()))))
        written = Written(present)
        for row in present:
            if reasons := [refusals[text] for text in texts[row.id] if text in refusals]:
                written.refused[row.id] = reasons[0]
        rows = [
            vector_row(row, *(vectors[text] for text in texts[row.id]))
            for row in present
            if row.id not in written.refused
        ]
        if rows:
            await self._upsert(rows, written)
        # A refused row goes too: an older version of it is of no use to anybody.
        kept = {row.id for row in present} - set(written.refused)
        if absent := [key for key in ids if key not in kept]:
            await self._repository.delete(absent)
        refused, stuck = len(written.refused), len(written.stuck)
        indexed = len(present) - refused - stuck
        metrics.count_rows(indexed=indexed, failed=refused, deleted=len(absent) - refused)
        return written

    async def _read(self, ids: Sequence[int]) -> list[Conversation]:
        rows: list[Conversation] | BaseException
        looked, rows = await asyncio.gather(
            # Before anything is embedded: jobs come again and again while the collection is not the right one.
            self._repository.prepare(),
            self._conversations.rows(ids),
            # Both have ended before either's error leaves: nothing of an attempt runs on into the next.
            return_exceptions=True,
        )
        if isinstance(looked, BaseException):
            raise looked
        if isinstance(rows, BaseException):
            raise rows
        return rows

    async def _upsert(self, rows: list[Row], written: Written) -> None:
        """Write the rows; note those that Milvus does not take even alone."""
        try:
            await self._repository.upsert(rows)
        except RowsRefusedError as error:
            if len(rows) == 1:
                outcome = written.refused if error.permanent else written.stuck
                outcome[rows[0][fields.ID]] = str(error)[:MAX_REASON]
                return
        else:
            return
        middle = len(rows) // 2
        await self._upsert(rows[:middle], written)
        await self._upsert(rows[middle:], written)

    async def _embed(self, texts: list[str]) -> tuple[dict[str, Vector], dict[str, str]]:
        """Return the vectors, and for texts that the embedder refuses for good the reason, by text."""
        if not texts:
            return {}, {}
        try:
            return dict(zip(texts, await self._embedder.embed(texts), strict=True)), {}
        except EmbedderError as error:
            if not await self._at_fault(texts, error):
                raise
            if len(texts) == 1:
                return {}, {texts[0]: str(error)[:MAX_REASON]}
        # One text can be the cause for all: halve until it is alone.
        middle = len(texts) // 2
        vectors, refusals = await self._embed(texts[:middle])
        more_vectors, more_refusals = await self._embed(texts[middle:])
        return vectors | more_vectors, refusals | more_refusals

    async def _at_fault(self, texts: list[str], error: EmbedderError) -> bool:
        """Say whether one of the texts is the cause, and not the embedder or its settings."""
        if not isinstance(error, VectorLengthError):
            return not error.transient
        for _ in range(LENGTH_CHECKS):
            try:
                # A text that nobody embedded before, so that no cache answers.
                await self._embedder.embed([f"A probe: {uuid4()}"])
            except EmbedderError:
                return False
            if len(texts) > 1:
                return True
            try:
                await self._embedder.embed(texts)
            except VectorLengthError:
                continue
            except EmbedderError:
                pass
            return False
        return True

    async def _report(self, conversations: Sequence[Conversation], refused: dict[int, str]) -> list[int]:
        """Tell the API what was done, remove what it no longer has, and return the ids of the rows that moved."""
        if not conversations:
            return []
        outcomes = [_outcome(conversation, refused.get(conversation.id)) for conversation in conversations]
        answer = await self._conversations.report(IndexReport(outcomes=outcomes))
        present = {entry.conversation_id: entry.version for entry in answer.versions}
        if gone := [outcome.conversation_id for outcome in outcomes if present[outcome.conversation_id] is None]:
            await self._repository.delete(gone)
            metrics.count_rows(deleted=len(gone))
        return [
            outcome.conversation_id
            for outcome in outcomes
            if present[outcome.conversation_id] not in (None, outcome.version)
        ]


def _outcome(conversation: Conversation, refusal: str | None) -> IndexOutcome:
    if refusal is not None:
        return _failure(conversation.id, conversation.version, refusal)
    return IndexOutcome(
        conversation_id=conversation.id, version=conversation.version, status=IndexStatus.INDEXED, reason=None
    )


def _failure(key: int, version: int, reason: str) -> IndexOutcome:
    log.warning(ROW_REFUSED, conversation_id=key, version=version, reason=reason)
    return IndexOutcome(conversation_id=key, version=version, status=IndexStatus.FAILED, reason=reason)
