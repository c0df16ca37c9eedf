"""What the worker sends to the conversations API, and what it makes of the answers."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from indexer_worker.api_calls import ConversationsAPI
from mh_client import AsyncClient, ConflictError
from mh_common.models import (
    CurrentVersion,
    IndexOutcome,
    IndexQueued,
    IndexReport,
    IndexReportAnswer,
    IndexRunKind,
    IndexRunProgress,
    IndexRunStatus,
    IndexStatus,
    UnitPosition,
    UnitVersion,
    UnitVersions,
)
from mh_common.units import UnitKey, conversation_unit
from mh_devtools.testing.responses import model_response
from mh_devtools.testing.runs import queued_run

BASE = "http://conversations.test"
INTERNAL = f"{BASE}/internal/index"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
RUN = queued_run(3, NOW, IndexRunKind.RECONCILE)


@pytest.fixture
async def api() -> AsyncIterator[ConversationsAPI]:
    async with AsyncClient(BASE, max_retries=1, sleep=_at_once) as client:
        yield ConversationsAPI(client)


async def _at_once(_: float) -> None:
    return None


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


@respx.mock
async def test_versions_after_an_id_and_since_a_time(api: ConversationsAPI) -> None:
    state = CurrentVersion(**conversation_unit(9)._asdict(), version=2, status=IndexStatus.FAILED, queued_at=NOW)
    page = UnitVersions(items=[state], next_after=UnitPosition(source_id=9, ordinal=0))
    route = respx.get(f"{INTERNAL}/versions").mock(model_response(page))
    assert await api.versions(after=conversation_unit(0), limit=1000) == page
    assert dict(route.calls.last.request.url.params) == {
        "kind": "conversation",
        "after": "0",
        "after_ordinal": "0",
        "limit": "1000",
    }
    await api.versions(after=UnitKey("note", 7, 3), limit=5000, since=NOW)
    asked = {"kind": "note", "after": "7", "after_ordinal": "3", "limit": "5000"}
    asked["since"] = "2026-03-01T12:00:00.123456+00:00"
    assert dict(route.calls.last.request.url.params) == asked


@respx.mock
async def test_a_report_is_sent_again_when_its_answer_is_lost(api: ConversationsAPI) -> None:
    answer = IndexReportAnswer(versions=[UnitVersion(**conversation_unit(7)._asdict(), version=None)])
    report = IndexReport(
        outcomes=[IndexOutcome(**conversation_unit(7)._asdict(), version=2, status=IndexStatus.INDEXED)]
    )
    route = respx.post(f"{INTERNAL}/reports").mock(side_effect=[httpx.ReadTimeout("lost"), model_response(answer)])
    assert await api.report(report) == answer
    assert IndexReport.model_validate(sent(route)) == report
    assert route.call_count == 2


@respx.mock
async def test_runs_are_added_claimed_and_reported(api: ConversationsAPI) -> None:
    added = respx.post(f"{INTERNAL}/runs").mock(model_response(RUN, 201))
    claim = respx.post(f"{INTERNAL}/runs/3/claim").mock(model_response(RUN))
    report = respx.put(f"{INTERNAL}/runs/3/progress").mock(model_response(RUN))
    progress = IndexRunProgress(owner="w1", status=IndexRunStatus.RUNNING, checked=5)

    assert await api.add_run(IndexRunKind.RECONCILE) == RUN
    assert sent(added) == {"kind": "reconcile"}
    assert await api.claim_run(3, "w1") == await api.report_run(3, progress) == RUN
    assert sent(claim) == {"owner": "w1"}
    assert IndexRunProgress.model_validate(sent(report)) == progress
    report.mock(httpx.Response(409))
    with pytest.raises(ConflictError):
        await api.report_run(3, progress)


@respx.mock
async def test_differences_are_queued(api: ConversationsAPI) -> None:
    route = respx.post(f"{INTERNAL}/queue").mock(model_response(IndexQueued(queued=2), 202))
    assert await api.queue([conversation_unit(7), UnitKey("note", 9, 2)]) == 2
    assert sent(route) == {
        "units": [
            {"kind": "conversation", "source_id": 7, "ordinal": 0},
            {"kind": "note", "source_id": 9, "ordinal": 2},
        ]
    }
