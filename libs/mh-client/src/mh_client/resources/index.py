"""The vector index: its state, indexing conversations again, and the runs that reconcile or rebuild it."""

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
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/index"

RETRY_READ_TIMEOUT: Final = 300.0
"""Seconds; the time to queue all failed conversations grows with their number."""


def summary() -> Call[IndexSummary]:
    """Return the state of the index for the whole data set."""
    return Call(method="GET", path=f"{PATH}/summary", parse=IndexSummary.model_validate_json)


def failures(cursor: str | None = None, limit: int | None = None) -> Call[IndexFailurePage]:
    """Return one page (`limit` 1 to 200, default 50) of the conversations that could not be indexed, by id."""
    return Call(
        method="GET",
        path=f"{PATH}/failures",
        params=query_params({"cursor": cursor, "limit": limit}),
        parse=IndexFailurePage.model_validate_json,
    )


def reindex(conversation_id: int) -> Call[IndexState]:
    """Queue a conversation to be indexed again; return its state, now pending. Raises NotFoundError."""
    return Call(
        method="POST",
        path=f"/api/v1/conversations/{conversation_id:d}/reindex",
        parse=IndexState.model_validate_json,
    )


def retry() -> Call[IndexQueued]:
    """Queue all conversations that could not be indexed. Waits up to 300 s; can be repeated after a timeout."""
    return Call(
        method="POST",
        path=f"{PATH}/retry",
        parse=IndexQueued.model_validate_json,
        read_timeout=RETRY_READ_TIMEOUT,
    )


def queue(ids: Sequence[int]) -> Call[IndexQueued]:
    """Queue 1 to 1000 conversations to be indexed again or, if they do not exist, deleted from the index."""
    return Call(
        method="POST",
        path=f"{PATH}/queue",
        content=validated(IndexQueue, {"ids": ids}).model_dump_json().encode(),
        parse=IndexQueued.model_validate_json,
    )


def sync(since: datetime | None = None, force: bool = False) -> Call[IndexRun]:
    """Request a run that compares the index with the conversations and queues the differences.

    `since` (timezone-aware) limits it to conversations changed at or after that time; `force` queues all conversations
    compared. If the same run is already queued, it is returned.
    """
    return Call(
        method="POST",
        path=f"{PATH}/sync",
        content=validated(IndexSyncRequest, {"since": since, "force": force}).model_dump_json().encode(),
        parse=IndexRun.model_validate_json,
    )


def rebuild() -> Call[IndexRun]:
    """Request a run that rebuilds the index from the conversations, unless one is already queued."""
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

    summary = sync_method(summary)
    failures = sync_method(failures)
    reindex = sync_method(reindex)
    retry = sync_method(retry)
    queue = sync_method(queue)
    sync = sync_method(sync)
    rebuild = sync_method(rebuild)
    runs = sync_method(runs)
    run = sync_method(run)

    def iterate_failures(self) -> Iterator[IndexState]:
        """Iterate over the states of all conversations that could not be indexed, requesting pages as needed."""
        for page in pages(self._sender, failures):
            yield from page.items


class AsyncIndex(AsyncResource):
    """`client.index` of `AsyncClient`."""

    summary = async_method(summary)
    failures = async_method(failures)
    reindex = async_method(reindex)
    retry = async_method(retry)
    queue = async_method(queue)
    sync = async_method(sync)
    rebuild = async_method(rebuild)
    runs = async_method(runs)
    run = async_method(run)

    async def iterate_failures(self) -> AsyncIterator[IndexState]:
        """Iterate over the states of all conversations that could not be indexed, requesting pages as needed."""
        async for page in pages_async(self._sender, failures):
            for state in page.items:
                yield state
