"""The vector index: how far it is, what to index again, and the runs that compare or rebuild it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final

from mh_common.models import (
    IndexFailurePage,
    IndexQueue,
    IndexQueued,
    IndexRun,
    IndexRunList,
    IndexState,
    IndexSummary,
    IndexSyncRequest,
)

from mh_client._base import Call, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, asynchronous
from mh_client.resources._binding import sync as synchronous
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/index"

RETRY_READ_TIMEOUT: Final = 300.0
"""Seconds: queueing everything that failed takes as long as there are failures."""


def summary() -> Call[IndexSummary]:
    """Return how far the index is with the whole data set."""
    return Call(method="GET", path=f"{PATH}/summary", parse=IndexSummary.model_validate_json)


def failures(cursor: str | None = None, limit: int | None = None) -> Call[IndexFailurePage]:
    """Return one page (`limit` 1 to 200, default 50) of the conversations whose indexing failed, by id."""
    return Call(
        method="GET",
        path=f"{PATH}/failures",
        params=query_params({"cursor": cursor, "limit": limit}),
        parse=IndexFailurePage.model_validate_json,
    )


def reindex(conversation_id: int) -> Call[IndexState]:
    """Queue a conversation to be indexed again; returns its state, now pending. Raises NotFoundError."""
    return Call(
        method="POST",
        path=f"/api/v1/conversations/{conversation_id:d}/reindex",
        parse=IndexState.model_validate_json,
    )


def retry() -> Call[IndexQueued]:
    """Queue every conversation whose indexing failed. Waits up to 300 s; a call that was cut off can be repeated."""
    return Call(
        method="POST",
        path=f"{PATH}/retry",
        parse=IndexQueued.model_validate_json,
        read_timeout=RETRY_READ_TIMEOUT,
    )


def queue(ids: Sequence[int]) -> Call[IndexQueued]:
    """Queue 1 to 1000 conversations to be indexed again, and those that do not exist to be deleted from the index."""
    return Call(
        method="POST",
        path=f"{PATH}/queue",
        content=validated(IndexQueue, {"ids": ids}).model_dump_json().encode(),
        parse=IndexQueued.model_validate_json,
    )


def sync(since: datetime | None = None, force: bool = False) -> Call[IndexRun]:
    """Ask for a run that compares the index with the conversations and queues the differences.

    `since` (aware) looks only at conversations changed at or after that time; `force` queues all that it looks at. If
    such a run waits already, that one is returned.
    """
    return Call(
        method="POST",
        path=f"{PATH}/sync",
        content=validated(IndexSyncRequest, {"since": since, "force": force}).model_dump_json().encode(),
        parse=IndexRun.model_validate_json,
    )


def rebuild() -> Call[IndexRun]:
    """Ask for a run that builds the index anew beside the live one and switches; one that waits already is enough."""
    return Call(method="POST", path=f"{PATH}/rebuild", parse=IndexRun.model_validate_json)


def runs(limit: int | None = None) -> Call[list[IndexRun]]:
    """Return the latest runs (`limit` 1 to 200, default 20), newest first."""
    return Call(
        method="GET",
        path=f"{PATH}/runs",
        params=query_params({"limit": limit}),
        parse=lambda body: IndexRunList.model_validate_json(body).items,
    )


def run(run_id: int) -> Call[IndexRun]:
    """Return a run. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/runs/{run_id:d}", parse=IndexRun.model_validate_json)


class Index(Resource):
    """`client.index`."""

    summary = synchronous(summary)
    failures = synchronous(failures)
    reindex = synchronous(reindex)
    retry = synchronous(retry)
    queue = synchronous(queue)
    sync = synchronous(sync)
    rebuild = synchronous(rebuild)
    runs = synchronous(runs)
    run = synchronous(run)

    def iterate_failures(self) -> Iterator[IndexState]:
        """Yield the state of every conversation whose indexing failed, page after page."""
        for page in pages(self._sender, failures):
            yield from page.items


class AsyncIndex(AsyncResource):
    """`client.index` of the AsyncClient."""

    summary = asynchronous(summary)
    failures = asynchronous(failures)
    reindex = asynchronous(reindex)
    retry = asynchronous(retry)
    queue = asynchronous(queue)
    sync = asynchronous(sync)
    rebuild = asynchronous(rebuild)
    runs = asynchronous(runs)
    run = asynchronous(run)

    async def iterate_failures(self) -> AsyncIterator[IndexState]:
        """Yield the state of every conversation whose indexing failed, page after page."""
        async for page in pages_async(self._sender, failures):
            for state in page.items:
                yield state
