"""What each method sends and returns; every test runs with Client and AsyncClient."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from mh_client import (
    Answer,
    Conversation,
    ConversationCreate,
    ConversationStats,
    IndexState,
    IndexStatus,
    InvalidInputError,
    SearchResult,
    Sentiment,
    __version__,
)
from mh_common.models import AnswerLatency, QueryOrigin, Source, Usage
from mh_devtools.testing.fixtures import CallMethod
from mh_devtools.testing.responses import model_response

BASE = "http://platform.test/prefix"
API = f"{BASE}/api/v1"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEXTS: dict[str, Any] = {
    "question": "How do I sleep?",
    "answer": "At the same hour each day.",
    "question_sentiment": Sentiment.NEGATIVE,
    "answer_sentiment": Sentiment.NEUTRAL,
}
ROW = Conversation(id=7, version=2, created_at=NOW, updated_at=NOW, index_status=IndexStatus.PENDING, **TEXTS)

SUGGESTION = Answer(
    answer="Sleep [1].",
    sources=[Source(id=7, question="q", answer="a", score=0.5, relevance=0.5)],
    model="extractive",
    usage=Usage(),
    answer_id=UUID(int=7),
    standalone_query="bus",
    query_origin=QueryOrigin.QUESTION,
    latency_ms=AnswerLatency(condense=0, search=1, generate=1, total=2),
    grounded=True,
)


@pytest.fixture
def call(calling: Callable[..., CallMethod]) -> CallMethod:
    """Call a method by its path, such as `conversations.get`."""
    return calling(BASE + "/")


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


@respx.mock
def test_create_sends_the_content_with_a_key_and_returns_the_row(call: CallMethod) -> None:
    route = respx.post(f"{API}/conversations").mock(model_response(ROW, 201))
    assert call("conversations.create", **TEXTS) == ROW
    assert sent(route) == TEXTS
    headers = route.calls.last.request.headers
    assert len(headers["Idempotency-Key"]) == 36
    assert headers["User-Agent"] == f"mh-client/{__version__}"
    assert headers["Content-Type"] == "application/json"
    first = headers["Idempotency-Key"]
    call("conversations.create", **TEXTS)
    assert route.calls.last.request.headers["Idempotency-Key"] != first


@respx.mock
def test_create_keeps_the_callers_key(call: CallMethod) -> None:
    route = respx.post(f"{API}/conversations").mock(model_response(ROW, 201))
    call("conversations.create", **TEXTS, idempotency_key="mine")
    assert route.calls.last.request.headers["Idempotency-Key"] == "mine"


@respx.mock
def test_get_and_index_state_return_models(call: CallMethod) -> None:
    state = IndexState(
        conversation_id=7,
        status=IndexStatus.INDEXED,
        version=2,
        indexed_version=2,
        reason=None,
        attempts=1,
        queued_at=NOW,
        indexed_at=NOW,
        lag_seconds=0.0,
    )
    respx.get(f"{API}/conversations/7").mock(model_response(ROW))
    respx.get(f"{API}/conversations/7/index-state").mock(model_response(state))
    assert call("conversations.get", 7) == ROW
    assert call("conversations.index_state", 7) == state


@respx.mock
@pytest.mark.parametrize(("if_match", "header"), [(2, '"2"'), ('"2-indexed"', '"2-indexed"'), (None, None)])
def test_changes_send_the_expected_version(call: CallMethod, if_match: int | str | None, header: str | None) -> None:
    put = respx.put(f"{API}/conversations/7").mock(model_response(ROW))
    patch = respx.patch(f"{API}/conversations/7").mock(model_response(ROW))
    delete = respx.delete(f"{API}/conversations/7").respond(204)
    assert call("conversations.replace", 7, **TEXTS, if_match=if_match) == ROW
    assert call("conversations.update", 7, answer="Another.", if_match=if_match) == ROW
    assert call("conversations.delete", 7, if_match=if_match) is None
    assert sent(put) == TEXTS
    assert sent(patch) == {"answer": "Another."}
    assert [route.calls.last.request.headers.get("If-Match") for route in (put, patch, delete)] == [header] * 3


@respx.mock
def test_bulk_calls_send_a_key_and_return_ids_or_counts(call: CallMethod) -> None:
    created = respx.post(f"{API}/conversations/bulk").respond(201, json={"ids": [5, 6]})
    deleted = respx.post(f"{API}/conversations/bulk-delete").respond(200, json={"deleted": 1})
    items = [ConversationCreate(**TEXTS)] * 2
    assert call("conversations.bulk_create", items, idempotency_key="mine") == [5, 6]
    assert call("conversations.bulk_delete", [5, 6]) == 1
    assert sent(created) == {"items": [TEXTS, TEXTS]}
    assert sent(deleted) == {"ids": [5, 6]}
    assert created.calls.last.request.headers["Idempotency-Key"] == "mine"
    assert deleted.calls.last.request.headers["Idempotency-Key"]


@respx.mock
def test_list_sends_every_filter_with_its_api_name(call: CallMethod) -> None:
    route = respx.get(f"{API}/conversations").respond(json={"items": [], "next_cursor": None, "total": 0})
    page = call(
        "conversations.list",
        cursor="c",
        limit=4,
        sort="-updated_at",
        question_sentiment=Sentiment.NEGATIVE,
        answer_sentiment=["positive", Sentiment.NEUTRAL],
        created_after=datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        updated_before=None,
        ids=(1, 2),
        q="a&b c",
        include_total=True,
    )
    assert page.total == 0
    assert route.calls.last.request.url.params.multi_items() == [
        ("cursor", "c"),
        ("limit", "4"),
        ("sort", "-updated_at"),
        ("question_sentiment", "negative"),
        ("answer_sentiment", "positive"),
        ("answer_sentiment", "neutral"),
        ("created_after", "2026-01-01T00:00:00+02:00"),
        ("ids", "1"),
        ("ids", "2"),
        ("q", "a&b c"),
        ("include_total", "true"),
    ]


@respx.mock
def test_iterate_walks_all_pages_with_the_same_filters(call: CallMethod) -> None:
    rows = [ROW.model_copy(update={"id": number}) for number in range(5)]
    pages = {None: (rows[:2], "b"), "b": (rows[2:4], "c"), "c": (rows[4:], None)}

    def page(request: httpx.Request) -> httpx.Response:
        assert request.url.params["limit"] == "2"
        assert request.url.params["q"] == "sleep"
        items, cursor = pages[request.url.params.get("cursor")]
        return httpx.Response(
            200, json={"items": [row.model_dump(mode="json") for row in items], "next_cursor": cursor}
        )

    respx.get(f"{API}/conversations").mock(side_effect=page)
    assert call("conversations.iterate", limit=2, q="sleep") == rows
    assert call("conversations.iterate", limit=2, q="sleep", cursor="c") == rows[4:]


@respx.mock
def test_export_streams_the_file(call: CallMethod) -> None:
    route = respx.get(f"{API}/conversations/export").respond(content=b"id,question\r\n1,\xc3\xa9\r\n")
    assert b"".join(call("conversations.export", format="csv", ids=[1])) == b"id,question\r\n1,\xc3\xa9\r\n"
    assert dict(route.calls.last.request.url.params) == {"format": "csv", "ids": "1"}


@respx.mock
def test_stats_search_answer_and_report(call: CallMethod) -> None:
    counts = ConversationStats(
        total=1,
        question_sentiment={Sentiment.NEGATIVE: 1},
        answer_sentiment={},
        pairs=[],
        per_month=[],
        index_status={IndexStatus.PENDING: 1},
    )
    found = SearchResult(hits=[], total_hits=0)
    respx.get(f"{API}/conversations/stats").mock(model_response(counts))
    search = respx.post(f"{API}/search").mock(model_response(found))
    ask = respx.post(f"{API}/answers").mock(model_response(SUGGESTION))
    assert call("conversations.stats") == counts
    assert call("search", "bus", limit=3, similarity_threshold=0.2, question_sentiment="negative", ids=[1]) == found
    assert call("answer", "bus", top_k=2) == SUGGESTION
    assert sent(search) == {
        "query": "bus",
        "limit": 3,
        "similarity_threshold": 0.2,
        "question_sentiment": ["negative"],
        "ids": [1],
    }
    assert sent(ask) == {"question": "bus", "top_k": 2}
    assert ask.calls.last.request.extensions["timeout"] == {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 60.0}
    assert search.calls.last.request.extensions["timeout"]["read"] == 30.0


@respx.mock
def test_similar_asks_for_the_conversation(call: CallMethod) -> None:
    found = SearchResult(hits=[], total_hits=0)
    route = respx.get(f"{API}/conversations/7/similar").mock(model_response(found))
    assert call("similar", 7, limit=3) == found
    assert dict(route.calls.last.request.url.params) == {"limit": "3", "similarity_threshold": "0.0"}


@pytest.mark.parametrize(
    ("path", "args", "kwargs", "field"),
    [
        ("conversations.create", (), {**TEXTS, "question": "secret \x00"}, "question"),
        ("conversations.update", (7,), {}, ""),
        ("conversations.update", (7,), {"answer": None}, ""),
        ("conversations.create", (), {"question": "secret"}, "answer"),
        ("conversations.bulk_create", ({**TEXTS, "question": "secret"},), {}, "items"),
        ("conversations.bulk_delete", ([0],), {}, "ids.0"),
        ("conversations.list", (), {"ids": []}, "ids"),
        ("conversations.list", (), {"created_after": datetime(2026, 1, 1)}, "created_after"),  # noqa: DTZ001 - the point
        ("search", ("",), {}, "query"),
        ("search", ("secret",), {"limit": 0}, "limit"),
        ("answer", ("secret",), {"top_k": 21}, "top_k"),
        ("answer_stream", ("secret",), {"user_id": "secret name"}, "user_id"),
        (
            "answer_stream",
            ("x",),
            {"conversation_history": [{"role": "no", "content": "x"}]},
            "conversation_history.0.role",
        ),
    ],
)
@respx.mock
def test_invalid_input_is_reported_without_its_text_and_not_sent(
    call: CallMethod, path: str, args: Any, kwargs: Any, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        call(path, *args, **kwargs)
    assert caught.value.errors[0].field == field
    assert "secret" not in str(caught.value)
    assert not respx.calls
