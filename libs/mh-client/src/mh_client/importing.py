"""Import a CSV or JSON Lines file of conversations: streamed, in bulk requests, repeatable. No terminal here.

A second run of the same file against the same server adds nothing twice: finished batches stand in a journal on disk,
and one that was cut off between the server's commit and the journal is sent again under its old Idempotency-Key, which
the server remembers for 24 hours. The same rows in a file whose content changed are new rows, and so are two equal rows
in one file: they are the user's data.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from mh_common.models import MAX_BULK_ROWS, ConversationStats, IndexStatus

from mh_client._client import AsyncClient
from mh_client._csv_rows import Labeller, Reject, Row, RowReader
from mh_client._errors import ImportRefusedError, UnprocessableError
from mh_client._import_journal import Journal, Plan, default_state_dir, journal_path
from mh_client._jsonl_rows import JsonLinesReader
from mh_client._rejects import RejectsFile

DEFAULT_BATCH_ROWS: Final = 500
DEFAULT_CONCURRENCY: Final = 4
JSON_LINES: Final = (".jsonl", ".ndjson")
BATCH_BYTES: Final = 4_000_000
"""Most text in one request (UTF-8), but for a single row that is longer."""


@dataclass(frozen=True)
class ImportOptions:
    """How to import. `labeller` gives missing sentiments; `again` forgets what earlier runs of the file have done.

    `platform` names the platform in the journal. Without it that is its address, so that the same platform at another
    address is another one.
    """

    batch_rows: int = DEFAULT_BATCH_ROWS
    concurrency: int = DEFAULT_CONCURRENCY
    labeller: Labeller | None = None
    again: bool = False
    state_dir: Path = field(default_factory=default_state_dir)
    platform: str | None = None
    rejects: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch_rows <= MAX_BULK_ROWS:
            raise ImportRefusedError(f"the batch size must be 1 to {MAX_BULK_ROWS}")
        if self.concurrency < 1:
            raise ImportRefusedError("the concurrency must be at least 1")


@dataclass
class ImportProgress:
    """How far an import is. `skipped` rows were stored by an earlier run. Bytes are those of the file."""

    total_bytes: int
    done_bytes: int = 0
    imported: int = 0
    skipped: int = 0
    rejected: int = 0
    rejects: Path | None = None


@dataclass(frozen=True)
class _Chunk:
    """Rows that make one request, and what else was read on the way."""

    rows: list[Row]
    rejects: list[Reject]
    read_bytes: int


async def import_file(
    client: AsyncClient,
    path: Path,
    options: ImportOptions | None = None,
    on_progress: Callable[[ImportProgress], None] = lambda progress: None,
) -> ImportProgress:
    """Import a CSV file, or one of JSON Lines (`.jsonl`), and return the counts.

    Rows that cannot be imported go to `<file>.rejects.csv`.

    Memory is bounded by `concurrency` batches. Cut off at any point, the same call goes on where it stopped.
    Raises ImportRefusedError when the file or the options cannot be used, and otherwise MHError as every call.
    """
    options = options or ImportOptions()
    try:
        return await _import(client, path, options, on_progress)
    except OSError as error:
        raise ImportRefusedError(f"{error.filename or path}: {error.strerror or error}") from error


async def _import(
    client: AsyncClient, path: Path, options: ImportOptions, on_progress: Callable[[ImportProgress], None]
) -> ImportProgress:
    with _open(path) as file:
        reader = _reader(path, file, options.labeller)
        journal, plan = await asyncio.to_thread(_prepare, client.base_url, path, options)
        progress = ImportProgress(total_bytes=os.fstat(file.fileno()).st_size)
        with RejectsFile(options.rejects or path.with_name(f"{path.name}.rejects.csv"), reader.header) as rejects:
            run = _Run(client, journal, rejects, progress, on_progress)
            await _send_all(run, _chunks(reader, plan.batch_rows), options.concurrency)
    journal.complete()
    progress.rejects = rejects.path if progress.rejected else None
    return progress


def _reader(path: Path, file: BinaryIO, labeller: Labeller | None) -> RowReader | JsonLinesReader:
    return (JsonLinesReader if path.suffix.lower() in JSON_LINES else RowReader)(file, labeller)


def _open(path: Path) -> BinaryIO:
    # A pipe cannot be read twice: once for the journal's name, once for the rows.
    if not path.is_file():
        raise ImportRefusedError(f"{path}: {'is not a regular file' if path.exists() else 'there is no such file'}")
    return path.open("rb")


def _prepare(server: str, path: Path, options: ImportOptions) -> tuple[Journal, Plan]:
    """Open the journal of this file and note there that a run begins, under the plan that is returned."""
    place = journal_path(options.state_dir, path, options.platform or server)
    if options.again:
        place.unlink(missing_ok=True)
    journal = Journal(place)
    plan = _plan(options, journal)
    journal.begin(plan)
    return journal, plan


def _plan(options: ImportOptions, journal: Journal) -> Plan:
    """Return this run's plan. A run that was cut off is finished under its own, so that its batches are the same."""
    plan = Plan(options.batch_rows, label_missing=options.labeller is not None)
    unfinished = journal.unfinished
    if unfinished is None:
        return plan
    if unfinished.label_missing != plan.label_missing:
        how = "with" if unfinished.label_missing else "without"
        raise ImportRefusedError(f"an import of this file {how} labelling was cut off; finish it that way first")
    return unfinished


def _chunks(reader: RowReader | JsonLinesReader, batch_rows: int) -> Iterator[_Chunk]:
    """Cut the file into requests: the same cuts for the same file and `batch_rows`, whatever was done before."""
    rows: list[Row] = []
    rejects: list[Reject] = []
    size = position = 0
    for record in reader:
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
    """Send the chunks, so many at a time. The first error ends the others, and is raised as it is."""
    free = asyncio.Semaphore(concurrency)
    try:
        async with asyncio.TaskGroup() as sending:
            # In a thread: reading and labelling a batch must not hold up answers to the others.
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
        """Store the chunk's rows, but for those that an earlier run stored and those that the server refuses."""
        self._reject(chunk.rejects)
        rows = [row for row in chunk.rows if not self.journal.has(row)]
        self.progress.skipped += len(chunk.rows) - len(rows)
        while rows:
            key = self.journal.key(rows)
            try:
                await self.client.conversations.bulk_create([row.conversation for row in rows], idempotency_key=key)
            except UnprocessableError as error:
                rows = self._without_refused(rows, error)
                continue
            self.journal.add(key, rows)
            self.progress.imported += len(rows)
            break
        self.progress.done_bytes += chunk.read_bytes
        self.on_progress(self.progress)

    def _without_refused(self, rows: list[Row], error: UnprocessableError) -> list[Row]:
        """Reject the rows that the server named and return the others. Raises the error again when it names none."""
        reasons: dict[int, list[str]] = {}
        for fault in (error.problem and error.problem.errors) or ():
            if fault.row is not None and 0 <= fault.row < len(rows):
                field_name = fault.field.rpartition(".")[2]
                reasons.setdefault(fault.row, []).append(f"{field_name}: {fault.message}")
        if not reasons:
            raise error
        self._reject(Reject(rows[at].line, "; ".join(found), rows[at].cells) for at, found in sorted(reasons.items()))
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
    """Return the counts once no conversation waits for the index any more; those that failed stay failed.

    Waits without limit: `on_progress` sees every count and may raise to end it.
    """
    while True:
        stats = await client.conversations.stats()
        on_progress(stats)
        if not stats.index_status[IndexStatus.PENDING]:
            return stats
        await sleep(poll_seconds)
