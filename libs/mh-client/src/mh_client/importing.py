"""Import a file of conversations: streamed, in bulk requests, resumable. No terminal output.

The formats are those of `mh_common.formats`: CSV, JSON, Parquet and Excel workbooks, recognised by their content.

A conversation that the platform has already, with the same question and answer, is skipped unless the options say
otherwise. Besides, finished batches are recorded in a journal on disk, by the content of the file: what an import of it
stored is not sent again, and a batch interrupted between the server's commit and the journal is sent again with the
same Idempotency-Key, which the server stores for 24 hours.

What an import adds carries its tag, and `client.conversations.undo_import(tag)` takes it back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mh_common.formats import Facts, Reject
from mh_common.models import BulkCreated, BulkOptions, ConversationStats, IndexStatus, OnDuplicate, RowOutcome

from mh_client._client import AsyncClient
from mh_client._errors import ImportRefusedError, UnprocessableError
from mh_client._import_check import FileCheck, check_file
from mh_client._import_chunks import BATCH_BYTES, Chunk, chunks, refused, without
from mh_client._import_identifiers import IdentifierCheck, IdentifierCounts
from mh_client._import_journal import Journal, Plan, forget_import, journal_path
from mh_client._import_options import DEFAULT_BATCH_ROWS, DEFAULT_CONCURRENCY, ImportOptions, make_tag
from mh_client._import_rows import opened
from mh_client._rejects import RejectsFile
from mh_client.resources._bulk import bulk_piece

__all__ = [
    "BATCH_BYTES",
    "DEFAULT_BATCH_ROWS",
    "DEFAULT_CONCURRENCY",
    "FileCheck",
    "IdentifierCounts",
    "ImportOptions",
    "ImportProgress",
    "check_file",
    "forget_import",
    "import_file",
    "wait_until_indexed",
]


@dataclass
class ImportProgress:
    """Progress of an import. Bytes are those of the file.

    `facts` says how the file is read, and at the end what only the whole file showed.

    Attributes:
        tag: carried by the conversations that are added.
        added: rows that made a new conversation.
        updated: rows that changed one that was there.
        skipped: rows that were there already; of these an earlier run stored the `earlier`, as its journal says.
        rejected: rows that cannot be stored, of which `rejects` is the file.
        identifiers: what was recognised in the rows read so far, with `ImportOptions.recognizer`.
    """

    total_bytes: int
    facts: Facts
    tag: str | None = None
    done_bytes: int = 0
    added: int = 0
    updated: int = 0
    skipped: int = 0
    earlier: int = 0
    rejected: int = 0
    rejects: Path | None = None
    identifiers: IdentifierCounts | None = None

    def count(self, outcomes: Iterable[RowOutcome]) -> None:
        """Count what became of rows that were sent."""
        for outcome in outcomes:
            if outcome is RowOutcome.ADDED:
                self.added += 1
            elif outcome is RowOutcome.UPDATED:
                self.updated += 1
            else:
                self.skipped += 1


async def import_file(
    client: AsyncClient,
    path: Path,
    options: ImportOptions | None = None,
    on_progress: Callable[[ImportProgress], None] = lambda progress: None,
) -> ImportProgress:
    """Import a file of conversations and return the counts. `on_progress` is first called before anything is sent.

    Invalid rows are written to `<file>.rejects.csv`. Memory is bounded by `concurrency` batches. After an interruption
    at any point, the same call resumes the import, with its tag.

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
    identifiers = IdentifierCheck(options.recognizer, options.identifiers)
    with opened(path, options.read, options.labeller) as reader, identifiers:
        journal, plan = await asyncio.to_thread(_prepare, client.base_url, path, options, reader.facts)
        size = (await asyncio.to_thread(path.stat)).st_size
        progress = ImportProgress(size, reader.facts, plan.tag, identifiers=identifiers.counts)
        on_progress(progress)
        with RejectsFile(options.rejects or path.with_name(f"{path.name}.rejects.csv"), reader.header) as rejects:
            run = _Run(client, journal, plan, rejects, progress, on_progress)
            # Of rows that are the same in the file, the last one shall decide.
            concurrency = 1 if plan.on_duplicate == OnDuplicate.UPDATE else options.concurrency
            parts = identifiers.watch(chunks(reader, options.labeller, plan.batch_rows))
            await _send_all(run, parts, concurrency)
    journal.complete()
    progress.rejects = rejects.path if progress.rejected else None
    return progress


