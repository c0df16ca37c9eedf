"""The trace of a change goes with its outbox row to the message."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from conversations_api.database import SessionFactory
from conversations_api.outbox.relay import Relay
from conversations_api.settings import RelaySettings
from mh_common.jobs import IndexJob
from mh_common.settings import OtelSettings
from mh_common.tracing import span, start_tracing, traceparent
from mh_devtools.stubs.otlp_stub import StubCollector
from mh_devtools.testing.waiting import eventually


@pytest.fixture
async def collector() -> AsyncIterator[StubCollector]:
    with StubCollector.running() as stub:
        stop = start_tracing(OtelSettings(exporter_otlp_endpoint=stub.base_url), "tests")
        yield stub
        stop()


async def test_a_message_of_one_request_stays_in_its_trace_and_one_of_several_refers_to_each(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, collector: StubCollector
) -> None:
    with span("first request"):
        await outbox.add(IndexJob.CREATED, [1, 2])
    with span("second request"):
        await outbox.add(IndexJob.UPDATED, [1])
    with span("third request"):
        await outbox.add(IndexJob.UPDATED, [2])
    sent: list[str | None] = []

    async def note() -> None:
        sent.append(traceparent())

    async with run_relay(Relay(sessions, recording(before=note), RelaySettings())):
        await outbox.until_empty()

    await eventually(lambda: len(collector.spans) == 5)
    first, second, third = (collector.named(f"{name} request")[0] for name in ("first", "second", "third"))
    alone, shared = collector.named("publish")
    assert (alone.trace_id, alone.parent_id, alone.attributes) == (first.trace_id, first.span_id, {"mh.rows": 2})
    assert (shared.parent_id, shared.links) == (
        "",
        ((second.trace_id, second.span_id), (third.trace_id, third.span_id)),
    )
    assert [parent and parent[36:52] for parent in sent] == [alone.span_id, shared.span_id]
