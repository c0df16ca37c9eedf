"""The same filters on the same random rows, in SQL and on a real Milvus Lite: they find the same conversations.

What SQL has no filter for (what is not some value, parts of texts) is compared with plain Python. Texts are made of
what could end a literal or act as a wildcard.
"""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from conversations_api.conversations.filters import ConversationFilters, Sort
from conversations_api.conversations.repository import ConversationRepository
from conversations_api.database import SessionFactory
from conversations_api.models import ConversationRow, IndexStateRow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexer_worker.vector_store.collection import ensure_collection
from indexer_worker.vector_store.rows import vector_row
from mh_common import vector_index
from mh_common.field_values import is_single_line, to_index_value, validate_text
from mh_common.fields import (
    AUTHOR,
    BY_NAME,
    CATEGORY,
    RISK_LEVEL,
    SOURCE_DATE,
    SOURCE_URL,
    UNSAFE_ADVICE,
    FoundAdvice,
    Kind,
    RiskLevel,
)
from mh_common.models import Conversation, IndexStatus, SearchMode, SearchRequest, Sentiment
from mh_common.units import CONVERSATION
from pydantic import ValidationError
from pymilvus import AsyncMilvusClient
from rag_api.search.filters import And, Compare, Condition, In, Not, Or, Substring, condition_from_request, is_empty
from rag_api.search.index import IndexQuery
from rag_api.search.milvus.index import MilvusIndex
from rag_api.search.periods import outside, within
from sqlalchemy import insert

ROWS = 90
TEXTS = (
    *("a", "A", "ab", "a b", "b a", "a%b", "a_b", "axb", "%", "_", "%%", "\\", "a\\", "\\a", "a\\\\b", "\\%", "\\n"),
    *('"', 'a"', '"a', '" or id > 0 or "" == "', "a'b", "' or id > 0", '"] or id > 0 or category in ["', "\\x41"),
    *(
        "é",
        "x\u0301",
        "ß",
        "ss",
        "😀",
        "a😀b",
        "👩\u200d👧",
        "日本",
        "{a}",
        "$a",
        "[a]",
        "a*b",
        "a.b",
        "(a|b)",
        "\ufeffa",
    ),
)
URLS = tuple(f"https://example.org/{end}" for end in ("", "a", "A", "a%20b", "a_b", "axb", "a'b", "é", "a,b", "(a)"))
DAYS = (*(date(2020, 12, 30) + timedelta(days=day) for day in range(5)), date(1, 1, 1), date(9999, 12, 31))

texts = st.one_of(
    st.sampled_from(TEXTS),
    st.text(st.sampled_from("ab%_\\\"'[](),. é😀\u200d\t\n\x00\u2028"), min_size=1, max_size=5),
    st.text(min_size=1, max_size=5),
)
lists = st.lists(texts, min_size=1, max_size=4)
days = st.one_of(st.sampled_from(DAYS), st.dates()).map(str)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "category": lists,
        "author": lists,
        "import_tag": lists,
        "source_url": st.lists(st.sampled_from((*URLS, "https://example.org/b")), min_size=1, max_size=4),
        "source_date_after": days,
        "source_date_before": st.one_of(days, st.sampled_from(["2021.01.01", "2021/01/01"])),
        "category_empty": st.booleans(),
        "author_empty": st.booleans(),
        "import_tag_empty": st.booleans(),
        "source_url_empty": st.booleans(),
        "source_date_empty": st.booleans(),
        "question_sentiment": st.lists(st.sampled_from(list(Sentiment)), min_size=1, max_size=2),
        "risk_level": st.lists(st.sampled_from(list(RiskLevel)), min_size=1, max_size=3),
        "risk_level_empty": st.booleans(),
        "unsafe_advice": st.lists(st.sampled_from(list(FoundAdvice)), min_size=1, max_size=4),
        "unsafe_advice_empty": st.booleans(),
    },
)


def make_rows() -> list[Conversation]:
    chance = random.Random(7)

    def some(values: tuple[Any, ...]) -> Any:
        return chance.choice(values) if chance.random() < 0.75 else None

    at = datetime(2026, 3, 1, tzinfo=UTC)
    return [
        Conversation(
            id=key,
            version=1,
            created_at=at,
            updated_at=at,
            question="q",
            answer="a",
            question_sentiment=chance.choice(list(Sentiment)),
            answer_sentiment=Sentiment.NEUTRAL,
            index_status=IndexStatus.PENDING,
            source_url=some(URLS),
            source_date=some(DAYS),
            # Each text once at least.
            category=TEXTS[key - 1] if key <= len(TEXTS) else some(TEXTS),
            author=some(TEXTS),
            import_tag=some(TEXTS),
            risk_level=(None, *RiskLevel)[key % 5],
            unsafe_advice=chance.choice(list(FoundAdvice)) if key % 5 else None,
        )
        for key in range(1, ROWS + 1)
    ]


@pytest.fixture
async def rows(sessions: SessionFactory) -> list[Conversation]:
    """The rows in the database."""
    made = make_rows()
    async with sessions.begin() as session:
        contents = [row.model_dump(exclude={"index_status", "risk_level", "unsafe_advice"}) for row in made]
        await session.execute(insert(ConversationRow), contents)
        # Some rows without a level have no state either, as those that another program writes.
        stated = [row for row in made if row.risk_level or row.id % 2]
        state = {"kind": CONVERSATION, "ordinal": 0, "status": IndexStatus.INDEXED, "attempts": 1}
        found = ("risk_level", "unsafe_advice")
        states = [
            {**state, "source_id": row.id, "queued_at": row.created_at, **{name: getattr(row, name) for name in found}}
            for row in stated
        ]
        await session.execute(insert(IndexStateRow), states)
    return made


