"""What the worker sends to the conversations API, and what it makes of the answers."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from indexer_worker.api_calls import ConversationsAPI, ServiceKeyRefusedError, check_key, connected_api
from mh_client import AsyncClient, ConflictError
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.tokens import TokenKind, make_token
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
from mh_common.settings import ConversationsSettings
from mh_common.units import UnitKey, conversation_unit
from mh_devtools.stubs.index_stub import StubIndex
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


@pytest.fixture
def guarded() -> Iterator[StubIndex]:
    """An API that needs a service key."""
    with StubIndex.running() as stub:
        assert isinstance(stub, StubIndex)
        stub.service_key = make_token(TokenKind.SERVICE_KEY)
        stub.add_run()
        yield stub


def keyed(key: str | None) -> ServiceKeySettings:
    return ServiceKeySettings.model_validate({"service_key": key})


async def test_every_call_carries_the_service_key(guarded: StubIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of whoever starts the worker by hand: it is not the worker's.
    monkeypatch.setenv("MH_API_KEY", make_token(TokenKind.API_KEY))
    guarded.put(7, "text")
    report = IndexReport(
        outcomes=[IndexOutcome(**conversation_unit(7)._asdict(), version=1, status=IndexStatus.INDEXED)]
    )
    settings = ConversationsSettings(url=guarded.base_url)

    async with connected_api(settings, keyed(guarded.service_key)) as api:
        assert [row.id for row in await api.rows([7])] == [7]
        assert await api.queue([conversation_unit(7)]) == 1
        assert [one.source_id for one in (await api.versions(conversation_unit(0), limit=5)).items] == [7]
        await api.report(report)
        run = await api.add_run(IndexRunKind.RECONCILE)
        await api.claim_run(run.id, "w1")
        await api.report_run(run.id, IndexRunProgress(owner="w1", status=IndexRunStatus.DONE))

    assert guarded.unsigned == 0


@pytest.mark.parametrize("key", [None, make_token(TokenKind.SERVICE_KEY)], ids=["none", "another"])
async def test_a_refused_key_is_named_with_what_to_set(guarded: StubIndex, key: str | None) -> None:
    settings = ConversationsSettings(url=guarded.base_url)
    with pytest.raises(ServiceKeyRefusedError, match=r"set MH_SERVICE_KEY, .* \(401: ") as refused:
        await check_key(settings, keyed(key))
    assert str(key) not in str(refused.value)
    async with connected_api(settings, keyed(key)) as api:
        for call in (api.rows([1]), api.queue([conversation_unit(1)]), api.add_run(IndexRunKind.REBUILD)):
            with pytest.raises(ServiceKeyRefusedError):
                await call


async def test_an_api_that_does_not_answer_yet_says_nothing_of_the_key(guarded: StubIndex) -> None:
    guarded.statuses = [503]
    await check_key(ConversationsSettings(url=guarded.base_url), keyed(guarded.service_key))
    assert guarded.statuses == []
    await check_key(ConversationsSettings(url="http://127.0.0.1:9"), keyed(guarded.service_key))
