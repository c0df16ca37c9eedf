"""IndexService against Milvus Lite, a Milvus server, and a real HTTP server whose rows move at the worst moments."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, VectorStoreError
from indexer_worker.indexing.screening import make_screening
from indexer_worker.indexing.service import MAX_ROUNDS, IndexService
from indexer_worker.indexing.sources.conversations import ConversationSource
from indexer_worker.vector_store.collection import CONVERSATIONS
from indexer_worker.vector_store.repository import MilvusRepository
from mh_client import AsyncClient
from mh_common import vector_index as fields
from mh_common.embeddings import Embedder, EmbedderError, TextUse, VectorLengthError
from mh_common.fields import FoundAdvice, RiskLevel
from mh_common.models import IndexStatus
from mh_common.settings import SafetySettings
from mh_common.units import conversation_unit, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.testing.fixtures import EACH_MILVUS, LITE
from pymilvus import AsyncMilvusClient, MilvusException


class FakeEmbedder:
    """Unit vectors from a hash; fails while `broken` is set.

    Refuses texts with `poison` in them for good, gives texts with `misfit` a vector that fits no collection, and finds
    vectors of the wrong length for texts with `short` or, while `short` is set, for all.
    """

    model = "fake"
    dimension = 8

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.broken: EmbedderError | None = None
        self.short = False

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        self.calls.append(list(texts))
        if self.broken:
            raise self.broken
        if any("poison" in text for text in texts):
            raise EmbedderError("The text was refused", transient=False)
        if self.short or any("short" in text for text in texts):
            raise VectorLengthError("Model fake gave vectors of length 7, expected 8")
        return [self.vector(text)[: 3 if "misfit" in text else None] for text in texts]

    def vector(self, text: str) -> list[float]:
        numbers = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[: self.dimension]]
        return [number / math.hypot(*numbers) for number in numbers]

    async def close(self) -> None:
        raise AssertionError("the service does not own its embedder")


@pytest.fixture(params=EACH_MILVUS)
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kept_collection() -> str:
    return fields.describe(FakeEmbedder.model, FakeEmbedder.dimension)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
async def service(
    conversations: StubIndex, embedder: Embedder, milvus: AsyncMilvusClient
) -> AsyncIterator[IndexService]:
    repository = MilvusRepository(milvus, CONVERSATIONS, model=embedder.model, dimension=embedder.dimension, timeout=10)
    async with AsyncClient(conversations.base_url, timeout=5, max_retries=0) as client:
        yield make_service(client, embedder, repository)


def make_service(client: AsyncClient, embedder: Embedder, repository: MilvusRepository) -> IndexService:
    api = ConversationsAPI(client)
    return IndexService(api, ConversationSource(api), embedder, make_screening(SafetySettings()), repository)


async def indexed(milvus: AsyncMilvusClient) -> dict[int, tuple[int, str]]:
    """Return the version and question of each row in the index, by id; fails when an id is there twice."""
    everything = {"filter": f"{fields.ID} > 0", "consistency_level": "Strong"}
    rows = await milvus.query(fields.COLLECTION, output_fields=[fields.VERSION, fields.QUESTION], **everything)
    counted = await milvus.query(fields.COLLECTION, output_fields=["count(*)"], **everything)
    assert counted[0]["count(*)"] == len(rows)
    return {row[fields.ID]: (row[fields.VERSION], row[fields.QUESTION]) for row in rows}


async def test_a_job_costs_one_read_one_embedding_of_each_text_and_one_report(
    service: IndexService, conversations: StubIndex, embedder: FakeEmbedder, milvus: AsyncMilvusClient
) -> None:
    for key in range(1, 65):
        conversations.put(key, f"Question {key % 10}?", answer=f"Answer {key % 20}.")

    await service.index(conversation_units(range(1, 65)))

    assert await indexed(milvus) == {key: (1, f"Question {key % 10}?") for key in range(1, 65)}
    assert len(conversations.reads) == 1
    assert len(embedder.calls) == 1
    both = [f"Question {number % 10}?\n\nAnswer {number}." for number in range(20)]
    assert sorted(embedder.calls[0]) == sorted([*(f"Question {digit}?" for digit in range(10)), *both])
    assert [(outcome.version, outcome.status) for outcome in conversations.outcomes] == [(1, IndexStatus.INDEXED)] * 64


async def test_an_error_of_the_index_leaves_no_read_running(
    conversations: StubIndex, embedder: FakeEmbedder, milvus: AsyncMilvusClient
) -> None:
    class RefusingRepository(MilvusRepository):
        async def prepare(self) -> None:
            raise VectorStoreError("Milvus is away")

    repository = RefusingRepository(milvus, CONVERSATIONS, model="fake", dimension=8, timeout=10)
    conversations.put(1, "text")
    async with AsyncClient(conversations.base_url, timeout=5, max_retries=0) as client:
        service = make_service(client, embedder, repository)
        before = asyncio.all_tasks()

        with pytest.raises(IndexingError, match="Milvus is away"):
            await service.index(conversation_units([1]))

        assert asyncio.all_tasks() == before
    assert embedder.calls == []


@pytest.mark.parametrize("milvus_kind", [LITE])  # the server of the tests has no words
async def test_the_written_row_is_found_by_meaning_by_keyword_and_by_filter(
    service: IndexService, conversations: StubIndex, embedder: FakeEmbedder, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "I panic on the bus", answer="Breathe slowly and count.")
    conversations.put(2, "I lie awake", answer="Keep a fixed hour.")

    await service.index(conversation_units([1, 2]))

    strong = {"limit": 1, "consistency_level": "Strong"}
    by_meaning = await milvus.search(
        fields.COLLECTION, data=[embedder.vector("I lie awake")], anns_field=fields.EMBEDDING, **strong
    )
    by_keyword = await milvus.search(fields.COLLECTION, data=["breathe"], anns_field=fields.SPARSE, **strong)
    by_filter = await milvus.query(
        fields.COLLECTION,
        filter=f'{fields.QUESTION_SENTIMENT} == "negative" and {fields.ANSWER_SENTIMENT} == "neutral"',
        consistency_level="Strong",
    )
    assert by_meaning[0][0][fields.ID] == 2
    assert by_meaning[0][0]["distance"] == pytest.approx(1.0, abs=1e-5)
    assert [hit[fields.ID] for hit in by_keyword[0]] == [1]
    assert len(by_filter) == 2


async def test_jobs_that_come_twice_late_and_out_of_order_leave_the_current_rows(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "old text")
    conversations.put(1, "new text")
    conversations.put(2, "stays")
    conversations.put(3, "is deleted")
    await service.index(conversation_units([3]))
    conversations.remove(3)

    for job in ([3], [1, 3, 1], [2, 1], [2, 1], [99]):
        await service.index(conversation_units(job))

    assert await indexed(milvus) == {1: (2, "new text"), 2: (1, "stays")}


async def test_a_row_that_changes_between_read_and_report_is_written_again(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "first text")
    conversations.put(2, "quiet row")
    changes = iter(["second text", "third text"])

    def change(ids: list[int]) -> None:
        if text := next(changes, None):
            conversations.put(1, text)

    conversations.after_read = change

    await service.index(conversation_units([1, 2]))

    assert await indexed(milvus) == {1: (3, "third text"), 2: (1, "quiet row")}
    assert conversations.reads == [[1, 2], [1], [1]]
    assert [outcome.version for outcome in conversations.outcomes if outcome.source_id == 1] == [1, 2, 3]


async def test_a_row_that_is_deleted_between_read_and_report_does_not_stay_in_the_index(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "here")
    conversations.put(2, "going")
    conversations.after_read = lambda ids: conversations.remove(2)

    await service.index(conversation_units([1, 2]))

    assert await indexed(milvus) == {1: (1, "here")}


async def test_a_row_that_keeps_changing_is_left_to_a_later_attempt(
    service: IndexService, conversations: StubIndex
) -> None:
    conversations.put(1, "text")
    conversations.after_read = lambda ids: conversations.put(1, "yet another text")

    with pytest.raises(IndexingError, match="changed"):
        await service.index(conversation_units([1]))

    assert len(conversations.reads) == MAX_ROUNDS


async def test_refused_texts_fail_alone_with_their_reason(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    for key in range(1, 17):
        conversations.put(key, f"poison {key}" if key in (3, 4, 13) else f"fine {key}")

    await service.index(conversation_units(range(1, 17)))

    assert set(await indexed(milvus)) == set(range(1, 17)) - {3, 4, 13}
    failed = {outcome.source_id: outcome.reason for outcome in conversations.outcomes if outcome.reason}
    assert failed == dict.fromkeys((3, 4, 13), "The text was refused")


async def test_a_refused_text_is_screened_for_risk_all_the_same(
    service: IndexService, conversations: StubIndex
) -> None:
    conversations.put(1, "poison: I want to kill myself tonight.")

    await service.index(conversation_units([1]))

    assert [outcome.status for outcome in conversations.outcomes] == [IndexStatus.FAILED]
    assert [screening.risk_level for screening in conversations.screenings] == [RiskLevel.ACUTE]
    assert [screening.unsafe_advice for screening in conversations.screenings] == [FoundAdvice.NONE]


async def test_a_refused_new_text_takes_the_old_one_out_of_the_index(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "fine")
    await service.index(conversation_units([1]))
    conversations.put(1, "poison")

    await service.index(conversation_units([1]))

    assert await indexed(milvus) == {}
    assert conversations.outcomes[-1].status is IndexStatus.FAILED


async def test_a_text_that_alone_gets_a_vector_of_the_wrong_length_fails_alone(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    for key in range(1, 17):
        conversations.put(key, f"short {key}" if key == 5 else f"fine {key}")

    await service.index(conversation_units(range(1, 17)))

    assert set(await indexed(milvus)) == set(range(1, 17)) - {5}
    failed = {outcome.source_id: outcome.reason for outcome in conversations.outcomes if outcome.reason}
    assert failed == {5: "Model fake gave vectors of length 7, expected 8"}


async def test_a_wrong_length_for_every_text_is_a_wrong_setting_and_fails_no_row(
    service: IndexService, conversations: StubIndex, embedder: FakeEmbedder
) -> None:
    embedder.short = True
    for key in (1, 2):
        conversations.put(key, f"text {key}")

    with pytest.raises(IndexingError, match="length 7"):
        await service.index(conversation_units([1, 2]))

    assert conversations.outcomes == []
    assert len(embedder.calls) == 2


@pytest.mark.parametrize("second", [None, EmbedderError("The embedding server answered 500", transient=True)])
async def test_a_wrong_length_that_does_not_come_again_fails_no_row(
    service: IndexService,
    conversations: StubIndex,
    embedder: FakeEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    second: EmbedderError | None,
) -> None:
    conversations.put(1, "text")
    wrong = VectorLengthError("Model fake gave vectors of length 7, expected 8")
    # Both of the row's texts, a probe, the question alone, a probe, the question once more.
    answers = iter([wrong, None, wrong, None, second])

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        if error := next(answers, None):
            raise error
        return [embedder.vector(text) for text in texts]

    monkeypatch.setattr(embedder, "embed", embed)

    with pytest.raises(IndexingError):
        await service.index(conversation_units([1]))
    await service.index(conversation_units([1]))

    assert [outcome.status for outcome in conversations.outcomes] == [IndexStatus.INDEXED]


async def test_rows_that_milvus_cannot_take_fail_alone_with_their_reason(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    for key in range(1, 9):
        conversations.put(key, f"misfit {key}" if key in (2, 7) else f"fine {key}")

    await service.index(conversation_units(range(1, 9)))

    assert set(await indexed(milvus)) == {1, 3, 4, 5, 6, 8}
    failed = {outcome.source_id: outcome.reason for outcome in conversations.outcomes if outcome.reason}
    assert failed == dict.fromkeys((2, 7), "The vector's length is not 8")


async def test_rows_that_milvus_does_not_take_for_no_clear_reason_are_tried_again_without_the_others(
    service: IndexService,
    conversations: StubIndex,
    milvus: AsyncMilvusClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key in range(1, 9):
        conversations.put(key, f"text {key}")
    insert = milvus.insert

    async def refuse_four(name: str, rows: list[dict[str, object]]) -> object:
        if any(row[fields.ID] == 4 for row in rows):
            raise MilvusException(65535, "something, perhaps with a secret text")
        return await insert(name, rows)

    with monkeypatch.context() as patch:
        patch.setattr(milvus, "insert", refuse_four)
        with pytest.raises(IndexingError) as failure:
            await service.index(conversation_units(range(1, 9)))

    assert failure.value.remaining == conversation_units([4])
    assert "secret" not in str(failure.value)
    assert set(await indexed(milvus)) == {1, 2, 3, 5, 6, 7, 8}
    assert {outcome.source_id for outcome in conversations.outcomes} == {1, 2, 3, 5, 6, 7, 8}
    assert {screening.source_id for screening in conversations.screenings} == {1, 2, 3, 5, 6, 7, 8}
    await service.index(failure.value.remaining)
    assert set(await indexed(milvus)) == set(range(1, 9))


async def test_a_row_that_is_given_up_leaves_the_index_and_says_why(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "text")
    await service.index(conversation_units([1]))

    await service.give_up(conversation_unit(1), "the worker died")
    await service.give_up(conversation_unit(2), "it does not exist")

    assert await indexed(milvus) == {}
    last = conversations.outcomes[-1]
    assert (last.source_id, last.status, last.reason) == (1, IndexStatus.FAILED, "the worker died")
    conversations.statuses = [503]
    with pytest.raises(IndexingError):
        await service.give_up(conversation_unit(1), "the worker died")


async def test_a_busy_embedder_fails_no_row_and_its_retry_after_is_passed_on(
    service: IndexService, conversations: StubIndex, embedder: FakeEmbedder
) -> None:
    conversations.put(1, "text")
    embedder.broken = EmbedderError("The embedding server answered 429", transient=True, retry_after=17.0)

    with pytest.raises(IndexingError, match="429") as failure:
        await service.index(conversation_units([1]))

    assert failure.value.retry_after == 17.0
    assert conversations.outcomes == []


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_failing_api_means_a_retry(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient, failures: int
) -> None:
    conversations.put(1, "text")
    # One failure hits the read; of two in a row the second hits the read of the next attempt.
    conversations.statuses += [503] * failures

    for _ in range(failures):
        with pytest.raises(IndexingError, match="503"):
            await service.index(conversation_units([1]))
    await service.index(conversation_units([1]))

    assert await indexed(milvus) == {1: (1, "text")}


async def test_a_lost_report_is_repeated_by_the_next_attempt(
    service: IndexService, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, "text")
    conversations.after_read = lambda ids: conversations.statuses.append(503)
    with pytest.raises(IndexingError, match="503"):
        await service.index(conversation_units([1]))
    conversations.after_read = lambda ids: None

    await service.index(conversation_units([1]))

    assert await indexed(milvus) == {1: (1, "text")}
    assert [outcome.version for outcome in conversations.outcomes] == [1]


async def test_jobs_for_the_same_rows_at_the_same_time_leave_each_row_once(
    conversations: StubIndex, embedder: FakeEmbedder, milvus: AsyncMilvusClient
) -> None:
    """Milvus Lite keeps both rows of two upserts that overlap."""
    keys = range(1, 33)

    async def until_done(service: IndexService) -> None:
        """As the worker does with a job that met the others too often."""
        while True:
            with suppress(IndexingError):
                return await service.index(conversation_units(keys))

    for key in keys:
        conversations.put(key, f"text {key}")
    async with AsyncClient(conversations.base_url, timeout=5, max_retries=0) as client:
        services = [
            make_service(
                client, embedder, MilvusRepository(milvus, CONVERSATIONS, model="fake", dimension=8, timeout=10)
            )
            for _ in range(4)
        ]
        await services[0].index(conversation_units(keys))
        for _ in range(5):
            for key in keys:
                conversations.put(key, f"text {key} again")
            await asyncio.gather(*map(until_done, services))

    assert await indexed(milvus) == {key: (6, f"text {key} again") for key in keys}
