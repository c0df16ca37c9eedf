"""`client.index`: what each method sends and returns; every test runs with Client and AsyncClient."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
import respx
from mh_client import (
    IndexFailurePage,
    IndexQueued,
    IndexState,
    IndexStatus,
    IndexSummary,
    InvalidInputError,
    NotFoundError,
)
from mh_common.models import IndexRunList
from mh_devtools.testing.fixtures import CallMethod
from mh_devtools.testing.responses import model_response
from mh_devtools.testing.runs import queued_run

BASE = "http://platform.test/prefix"
API = f"{BASE}/api/v1/index"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
STATE = IndexState(
    conversation_id=7,
    status=IndexStatus.FAILED,
    version=2,
    indexed_version=None,
    reason="The embedder refused the text.",
    attempts=1,
    queued_at=NOW,
    indexed_at=None,
    lag_seconds=0.5,
)
RUN = queued_run(3, NOW)


@pytest.fixture
def call(calling: Callable[..., CallMethod]) -> CallMethod:
    """Call a method of `client.index` by its name."""
    method = calling(BASE, max_retries=0)
    return lambda name, *args, **kwargs: method(f"index.{name}", *args, **kwargs)


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


def params(route: respx.Route) -> dict[str, str]:
    return dict(route.calls.last.request.url.params)


@respx.mock
def test_the_summary_and_single_states(call: CallMethod) -> None:
    summary = IndexSummary(
        total=9,
        pending=2,
        indexed=6,
        failed=1,
        oldest_pending_at=NOW,
        lag_seconds=1.5,
        outbox_depth=2,
        oldest_outbox_at=NOW,
        failures=[],
    )
    respx.get(f"{API}/summary").mock(model_response(summary))
    respx.post(f"{BASE}/api/v1/conversations/7/reindex").mock(model_response(STATE, 202))
    respx.post(f"{API}/retry").mock(model_response(IndexQueued(queued=1), 202))

    assert call("summary") == summary
    assert call("reindex", 7) == STATE
    assert call("retry").queued == 1


@respx.mock
def test_failures_page_by_page_and_all(call: CallMethod) -> None:
    other = STATE.model_copy(update={"conversation_id": 8})
    route = respx.get(f"{API}/failures")
    route.mock(model_response(IndexFailurePage(items=[STATE], next_cursor="7")))
    assert call("failures", limit=1).items == [STATE]
    assert params(route) == {"limit": "1"}

    route.side_effect = [
        model_response(IndexFailurePage(items=[STATE], next_cursor="7")),
        model_response(IndexFailurePage(items=[other], next_cursor=None)),
    ]
    assert call("iterate_failures") == [STATE, other]
    assert params(route) == {"cursor": "7"}


@respx.mock
def test_queue_sends_ids_and_rejects_an_empty_list(call: CallMethod) -> None:
    route = respx.post(f"{API}/queue").mock(model_response(IndexQueued(queued=2), 202))
    assert call("queue", [1, 2]) == IndexQueued(queued=2)
    assert sent(route) == {"ids": [1, 2]}
    for ids in ([], [0], list(range(1, 1002))):
        with pytest.raises(InvalidInputError):
            call("queue", ids)


@respx.mock
def test_asking_for_runs(call: CallMethod) -> None:
    sync = respx.post(f"{API}/sync").mock(model_response(RUN, 202))
    respx.post(f"{API}/rebuild").mock(model_response(RUN, 202))
    listed = respx.get(f"{API}/runs").mock(model_response(IndexRunList(items=[RUN])))
    respx.get(f"{API}/runs/3").mock(model_response(RUN))
    respx.get(f"{API}/runs/4").mock(httpx.Response(404))

    assert call("sync") == call("rebuild") == call("run", 3) == RUN
    assert sent(sync) == {"since": None, "force": False}
    assert call("runs", limit=1) == [RUN]
    assert params(listed) == {"limit": "1"}
    call("sync", since=NOW.astimezone(timezone(timedelta(hours=1))), force=True)
    assert sent(sync) == {"since": "2026-03-01T12:00:00.123456Z", "force": True}
    with pytest.raises(NotFoundError):
        call("run", 4)
