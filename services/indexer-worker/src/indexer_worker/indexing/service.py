"""Updates the index for some units of one kind, even if they change in the meantime."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeVar
from uuid import uuid4

import structlog
from mh_client import MHError
from mh_common.embeddings import Embedder, EmbedderError, VectorLengthError
from mh_common.models import IndexOutcome, IndexReport, UnitScreening
from mh_common.units import IndexStatus, UnitKey, preceding_key
from mh_common.wording import counted

from indexer_worker import metrics
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, RowsRefusedError, VectorStoreError
from indexer_worker.indexing.screening import Screening
from indexer_worker.indexing.unit_source import LoadedUnit, UnitSource, Vector
from indexer_worker.vector_store.layout import Row
from indexer_worker.vector_store.repository import VectorRepository

log = structlog.get_logger(__name__)

T = TypeVar("T")
U = TypeVar("U")

ROW_REFUSED: Final = "index_row_refused"
"""Logged for each row that the embedder or Milvus permanently rejects; it is reported as failed."""

MAX_ROUNDS: Final = 10
"""After this many rounds, rows that change faster than they can be indexed are left to the job's next attempt."""

MAX_REASON: Final = 500

LENGTH_CHECKS: Final = 3
"""How many times in a row a text on its own must get a vector of the wrong length, and a probe a correct one, before
the text is reported as failed: an embedder that fails occasionally must not make a row fail."""


@dataclass
class WriteResult:
    """The outcome of one write, and what screening found. `refused` and `unresolved` map units to reasons."""

    units: Sequence[LoadedUnit]
    screenings: Sequence[UnitScreening]
    refused: dict[UnitKey, str] = field(default_factory=dict)
    """Units that are not tried again until their text changes or somebody requests it."""
    unresolved: dict[UnitKey, str] = field(default_factory=dict)
    """Units that could not be written, where it is uncertain whether the unit itself is the cause."""

    @property
    def resolved(self) -> list[LoadedUnit]:
        """The units whose outcome is known."""
        return [unit for unit in self.units if unit.key not in self.unresolved]

    def report(self, outcomes: Sequence[IndexOutcome] = ()) -> IndexReport:
        """Return the report of these outcomes, and of what screening found in the units whose outcome is known."""
        screenings = [one for one in self.screenings if one.key not in self.unresolved]
        return IndexReport(outcomes=list(outcomes), screenings=screenings)


