"""Import a file of conversations: streamed, in bulk requests, resumable. No terminal output.

The formats are those of `mh_common.formats`: CSV, JSON, Parquet and Excel workbooks, recognised by their content.

Importing the same file into the same server again adds nothing twice: finished batches are recorded in a journal on
disk, and a batch interrupted between the server's commit and the journal is sent again with the same Idempotency-Key,
which the server stores for 24 hours. If the file's content changes, its rows count as new. Duplicate rows in one file
are all imported.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mh_common.formats import Facts, Reader, Reject
from mh_common.models import MAX_BULK_ROWS, ConversationStats, IndexStatus

from mh_client._client import AsyncClient
from mh_client._errors import ImportRefusedError, UnprocessableError
from mh_client._import_check import FileCheck, check_file
from mh_client._import_journal import Journal, Plan, journal_path
from mh_client._import_options import DEFAULT_BATCH_ROWS, DEFAULT_CONCURRENCY, ImportOptions
from mh_client._import_rows import Labeller, Row, conversations, opened
from mh_client._rejects import RejectsFile
from mh_client.resources._bulk import bulk_piece

__all__ = [
    "BATCH_BYTES",
    "DEFAULT_BATCH_ROWS",
    "DEFAULT_CONCURRENCY",
    "FileCheck",
    "ImportOptions",
    "ImportProgress",
    "check_file",
    "import_file",
    "wait_until_indexed",
]

BATCH_BYTES: Final = 4_000_000
"""Maximum size of the texts in one request, in UTF-8; a single row may be larger."""


@dataclass
class ImportProgress:
    """Progress of an import. `skipped` rows were stored by an earlier run. Bytes are those of the file.

    `facts` says how the file is read, and at the end what only the whole file showed.
    """

    total_bytes: int
    facts: Facts
    done_bytes: int = 0
    imported: int = 0
    skipped: int = 0
    rejected: int = 0
    rejects: Path | None = None


@dataclass(frozen=True)
class _Chunk:
    """The rows of one request, and the rejects read in between."""

    rows: list[Row]
    rejects: list[Reject]
    read_bytes: int


async def import_file(
    client: AsyncClient,
    path: Path,
    options: ImportOptions | None = None,
    on_progress: Callable[[ImportProgress], None] = lambda progress: None,
) -> ImportProgress:
    """Import a file of conversations and return the counts. `on_progress` is first called before anything is sent.

    Invalid rows are written to `<file>.rejects.csv`. Memory is bounded by `concurrency` batches. After an interruption
    at any point, the same call resumes the import.

    Raises ImportRefusedError if the file or the options cannot be used, and otherwise MHError like every call.
    """
    options = options or ImportOptions()
    try:
        return await _import(client, path, options, on_progress)
    except OSError as error:
        raise ImportRefusedError(f"{error.filename or path}: {error.strerror or error}") from error


async def _import(
    client: AsyncClient, path: Path, options: ImportOptions, on_progress: Callable[[ImportProgress], None]
) -> ImportProgress:
    with opened(path, options.read, options.labeller) as reader:
        journal, plan = await asyncio.to_thread(_prepare, client.base_url, path, options, reader.facts)
        progress = ImportProgress((await asyncio.to_thread(path.stat)).st_size, reader.facts)
        on_progress(progress)
        with RejectsFile(options.rejects or path.with_name(f"{path.name}.rejects.csv"), reader.header) as rejects:
            run = _Run(client, journal, rejects, progress, on_progress)
            await _send_all(run, _chunks(reader, options.labeller, plan.batch_rows), options.concurrency)
    journal.complete()
    progress.rejects = rejects.path if progress.rejected else None
    return progress


def _prepare(server: str, path: Path, options: ImportOptions, facts: Facts) -> tuple[Journal, Plan]:
    """Open the journal of this file and record the start of a run with the returned plan."""
    place = journal_path(options.state_dir, path, options.platform or server, facts.sheet)
    if options.again:
        place.unlink(missing_ok=True)
    journal = Journal(place)
    plan = _plan(options, journal)
    if journal.finished and journal.finished.reading != plan.reading:
        facts.notes.append(
            "This file was imported before and read with other options. What was stored then is skipped and stays as "
            "it is; to read it anew, delete it on the platform and use --again."
        )
    journal.begin(plan)
    return journal, plan


def _plan(options: ImportOptions, journal: Journal) -> Plan:
    """Return this run's plan. An interrupted run is resumed with its own plan, so that its batches are the same."""
    plan = options.plan()
    unfinished = journal.unfinished
    if unfinished is None:
        return plan
    # Only the size of the batches may differ: with other options the same rows would have another content.
    if unfinished != replace(plan, batch_rows=unfinished.batch_rows):
        raise ImportRefusedError(
            f"an import of this file {unfinished.told()} was interrupted; finish it that way first, or use --again, "
            "which may add rows twice"
        )
    return unfinished


