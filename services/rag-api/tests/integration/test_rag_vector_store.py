"""POST /v1/vector_stores/{id}/search, driven by the openai SDK, on a real Milvus Lite."""

import math
import operator
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mh_common.models import Conversation, Sentiment
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from openai import AsyncOpenAI
from openai.types import VectorStoreSearchResponse
from rag_api.integrations.openai.vector_stores.filters import MAX_DEPTH, MAX_FILTERS
from rag_api.settings import Settings

STORE = "conversations"
PATH = f"/v1/vector_stores/{STORE}/search"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    sentiments = list(Sentiment)
    rows = [
        conversation(
            key,
            f"I cannot fall asleep, {'really ' * key}",
            f"Rise early, {key}.",
            question_sentiment=sentiments[key % 3],
            answer_sentiment=sentiments[key % 2],
            # Two rows in each second, and one in the last microsecond of a second.
            created_at=START + timedelta(seconds=key // 2, microseconds=999_999 if key % 2 else 0),
            updated_at=datetime(1969, 12, 31, 23, 59, 58, 500_000, UTC) + timedelta(seconds=key),
        )
        for key in range(1, 9)
    ]
    rows.append(conversation(9, rows[0].question, "Another answer to the same question.", created_at=START))
    await index(rows)
    return rows


@pytest.fixture
async def sdk(served: ServeApp, settings: Settings) -> AsyncIterator[AsyncOpenAI]:
    with served(settings) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20) as client:
            yield client


async def found(sdk: AsyncOpenAI, **request: Any) -> list[VectorStoreSearchResponse]:
    return (await sdk.vector_stores.search(STORE, **{"query": "cannot fall asleep", **request})).data


def ids(results: list[VectorStoreSearchResponse]) -> list[int]:
    return [int(result.file_id) for result in results]


async def test_results_equal_the_search_hits(
    sdk: AsyncOpenAI, client: httpx.AsyncClient, indexed: list[Conversation]
) -> None:
    page = await sdk.vector_stores.search(STORE, query='fall "asleep" id:3 -early', max_num_results=5)
    request = {"query": 'fall "asleep" id:3 -early', "plain_query": True, "limit": 5}
    hits = (await client.post("/api/v1/search", json=request)).json()["hits"]
    assert [(result.file_id, result.score) for result in page.data] == [(str(hit["id"]), hit["score"]) for hit in hits]
    assert len(hits) == 5
    assert [page async for page in page] == page.data, "there is no second page"
    first, row = page.data[0], next(row for row in indexed if row.id == hits[0]["id"])
    assert first.filename == f"conversation-{row.id}.txt"
    assert [(one.type, one.text) for one in first.content] == [
        ("text", f"Question: {row.question}\nAnswer: {row.answer}")
    ]
    assert first.attributes == {
        "id": row.id,
        "question_sentiment": row.question_sentiment.value,
        "answer_sentiment": row.answer_sentiment.value,
        "created_at": int(row.created_at.timestamp()),
        "updated_at": row.id - 2,
        "review_state": "unreviewed",
        "url": f"{str(sdk.base_url).removesuffix('/v1/')}/api/v1/conversations/{row.id}",
    }


async def test_the_exact_response_format(client: httpx.AsyncClient, indexed: list[Conversation]) -> None:
    body = {"query": "  asleep ", "max_num_results": 1, "rewrite_query": True, "ranking_options": {"ranker": "auto"}}
    page = (await client.post(PATH, json=body)).json()
    assert len(page.pop("data")) == 1
    assert page == {
        "object": "vector_store.search_results.page",
        "search_query": ["asleep"],
        "has_more": False,
        "next_page": None,
        "risk": {"level": "none", "categories": [], "spans": [], "screened": True},
        "risk_notice": None,
    }


async def test_several_queries_return_each_question_once_with_its_best_score(
    sdk: AsyncOpenAI, indexed: list[Conversation]
) -> None:
    one, other = await found(sdk, query="cannot fall asleep"), await found(sdk, query="really really early")
    both = await found(sdk, query=["cannot fall asleep", "really really early"])
    best: dict[str, float] = {}
    for result in [*one, *other]:
        best[result.content[0].text.partition("\n")[0]] = max(
            result.score, best.get(result.content[0].text.partition("\n")[0], 0)
        )
    assert {result.content[0].text.partition("\n")[0]: result.score for result in both} == best
    assert [result.score for result in both] == sorted(best.values(), reverse=True)
    assert ids(await found(sdk, query=["cannot fall asleep"])) == ids(one)
    few = await found(sdk, query=["cannot fall asleep", "really really early"], max_num_results=2)
    assert ids(few) == ids(both)[:2]


