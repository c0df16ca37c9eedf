"""Bring the index in step with some units of one kind, whatever happens to them meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final
from uuid import uuid4

import structlog
from mh_client import MHError
from mh_common.embeddings import Embedder, EmbedderError, VectorLengthError
from mh_common.models import IndexOutcome, IndexReport
from mh_common.units import IndexStatus, UnitKey, just_before

from indexer_worker import metrics
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, RowsRefusedError, VectorStoreError
from indexer_worker.indexing.loaded import LoadedUnit, UnitSource, Vector
from indexer_worker.vector_store.layout import Row
from indexer_worker.vector_store.repository import VectorRepository

log = structlog.get_logger(__name__)

ROW_REFUSED: Final = "index_row_refused"
"""Logged for each row that the embedder or Milvus refuses for good; it is reported as failed."""

MAX_ROUNDS: Final = 10
"""Rows that change faster than they can be indexed are left to the job's next attempt after so many rounds."""

MAX_REASON: Final = 500

LENGTH_CHECKS: Final = 3
"""How often in a row a text alone gets a vector of the wrong length, and another text a good one, before it is given
up: a server that fails now and then must not cost a row."""


@dataclass
class Written:
    """What became of the units of one round. `refused` and `stuck` hold reasons."""

    units: Sequence[LoadedUnit]
    refused: dict[UnitKey, str] = field(default_factory=dict)
    """These are given up until their text changes or somebody asks for them again."""
    stuck: dict[UnitKey, str] = field(default_factory=dict)
    """These could not be written, and nobody knows whether it is their own fault."""

    @property
    def settled(self) -> list[LoadedUnit]:
        """The units whose outcome is known."""
        return [unit for unit in self.units if unit.key not in self.stuck]


class IndexService:
    """Reads units of one kind, embeds them, writes the index and reports to the API."""

    def __init__(
        self, api: ConversationsAPI, source: UnitSource, embedder: Embedder, repository: VectorRepository
    ) -> None:
        self._api = api
        self._source = source
        self._embedder = embedder
        self._repository = repository

    async def index(self, keys: Sequence[UnitKey]) -> None:
        """Make the index hold the present version of these units (1 to 64), and none that do not exist.

        May be interrupted anywhere and run any number of times, also at the same time elsewhere: what it wrote is
        compared with the present versions afterwards, and done again where they moved.

        Raises:
            IndexingError: a service it needs does not answer, units change faster than they can be indexed, or Milvus
                does not take some of them; its `left` names those, and the others are done.
            IndexMismatchError: the collection is not the configured one.
        """
        left = list(dict.fromkeys(keys))
        stuck: dict[UnitKey, str] = {}
        try:
            for _ in range(MAX_ROUNDS):
                left = await self._round(left, stuck)
                if not left:
                    break
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        if left:
            message = f"{len(left)} units of kind {left[0].kind} changed in each of {MAX_ROUNDS} rounds"
            raise IndexingError(message, left=[*left, *stuck])
        if stuck:
            raise IndexingError(next(iter(stuck.values())), left=list(stuck))

    async def write(self, keys: Sequence[UnitKey]) -> int:
        """Write the present version of these units (1 to 64) and return how many the index took.

        For an index that is being filled: nothing is reported, and what changes meanwhile is found later by comparing.
        Raises as `index`.
        """
        try:
            written = await self._write(keys)
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        return len(written.units) - len(written.refused) - len(written.stuck)

    async def give_up(self, key: UnitKey, reason: str) -> None:
        """Report that a unit cannot be indexed, and take what the index holds of it away. Reads no text.

        Raises as `index`.
        """
        try:
            page = await self._api.versions(after=just_before(key), limit=1)
            await self._repository.delete([key])
            present = [row.version for row in page.items if row.key == key]
            if present:
                await self._api.report(IndexReport(outcomes=[_failure(key, present[0], reason)]))
        except (MHError, VectorStoreError) as error:
            raise IndexingError(str(error)) from error

    async def _round(self, keys: Sequence[UnitKey], stuck: dict[UnitKey, str]) -> list[UnitKey]:
        """Read, write and report once; add to `stuck`, and return the units that moved meanwhile."""
        written = await self._write(keys)
        stuck |= written.stuck
        return await self._report(written.settled, written.refused)

    async def _write(self, keys: Sequence[UnitKey]) -> Written:
        present = await self._read(keys)
        texts = list(dict.fromkeys(chain.from_iterable(unit.texts for unit in present)))
        vectors, refusals = await self._embed(texts)
        written = Written(present)
        rows: list[tuple[UnitKey, Row]] = []
        for unit in present:
            if reasons := [refusals[text] for text in unit.texts if text in refusals]:
                written.refused[unit.key] = reasons[0]
            else:
                rows.append((unit.key, unit.make_row([vectors[text] for text in unit.texts])))
        if rows:
            await self._upsert(rows, written)
        # A refused row goes too: an older version of it is of no use to anybody.
        kept = {unit.key for unit in present} - set(written.refused)
        if absent := [key for key in keys if key not in kept]:
            await self._repository.delete(absent)
        refused, stuck = len(written.refused), len(written.stuck)
        indexed = len(present) - refused - stuck
        metrics.count_rows(indexed=indexed, failed=refused, deleted=len(absent) - refused)
        return written

    async def _read(self, keys: Sequence[UnitKey]) -> list[LoadedUnit]:
        units: list[LoadedUnit] | BaseException
        looked, units = await asyncio.gather(
            # Before anything is embedded: jobs come again and again while the collection is not the right one.
            self._repository.prepare(),
            self._source.load(keys),
            # Both have ended before either's error leaves: nothing of an attempt runs on into the next.
            return_exceptions=True,
        )
        if isinstance(looked, BaseException):
            raise looked
        if isinstance(units, BaseException):
            raise units
        return units

    async def _upsert(self, rows: list[tuple[UnitKey, Row]], written: Written) -> None:
        """Write the rows; note those that Milvus does not take even alone."""
        try:
            await self._repository.upsert([row for _, row in rows])
        except RowsRefusedError as error:
            if len(rows) == 1:
                outcome = written.refused if error.permanent else written.stuck
                outcome[rows[0][0]] = str(error)[:MAX_REASON]
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

    async def _report(self, units: Sequence[LoadedUnit], refused: dict[UnitKey, str]) -> list[UnitKey]:
        """Tell the API what was done, remove what it no longer has, and return the units that moved."""
        if not units:
            return []
        outcomes = [_outcome(unit, refused.get(unit.key)) for unit in units]
        answer = await self._api.report(IndexReport(outcomes=outcomes))
        present = {entry.key: entry.version for entry in answer.versions}
        if gone := [unit.key for unit in units if present[unit.key] is None]:
            await self._repository.delete(gone)
            metrics.count_rows(deleted=len(gone))
        return [unit.key for unit in units if present[unit.key] not in (None, unit.version)]


def _outcome(unit: LoadedUnit, refusal: str | None) -> IndexOutcome:
    if refusal is not None:
        return _failure(unit.key, unit.version, refusal)
    return IndexOutcome(**unit.key._asdict(), version=unit.version, status=IndexStatus.INDEXED, reason=None)


def _failure(key: UnitKey, version: int, reason: str) -> IndexOutcome:
    log.warning(ROW_REFUSED, **key._asdict(), version=version, reason=reason)
    return IndexOutcome(**key._asdict(), version=version, status=IndexStatus.FAILED, reason=reason)