def _prepare(server: str, path: Path, options: ImportOptions, facts: Facts) -> tuple[Journal, Plan]:
    """Open the journal of this file and record the start of a run with the returned plan."""
    place = journal_path(options.state_dir, path, options.platform or server, facts.sheet)
    if options.again:
        place.unlink(missing_ok=True)
    journal = Journal(place, ignores_finished=options.on_duplicate is OnDuplicate.UPDATE)
    plan = _plan(options, journal, path)
    if journal.finished and journal.finished.reading != plan.reading and options.on_duplicate is not OnDuplicate.UPDATE:
        facts.notes.append(
            "This file was imported before and read with other options. What was stored then is skipped and stays as "
            "it is; to read it anew, use --on-duplicate update, or delete it on the platform and use --again."
        )
    journal.begin(plan)
    return journal, plan


def _plan(options: ImportOptions, journal: Journal, path: Path) -> Plan:
    """Return this run's plan. An interrupted run is resumed with its own plan, so that its batches are the same."""
    wanted = options.plan()
    before = journal.unfinished
    if before is None:
        return replace(wanted, tag=wanted.tag or make_tag(path.name))
    if before.tag is not None and wanted.tag not in (None, before.tag):
        raise ImportRefusedError(
            f"an import of this file with the tag {before.tag} was interrupted; finish it without --tag, or use --again"
        )
    # Only the size of the batches may differ: with other options the same rows would have another content.
    same = replace(wanted, batch_rows=before.batch_rows, tag=before.tag)
    if same == before:
        return before
    if options.on_duplicate is OnDuplicate.SKIP and replace(same, on_duplicate=before.on_duplicate) == before:
        # What the interrupted run stored without noting it is there, and is skipped.
        return replace(wanted, tag=before.tag or wanted.tag or make_tag(path.name))
    twice = "" if options.on_duplicate is OnDuplicate.SKIP else ", which may add rows twice"
    raise ImportRefusedError(
        f"an import of this file {before.told()} was interrupted; finish it that way first, or use --again{twice}"
    )


async def _send_all(run: "_Run", chunks: Iterator[Chunk], concurrency: int) -> None:
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
    plan: Plan
    rejects: RejectsFile
    progress: ImportProgress
    on_progress: Callable[[ImportProgress], None]

    async def send(self, chunk: Chunk) -> None:
        """Store the chunk's rows, except those that an earlier run stored and those that the server rejects."""
        self._reject(chunk.rejects)
        rows = [row for row in chunk.rows if not self.journal.has(row)]
        self.progress.earlier += len(chunk.rows) - len(rows)
        self.progress.skipped += len(chunk.rows) - len(rows)
        options = BulkOptions(on_duplicate=OnDuplicate(self.plan.on_duplicate), import_tag=self.plan.tag)
        while rows:
            key = self.journal.key(rows, self.plan)
            items = [row.conversation for row in rows]
            try:
                stored: BulkCreated = await self.client.send(bulk_piece(items, idempotency_key=key, options=options))
            except UnprocessableError as error:
                rejects = refused(rows, error)
                self._reject(rejects)
                rows = without(rows, rejects)
                continue
            self.journal.add(key, rows)
            self.progress.count(stored.outcomes or [RowOutcome.ADDED] * len(rows))
            break
        self.progress.done_bytes += chunk.read_bytes
        self.on_progress(self.progress)

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
