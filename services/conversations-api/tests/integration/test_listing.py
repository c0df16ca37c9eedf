"""Lists: filters, sorting, pages, and the same answers as a plain Python loop would give."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from conversations_api.database import SessionFactory
from conversations_api.models import ConversationRow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.models import Sentiment
from sqlalchemy import insert

PATH = "/api/v1/conversations"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SENTIMENTS = [sentiment.value for sentiment in Sentiment]
SORTS = ["id", "-id", "created_at", "-created_at", "updated_at", "-updated_at"]

Rows = list[dict[str, Any]]


def some_rows(count: int = 60) -> Rows:
    """Rows whose times repeat, so that the id has to decide, and differ from the order of the ids."""
    return [
        {
            "id": 10 + 3 * number,
            "created_at": START + timedelta(microseconds=(number * 7) % 11),
            "updated_at": START + timedelta(hours=(number * 5) % 13),
            "question": f"question {number}",
            "answer": f"answer {number}",
            "question_sentiment": Sentiment(SENTIMENTS[number % 3]),
            "answer_sentiment": Sentiment(SENTIMENTS[(number // 3) % 3]),
            "version": 1,
        }
        for number in range(count)
    ]


@pytest.fixture
async def rows(sessions: SessionFactory) -> Rows:
    """Rows in the database."""
    found = some_rows()
    async with sessions.begin() as session:
        await session.execute(insert(ConversationRow), found)
    return found


async def walk(
    client: httpx.AsyncClient, params: dict[str, Any], between: Callable[[], Any] | None = None
) -> list[int]:
    """Return the ids on all pages, in their order; `between` runs after each page."""
    ids: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(PATH, params={**params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= params["limit"]
        if page["next_cursor"] is None:
            return ids
        cursor = {"cursor": page["next_cursor"]}
        if between is not None:
            await between()


def expected(rows: Rows, params: dict[str, Any]) -> list[int]:
    """The oracle."""

    def passes(row: dict[str, Any]) -> bool:
        return (
            row["question_sentiment"] in params.get("question_sentiment", SENTIMENTS)
            and row["answer_sentiment"] in params.get("answer_sentiment", SENTIMENTS)
            and row["id"] in params.get("ids", [row["id"]])
            and row["created_at"] >= datetime.fromisoformat(params.get("created_after", "1970-01-01T00:00:00Z"))
            and row["created_at"] < datetime.fromisoformat(params.get("created_before", "2999-01-01T00:00:00Z"))
            and row["updated_at"] >= datetime.fromisoformat(params.get("updated_after", "1970-01-01T00:00:00Z"))
            and row["updated_at"] < datetime.fromisoformat(params.get("updated_before", "2999-01-01T00:00:00Z"))
        )

    field = params["sort"].removeprefix("-")
    found = sorted(filter(passes, rows), key=lambda row: (row[field], row["id"]), reverse=params["sort"][0] == "-")
    return [row["id"] for row in found]


ZONES = st.sampled_from([timedelta(0), timedelta(hours=2), timedelta(hours=-9, minutes=-30)])


@st.composite
def times(draw: st.DrawFn, unit: str) -> str:
    moment = START + timedelta(**{unit: draw(st.integers(-1, 13))})
    return moment.astimezone(timezone(draw(ZONES))).isoformat()


QUERIES = st.fixed_dictionaries(
    {"sort": st.sampled_from(SORTS), "limit": st.integers(1, 70)},
    optional={
        "question_sentiment": st.lists(st.sampled_from(SENTIMENTS), min_size=1, max_size=3),
        "answer_sentiment": st.lists(st.sampled_from(SENTIMENTS), min_size=1, max_size=3),
        "ids": st.lists(st.integers(1, 200), min_size=1, max_size=60),
        "created_after": times("microseconds"),
        "created_before": times("microseconds"),
        "updated_after": times("hours"),
        "updated_before": times("hours"),
    },
)


@given(params=QUERIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_hold_what_a_plain_loop_finds(
    client: httpx.AsyncClient, rows: Rows, params: dict[str, Any]
) -> None:
    found = await walk(client, params)
    assert found == expected(rows, params)
    total = (await client.get(PATH, params={**params, "include_total": True})).json()["total"]
    assert total == len(found)


@pytest.mark.parametrize("sort", SORTS)
async def test_rows_added_between_pages_move_no_others(client: httpx.AsyncClient, rows: Rows, sort: str) -> None:
    new = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "neutral"}
    added: set[int] = set()

    async def add() -> None:
        added.update((await client.post(f"{PATH}/bulk", json={"items": [new] * 3})).json()["ids"])

    found = await walk(client, {"sort": sort, "limit": 20}, between=add)
    assert len(added) >= 6
    assert [id_ for id_ in found if id_ not in added] == expected(rows, {"sort": sort})
    assert len(found) == len(set(found))


async def test_a_page_has_fifty_rows_and_a_total_only_when_asked(client: httpx.AsyncClient, rows: Rows) -> None:
    page = (await client.get(PATH)).json()
    assert set(page) == {"items", "next_cursor"}
    assert [item["id"] for item in page["items"]] == [row["id"] for row in rows[:50]]
    last = (await client.get(PATH, params={"cursor": page["next_cursor"], "include_total": "true"})).json()
    assert (len(last["items"]), last["next_cursor"], last["total"]) == (10, None, 60)
    empty = (await client.get(PATH, params={"ids": 1})).json()
    assert empty == {"items": [], "next_cursor": None}


async def test_a_page_that_ends_with_the_list_has_no_next(client: httpx.AsyncClient, rows: Rows) -> None:
    assert (await client.get(PATH, params={"limit": 60})).json()["next_cursor"] is None
    assert (await client.get(PATH, params={"limit": 59})).json()["next_cursor"] is not None


async def test_a_cursor_is_valid_only_for_its_own_list(client: httpx.AsyncClient, rows: Rows) -> None:
    params: dict[str, Any] = {"limit": 5, "sort": "created_at", "question_sentiment": ["neutral", "negative"]}
    cursor = (await client.get(PATH, params=params)).json()["next_cursor"]
    again = {**params, "cursor": cursor, "question_sentiment": ["negative", "neutral"], "limit": 7}
    assert (await client.get(PATH, params=again)).status_code == 200
    for change in ({"sort": "-created_at"}, {"sort": "id"}, {"question_sentiment": "neutral"}, {"q": "x"}):
        answer = await client.get(PATH, params={**params, "cursor": cursor, **change})
        assert answer.status_code == 400
        assert "other filters" in answer.json()["errors"][0]["message"]


@given(cursor=st.one_of(st.text(), st.binary().map(lambda raw: raw.hex()), st.just("e30"), st.just("bnVsbA")))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_invalid_cursor_is_a_bad_request(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get(PATH, params={"cursor": cursor})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/export"])
async def test_bad_parameters_are_named(client: httpx.AsyncClient, path: str) -> None:
    for name, value in (
        ("colour", "red"),
        ("created_after", "2026-01-01T00:00:00"),
        ("created_after", "2026-01-01"),
        ("created_before", "1767225600"),
        ("created_before", "yesterday"),
        ("updated_after", "0001-01-01T00:00:00+14:00"),
        ("updated_before", "9999-12-31T23:59:59-14:00"),
        ("updated_before", ""),
        ("q", ""),
        ("q", " "),
        ("q", "a\x00b"),
        ("q", "x" * 501),
    ):
        answer = await client.get(path, params={name: value})
        assert answer.status_code == 400, (name, value)
        assert [error["field"] for error in answer.json()["errors"]] == [name]
    for name, bad in (("question_sentiment", "angry"), ("ids", "0"), ("ids", "x"), ("ids", str(2**63))):
        answer = await client.get(path, params={name: bad})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == f"{name}.0"


async def test_bad_list_parameters_are_named(client: httpx.AsyncClient) -> None:
    for name, value in (("limit", "0"), ("limit", "201"), ("limit", "x"), ("sort", "question"), ("include_total", "2")):
        answer = await client.get(PATH, params={name: value})
        assert answer.status_code == 400, (name, value)
        assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert (await client.get(f"{PATH}/export", params={"limit": 5})).status_code == 400
    assert (await client.get(f"{PATH}/export", params={"format": "xml"})).status_code == 400


async def test_a_thousand_ids_are_accepted_and_no_more(client: httpx.AsyncClient, rows: Rows) -> None:
    ids = [row["id"] for row in rows]
    filler = list(range(10**12, 10**12 + 940))
    assert await walk(client, {"ids": [*ids, *filler], "limit": 200}) == ids
    assert (await client.get(PATH, params={"ids": [*ids, *filler, 10**13]})).status_code == 400


async def test_times_before_the_first_possible_row_are_understood(client: httpx.AsyncClient, rows: Rows) -> None:
    params = {"created_after": "0001-01-01T00:00:00Z", "updated_before": "9999-12-31T23:59:59.999999Z", "limit": 200}
    assert len(await walk(client, params)) == len(rows)
