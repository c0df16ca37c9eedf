"""`client.experiments` and `client.history`: what is sent and returned; every test runs with both clients."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
import respx
from mh_client import (
    ConflictError,
    DataSet,
    Experiment,
    ExperimentCreate,
    ExperimentDetail,
    ExperimentMetrics,
    ExperimentPage,
    Feedback,
    Figure,
    HistoryEntry,
    HistoryEntryCreate,
    HistoryHit,
    HistoryPage,
    InvalidInputError,
    NotFoundError,
    Rating,
)
from mh_common.models import HistoryDeleted
from mh_devtools.testing.fixtures import CallMethod
from mh_devtools.testing.responses import model_response

BASE = "http://platform.test/prefix"
EXPERIMENTS, HISTORY = f"{BASE}/api/v1/experiments", f"{BASE}/api/v1/history"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NEW = ExperimentCreate(
    name="mode=hybrid",
    configuration={"mode": "hybrid"},
    data_set=DataSet(name="queries.jsonl", sha256="0a" * 32, cases=1),
    metrics=ExperimentMetrics(figures={"hit@3": Figure(value=1, low=1, high=1)}),
    per_case={"hit@3": [1.0]},
    duration_seconds=0.5,
)
EXPERIMENT = Experiment(id=3, created_at=NOW, **NEW.model_dump(exclude={"per_case"}))
ANSWER_ID = UUID("0190f3c2-7d0e-7c4e-9b1a-2f4f6a1b8c11")
NEW_ENTRY = HistoryEntryCreate(
    answer_id=ANSWER_ID,
    user_id="alice",
    question="How do I sleep?",
    hits=[HistoryHit(id=7, version=1, score=0.5)],
    answer="At the same hour [1].",
    model="stub",
    latency_ms=12.5,
)
ENTRY = HistoryEntry(created_at=NOW, **NEW_ENTRY.model_dump())
FEEDBACK = Feedback(rating=Rating.UP, comment=None, at=NOW)


@pytest.fixture
def call(calling: Callable[..., CallMethod]) -> CallMethod:
    """Call a method by its path."""
    return calling(BASE, max_retries=0)


def user(route: respx.Route) -> str | None:
    header: str | None = route.calls.last.request.headers.get("X-User-Id")
    return header


@respx.mock
def test_experiments_are_added_under_a_key_read_and_deleted(call: CallMethod) -> None:
    added = respx.post(EXPERIMENTS).mock(model_response(EXPERIMENT, 201))
    respx.get(f"{EXPERIMENTS}/3").mock(
        model_response(ExperimentDetail(**EXPERIMENT.model_dump(), per_case=NEW.per_case))
    )
    respx.get(f"{EXPERIMENTS}/4").mock(httpx.Response(404))
    deleted = respx.delete(f"{EXPERIMENTS}/3").mock(httpx.Response(204))

    assert call("experiments.add", NEW) == call("experiments.add", NEW, idempotency_key="mine") == EXPERIMENT
    assert ExperimentCreate.model_validate_json(added.calls.last.request.content) == NEW
    keys = [request.request.headers["Idempotency-Key"] for request in added.calls]
    assert (len(keys[0]), keys[1]) == (36, "mine")
    assert call("experiments.get", 3).per_case == {"hit@3": [1.0]}
    assert call("experiments.delete", 3) is None
    assert deleted.called
    with pytest.raises(NotFoundError):
        call("experiments.get", 4)


@respx.mock
def test_experiments_page_by_page_and_all(call: CallMethod) -> None:
    other = EXPERIMENT.model_copy(update={"id": 2})
    route = respx.get(EXPERIMENTS)
    route.side_effect = [
        model_response(ExperimentPage(items=[EXPERIMENT], next_cursor="3")),
        model_response(ExperimentPage(items=[other], next_cursor=None)),
        model_response(ExperimentPage(items=[other], next_cursor=None)),
    ]
    assert call("experiments.iterate", "0a" * 32) == [EXPERIMENT, other]
    assert dict(route.calls.last.request.url.params) == {"data_set_sha256": "0a" * 32, "cursor": "3"}
    assert call("experiments.list", limit=1).items == [other]
    assert dict(route.calls.last.request.url.params) == {"limit": "1"}


@respx.mock
def test_an_entry_is_read_rated_and_deleted(call: CallMethod) -> None:
    got = respx.get(f"{HISTORY}/{ANSWER_ID}").mock(model_response(ENTRY))
    rated = respx.post(f"{BASE}/api/v1/answers/{ANSWER_ID}/feedback").mock(model_response(FEEDBACK))
    deleted = respx.delete(f"{HISTORY}/{ANSWER_ID}").mock(httpx.Response(204))

    assert call("history.get", ANSWER_ID) == call("history.get", str(ANSWER_ID).upper(), "alice") == ENTRY
    assert [request.request.headers.get("X-User-Id") for request in got.calls] == [None, "alice"]
    assert call("history.feedback", ANSWER_ID, "up", user_id="alice") == FEEDBACK
    # Older servers know no other field.
    assert (json.loads(rated.calls.last.request.content), user(rated)) == ({"rating": "up"}, "alice")
    assert call("history.delete", ANSWER_ID, "alice") is None
    assert user(deleted) == "alice"


@respx.mock
def test_a_users_entries_page_by_page_all_and_cleared(call: CallMethod) -> None:
    route = respx.get(HISTORY)
    route.side_effect = [
        model_response(HistoryPage(items=[ENTRY], next_cursor="9")),
        model_response(HistoryPage(items=[ENTRY], next_cursor=None)),
        model_response(HistoryPage(items=[], next_cursor=None)),
    ]
    assert call("history.iterate", "alice") == [ENTRY, ENTRY]
    assert (dict(route.calls.last.request.url.params), user(route)) == ({"cursor": "9"}, "alice")
    assert call("history.list", "bob", limit=1).items == []
    assert (dict(route.calls.last.request.url.params), user(route)) == ({"limit": "1"}, "bob")
    cleared = respx.delete(HISTORY).mock(model_response(HistoryDeleted(deleted=2)))
    assert (call("history.clear", "alice"), user(cleared)) == (2, "alice")


@respx.mock
def test_a_disabled_history_is_a_conflict(call: CallMethod) -> None:
    respx.get(HISTORY).mock(httpx.Response(409))
    with pytest.raises(ConflictError):
        call("history.list", "alice")


def test_invalid_arguments_are_reported(call: CallMethod) -> None:
    for user_id in ("", "two words", "ä", "line\nbreak", "x" * 129):
        with pytest.raises(InvalidInputError, match="user_id"):
            call("history.list", user_id)
    with pytest.raises(InvalidInputError, match="answer_id"):
        call("history.get", "17/../../conversations")
    with pytest.raises(InvalidInputError, match="rating"):
        call("history.feedback", ANSWER_ID, "meh")
