"""Dify's metadata conditions through POST /retrieval to a real Milvus Lite: each operator, and what is rejected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from mh_common.models import Conversation, Sentiment
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex

Filter = dict[str, Any]

START = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 12
EVERY = set(range(1, ROWS + 1))
SENTIMENTS = list(Sentiment)
QUESTION, ANSWER, CREATED, UPDATED, ID = "question_sentiment", "answer_sentiment", "created_at", "updated_at", "id"
NEGATIVE = {2, 5, 8, 11}
"""Rows whose question is negative."""


@pytest.fixture
async def rows(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    """Twelve conversations, created at noon of twelve days; ids from 1; updated up to a microsecond later."""
    found = [
        conversation(
            key,
            f"asleep {key}",
            question_sentiment=SENTIMENTS[(key - 1) % 3],
            answer_sentiment=SENTIMENTS[(key - 1) // 4],
            created_at=START + timedelta(days=key - 1, hours=12),
            updated_at=START + timedelta(days=key - 1, hours=12, microseconds=key % 2),
        )
        for key in range(1, ROWS + 1)
    ]
    await index(found)
    return found


async def post(client: httpx.AsyncClient, conditions: list[Filter] | None, **more: Any) -> httpx.Response:
    setting = {"top_k": 100, "score_threshold": 0.0}
    body = {"knowledge_id": "conversations", "query": "asleep", "retrieval_setting": setting}
    return await client.post("/retrieval", json={**body, "metadata_condition": {"conditions": conditions, **more}})


async def ids(client: httpx.AsyncClient, conditions: list[Filter] | None, **more: Any) -> set[int]:
    response = await post(client, conditions, **more)
    assert response.status_code == 200, response.text
    return {record["metadata"]["id"] for record in response.json()["records"]}


def one(name: str | list[str], operator: str, value: Any = None) -> Filter:
    return {"name": name, "comparison_operator": operator, "value": value}


def seconds(days: float) -> float:
    return (START + timedelta(days=days)).timestamp()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (one(QUESTION, "contains", "gat"), NEGATIVE),
        (one(QUESTION, "contains", "TIV"), EVERY - {3, 6, 9, 12}),
        (one(QUESTION, "contains", "glad"), set()),
        (one(QUESTION, "not contains", "gat"), EVERY - NEGATIVE),
        (one(QUESTION, "not contains", "glad"), EVERY),
        (one(QUESTION, "start with", "ne"), EVERY - {1, 4, 7, 10}),
        (one(QUESTION, "end with", "ral"), {3, 6, 9, 12}),
        (one(QUESTION, "is", "Negative"), NEGATIVE),
        (one(QUESTION, "is not", "negative"), EVERY - NEGATIVE),
        (one(QUESTION, "=", "negative"), NEGATIVE),
        (one(QUESTION, "≠", "negative"), EVERY - NEGATIVE),
        (one(ANSWER, "in", ["positive", "neutral"]), {1, 2, 3, 4, 9, 10, 11, 12}),
        (one(ANSWER, "in", "positive, neutral"), {1, 2, 3, 4, 9, 10, 11, 12}),
        (one(ANSWER, "in", []), set()),
        (one(ANSWER, "not in", ["positive", "neutral"]), {5, 6, 7, 8}),
        (one(ANSWER, "not in", []), EVERY),
        (one(ANSWER, "empty"), set()),
        (one(ANSWER, "not empty"), EVERY),
        (one(CREATED, "null"), set()),
        (one(ID, "not null", "whatever"), EVERY),
        (one(ID, "is", "7"), {7}),
        (one(ID, "is not", 7), EVERY - {7}),
        (one(ID, "=", 7.0), {7}),
        (one(ID, "≠", 7), EVERY - {7}),
        (one(ID, ">", 7), {8, 9, 10, 11, 12}),
        (one(ID, "<", "3"), {1, 2}),
        (one(ID, "≥", 11), {11, 12}),
        (one(ID, "≤", 2), {1, 2}),
        (one(ID, "in", [1, "2", 400]), {1, 2}),
        (one(ID, "in", "1,2"), {1, 2}),
        (one(ID, "in", 3), {3}),
        (one(ID, "not in", [1, 2]), EVERY - {1, 2}),
        (one(ID, "=", 400), set()),
        (one(CREATED, "before", "2026-03-03"), {1, 2}),
        (one(CREATED, "after", "2026-03-10"), {11, 12}),
        (one(CREATED, "<", "2026-03-03T12:00:00Z"), {1, 2}),
        (one(CREATED, "≤", "2026-03-03T13:00:00+01:00"), {1, 2, 3}),
        (one(CREATED, ">", seconds(9.5)), {11, 12}),
        (one(CREATED, "≥", seconds(9.5)), {10, 11, 12}),
        (one(CREATED, "≥", str(int(seconds(9.5)))), {10, 11, 12}),
        (one(CREATED, "after", 0), EVERY),
        (one(CREATED, "is", "2026-03-05"), {5}),
        (one(CREATED, "=", "2026-03-05T12:00:00Z"), {5}),
        (one(CREATED, "is not", "2026-03"), set()),
        (one(CREATED, "≠", "2026-03-05"), EVERY - {5}),
        (one(CREATED, "in", ["2026-03-05", "2026-03-06"]), {5, 6}),
        (one(CREATED, "in", "2026-03-05,2026-03-06"), {5, 6}),
        (one(CREATED, "not in", ["2026-03-05", "2026-03-06"]), EVERY - {5, 6}),
        (one(UPDATED, ">", "2026-03-11T12:00:00Z"), {11, 12}),
        (one([QUESTION], "is", "negative"), NEGATIVE),
        (one([QUESTION, ANSWER], "is", "negative"), NEGATIVE | {5, 6, 7, 8}),
        (one([QUESTION, ANSWER], "is not", "negative"), EVERY - NEGATIVE - {5, 6, 7, 8}),
        (one([CREATED, ID], "not empty"), EVERY),
    ],
)
async def test_each_operator(
    client: httpx.AsyncClient, rows: list[Conversation], condition: Filter, expected: set[int]
) -> None:
    assert await ids(client, [condition]) == expected


async def test_conditions_are_combined(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    both = [one(QUESTION, "is", "negative"), one(ID, ">", 7)]
    assert await ids(client, both) == {8, 11}
    assert await ids(client, both, logical_operator="and") == {8, 11}
    assert await ids(client, both, logical_operator=None) == {8, 11}
    assert await ids(client, both, logical_operator="or") == {2, 5, 8, 9, 10, 11, 12}
    contradiction = [one(QUESTION, "is", "negative"), one(QUESTION, "is", "positive")]
    assert await ids(client, contradiction) == set()
    assert await ids(client, [one(ID, "empty"), one(ID, "null")], logical_operator="or") == set()


async def test_no_conditions_filter_nothing(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    conditions: list[Filter] | None
    for conditions in ([], None):
        for operator in ("and", "or", None):
            assert await ids(client, conditions, logical_operator=operator) == EVERY
    body = {"knowledge_id": "conversations", "query": "asleep", "metadata_condition": None}
    assert len((await client.post("/retrieval", json=body)).json()["records"]) == 10


@pytest.mark.parametrize(
    ("condition", "part", "words"),
    [
        (
            one("mood", "is", "low"),
            "name",
            "use one of question_sentiment, answer_sentiment, created_at, updated_at, source_url, source_date, "
            "category, author, import_tag, risk_level, unsafe_advice, origin, review_state, id",
        ),
        (one("mood", "empty"), "name", "is not a filterable field"),
        (one([QUESTION, "mood"], "is", "negative"), "name", "is not a filterable field"),
        (one([], "is", "negative"), "name", "a list of 1 to 14"),
        (one(7, "is", "negative"), "name", "must be the name of a field"),  # type: ignore[arg-type]
        (one(QUESTION, "like", "neg%"), "comparison_operator", "Input should be 'contains', 'not contains'"),
        (
            one(QUESTION, ">", "negative"),
            "comparison_operator",
            "use one of contains, start with, end with, is, =, in, empty",
        ),
        (one(QUESTION, "before", "2026"), "comparison_operator", "is not supported for question_sentiment"),
        (
            one(ID, "contains", "4"),
            "comparison_operator",
            "is not supported for id; use one of is, =, in, <, ≤, >, ≥, empty",
        ),
        (one(ID, "not contains", "4"), "comparison_operator", "is not supported for id"),
        (one(ID, "after", 4), "comparison_operator", "is not supported for id"),
        (
            one(CREATED, "start with", "2026"),
            "comparison_operator",
            "is not supported for created_at; use one of is, =, in",
        ),
        (one([QUESTION, ID], "contains", "n"), "comparison_operator", "is not supported for id"),
        (one(QUESTION, "is", "sad"), "value", "one of positive, negative, neutral"),
        (one(QUESTION, "is not", "sad"), "value", "one of positive, negative, neutral"),
        (one(QUESTION, "is", 1), "value", "one of positive, negative, neutral"),
        (one(QUESTION, "in", ["negative", "sad"]), "value", "one of positive, negative, neutral"),
        (one(QUESTION, "contains", 1), "value", "must be a string"),
        (one(QUESTION, "contains", ""), "value", "is required"),
        (one(QUESTION, "not contains", ""), "value", "is required"),
        (one(QUESTION, "is"), "value", "is required"),
        (one(QUESTION, "is", ["negative"]), "value", "must be a single string or number"),
        (one(QUESTION, "in"), "value", "is required"),
        (one(QUESTION, "in", " , "), "value", "is required"),
        (one(QUESTION, "is", {"not": "negative"}), "value", "must be a string, a number, or a list"),
        (one(QUESTION, "is", True), "value", "must be a string, a number, or a list"),
        (one(ID, "in", [[1]]), "value", "must be a string, a number, or a list"),
        (one(ID, "is", "seven"), "value", "must be a conversation id"),
        (one(ID, "is", "\u0667"), "value", "must be a conversation id"),
        (one(ID, "<", 7.5), "value", "must be a conversation id"),
        (one(ID, ">", -1), "value", "must be a conversation id"),
        (one(ID, "<", 2**63), "value", "must be a conversation id"),
        (one(ID, "<", 1e300), "value", "must be a conversation id"),
        (one(CREATED, "before", "yesterday"), "value", "must be a time with a time zone"),
        (one(CREATED, "before", "2026-03-01T12:00:00"), "value", "must be a time with a time zone"),
        (one(CREATED, "after", 2026), "value", "a year as a string"),
        (one(CREATED, "after", "1772366400000"), "value", "seconds since 1970"),
        (one(CREATED, "after", 1772366400000), "value", "seconds since 1970"),
        (one(CREATED, "after", -1e12), "value", "seconds since 1970"),
        ({"name": ID, "comparison_operator": "=", "values": [1]}, "values", "is unknown"),
        ({"comparison_operator": "=", "value": 1}, "name", "is required"),
    ],
)
async def test_invalid_conditions_are_rejected(
    client: httpx.AsyncClient, condition: Filter, part: str, words: str
) -> None:
    response = await post(client, [one(ID, ">", 0), condition], logical_operator="or")
    assert response.status_code == 400
    answer = response.json()
    assert answer["error_code"] == 400
    assert answer["error_msg"].startswith(f"metadata_condition.conditions.1.{part}: ")
    assert words in answer["error_msg"]


async def test_the_largest_allowed_filter(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    days = [(START - timedelta(days=number)).date().isoformat() for number in range(1000)]
    assert await ids(client, [one([CREATED, UPDATED], "in", days)]) == {1}
    assert await ids(client, [one([CREATED, UPDATED], "not in", ",".join(days))]) == EVERY - {1}
    each = [one(CREATED, "in", [*days[:19], f"2026-03-{number % ROWS + 1:02}"]) for number in range(50)]
    assert await ids(client, each, logical_operator="or") == EVERY
    assert await ids(client, [one(QUESTION, "is", "negative"), *[one(ID, "<", 11)] * 49]) == {2, 5, 8}
    for conditions in (
        [one(ID, "in", list(range(1001)))],
        [one(ID, "in", list(range(501)))] * 2,
        [one(ID, "in", "1," * 1000)],
    ):
        response = await post(client, conditions)
        assert response.status_code == 400
        message = response.json()["error_msg"].replace(",", "")
        assert "at most 1000" in message
        assert message.startswith("metadata_condition.conditions")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", [ID, CREATED])
async def test_non_finite_numbers_are_rejected(client: httpx.AsyncClient, name: str, number: str) -> None:
    content = (
        '{"knowledge_id": "conversations", "query": "x", "metadata_condition": {"conditions": '
        f'[{{"name": "{name}", "comparison_operator": "<", "value": {number}}}]}}}}'
    )
    response = await client.post("/retrieval", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400


async def test_every_invalid_condition_is_reported_and_misspelt_filters_are_never_ignored(
    client: httpx.AsyncClient, rows: list[Conversation]
) -> None:
    response = await post(client, [one("mood", "is", 1), one(ID, "=", 1), one(ID, "=")])
    assert response.json()["error_msg"] == (
        "metadata_condition.conditions.0.name: is not a filterable field; use one of question_sentiment, "
        "answer_sentiment, created_at, updated_at, source_url, source_date, category, author, import_tag, "
        "risk_level, unsafe_advice, origin, review_state, id; "
        "metadata_condition.conditions.2.value: is required for this operator"
    )
    many = await post(client, [one("mood", "is", 1)] * 12)
    assert many.json()["error_msg"].endswith("; and 2 more")
    assert (await post(client, [one(ID, "=", 1)] * 51)).status_code == 400
    for more in ({"logical_operator": "xor"}, {"logic": "or"}):
        assert (await post(client, [one(ID, "=", 1)], **more)).status_code == 400
    body = {"knowledge_id": "conversations", "query": "asleep", "metadata_condition": {"condition": []}}
    assert (await client.post("/retrieval", json=body)).status_code == 400
