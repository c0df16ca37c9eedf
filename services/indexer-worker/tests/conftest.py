"""Fixtures of the worker's tests: its collection dropped, a conversations API that can be made to misbehave."""

from collections.abc import AsyncIterator, Iterator

import pytest
from indexer_worker.repository import make_client
from mh_common.testing.conversations_stub import StubConversations
from mh_common.vector_index import COLLECTION
from pymilvus import AsyncMilvusClient, MilvusClient


@pytest.fixture
def empty_milvus_uri(milvus_uri: str) -> str:
    """Address of a Milvus without our collection."""
    client = MilvusClient(milvus_uri, dedicated=True)
    client.drop_collection(COLLECTION)
    client.close()
    return milvus_uri


@pytest.fixture
async def milvus(empty_milvus_uri: str) -> AsyncIterator[AsyncMilvusClient]:
    client = make_client(empty_milvus_uri, token="", timeout=10)
    yield client
    await client.close()


@pytest.fixture
def conversations() -> Iterator[StubConversations]:
    with StubConversations.running() as stub:
        yield stub
