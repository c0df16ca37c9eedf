"""Transient Milvus errors: keyword searches while rows are written, and any search while an alias moves.

Milvus Lite counts rows and the rows of each word one after the other; in between, a search for a word that all rows
contain is sometimes rejected. Here a proxy in front of Milvus rejects calls when a test wants it to.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from rag_api.settings import Settings

BM25_REJECTED = 2000
UNEXPECTED = 65535
ABSENT = 100
DESCRIBE = "DescribeCollection"
SEARCHES = ("HybridSearch", "Search")


@dataclass
class FailingProxy(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    """Forwards calls, after rejecting the given number of calls by method name."""

    channel: grpc.aio.Channel
    rejections: dict[str, int] = field(default_factory=dict)
    code: int = BM25_REJECTED

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]

        async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if self.rejections.get(name, 0) > 0:
                self.rejections[name] -= 1
                status = common_pb2.Status(code=self.code, error_code=1, reason="Invalid sparse row: negative value")
                kind = milvus_pb2.DescribeCollectionResponse if name == DESCRIBE else milvus_pb2.SearchResults
                return bytes(kind(status=status).SerializeToString())
            passed = await self.channel.unary_unary(details.method)(request)
            return bytes(passed)

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
async def failing_proxy(milvus_uri: str) -> AsyncIterator[tuple[str, FailingProxy]]:
    """The URL of the proxy in front of Milvus, and its handler."""
    async with grpc.aio.insecure_channel(milvus_uri.removeprefix("http://")) as channel:
        server, handler = grpc.aio.server(), FailingProxy(channel)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        yield f"http://127.0.0.1:{port}", handler
        await server.stop(grace=None)


@pytest.mark.parametrize(
    ("refused", "code"), [*((name, BM25_REJECTED) for name in SEARCHES), ("HybridSearch", UNEXPECTED)]
)
@pytest.mark.parametrize("body", [{}, {"mode": "keyword"}, {"explain": True}], ids=str)
async def test_a_search_is_retried_after_transient_errors(
    failing_proxy: tuple[str, FailingProxy],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
    body: dict[str, Any],
    refused: str,
    code: int,
) -> None:
    uri, handler = failing_proxy
    await index([conversation(key, f"How do I fall asleep at {key}?") for key in (1, 2, 3)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        whole = await client.post("/api/v1/search", json={"query": "fall asleep", **body})
        handler.rejections, handler.code = {refused: 2}, code
        found = await client.post("/api/v1/search", json={"query": "fall asleep", **body})

    assert (whole.status_code, found.status_code) == (200, 200), found.text
    assert whole.json()["total_hits"] == 3
    assert found.json() == whole.json()
    assert handler.rejections[refused] == (2 if (refused, body.get("mode")) == ("HybridSearch", "keyword") else 0)


async def test_persistent_errors_are_reported_as_unavailable(
    failing_proxy: tuple[str, FailingProxy],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
) -> None:
    uri, handler = failing_proxy
    await index([conversation(1)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        handler.rejections = {"HybridSearch": 1000}
        refused = await client.post("/api/v1/search", json={"query": "fall asleep"})
        handler.rejections = {}
        found = await client.post("/api/v1/search", json={"query": "fall asleep"})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert "Milvus" in refused.json()["detail"]
    assert [hit["id"] for hit in found.json()["hits"]] == [1]


async def test_a_collection_missing_for_a_moment_is_looked_up_again(
    failing_proxy: tuple[str, FailingProxy],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
) -> None:
    """As in a server's first rebuild, between renaming the old collection and naming the new one."""
    uri, handler = failing_proxy
    await index([conversation(key) for key in (1, 2)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        whole = await client.post("/api/v1/search", json={"query": "fall asleep"})
        # The search, the check for a rebuild in place, and three lookups of the collection.
        handler.code, handler.rejections = ABSENT, {"HybridSearch": 1, DESCRIBE: 4}
        found = await client.post("/api/v1/search", json={"query": "fall asleep"})

    assert whole.json()["total_hits"] > 0
    assert found.json() == whole.json()
    assert handler.rejections == {"HybridSearch": 0, DESCRIBE: 0}
