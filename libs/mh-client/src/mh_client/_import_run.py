"""`mh import` around the import itself: progress, waiting for the index, hints."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mh_common.models import ConversationStats, IndexStatus
from mh_common.wording import counted

from mh_client._cli_client import open_async_client
from mh_client._client import AsyncClient
from mh_client._errors import APIConnectionError, AuthenticationError, RateLimitError, ServerError
from mh_client._import_facts import FactsShown
from mh_client._import_identifiers import describe
from mh_client._terminal import print_error, progress_reporter
from mh_client.importing import (
    FileCheck,
    ImportOptions,
    ImportProgress,
    check_file,
    import_file,
    wait_until_indexed,
)

MAX_RETRIES: Final = 6
"""Enough to survive a restart of the server: about half a minute."""

STALL_WARNING_SECONDS: Final = 60.0


async def import_with_progress(url: str | None, file: Path, options: ImportOptions, *, wait: bool) -> ImportProgress:
    """Import the file and, with `wait`, return only when no conversation is pending in the index.

    If the import is interrupted, print how to resume it and raise the error.
    """
    async with open_async_client(url, max_retries=1) as client:
        # Fail fast on a wrong URL, instead of after all the retries of a running import.
        await client.conversations.list(limit=1)
    async with open_async_client(url, max_retries=MAX_RETRIES) as client:
        try:
            done = await _import(client, file, options)
        except (APIConnectionError, AuthenticationError, RateLimitError, ServerError, asyncio.CancelledError):
            print_error("mh: the import was interrupted. Progress is saved: run the same command again to resume.")
            raise
        if done.earlier and not (done.added or done.updated):
            await _hint_at_again(client, done)
        if wait:
            await _wait(client)
    return done


async def _import(client: AsyncClient, file: Path, options: ImportOptions) -> ImportProgress:
    started = time.monotonic()
    told = FactsShown()
    with progress_reporter(file.name) as show:

        def on_progress(progress: ImportProgress) -> None:
            _tell(file, told.lines(progress.facts))
            sent = progress.added + progress.updated + progress.skipped - progress.earlier
            speed = sent / max(time.monotonic() - started, 0.001)
            text = f"{counted(progress.added, 'row')} added, {progress.rejected:,} rejected, {speed:,.0f} rows/s"
            for count, what in (
                (progress.updated, "updated"),
                (progress.skipped - progress.earlier, "skipped"),
                (progress.earlier, "imported earlier"),
            ):
                text += f", {count:,} {what}" if count else ""
            show(progress.done_bytes, progress.total_bytes, text)

        done = await import_file(client, file, options, on_progress)
    _tell(file, told.lines(done.facts, is_end=True))
    if done.identifiers and (warning := describe(done.identifiers, options.identifiers)):
        _tell(file, [warning])
    return done


async def check_with_progress(url: str | None, file: Path, options: ImportOptions) -> FileCheck:
    """Return what an import of the file would do, showing progress. Say how many rows seem to name people."""
    total = await asyncio.to_thread(lambda: file.stat().st_size if file.is_file() else 0)
    async with open_async_client(url, max_retries=1) as client:
        with progress_reporter(file.name) as show:
            check = await check_file(
                client, file, options, lambda done, check: show(done, total, f"{counted(check.rows, 'row')} read")
            )
    if check.identifiers and (warning := describe(check.identifiers, options.identifiers)):
        _tell(file, [warning])
    return check


def _tell(file: Path, lines: Sequence[str]) -> None:
    for line in lines:
        print_error(f"{file.name}: {line}")


async def _hint_at_again(client: AsyncClient, done: ImportProgress) -> None:
    total = (await client.conversations.stats()).total
    if total < done.earlier:
        print_error(
            f"mh: {counted(done.earlier, 'row')} of this file "
            f"{'was' if done.earlier == 1 else 'were'} imported earlier, but the platform has only "
            f"{counted(total, 'conversation')}. If its data was deleted, import the file with --again."
        )


async def _wait(client: AsyncClient) -> None:
    pending_before = -1
    moved = time.monotonic()

    with progress_reporter("search index") as show:

        def on_progress(stats: ConversationStats) -> None:
            nonlocal pending_before, moved
            pending, failed = stats.index_status[IndexStatus.PENDING], stats.index_status[IndexStatus.FAILED]
            text = f"{stats.total - pending:,} of {counted(stats.total, 'row')}"
            show(stats.total - pending, stats.total, f"{text}, {failed:,} failed" if failed else text)
            if pending != pending_before:
                pending_before, moved = pending, time.monotonic()
            elif time.monotonic() - moved > STALL_WARNING_SECONDS:
                print_error(
                    "mh: the index is making no progress; is the indexer worker running? Still waiting; Ctrl-C stops."
                )
                moved = time.monotonic()

        await wait_until_indexed(client, on_progress)
