"""The commands of `mh index`: the state of the search index, and repairing it."""

import time
from itertools import islice
from typing import Annotated, Final

import typer
from mh_common.models import IndexFailurePage, IndexRun, IndexRunStatus, IndexSummary
from mh_common.wording import counted

from mh_client._cli_client import open_client
from mh_client._cli_common import EXIT_FAILURE, EXIT_INTERRUPTED, AsJson, Time, Url, print_json, print_text
from mh_client._client import Client
from mh_client._errors import APIConnectionError, RateLimitError, ServerError
from mh_client._terminal import print_error, progress_reporter

POLL_SECONDS: Final = 0.5
STALL_WARNING_SECONDS: Final = 180.0
"""Longer than it takes another worker to take over the run of a dead one."""

app = typer.Typer(help="Inspect and repair the search index.", no_args_is_help=True, rich_markup_mode=None)

Wait = Annotated[bool, typer.Option("--wait", help="Wait until the run has finished.")]


@app.command("status")
def _status(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Show the state of the index: indexed, pending and failed conversations, lag, and reasons for failures."""
    with open_client(url or ctx.obj) as client:
        summary = client.index.summary()
    if as_json:
        print_json(summary)
        return
    for name, value in _rows(summary).items():
        print_text(f"{name:<24}{value:>12}")
    for failure in summary.failures:
        print_text(f"{failure.count:>12,} failed: {failure.reason}")


def _rows(summary: IndexSummary) -> dict[str, str]:
    return {
        "conversations": f"{summary.total:,}",
        "indexed": f"{summary.indexed:,}",
        "pending": f"{summary.pending:,}",
        "failed": f"{summary.failed:,}",
        "lag": f"{summary.lag_seconds:,.1f} s",
        "not yet queued": f"{summary.outbox_depth:,}",
    }


@app.command("failures")
def _failures(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of conversations.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List the conversations that could not be indexed, and why."""
    with open_client(url or ctx.obj) as client:
        found = list(islice(client.index.iterate_failures(), limit + 1))
    shown, more = found[:limit], len(found) > limit
    if as_json:
        print_json(IndexFailurePage(items=shown, next_cursor=str(shown[-1].conversation_id) if more else None))
        return
    for state in shown:
        print_text(f"conversation {state.conversation_id}, version {state.version}: {state.reason}")
    print_text("There are more; raise --limit to list them." if more else f"{len(shown):,} failed.")


@app.command("retry")
def _retry(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Queue all conversations that could not be indexed."""
    with open_client(url or ctx.obj) as client:
        done = client.index.retry()
    if as_json:
        print_json(done)
    else:
        print_text(f"{counted(done.queued, 'conversation')} queued.")


@app.command("sync")
def _sync(
    ctx: typer.Context,
    since: Time = None,
    force: Annotated[
        bool, typer.Option("--force", help="Index every conversation compared, not only the differences.")
    ] = False,
    wait: Wait = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Compare the index with the conversations and repair the differences; `--since` limits it to recent changes."""
    with open_client(url or ctx.obj) as client:
        run = client.index.sync(since=since, force=force)
        _finish(client, run, wait, as_json)


@app.command("rebuild")
def _rebuild(ctx: typer.Context, wait: Wait = False, as_json: AsJson = False, url: Url = None) -> None:
    """Rebuild the index from the conversations, for example after changing the embedding model.

    On a Milvus server, a new index replaces the live one once it is complete; Milvus Lite is rebuilt in place.
    """
    with open_client(url or ctx.obj) as client:
        _finish(client, client.index.rebuild(), wait, as_json)


def _finish(client: Client, run: IndexRun, wait: bool, as_json: bool) -> None:
    try:
        run = _wait(client, run) if wait else run
    except KeyboardInterrupt:
        print_error(f"mh: stopped waiting; run {run.id} continues.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print_json(run)
    else:
        print_text(_describe(run))
    if run.status is IndexRunStatus.FAILED:
        raise typer.Exit(EXIT_FAILURE)


def _describe(run: IndexRun) -> str:
    if run.status is IndexRunStatus.QUEUED:
        return f"Run {run.id} ({run.kind}) is queued."
    if run.status is IndexRunStatus.FAILED:
        return f"Run {run.id} ({run.kind}) failed: {run.reason}"
    return f"Run {run.id} ({run.kind}) is {run.status}: {_counts(run)}"


def _counts(run: IndexRun) -> str:
    return (
        f"{run.checked:,} checked, {run.missing:,} missing, {run.stale:,} stale, {run.orphaned:,} orphaned, "
        f"{run.repaired:,} repaired"
    )


def _wait(client: Client, run: IndexRun) -> IndexRun:
    """Show the progress of a run until it finishes, also across outages of the platform."""
    total = client.index.summary().total
    before, moved = run, time.monotonic()
    with progress_reporter(f"{run.kind} run {run.id}") as show:
        while run.status in (IndexRunStatus.QUEUED, IndexRunStatus.RUNNING):
            show(min(run.checked, total), total, _counts(run) if run.started_at else "waiting for its turn")
            if run != before:
                before, moved = run, time.monotonic()
            elif time.monotonic() - moved > STALL_WARNING_SECONDS:
                print_error(
                    "mh: the run is making no progress; is the indexer worker running? Still waiting; Ctrl-C stops."
                )
                moved = time.monotonic()
            time.sleep(POLL_SECONDS)
            run = _refresh(client, run)
        show(total, total, _counts(run))
    return run


def _refresh(client: Client, run: IndexRun) -> IndexRun:
    try:
        return client.index.run(run.id)
    except (APIConnectionError, RateLimitError, ServerError):
        return run
