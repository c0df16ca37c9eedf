"""What an import would do with a file, without storing anything."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mh_common.formats import Facts, Reject
from mh_common.models import BulkOptions, OnDuplicate, RowOutcome
from mh_common.text import content_hash

from mh_client._base import resolve_base_url
from mh_client._client import AsyncClient
from mh_client._errors import APIConnectionError, ImportRefusedError, RateLimitError, ServerError, UnprocessableError
from mh_client._import_chunks import Chunk, chunks, refused, without
from mh_client._import_identifiers import IdentifierCheck, IdentifierCounts
from mh_client._import_journal import Journal, journal_path
from mh_client._import_options import ImportOptions
from mh_client._import_rows import Row, opened
from mh_client.resources._bulk import bulk_piece

SHOWN_REJECTS: Final = 20


@dataclass
class FileCheck:
    """What an import of a file would do.

    Attributes:
        facts: how the file is read.
        added: rows that would make a new conversation.
        updated: rows that would change one that is there.
        skipped: rows that are there already, or twice in the file; of these an earlier import stored the `earlier`.
        rejected: rows that cannot be stored.
        rejects: line and reason of the first 20 of those, without their text.
        unasked: why the platform could not be asked. Rows that it has are then counted as if it had not.
        identifiers: what was recognised in the rows; None if nobody looked.
    """

    facts: Facts
    added: int = 0
    updated: int = 0
    skipped: int = 0
    earlier: int = 0
    rejected: int = 0
    rejects: list[tuple[int, str]] = field(default_factory=list)
    unasked: str | None = None
    identifiers: IdentifierCounts | None = None

    @property
    def rows(self) -> int:
        """All rows that were read."""
        return self.added + self.updated + self.skipped + self.rejected


async def check_file(
    client: AsyncClient | None,
    path: Path,
    options: ImportOptions | None = None,
    on_progress: Callable[[int, FileCheck], None] = lambda done_bytes, check: None,
) -> FileCheck:
    """Read a whole file as an import with these options would, and return what would become of its rows.

    The platform is asked what it has; it stores nothing. Without a client, or if it cannot be reached, the file alone
    is looked at. `on_progress` is called with each batch. Memory grows by some bytes for each row, to find those that
    are the same.

    Raises ImportRefusedError if the file cannot be used, and otherwise MHError if the platform refuses.
    """
    options = options or ImportOptions()
    try:
        return await _check(client, path, options, on_progress)
    except OSError as error:
        raise ImportRefusedError(f"{error.filename or path}: {error.strerror or error}") from error


async def _check(
    client: AsyncClient | None, path: Path, options: ImportOptions, on_progress: Callable[[int, FileCheck], None]
) -> FileCheck:
    server = options.platform or (client.base_url if client else resolve_base_url(None))
    identifiers = IdentifierCheck(options.recognizer, options.identifiers)
    with opened(path, options.read, options.labeller) as reader, identifiers:
        check = FileCheck(reader.facts, identifiers=identifiers.counts)
        look = _Look(client, options, check, await asyncio.to_thread(_journal, server, path, options, reader.facts))
        parts = identifiers.watch(chunks(reader, options.labeller, options.batch_rows))
        done = 0
        while chunk := await asyncio.to_thread(next, parts, None):
            await look.at(chunk)
            done += chunk.read_bytes
            on_progress(done, check)
    return check


def _journal(server: str, path: Path, options: ImportOptions, facts: Facts) -> Journal | None:
    if options.again:
        return None
    place = journal_path(options.state_dir, path, server, facts.sheet)
    return Journal(place, ignores_finished=options.on_duplicate is OnDuplicate.UPDATE)


@dataclass
class _Look:
    client: AsyncClient | None
    options: ImportOptions
    check: FileCheck
    journal: Journal | None
    seen: set[int] = field(default_factory=set)
    """Hashes of the rows so far, shortened: two of a million rows meet by chance once in thirty million files."""

    async def at(self, chunk: Chunk) -> None:
        """Count what would become of these rows."""
        self._reject(chunk.rejects)
        rows = [row for row in chunk.rows if not (self.journal and self.journal.has(row))]
        self.check.earlier += len(chunk.rows) - len(rows)
        rows = rows if self.options.on_duplicate is OnDuplicate.ADD else self._first_ones(rows)
        outcomes = Counter(await self._ask(rows))
        self.check.added += outcomes[RowOutcome.ADDED]
        self.check.updated += outcomes[RowOutcome.UPDATED]
        self.check.skipped += len(chunk.rows) - len(rows) + outcomes[RowOutcome.SKIPPED]

    def _first_ones(self, rows: list[Row]) -> list[Row]:
        new = []
        for row in rows:
            one = int.from_bytes(content_hash(row.conversation.question, row.conversation.answer)[:8])
            if one not in self.seen:
                self.seen.add(one)
                new.append(row)
        return new

    async def _ask(self, rows: list[Row]) -> list[RowOutcome]:
        """Return what the platform would do with these rows, without those that it rejects."""
        options = BulkOptions(on_duplicate=OnDuplicate(self.options.on_duplicate), dry_run=True)
        while rows and self.client is not None and self.check.unasked is None:
            try:
                call = bulk_piece([row.conversation for row in rows], options=options)
                return (await self.client.send(call)).outcomes
            except UnprocessableError as error:
                rejects = refused(rows, error)
                self._reject(rejects)
                rows = without(rows, rejects)
            except (APIConnectionError, RateLimitError, ServerError) as error:
                self.check.unasked = str(error)
        return [RowOutcome.ADDED] * len(rows)

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            self.check.rejected += 1
            if len(self.check.rejects) < SHOWN_REJECTS:
                self.check.rejects.append((reject.line, reject.reason))
