"""GET /metrics of rag-api."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import httpx
import pytest
from mh_common.metrics import exposition
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.exposition import MetricDeltas, metric_value
from mh_devtools.testing.fixtures import ConversationTable, MakeConversation, RunApp, WriteIndex
from rag_api.answers.instrumented import InstrumentedLanguageModel
from rag_api.answers.llm import SERVER_DEFAULTS, Completion, Message, SamplingParams
from rag_api.settings import Settings


async def test_the_parts_of_a_search_are_timed(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, table: ConversationTable
) -> None:
    await index([conversation(1, "cannot sleep before exams"), conversation(2, "exams and sleep")])
    table[2] = conversation(2, "another text", version=2)
    deltas = await MetricDeltas.since_now(client)

    for _ in range(2):
        found = await client.post("/api/v1/search", json={"query": "cannot sleep before exams"})
        found.raise_for_status()
    [hit] = found.json()["hits"]

    for part in ("embed", "search", "fetch"):
        assert await deltas("mh_search_part_duration_seconds_count", part=part) >= 2
    assert await deltas("mh_search_hits_count") == 2
    assert await deltas("mh_search_hits_sum") == 2
    assert await deltas("mh_search_stale_hits_total") >= 2
    assert await deltas("mh_search_top_score_sum") == pytest.approx(2 * hit["score"], abs=1e-4)
    assert await deltas("mh_embedding_cache_total", source="none") == 1
    assert await deltas("mh_embedding_cache_total", source="memory") == 1
    assert await deltas("mh_embedding_texts_total", model="stub-embedding") == 1


async def test_rejected_and_failed_embedding_calls_are_distinguished(
    client: httpx.AsyncClient, stub: StubOpenAI
) -> None:
    deltas = await MetricDeltas.since_now(client)
    stub.add_faults(Fault(status=400), Fault(status=429), Fault(body="nonsense"))
    for number in range(3):
        await client.post("/api/v1/search", json={"query": f"number {number}"})
    assert await deltas("mh_embedding_calls_total", outcome="refused") == 1
    assert await deltas("mh_embedding_calls_total", outcome="failed") == 2
    for status in ("400", "429", "unreadable"):
        assert await deltas("mh_embedding_attempts_total", status=status) == 1


async def test_language_model_calls_tokens_and_cost_are_counted(
    running: RunApp,
    with_model: Settings,
    index: WriteIndex,
    conversation: MakeConversation,
    stub: StubOpenAI,
) -> None:
    await index([conversation(1, "cannot sleep before exams")])
    priced = with_model.openai.model_copy(update={"prompt_price": 2.0, "completion_price": 8.0})
    async with running(with_model.model_copy(update={"openai": priced})) as client:
        deltas = await MetricDeltas.since_now(client)
        question = {"question": "cannot sleep before exams"}
        usage = (await client.post("/api/v1/answers", json=question)).raise_for_status().json()["usage"]
        stub.add_faults(*[Fault(status=500, path="/v1/chat/completions")] * 9)
        assert (await client.post("/api/v1/answers", json=question)).status_code == 502
        stub.reset()

        assert await deltas("mh_answers_total", kind="llm") == 1
        assert await deltas("mh_answers_total", kind="failed") == 1
        assert await deltas("mh_llm_calls_total", outcome="ok") == 1
        assert await deltas("mh_llm_calls_total", outcome="unavailable") == 1
        assert await deltas("mh_llm_call_duration_seconds_count") == 2
        assert await deltas("mh_llm_tokens_total", kind="prompt") == usage["prompt_tokens"] > 0
        assert await deltas("mh_llm_cost_total", kind="prompt") == pytest.approx(usage["prompt_tokens"] * 2e-6)
        assert await deltas("mh_llm_cost_total", kind="completion") == pytest.approx(usage["completion_tokens"] * 8e-6)


async def test_extractive_answers_are_counted(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    deltas = await MetricDeltas.since_now(client)
    await index([conversation(1, "cannot sleep before exams")])
    await client.post("/api/v1/answers", json={"question": "cannot sleep before exams"})
    assert await deltas("mh_answers_total", kind="extractive") == 1
    assert await deltas("mh_llm_calls_total") == 0


async def test_answers_without_hits_are_counted_separately(client: httpx.AsyncClient, index: WriteIndex) -> None:
    await index([])
    deltas = await MetricDeltas.since_now(client)
    (await client.post("/api/v1/answers", json={"question": "anything"})).raise_for_status()
    assert await deltas("mh_answers_total", kind="none") == 1
    assert await deltas("mh_search_hits_sum") == 0
    assert await deltas("mh_search_top_score_count") == 0


async def test_without_a_price_there_is_no_cost(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/search", json={"query": "anything"})
    text = (await client.get("/metrics")).text
    assert metric_value(text, "mh_embedding_tokens_total", model="stub-embedding") > 0
    assert 'mh_embedding_cost_total{model="stub-embedding"' not in text


async def test_metrics_are_not_in_the_openapi_document(client: httpx.AsyncClient) -> None:
    assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]


async def test_failed_parts_are_counted(
    running: RunApp, settings: Settings, index: WriteIndex, statuses: list[int], conversation: MakeConversation
) -> None:
    await index([conversation(1, "cannot sleep before exams")])
    async with running(settings) as client:
        deltas = await MetricDeltas.since_now(client)
        statuses.extend([500] * 9)
        assert (await client.post("/api/v1/search", json={"query": "cannot sleep"})).status_code == 503
        assert await deltas("mh_search_part_failures_total", part="fetch") == 1
        assert await deltas("mh_search_part_failures_total", part="search") == 0


class SilentLanguageModel:
    """A language model that never finishes."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.name = "silent"

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> Completion:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    async def stream(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncGenerator[str | Completion]:
        yield "Half"
        await asyncio.Event().wait()


async def test_an_abandoned_stream_is_counted_separately() -> None:
    before = metric_value(exposition().decode(), "mh_llm_calls_total", outcome="abandoned")
    model = InstrumentedLanguageModel(SilentLanguageModel(), prompt_price=0, completion_price=0)
    async with aclosing(model.stream([Message("user", "anything")], deadline=60)) as pieces:
        assert await anext(pieces) == "Half"
    assert metric_value(exposition().decode(), "mh_llm_calls_total", outcome="abandoned") == before + 1


async def test_an_abandoned_call_is_counted_separately() -> None:
    before = metric_value(exposition().decode(), "mh_llm_calls_total", outcome="abandoned")
    silent = SilentLanguageModel()
    model = InstrumentedLanguageModel(silent, prompt_price=0, completion_price=0)
    call = asyncio.create_task(model.complete([Message("user", "anything")], deadline=60))
    await silent.asked.wait()
    call.cancel()
    await asyncio.wait([call])
    assert metric_value(exposition().decode(), "mh_llm_calls_total", outcome="abandoned") == before + 1
