"""Run the queries against the platform's search."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mh_common.models import SearchResult

from mh_client._base import Call
from mh_client._client import AsyncClient
from mh_client.evaluation.cases import Case


async def retrieve(
    client: AsyncClient,
    cases: Sequence[Case],
    parameters: Mapping[str, Any],
    concurrency: int,
    advance: Callable[[], object] = lambda: None,
) -> list[list[str]]:
    """Search for each case's query, `concurrency` at a time; return the keys of the hits, in the order of the cases.

    `advance` is called after each query. Raises MHError: the first failure cancels the other queries.
    """
    found: list[list[str]] = [[] for _ in cases]
    waiting = iter(enumerate(cases))

    async def work() -> None:
        for index, case in waiting:
            result = await client._sender.send(_search({**parameters, "query": case.query}))
            found[index] = case.ranked(result.hits)
            advance()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    return found


def _search(body: Mapping[str, Any]) -> Call[SearchResult]:
    # Sent unvalidated, so that parameters unknown to this version of the client reach the server.
    return Call(
        method="POST",
        path="/api/v1/search",
        content=json.dumps(body).encode(),
        parse=SearchResult.model_validate_json,
    )
