"""What users of the platform notice while Redis or Milvus is away, and after it is back."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from mh_client import AsyncClient, ConversationCreate, IndexStatus, NotFoundError
from mh_client import ServerError as ServiceError
from mh_devtools import servers
from mh_devtools.stack.server_stack import ServerStack, until_indexed
from mh_devtools.testing.fixtures import ConnectClient
from mh_devtools.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]


class Store:
    """A store that a test may take away."""

    def __init__(self, start: Callable[[], servers.Running]) -> None:
        self._start = start
        self._server = start()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop it; after the block it is back, with what it keeps on disk."""
        self._server.stop()
        try:
            yield
        finally:
            self._server = self._start()

    def stop(self) -> None:
        self._server.stop()


@dataclass(frozen=True)
class Fragile:
    """A platform on stores that can be taken away."""

    stack: ServerStack
    redis: Store
    milvus: Store


@pytest.fixture(scope="module")
def fragile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    mysql_port = request.getfixturevalue("mariadb").port
    if servers.find_redis() is None and os.environ.get("CI") != "true":
        pytest.skip("redis-server is not installed: one of Docker's cannot be taken away")
    folder = tmp_path_factory.mktemp("fragile")
    redis_port, milvus_port = servers.free_port(), servers.free_port()
    stack = ServerStack(
        folder,
        mysql_port=mysql_port,
        database="fragile",
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        milvus_uri=f"http://127.0.0.1:{milvus_port}",
        # Short waits, so that the next attempt follows soon after a store is back.
        RELAY_MAX_BACKOFF="1",
        WORKER_MAX_RETRY_DELAY="1",
        MILVUS_TIMEOUT="3",
    )
    with ExitStack() as cleanup:
        redis = Store(lambda: servers.start_redis(folder / "redis", redis_port))
        cleanup.callback(redis.stop)
        milvus = Store(lambda: servers.start_milvus_lite(folder / "milvus" / "fragile.db", milvus_port))
        cleanup.callback(milvus.stop)
        cleanup.enter_context(stack)
        cleanup.enter_context(stack.worker())
        yield Fragile(stack, redis, milvus)


@pytest.fixture
async def api(fragile: Fragile, connect_emptied: ConnectClient[AsyncClient]) -> AsyncClient:
    return await connect_emptied(fragile.stack.api_url)


@pytest.fixture
async def rag(fragile: Fragile, connect: ConnectClient[AsyncClient]) -> AsyncClient:
    return await connect(fragile.stack.rag_url)


def row(question: str, answer: str = "Let us look at it together.") -> ConversationCreate:
    values: dict[str, Any] = {"question_sentiment": "neutral", "answer_sentiment": "neutral"}
    return ConversationCreate(question=question, answer=answer, **values)


async def test_writes_succeed_without_redis_and_are_indexed_when_it_is_back(
    api: AsyncClient, rag: AsyncClient, fragile: Fragile
) -> None:
    changed, deleted = await api.conversations.bulk_create([row("A lantern in the fog"), row("A bell in the fog")])
    await until_indexed(api)

    with fragile.redis.away():
        single = await api.conversations.create(**row("I am afraid of the lift").model_dump())
        many = await api.conversations.bulk_create([row(f"Worry number {number}") for number in range(100)])
        await api.conversations.update(changed, question="My neighbour plays the trumpet at night")
        await api.conversations.delete(deleted)
        state = await api.conversations.index_state(single.id)
        assert (state.status, state.indexed_version) == (IndexStatus.PENDING, None)
        hits = (await rag.search("a bell in the fog", ids=[changed, deleted, single.id, *many])).hits
        assert hits == []

    await until_indexed(api)
    assert [hit.id for hit in (await rag.search("fear of elevators", limit=1)).hits] == [single.id]
    assert [hit.id for hit in (await rag.search("noisy neighbour", limit=1)).hits] == [changed]
    assert {hit.id for hit in (await rag.search("worry", limit=100, ids=many)).hits} == set(many)
    with pytest.raises(NotFoundError):
        await api.conversations.index_state(deleted)


async def test_without_milvus_search_says_so_and_conversations_go_on(
    api: AsyncClient, rag: AsyncClient, fragile: Fragile
) -> None:
    [known] = await api.conversations.bulk_create([row("My cat hides when visitors come")])
    await until_indexed(api)

    with fragile.milvus.away():
        for ask in (rag.search, rag.answer):
            with pytest.raises(ServiceError) as unavailable:
                await ask("a shy cat")
            assert unavailable.value.status_code == 503
            assert unavailable.value.retry_after
            assert unavailable.value.problem is not None
            assert "vector index (Milvus)" in (unavailable.value.problem.detail or "")
        created = await api.conversations.create(**row("I count every step on the stairs").model_dump())
        changed = await api.conversations.update(known, answer="Give it a high place to watch from.")
        assert (await api.conversations.get(known)).answer == changed.answer
        assert (await api.conversations.list(ids=[known, created.id])).items[1].question == created.question

    await until_indexed(api)

    async def answers_again() -> bool:
        try:
            return bool((await rag.search("a shy cat", ids=[known])).hits)
        except ServiceError:
            return False

    await eventually(answers_again)
    assert (await rag.search("a shy cat", limit=1)).hits[0].answer == changed.answer
    assert (await rag.search("counting steps", limit=1)).hits[0].id == created.id