def _chunks(reader: Reader, labeller: Labeller | None, batch_rows: int) -> Iterator[_Chunk]:
    """Split the file into requests, always at the same places for the same file and `batch_rows`."""
    rows: list[Row] = []
    rejects: list[Reject] = []
    size = position = 0
    for record in conversations(reader, labeller):
        if isinstance(record, Reject):
            rejects.append(record)
            if len(rejects) == MAX_BULK_ROWS:
                yield _Chunk([], rejects, 0)
                rejects = []
            continue
        text = _text_bytes(record)
        if rows and (len(rows) == batch_rows or size + text > BATCH_BYTES):
            yield _Chunk(rows, rejects, reader.position - position)
            rows, rejects, size, position = [], [], 0, reader.position
        rows.append(record)
        size += text
    yield _Chunk(rows, rejects, reader.position - position)


def _text_bytes(row: Row) -> int:
    return sum(len(value.encode()) for _, value in row.conversation if isinstance(value, str))


async def _send_all(run: "_Run", chunks: Iterator[_Chunk], concurrency: int) -> None:
    """Send the chunks, `concurrency` at a time. The first error cancels the others and is raised."""
    free = asyncio.Semaphore(concurrency)
    try:
        async with asyncio.TaskGroup() as sending:
            # In a thread, so that reading and labelling a batch does not block the other requests.
            while chunk := await asyncio.to_thread(next, chunks, None):
                await free.acquire()
                sending.create_task(run.send(chunk)).add_done_callback(lambda _: free.release())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


@dataclass
class _Run:
    client: AsyncClient
    journal: Journal
    rejects: RejectsFile
    progress: ImportProgress
    on_progress: Callable[[ImportProgress], None]

    async def send(self, chunk: _Chunk) -> None:
        """Store the chunk's rows, except those that an earlier run stored and those that the server rejects."""
        self._reject(chunk.rejects)
        rows = [row for row in chunk.rows if not self.journal.has(row)]
        self.progress.skipped += len(chunk.rows) - len(rows)
        while rows:
            key = self.journal.key(rows)
            try:
                await self.client.send(bulk_piece([row.conversation for row in rows], idempotency_key=key))
            except UnprocessableError as error:
                rows = self._without_refused(rows, error)
                continue
            self.journal.add(key, rows)
            self.progress.imported += len(rows)
            break
        self.progress.done_bytes += chunk.read_bytes
        self.on_progress(self.progress)

    def _without_refused(self, rows: list[Row], error: UnprocessableError) -> list[Row]:
        """Reject the rows that the server names and return the others. Raises `error` if it names none."""
        reasons: dict[int, list[str]] = {}
        for fault in (error.problem and error.problem.errors) or ():
            if fault.row is not None and 0 <= fault.row < len(rows):
                field_name = fault.field.rpartition(".")[2]
                reasons.setdefault(fault.row, []).append(f"{field_name}: {fault.message}")
        if not reasons:
            raise error
        refused = ((rows[at], "; ".join(found)) for at, found in sorted(reasons.items()))
        self._reject(Reject(row.number, row.line, reason, row.cells) for row, reason in refused)
        return [row for at, row in enumerate(rows) if at not in reasons]

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            self.rejects.add(reject)
            self.progress.rejected += 1


async def wait_until_indexed(
    client: AsyncClient,
    on_progress: Callable[[ConversationStats], None] = lambda stats: None,
    *,
    poll_seconds: float = 1.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> ConversationStats:
    """Return the counts once no conversation is pending; failed ones are not retried.

    There is no timeout: `on_progress` is called with every count and may raise to stop waiting.
    """
    while True:
        stats = await client.conversations.stats()
        on_progress(stats)
        if not stats.index_status[IndexStatus.PENDING]:
            return stats
        await sleep(poll_seconds)
