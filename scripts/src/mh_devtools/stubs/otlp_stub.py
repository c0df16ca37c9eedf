"""An HTTP server that receives traces like an OpenTelemetry collector (OTLP over HTTP, protobuf), for tests.

with StubCollector.running() as collector:
    ...  # OTEL_EXPORTER_OTLP_ENDPOINT is collector.base_url
    assert collector.named("job x")[0].trace_id == ...
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mh_devtools.stubs.server import serving


@dataclass(frozen=True)
class ReceivedSpan:
    """A received span; ids in hexadecimal, `parent_id` empty for a root, `links` as (trace id, span id)."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    events: tuple[str, ...]


class StubCollector:
    """The server's state, which can be read from any thread while it is running.

    Attributes:
        spans: every span received, in order.
        received: every received body, decompressed.
        base_url: set by `running`.
    """

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.received: list[bytes] = []
        self.base_url = ""
        self._lock = threading.Lock()
        self.app = Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[StubCollector]":
        """Serve on a free loopback port, in a thread, during the block."""
        stub = cls()
        with serving(stub.app) as stub.base_url:
            yield stub

    def named(self, name: str) -> list[ReceivedSpan]:
        """Return the spans with this name."""
        return [span for span in list(self.spans) if span.name == name]

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        found = [
            _read(_attributes(resource.resource.attributes)["service.name"], span)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.received.append(body)
            self.spans.extend(found)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


def _attributes(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}


def _read(service: str, span: Span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple(event.name for event in span.events),
    )