class IndexService:
    """Reads units of one kind, screens and embeds them, writes the index and reports to the API."""

    def __init__(
        self,
        api: ConversationsAPI,
        source: UnitSource,
        embedder: Embedder,
        screening: Screening,
        repository: VectorRepository,
    ) -> None:
        self._api = api
        self._source = source
        self._embedder = embedder
        self._screening = screening
        self._repository = repository

    async def index(self, keys: Sequence[UnitKey]) -> None:
        """Write the current version of these units (1 to 64) to the index, and delete those that no longer exist.

        Can be interrupted at any point, repeated, and run concurrently: after writing it compares what it wrote with
        the current versions and repeats the units that have changed.

        Raises:
            IndexingError: a required service does not answer, units change faster than they can be indexed, or Milvus
                rejects some of them; `remaining` lists the units not done, all others are done.
            IndexMismatchError: the collection is not the configured one.
        """
        remaining = list(dict.fromkeys(keys))
        unresolved: dict[UnitKey, str] = {}
        try:
            for _ in range(MAX_ROUNDS):
                remaining = await self._round(remaining, unresolved)
                if not remaining:
                    break
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        if remaining:
            message = (
                f"{counted(len(remaining), 'unit')} of kind {remaining[0].kind} changed in each of {MAX_ROUNDS} rounds"
            )
            raise IndexingError(message, remaining=[*remaining, *unresolved])
        if unresolved:
            raise IndexingError(next(iter(unresolved.values())), remaining=list(unresolved))

    async def write(self, keys: Sequence[UnitKey]) -> int:
        """Write the current version of these units (1 to 64) and return how many were written.

        For filling a new collection: reports only what screening found; units that change in the meantime are found by
        the comparison that follows. Raises the errors of `index`.
        """
        try:
            result = await self._write(keys)
            if result.resolved:
                await self._api.report(result.report())
        except (MHError, EmbedderError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        return len(result.units) - len(result.refused) - len(result.unresolved)

    async def give_up(self, key: UnitKey, reason: str) -> None:
        """Report a unit as failed and delete it from the index, without reading its text.

        Raises the errors of `index`.
        """
        try:
            page = await self._api.versions(after=preceding_key(key), limit=1)
            await self._repository.delete([key])
            versions = [row.version for row in page.items if row.key == key]
            if versions:
                await self._api.report(IndexReport(outcomes=[_failure(key, versions[0], reason)]))
        except (MHError, VectorStoreError) as error:
            raise IndexingError(str(error)) from error

    async def _round(self, keys: Sequence[UnitKey], unresolved: dict[UnitKey, str]) -> list[UnitKey]:
        """Read, write and report once; add to `unresolved` and return the units that changed in the meantime."""
        result = await self._write(keys)
        unresolved |= result.unresolved
        return await self._report(result)

    async def _write(self, keys: Sequence[UnitKey]) -> WriteResult:
        # Checked before embedding anything: as long as the collection does not match, jobs are retried over and over.
        _, present = await _both(self._repository.prepare(), self._source.load(keys))
        texts = list(dict.fromkeys(chain.from_iterable(unit.texts for unit in present)))
        # Screened meanwhile, as the embedder computes in another thread or on another machine.
        embedded, screened = await _both(self._embed(texts), self._screening.screen(present))
        vectors, refusals = embedded
        result, screenings = WriteResult(present, screened), {one.key: one for one in screened}
        rows: list[tuple[UnitKey, Row]] = []
        for unit in present:
            if reasons := [refusals[text] for text in unit.texts if text in refusals]:
                result.refused[unit.key] = reasons[0]
            else:
                row = unit.make_row([vectors[text] for text in unit.texts], screenings[unit.key])
                rows.append((unit.key, row))
        if rows:
            await self._upsert(rows, result)
        # Refused rows are deleted too: search must not find an outdated version.
        kept = {unit.key for unit in present} - set(result.refused)
        if absent := [key for key in keys if key not in kept]:
            await self._repository.delete(absent)
        refused, unresolved = len(result.refused), len(result.unresolved)
        indexed = len(present) - refused - unresolved
        metrics.count_rows(indexed=indexed, failed=refused, deleted=len(absent) - refused)
        return result

    async def _upsert(self, rows: list[tuple[UnitKey, Row]], result: WriteResult) -> None:
        """Write the rows; record those that Milvus rejects even when sent alone."""
        try:
            await self._repository.upsert([row for _, row in rows])
        except RowsRefusedError as error:
            if len(rows) == 1:
                outcome = result.refused if error.permanent else result.unresolved
                outcome[rows[0][0]] = str(error)[:MAX_REASON]
                return
        else:
            return
        middle = len(rows) // 2
        await self._upsert(rows[:middle], result)
        await self._upsert(rows[middle:], result)

    async def _embed(self, texts: list[str]) -> tuple[dict[str, Vector], dict[str, str]]:
        """Return the vectors by text, and by text the reasons why the embedder permanently rejects some of them."""
        if not texts:
            return {}, {}
        try:
            return dict(zip(texts, await self._embedder.embed(texts), strict=True)), {}
        except EmbedderError as error:
            if not await self._caused_by_text(texts, error):
                raise
            if len(texts) == 1:
                return {}, {texts[0]: str(error)[:MAX_REASON]}
        # A single text can make the whole batch fail: split it in half until that text is alone.
        middle = len(texts) // 2
        vectors, refusals = await self._embed(texts[:middle])
        more_vectors, more_refusals = await self._embed(texts[middle:])
        return vectors | more_vectors, refusals | more_refusals

    async def _caused_by_text(self, texts: list[str], error: EmbedderError) -> bool:
        """Return whether one of the texts is the cause, rather than the embedder or its settings."""
        if not isinstance(error, VectorLengthError):
            return not error.transient
        for _ in range(LENGTH_CHECKS):
            try:
                # A text that was never embedded before, so that no cache can answer.
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

    async def _report(self, result: WriteResult) -> list[UnitKey]:
        """Report the outcomes, delete units that no longer exist, and return the units that have changed."""
        if not (units := result.resolved):
            return []
        outcomes = [_outcome(unit, result.refused.get(unit.key)) for unit in units]
        answer = await self._api.report(result.report(outcomes))
        current = {entry.key: entry.version for entry in answer.versions}
        if deleted := [unit.key for unit in units if current[unit.key] is None]:
            await self._repository.delete(deleted)
            metrics.count_rows(deleted=len(deleted))
        return [unit.key for unit in units if current[unit.key] not in (None, unit.version)]


async def _both(one: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """Return both results. Raises only when both have ended: nothing may still be running at the next attempt."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second


def _outcome(unit: LoadedUnit, refusal: str | None) -> IndexOutcome:
    if refusal is not None:
        return _failure(unit.key, unit.version, refusal)
    return IndexOutcome(**unit.key._asdict(), version=unit.version, status=IndexStatus.INDEXED, reason=None)


def _failure(key: UnitKey, version: int, reason: str) -> IndexOutcome:
    log.warning(ROW_REFUSED, **key._asdict(), version=version, reason=reason)
    return IndexOutcome(**key._asdict(), version=version, status=IndexStatus.FAILED, reason=reason)
