"""Random Dify metadata conditions through POST /retrieval on a real Milvus Lite, compared with plain Python."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.models import Conversation, Sentiment
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex

pytestmark = pytest.mark.slow

Filter = dict[str, Any]

START = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 60
QUESTION, ANSWER, CREATED, UPDATED, ID = "question_sentiment", "answer_sentiment", "created_at", "updated_at", "id"

OPPOSITES = {
    "not contains": "contains",
    "is not": "is",
    "≠": "=",
    "not in": "in",
    "not empty": "empty",
    "not null": "null",
}


def passes(row: Conversation, condition: Filter) -> bool:
    """The oracle: what Dify's documentation says about a condition, applied to the row's values."""
    operator = condition["comparison_operator"]
    if operator in OPPOSITES:
        return not passes(row, {**condition, "comparison_operator": OPPOSITES[operator]})
    names = [condition["name"]] if isinstance(condition["name"], str) else condition["name"]
    return any(holds(getattr(row, name), operator, condition["value"]) for name in names)


def holds(stored: Any, operator: str, value: Any) -> bool:
    if operator in ("empty", "null"):
        return stored in (None, "")
    if operator == "in":
        return any(holds(stored, "is", part) for part in (value.split(",") if isinstance(value, str) else value))
    if isinstance(stored, Sentiment):
        text, part = stored.value, value.lower()
        texts: dict[str, bool] = {
            "contains": part in text,
            "start with": text.startswith(part),
            "end with": text.endswith(part),
            "is": text == part,
            "=": text == part,
        }
        return texts[operator]
    left, right = (stored, int(value)) if isinstance(stored, int) else comparable(stored, value)
    compared: dict[str, bool] = {
        "is": left == right,
        "=": left == right,
        "<": left < right,
        "before": left < right,
        ">": left > right,
        "after": left > right,
        "≤": left <= right,
        "≥": left >= right,
    }
    return compared[operator]


def comparable(stored: datetime, value: Any) -> tuple[Any, Any]:
    """Return a value to compare with: days, months and years are prefixes of ISO 8601 times."""
    if isinstance(value, int | float):
        return stored, datetime.fromtimestamp(value, UTC)
    if "T" in value:
        return stored, datetime.fromisoformat(value)
    return stored.isoformat()[: len(value)], value


moments = st.builds(
    lambda day, hour, micro: START + timedelta(days=day, hours=hour, microseconds=micro),
    st.integers(-1, 12),
    st.sampled_from([0, 11, 12, 13]),
    st.integers(-1, 1),
)
times = st.one_of(
    moments.map(lambda moment: moment.isoformat()),
    moments.map(lambda moment: moment.date().isoformat()),
    moments.map(lambda moment: moment.strftime("%Y-%m")),
    moments.map(lambda moment: moment.strftime("%Y")),
    moments.map(lambda moment: int(moment.timestamp())),
    moments.map(lambda moment: moment.timestamp()),
)
sentiments = st.sampled_from([*(one.value for one in Sentiment), "Negative", "NEUTRAL"])
text_parts = st.one_of(sentiments, st.sampled_from(["n", "ne", "ive", "TI", "l", "eu", "%", "_", '"', "' or id > 0"]))
numbers = st.integers(0, ROWS + 2)
anyhow = st.one_of(numbers, numbers.map(str), numbers.map(float))


def conditions_of(names: list[str], operators: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    return st.fixed_dictionaries(
        {
            "name": st.one_of(st.sampled_from(names), st.lists(st.sampled_from(names), min_size=1, max_size=3)),
            "comparison_operator": st.sampled_from(operators),
            "value": values,
        }
    )


SINGLE = ["is", "is not", "=", "≠"]
ORDER = [">", "<", "≥", "≤"]
filters = st.one_of(
    conditions_of([QUESTION, ANSWER], ["contains", "not contains", "start with", "end with"], text_parts),
    conditions_of([QUESTION, ANSWER], SINGLE, sentiments),
    conditions_of(
        [QUESTION, ANSWER],
        ["in", "not in"],
        st.one_of(st.lists(sentiments, max_size=3), st.lists(sentiments, min_size=1, max_size=3).map(",".join)),
    ),
    conditions_of([ID], SINGLE + ORDER, anyhow),
    conditions_of([ID], ["in", "not in"], st.lists(anyhow, max_size=5)),
    conditions_of([CREATED, UPDATED], [*SINGLE, *ORDER, "before", "after"], times),
    conditions_of([CREATED, UPDATED], ["in", "not in"], st.lists(times, max_size=3)),
    conditions_of([QUESTION, ANSWER, CREATED, UPDATED, ID], ["empty", "not empty", "null", "not null"], st.none()),
)


@pytest.fixture
async def rows(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    """Conversations of all sentiments, created around noon on several days."""
    chance = random.Random(7)
    found = []
    for key in range(1, ROWS + 1):
        created = START + timedelta(days=chance.randrange(12), hours=12, microseconds=chance.randrange(-1, 2))
        found.append(
            conversation(
                key,
                f"asleep {key}",
                question_sentiment=chance.choice(list(Sentiment)),
                answer_sentiment=chance.choice(list(Sentiment)),
                created_at=created,
                updated_at=created + timedelta(hours=chance.randrange(2), microseconds=chance.randrange(2)),
            )
        )
    await index(found)
    return found


@given(conditions=st.lists(filters, min_size=1, max_size=5), logical=st.sampled_from(["and", "or"]))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_random_conditions_agree_with_plain_python(
    client: httpx.AsyncClient, rows: list[Conversation], conditions: list[Filter], logical: str
) -> None:
    join = all if logical == "and" else any
    expected = {row.id for row in rows if join(passes(row, condition) for condition in conditions)}
    body = {
        "knowledge_id": "conversations",
        "query": "asleep",
        "retrieval_setting": {"top_k": 100, "score_threshold": 0.0},
        "metadata_condition": {"logical_operator": logical, "conditions": conditions},
    }
    response = await client.post("/retrieval", json=body)
    assert response.status_code == 200, response.text
    assert {record["metadata"]["id"] for record in response.json()["records"]} == expected