async def test_the_threshold_excludes_lower_scores(sdk: AsyncOpenAI, indexed: list[Conversation]) -> None:
    everything = await found(sdk)
    bound = everything[2].score
    some = await found(sdk, ranking_options={"score_threshold": bound})
    assert ids(some) == [int(result.file_id) for result in everything if result.score >= bound]
    assert await found(sdk, ranking_options={"score_threshold": 1}) == []


async def test_returned_attributes_can_be_used_in_filters(sdk: AsyncOpenAI, indexed: list[Conversation]) -> None:
    everything = await found(sdk, max_num_results=50)
    for result in everything:
        attributes = result.attributes or {}
        for key in ("id", "question_sentiment", "answer_sentiment", "created_at", "updated_at"):
            value = attributes[key]
            same = await found(sdk, filters={"type": "eq", "key": key, "value": value})
            others = await found(sdk, filters={"type": "nin", "key": key, "value": [value]})
            alike = {other.file_id for other in everything if (other.attributes or {})[key] == value}
            # A question may be represented by another answer, so only the types are compared.
            assert alike <= {one.file_id for one in same}
            assert {(one.attributes or {})[key] for one in same} == {value}
            assert value not in {(one.attributes or {})[key] for one in others}


async def test_a_filter_without_matches_finds_nothing(sdk: AsyncOpenAI, indexed: list[Conversation]) -> None:
    assert await found(sdk, filters={"type": "gt", "key": "id", "value": 10**30}) == []
    assert await found(sdk, filters={"type": "in", "key": "question_sentiment", "value": []}) == []
    assert await found(sdk, filters={"type": "eq", "key": "created_at", "value": 0.5}) == []


