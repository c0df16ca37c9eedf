"""Random filters on a real Milvus Lite and in plain Python: the same conversations, in the same order.

FILTER_ROWS and FILTER_CASES make the test larger: 20000 and 10000 take some minutes.
"""

import math
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from indexer_worker.vector_store.collection import ensure_collection
from mh_common import vector_index as fields
from mh_common.field_values import to_index_value, to_microseconds
from mh_common.models import SearchMode, SearchRequest, Sentiment
from mh_common.stemming import indexed_words, stem_of
from pymilvus import AsyncMilvusClient
from rag_api.search.filters import (
    And,
    Compare,
    Condition,
    In,
    Not,
    Or,
    Phrase,
    Substring,
    condition_from_request,
)
from rag_api.search.index import IndexQuery
from rag_api.search.milvus import index as milvus_index
from rag_api.search.milvus.index import MilvusIndex

ROWS = int(os.environ.get("FILTER_ROWS", "2000"))
CASES = int(os.environ.get("FILTER_CASES", "250"))
LIMIT = 50
START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["panic", "bus", "night", "mother", "dogs"]


@dataclass(frozen=True)
class Row:
    id: int
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    created_at: datetime
    updated_at: datetime
    text: str
    likeness: float


def make_rows(chance: random.Random) -> list[Row]:
    rows = []
    for key in range(1, ROWS + 1):
        created = START + timedelta(microseconds=chance.randrange(20), hours=chance.randrange(48))
        # "here" is in nearly every row: more rows than Milvus returns at once.
        words = [*chance.sample(WORDS, chance.randrange(3)), *(["here"] if chance.random() < 0.95 else [])]
        rows.append(
            Row(
                id=key * 3,
                question_sentiment=chance.choice(list(Sentiment)),
                answer_sentiment=chance.choice(list(Sentiment)),
                created_at=created,
                updated_at=created + timedelta(microseconds=chance.randrange(5)),
                text=" ".join(words) or "nothing",
                likeness=0.0,
            )
        )
    # Long ago: negative to_microseconds; far ahead: the last possible time.
    rows[0] = Row(**{**vars(rows[0]), "created_at": datetime(1900, 1, 1, tzinfo=UTC)})
    rows[1] = Row(**{**vars(rows[1]), "created_at": datetime.max.replace(tzinfo=UTC)})
    order = chance.sample(range(ROWS), ROWS)
    return [Row(**{**vars(row), "likeness": 1 - order[at] / ROWS}) for at, row in enumerate(rows)]


def entity(row: Row) -> dict[str, Any]:
    vector = [row.likeness, math.sqrt(1 - row.likeness**2)]
    return {
        fields.ID: row.id,
        fields.EMBEDDING: vector,
        fields.TEXT_EMBEDDING: vector,
        fields.QUESTION: row.text,
        fields.TEXT: row.text,
        fields.WORDS: indexed_words(row.text, "an answer"),
        fields.QUESTION_SENTIMENT: row.question_sentiment.value,
        fields.ANSWER_SENTIMENT: row.answer_sentiment.value,
        fields.QUESTION_HASH: row.id,
        fields.VERSION: 1,
        fields.CREATED_AT: to_microseconds(row.created_at),
        fields.UPDATED_AT: to_microseconds(row.updated_at),
        "review_state": "unreviewed",
        **{field.name: to_index_value(field, None) for field in fields.FILTERABLE if field.optional},
    }


def random_request(chance: random.Random, rows: list[Row]) -> SearchRequest:
    """Return a request with a random subset of all filters."""
    moment = chance.choice(rows).created_at if chance.random() < 0.5 else START + timedelta(hours=chance.randrange(50))
    ids = [chance.choice(rows).id for _ in range(chance.randrange(1, 40))] + [chance.randrange(1, 2**63)]
    possible: dict[str, Any] = {
        "question_sentiment": chance.choices(list(Sentiment), k=chance.randrange(1, 4)),
        "answer_sentiment": chance.choices(list(Sentiment), k=chance.randrange(1, 4)),
        "created_after": moment,
        "created_before": moment + timedelta(hours=chance.randrange(1, 48)) if moment.year < 9999 else moment,
        "updated_after": chance.choice(rows).updated_at,
        "updated_before": chance.choice(rows).updated_at,
        "ids": ids,
    }
    return SearchRequest(query="x", **{name: value for name, value in possible.items() if chance.random() < 0.3})


def random_condition(chance: random.Random, rows: list[Row], depth: int = 2) -> Condition:
    """Return a random condition."""
    if depth and chance.random() < 0.4:
        parts = [random_condition(chance, rows, depth - 1) for _ in range(chance.randrange(4))]
        return And(parts) if chance.random() < 0.5 else Or(parts)
    some = [chance.choice(rows) for _ in range(chance.randrange(6))]
    words = tuple(stem_of(word) for word in chance.choice(rows).text.split()[:2])
    leaves: list[Callable[[], Condition]] = [
        lambda: In(fields.ID, [row.id for row in some], chance.random() < 0.5),
        lambda: In(fields.ANSWER_SENTIMENT, [row.answer_sentiment for row in some], chance.random() < 0.5),
        lambda: Compare(fields.ID, chance.choice(["<", "<=", ">", ">="]), chance.randrange(3 * ROWS)),
        lambda: Compare(
            fields.UPDATED_AT, chance.choice(["<", "<=", ">", ">="]), to_microseconds(chance.choice(rows).updated_at)
        ),
        lambda: Phrase(words),
        lambda: Not(Phrase(words)),
    ]
    return chance.choice(leaves)()


def holds(condition: Condition, row: Row) -> bool:
    if isinstance(condition, And):
        return all(holds(part, row) for part in condition.operands)
    if isinstance(condition, Or):
        return any(holds(part, row) for part in condition.operands)
    if isinstance(condition, Phrase):
        return f" {' '.join(condition.stems)} " in f" {' '.join(stem_of(word) for word in row.text.split())} "
    if isinstance(condition, Not):
        return not holds(condition.operand, row)
    if isinstance(condition, Substring):
        return condition.matches(getattr(row, condition.field))
    value = getattr(row, condition.field)
    value = to_microseconds(value) if isinstance(value, datetime) else value
    if isinstance(condition, In):
        return (value in condition.values) is not condition.negated
    return {
        "<": value < condition.value,
        "<=": value <= condition.value,
        ">": value > condition.value,
        ">=": value >= condition.value,
    }[condition.operator]


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_filters_agree_with_plain_python(milvus: AsyncMilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a word in nearly every row takes several queries, even with few rows.
    monkeypatch.setattr(milvus_index, "QUERY_LIMIT", min(milvus_index.QUERY_LIMIT, ROWS // 4))
    chance = random.Random(7)
    rows = make_rows(chance)
    await ensure_collection(milvus, "filters", 2)
    for start in range(0, len(rows), 1000):
        await milvus.upsert(fields.COLLECTION, data=[entity(row) for row in rows[start : start + 1000]])
    index = MilvusIndex(milvus, model="filters", dimension=2, consistency="Strong", timeout=60)
    query = IndexQuery(SearchMode.SEMANTIC, "x", [1.0, 0.0])
    rows.sort(key=lambda row: -row.likeness)

    for _ in range(CASES):
        condition = And([condition_from_request(random_request(chance, rows)), random_condition(chance, rows)])
        found = await index.search(query, LIMIT, condition)
        expected = [row.id for row in rows if holds(condition, row)][:LIMIT]
        assert [match.unit.key.source_id for match in found] == expected, condition
