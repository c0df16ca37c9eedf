"""What Milvus refuses for a moment: searches of words while rows are written, and any while an alias moves.

Milvus Lite counts rows and the rows of each word one after the other. A search of a word that all rows have, between
the two, is refused now and then. Here a server in front of the real one refuses at the moment that a test chooses.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from rag_api.settings import Settings

UNCLEAR = 2000
UNEXPECTED = 65535
ABSENT = 100
LOOK = "DescribeCollection"
SEARCHES = ("HybridSearch", "Search")


@dataclass
class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    """Passes calls on, but for as many of each kind of search as are to be refused."""

    channel: grpc.aio.Channel
    refused: dict[str, int] = field(default_factory=dict)
    code: int = UNCLEAR

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]

        async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if self.refused.get(name, 0) > 0:
                self.refused[name] -= 1
                status = common_pb2.Status(code=self.code, error_code=1, reason="Invalid sparse row: negative value")
                kind = milvus_pb2.DescribeCollectionResponse if name == LOOK else milvus_pb2.SearchResults
                return bytes(kind(status=status).SerializeToString())
            passed = await self.channel.unary_unary(details.method)(request)
            return bytes(passed)

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
async def refusing(milvus_uri: str) -> AsyncIterator[tuple[str, Refusing]]:
    """The address of the server in front of Milvus, and what it refuses."""
    async with grpc.aio.insecure_channel(milvus_uri.removeprefix("http://")) as channel:
        server, handler = grpc.aio.server(), Refusing(channel)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        yield f"http://127.0.0.1:{port}", handler
        await server.stop(grace=None)


@pytest.mark.parametrize(("refused", "code"), [*((name, UNCLEAR) for name in SEARCHES), ("HybridSearch", UNEXPECTED)])
@pytest.mark.parametrize("body", [{}, {"mode": "keyword"}, {"explain": True}], ids=str)
async def test_a_search_that_is_refused_for_a_moment_finds_what_it_finds_otherwise(
    refusing: tuple[str, Refusing],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
    body: dict[str, Any],
    refused: str,
    code: int,
) -> None:
    uri, handler = refusing
    await index([conversation(key, f"How do I fall asleep at {key}?") for key in (1, 2, 3)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        whole = await client.post("/api/v1/search", json={"query": "fall asleep", **body})
        handler.refused, handler.code = {refused: 2}, code
        found = await client.post("/api/v1/search", json={"query": "fall asleep", **body})

    assert (whole.status_code, found.status_code) == (200, 200), found.text
    assert whole.json()["total_hits"] == 3
    assert found.json() == whole.json()
    assert handler.refused[refused] == (2 if (refused, body.get("mode")) == ("HybridSearch", "keyword") else 0)


async def test_a_search_that_is_refused_again_and_again_says_that_the_index_cannot_be_used(
    refusing: tuple[str, Refusing],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
) -> None:
    uri, handler = refusing
    await index([conversation(1)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        handler.refused = {"HybridSearch": 1000}
        refused = await client.post("/api/v1/search", json={"query": "fall asleep"})
        handler.refused = {}
        found = await client.post("/api/v1/search", json={"query": "fall asleep"})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert "Milvus" in refused.json()["detail"]
    assert [hit["id"] for hit in found.json()["hits"]] == [1]


async def test_a_collection_that_was_there_and_is_not_for_a_moment_is_looked_for_again(
    refusing: tuple[str, Refusing],
    settings: Settings,
    running: RunApp,
    index: WriteIndex,
    conversation: MakeConversation,
) -> None:
    """As when a server's first rebuild has renamed it and has not given its name to the new one yet."""
    uri, handler = refusing
    await index([conversation(key) for key in (1, 2)])
    milvus = settings.milvus.model_copy(update={"uri": uri})
    async with running(settings.model_copy(update={"milvus": milvus})) as client:
        whole = await client.post("/api/v1/search", json={"query": "fall asleep"})
        # The search, the look whether it is being built in place, and three looks for itself.
        handler.code, handler.refused = ABSENT, {"HybridSearch": 1, LOOK: 4}
        found = await client.post("/api/v1/search", json={"query": "fall asleep"})

    assert whole.json()["total_hits"] > 0
    assert found.json() == whole.json()
    assert handler.refused == {"HybridSearch": 0, LOOK: 0}
