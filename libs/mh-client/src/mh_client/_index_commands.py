"""The commands of `mh index`: how far the index is, and what to do when it is not where it should be."""

import time
from itertools import islice
from typing import Annotated, Final

import typer
from mh_common.models import IndexFailurePage, IndexRun, IndexRunStatus, IndexSummary

from mh_client._client import Client
from mh_client._command_parts import INTERRUPTED, REFUSED, AsJson, Time, Url, print_json, print_text
from mh_client._errors import APIConnectionError, RateLimitError, ServerError
from mh_client._terminal import meter, say

POLL_SECONDS: Final = 0.5
STANDSTILL_SECONDS: Final = 180.0
"""Longer than a dead worker's run takes to pass to another one."""

app = typer.Typer(help="Look after the search index.", no_args_is_help=True, rich_markup_mode=None)

Wait = Annotated[bool, typer.Option("--wait", help="Return only when the run is over.")]


@app.command("status")
def _status(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Say how far the index is, what waits, and why indexing failed where it did."""
    with Client(url or ctx.obj) as client:
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
    limit: Annotated[int, typer.Option(min=1, help="Most conversations to list.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List the conversations whose indexing failed, with the reason of each."""
    with Client(url or ctx.obj) as client:
        found = list(islice(client.index.iterate_failures(), limit + 1))
    shown, more = found[:limit], len(found) > limit
    if as_json:
        print_json(IndexFailurePage(items=shown, next_cursor=str(shown[-1].conversation_id) if more else None))
        return
    for state in shown:
        print_text(f"conversation {state.conversation_id}, version {state.version}: {state.reason}")
    print_text("There are more; list them with --limit." if more else f"{len(shown):,} failed.")


@app.command("retry")
def _retry(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Queue every conversation whose indexing failed."""
    with Client(url or ctx.obj) as client:
        done = client.index.retry()
    if as_json:
        print_json(done)
    else:
        print_text(f"{done.queued:,} conversations queued.")


@app.command("sync")
def _sync(
    ctx: typer.Context,
    since: Time = None,
    force: Annotated[bool, typer.Option("--force", help="Index all that it looks at again.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Compare the index with the conversations and repair the differences; `--since` looks at recent changes only."""
    with Client(url or ctx.obj) as client:
        run = client.index.sync(since=since, force=force)
        _finish(client, run, wait, as_json)


@app.command("rebuild")
def _rebuild(ctx: typer.Context, wait: Wait = False, as_json: AsJson = False, url: Url = None) -> None:
    """Build the index anew beside the live one and switch, for example after a change of the embedding model."""
    with Client(url or ctx.obj) as client:
        _finish(client, client.index.rebuild(), wait, as_json)


def _finish(client: Client, run: IndexRun, wait: bool, as_json: bool) -> None:
    try:
        run = _wait(client, run) if wait else run
    except KeyboardInterrupt:
        say(f"mh: run {run.id} goes on without being waited for.")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(run)
    else:
        print_text(_said(run))
    if run.status is IndexRunStatus.FAILED:
        raise typer.Exit(REFUSED)


def _said(run: IndexRun) -> str:
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
    """Show the run until it is over. A platform that is away meanwhile is waited for as well."""
    total = client.index.summary().total
    before, moved = run, time.monotonic()
    with meter(f"{run.kind} run {run.id}") as show:
        while run.status in (IndexRunStatus.QUEUED, IndexRunStatus.RUNNING):
            show(min(run.checked, total), total, _counts(run) if run.started_at else "waits for its turn")
            if run != before:
                before, moved = run, time.monotonic()
            elif time.monotonic() - moved > STANDSTILL_SECONDS:
                say("mh: the run makes no progress; is the indexer worker running? Still waiting, Ctrl-C ends it.")
                moved = time.monotonic()
            time.sleep(POLL_SECONDS)
            run = _look(client, run)
        show(total, total, _counts(run))
    return run


def _look(client: Client, run: IndexRun) -> IndexRun:
    try:
        return client.index.run(run.id)
    except (APIConnectionError, RateLimitError, ServerError):
        return run
