"""Spans as received by a collector, and no tracing without one."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from types import SimpleNamespace

import pytest
import structlog
from mh_common import tracing
from mh_common.settings import OtelSettings
from mh_devtools.stubs.otlp_stub import ReceivedSpan, StubCollector

Stop = Callable[[], None]

SENTINEL = "words-of-a-patient"
FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-1af7651916cd43dd8448eb211c80319d-c7ad6b7169203332-01"


@pytest.fixture
def collector() -> Iterator[StubCollector]:
    """A collector, which has received this process's spans once `stop` is called."""
    with StubCollector.running() as stub:
        yield stub


@pytest.fixture
def stop(collector: StubCollector) -> Iterator[Stop]:
    """Start tracing; yield the function that exports the spans and stops it."""
    end = tracing.start_tracing(OtelSettings(exporter_otlp_endpoint=f"{collector.base_url}/"), "tests")
    yield end
    end()


def only(spans: list[ReceivedSpan]) -> ReceivedSpan:
    (span,) = spans
    return span


def test_spans_nest_and_have_their_attributes(collector: StubCollector, stop: Stop) -> None:
    with tracing.span("outer", "server"), tracing.span("inner", "client", mh_rows=3):
        pass
    stop()

    outer, inner = only(collector.named("outer")), only(collector.named("inner"))
    assert (outer.service, outer.kind, outer.parent_id) == ("tests", "server", "")
    assert (inner.kind, inner.attributes) == ("client", {"mh.rows": 3})
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)


def test_one_origin_is_the_parent_and_several_are_linked(collector: StubCollector, stop: Stop) -> None:
    with tracing.span("around"):
        with tracing.span("of one", origins=[FIRST, FIRST, None, "no traceparent"]):
            pass
        with tracing.span("of two", origins=[FIRST, SECOND]):
            pass
        with tracing.span("of none", origins=[None, "no traceparent"]):
            pass
    stop()

    around, of_one, of_two = (only(collector.named(name)) for name in ("around", "of one", "of two"))
    assert (of_one.trace_id, of_one.parent_id, of_one.links) == (FIRST[3:35], FIRST[36:52], ())
    assert of_two.links == tuple((origin[3:35], origin[36:52]) for origin in (FIRST, SECOND))
    assert of_two.parent_id == ""
    assert of_two.trace_id not in (FIRST[3:35], SECOND[3:35], around.trace_id)
    assert only(collector.named("of none")).parent_id == around.span_id


def test_a_span_has_only_the_type_of_an_error(collector: StubCollector, stop: Stop) -> None:
    with pytest.raises(ValueError, match=SENTINEL), tracing.span("fails"):
        raise ValueError(SENTINEL)
    stop()

    span = only(collector.named("fails"))
    assert (span.failed, span.attributes, span.events) == (True, {"error.type": "ValueError"}, ())
    assert not any(SENTINEL.encode() in body for body in collector.received)


async def test_requests_to_other_services_have_trace_and_request_id(collector: StubCollector, stop: Stop) -> None:
    request = SimpleNamespace(headers={})
    with structlog.contextvars.bound_contextvars(request_id="r-1"), tracing.span("call"):
        await tracing.inject_trace_headers(request)
        line = tracing.add_trace_id(None, "info", {"event": "x"})
    stop()

    span = only(collector.named("call"))
    assert request.headers["traceparent"].startswith(f"00-{span.trace_id}-{span.span_id}-")
    assert request.headers["X-Request-ID"] == "r-1"
    assert line == {"event": "x", "trace_id": span.trace_id, "span_id": span.span_id}


async def test_without_an_endpoint_nothing_is_traced() -> None:
    end = tracing.start_tracing(OtelSettings(exporter_otlp_endpoint=""), "tests")
    request = SimpleNamespace(headers={})
    with tracing.span("nothing", origins=[FIRST]) as span:
        await tracing.inject_trace_headers(request)
        assert (span, tracing.traceparent(), tracing.is_tracing()) == (None, None, False)
        assert tracing.add_trace_id(None, "info", {}) == {}
    end()
    assert request.headers == {}


async def test_a_job_passes_its_id_on() -> None:
    request = SimpleNamespace(headers={})
    with structlog.contextvars.bound_contextvars(job_id="j-1"):
        await tracing.inject_trace_headers(request)
    assert request.headers == {"X-Request-ID": "j-1"}


def test_only_the_first_start_can_stop_tracing(collector: StubCollector, stop: Stop) -> None:
    tracing.start_tracing(OtelSettings(exporter_otlp_endpoint=collector.base_url), "another")()
    assert tracing.is_tracing()


def test_a_hanging_collector_does_not_block_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        end = tracing.start_tracing(OtelSettings(exporter_otlp_endpoint=endpoint), "tests")
        with tracing.span("last"):
            pass
        end()
    assert not tracing.is_tracing()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "grpc://127.0.0.1:4317"])
def test_an_endpoint_with_another_protocol_is_rejected(endpoint: str) -> None:
    with pytest.raises(ValueError, match="exporter_otlp_endpoint"):
        OtelSettings(exporter_otlp_endpoint=endpoint)


@pytest.mark.parametrize("service", ["conversations_api.main", "rag_api.main", "indexer_worker.celery_app"])
def test_no_service_loads_the_sdk_without_an_endpoint(service: str) -> None:
    # redis-py imports the SDK's metrics if installed, but does not use them by default.
    program = (
        f"import sys, {service}\nfrom mh_common import tracing\nfrom mh_common.settings import OtelSettings\n"
        "tracing.start_tracing(OtelSettings(), 'x')\nprint(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert service in loaded
    assert [name for name in loaded if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))] == []


async def test_a_generator_may_yield_within_a_span_that_is_alone(collector: StubCollector, stop: Stop) -> None:
    async def pieces() -> AsyncGenerator[int]:
        with tracing.span("streams", alone=True):
            yield 1
            yield 2

    with tracing.span("request"):
        generator = pieces()
        assert await anext(generator) == 1
        with tracing.span("beside"):
            pass
    # Closed in another context than it was started in, as a server does when its client disconnects.
    await asyncio.create_task(generator.aclose())
    stop()

    request, streams, beside = (only(collector.named(name)) for name in ("request", "streams", "beside"))
    assert {streams.parent_id, beside.parent_id} == {request.span_id}
    assert not streams.failed