LEAVES = st.one_of(
    st.builds(
        lambda key, kind, value: {"type": kind, "key": key, "value": value},
        st.sampled_from(["id", "created_at", "updated_at"]),
        st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
        st.one_of(
            st.integers(-1, 10),
            st.integers(0, 5).map(lambda second: int(START.timestamp()) + second),
            st.floats(-2, 10, allow_nan=False),
            st.sampled_from([10**12, -(10**12), 2**63 - 1, 2**63, -(2**63), 1e300, -1e300, 10**400]),
        ),
    ),
    st.builds(
        lambda key, kind, value: {"type": kind, "key": key, "value": value},
        st.sampled_from(["id", "created_at", "updated_at"]),
        st.sampled_from(["in", "nin"]),
        st.lists(
            st.one_of(st.integers(-1, 10), st.integers(0, 5).map(lambda second: int(START.timestamp()) + second)),
            max_size=4,
        ),
    ),
    st.builds(
        lambda key, kind, value: {"type": kind, "key": key, "value": value},
        st.sampled_from(["question_sentiment", "answer_sentiment"]),
        st.sampled_from(["in", "nin"]),
        st.lists(st.sampled_from([sentiment.value for sentiment in Sentiment]), max_size=3),
    ),
    st.builds(
        lambda key, kind, value: {"type": kind, "key": key, "value": value},
        st.sampled_from(["question_sentiment", "answer_sentiment"]),
        st.sampled_from(["eq", "ne"]),
        st.sampled_from([sentiment.value for sentiment in Sentiment]),
    ),
)
FILTERS = st.recursive(
    LEAVES,
    lambda parts: st.builds(
        lambda kind, filters: {"type": kind, "filters": filters},
        st.sampled_from(["and", "or"]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, among: value in among,
    "nin": lambda value, among: value not in among,
}


def holds(filters: dict[str, Any], row: Conversation) -> bool:
    if "filters" in filters:
        parts = [holds(one, row) for one in filters["filters"]]
        return all(parts) if filters["type"] == "and" else any(parts)
    attributes = {
        "id": row.id,
        "question_sentiment": row.question_sentiment.value,
        "answer_sentiment": row.answer_sentiment.value,
        "created_at": math.floor(row.created_at.timestamp()),
        "updated_at": math.floor(row.updated_at.timestamp()),
    }
    return COMPARED[filters["type"]](attributes[filters["key"]], filters["value"])


def nested(depth: int) -> dict[str, Any]:
    filters: dict[str, Any] = {"type": "eq", "key": "id", "value": 1}
    for _ in range(depth):
        filters = {"type": "and", "filters": [filters]}
    return filters


def deepest(broad: int) -> dict[str, Any]:
    """A filter of maximum depth, with the deepest part where Milvus nests it most; `broad` filters on each level."""
    filters: dict[str, Any] = {"type": "ne", "key": "updated_at", "value": 3}
    for depth in range(MAX_DEPTH - 1):
        others = [{"type": "ne", "key": "created_at", "value": value} for value in range(broad - 1)]
        filters = {"type": ("and", "or")[depth % 2], "filters": [filters, *others]}
    return filters


@pytest.mark.slow
async def test_filters_agree_with_plain_python(client: httpx.AsyncClient, indexed: list[Conversation]) -> None:
    # The largest filters that are accepted.
    cases: list[dict[str, Any]] = [
        nested(MAX_DEPTH - 1),
        *[deepest(broad) for broad in (2, 8, 16, 24)],
        {"type": "nin", "key": "updated_at", "value": list(range(2, 2 + MAX_FILTERS))},
        {"type": "in", "key": "id", "value": list(range(5, 1005))},
        {"type": "or", "filters": [{"type": "eq", "key": "id", "value": 500 - key} for key in range(MAX_FILTERS)]},
    ]

    @profile(max_examples=150, database=None, derandomize=True)
    @given(FILTERS)
    def collect(filters: dict[str, Any]) -> None:
        cases.append(filters)

    collect()
    for filters in cases:
        response = await client.post(PATH, json={"query": "cannot fall asleep", "filters": filters})
        assert response.status_code == 200, (filters, response.text)
        texts = {result["content"][0]["text"].partition("\n")[0] for result in response.json()["data"]}
        # One result for each question: 1 and 9 have the same.
        assert texts == {f"Question: {row.question}" for row in indexed if holds(filters, row)}, filters


def leaf(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"query": "x", "filters": {"type": kind, "key": key, "value": value}}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "query", "is required"),
        ({"query": " "}, "query", "at least 1 character"),
        ({"query": []}, "query", "at least 1 item"),
        ({"query": ["x"] * 11}, "query", "at most 10"),
        ({"query": "x", "max_num_results": 0}, "max_num_results", "greater than or equal to 1"),
        ({"query": "x", "max_num_results": 51}, "max_num_results", "less than or equal to 50"),
        ({"query": "x", "ranking_options": {"score_threshold": 2}}, "ranking_options.score_threshold", "less than"),
        ({"query": "x", "filters": {"type": "like", "key": "id", "value": 1}}, "filters", "'eq'"),
        ({"query": "x", "filters": {"type": "and", "filters": []}}, "filters.and.filters", "at least 1 item"),
        ({"query": "x", "filters": {"type": "eq", "key": "id"}}, "filters.eq.value", "is required"),
        ({"query": "x", "filters": nested(MAX_DEPTH)}, "filters", "at most 5 levels deep"),
        ({"query": "x", "filters": nested(400)}, "filters", "depth exceeded"),
        (
            {"query": "x", "filters": {"type": "or", "filters": [nested(0)] * MAX_FILTERS + [nested(0)]}},
            "filters.or.filters",
            "at most 100",
        ),
        (leaf("in", "created_at", list(range(MAX_FILTERS + 1))), "filters", "at most 100 comparisons"),
        (leaf("in", "id", list(range(1001))), "filters", "at most 1,000 values"),
        (leaf("eq", "topic", "sleep"), "filters", "question_sentiment, answer_sentiment"),
        (leaf("eq", "question_hash", 1), "filters", "Unknown attribute"),
        (leaf("eq", "id", "1"), "filters", "id must be a number."),
        (leaf("eq", "id", True), "filters", "id must be a number."),
        (leaf("eq", "id", None), "filters", "id must be a number."),
        (leaf("gt", "created_at", "2026-01-01"), "filters", "seconds since 1970"),
        (leaf("eq", "id", [1]), "filters", "a single value, not a list"),
        (leaf("in", "id", 1), "filters", "a list of values"),
        (leaf("eq", "question_sentiment", "happy"), "filters", "positive"),
        (leaf("in", "question_sentiment", [["negative"]]), "filters", "positive"),
        (leaf("gt", "answer_sentiment", "negative"), "filters", "no order"),
    ],
)
async def test_invalid_searches_say_what_to_change(
    client: httpx.AsyncClient, body: dict[str, Any], param: str, words: str
) -> None:
    response = await client.post(PATH, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)
    assert words in error["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_non_finite_numbers_are_rejected(client: httpx.AsyncClient, number: str) -> None:
    content = f'{{"query": "x", "filters": {{"type": "gt", "key": "id", "value": {number}}}}}'
    response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert "must be a number" in response.json()["error"]["message"]


async def test_an_unknown_vector_store_is_not_found(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        await sdk.vector_stores.search("vs_123", query="x")
    assert (error.value.code, error.value.param) == ("vector_store_not_found", "vector_store_id")
    assert STORE in error.value.message


async def test_an_outage_is_reported(sdk: AsyncOpenAI, indexed: list[Conversation], stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=500, path="/v1/embeddings"))
    with pytest.raises(openai.InternalServerError) as error:
        await found(sdk, query="something new")
    assert (error.value.status_code, error.value.type) == (503, "server_error")