@pytest.fixture
async def index(milvus_uri: str) -> AsyncIterator[MilvusIndex]:
    """The rows in Milvus."""
    client = AsyncMilvusClient(milvus_uri, timeout=30, dedicated=True)
    await client.drop_collection(vector_index.COLLECTION)
    await ensure_collection(client, "filters", 2)
    await client.upsert(vector_index.COLLECTION, [vector_row(row, [1.0, 0.0], [1.0, 0.0]) for row in make_rows()])
    yield MilvusIndex(client, model="filters", dimension=2, consistency="Strong", timeout=30)
    await client.drop_collection(vector_index.COLLECTION)
    await client.close()


async def found_in(index: MilvusIndex, condition: Condition) -> set[int]:
    query = IndexQuery(SearchMode.SEMANTIC, "x", [1.0, 0.0])
    return {match.unit.key.source_id for match in await index.search(query, ROWS + 10, condition)}


@pytest.mark.slow
@given(given_filters=FILTERS)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_sql_and_milvus_find_the_same(
    sessions: SessionFactory, rows: list[Conversation], index: MilvusIndex, given_filters: dict[str, Any]
) -> None:
    try:
        request = SearchRequest.model_validate({"query": "x", **given_filters})
    except ValidationError:
        # What no conversation can have is refused by both.
        with pytest.raises(ValidationError):
            ConversationFilters.model_validate(given_filters)
        return
    async with sessions() as session:
        repository = ConversationRepository(session)
        filters = ConversationFilters.model_validate(given_filters)
        listed = await repository.list(filters, Sort.ID, None, ROWS + 1)
        assert await repository.count(filters) == len(listed)
    assert await found_in(index, condition_from_request(request)) == {row.id for row in listed}


parts = texts.filter(lambda text: len(text) <= CATEGORY.max_length and is_single_line(text))
kept = parts.map(str.strip).filter(bool)
ordinals = st.sampled_from(DAYS).map(lambda day: int(to_index_value(SOURCE_DATE, day)))
spans = ordinals.map(lambda day: (day, day + 1))
fields_of_text = st.sampled_from([CATEGORY.name, AUTHOR.name, SOURCE_URL.name])
part_conditions = st.builds(Substring, fields_of_text, parts, st.sampled_from(["anywhere", "start", "end"]))
levels = st.lists(st.sampled_from([*RiskLevel, ""]), max_size=3)
advice = st.lists(st.sampled_from([*FoundAdvice, ""]), max_size=4)
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(In, st.just(RISK_LEVEL.name), levels, st.booleans()),
    st.builds(In, st.just(UNSAFE_ADVICE.name), advice, st.booleans()),
    st.builds(In, fields_of_text, st.lists(kept, max_size=3), st.booleans()),
    part_conditions,
    st.builds(Not, part_conditions),
    st.builds(Compare, st.just(SOURCE_DATE.name), st.sampled_from(["<", "<=", ">", ">="]), ordinals),
    st.builds(within, st.just(SOURCE_DATE.name), spans),
    st.builds(outside, st.just(SOURCE_DATE.name), spans),
    st.builds(
        lambda name, negated: is_empty(name, negated=negated),
        st.one_of(fields_of_text, st.sampled_from([SOURCE_DATE.name, RISK_LEVEL.name, UNSAFE_ADVICE.name])),
        st.booleans(),
    ),
)
conditions = st.recursive(
    leaves, lambda inner: st.builds(And, st.lists(inner, max_size=3)) | st.builds(Or, st.lists(inner, max_size=3))
)


def holds(condition: Condition, row: Conversation) -> bool:
    """The oracle: no value compares with any, is none of any and holds no part."""
    match condition:
        case And():
            return all(holds(one, row) for one in condition.operands)
        case Or():
            return any(holds(one, row) for one in condition.operands)
        case Not():
            return not holds(condition.operand, row)
        case Substring():
            return holds_part(condition, getattr(row, condition.field) or "")
        case In():
            value = to_index_value(BY_NAME[condition.field], getattr(row, condition.field))
            return (value in condition.values) is not condition.negated
        case Compare():
            day = row.source_date and row.source_date.toordinal()
            signs = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
            return day is not None and bool(getattr(day, signs[condition.operator])(condition.value))
    raise AssertionError(condition)


def holds_part(part: Substring, value: str) -> bool:
    return {
        "anywhere": value.find(part.text) >= 0,
        "start": value[: len(part.text)] == part.text,
        "end": value[max(len(value) - len(part.text), 0) :] == part.text,
    }[part.position]


@pytest.mark.slow
@given(condition=conditions)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_milvus_finds_what_plain_python_does(index: MilvusIndex, condition: Condition) -> None:
    assert await found_in(index, condition) == {row.id for row in make_rows() if holds(condition, row)}, condition


@pytest.mark.parametrize("text", TEXTS)
async def test_each_text_finds_itself_and_nothing_else(index: MilvusIndex, text: str) -> None:
    wanted = {row.id for row in make_rows() if row.category == text}
    assert wanted
    assert await found_in(index, In(CATEGORY.name, [text])) == wanted


def test_the_texts_are_what_a_conversation_can_have() -> None:
    assert CATEGORY.kind is Kind.TEXT
    assert [validate_text(CATEGORY, text) for text in TEXTS] == list(TEXTS)
    assert [validate_text(SOURCE_URL, url) for url in URLS] == list(URLS)
