"""Optional traces (OpenTelemetry, exported by OTLP over HTTP): off unless an endpoint is configured.

A span has a name, numbers, ids and enumerated values, never the text of a conversation or question, and only the type
of an error. Ready-made instrumentation is not used because it records URLs with query strings, which contain what users
search for, and error messages.

The tracer belongs to this module, not to OpenTelemetry's global registry, so that libraries cannot add spans of their
own. Without an endpoint the SDK is not even imported.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Literal, Protocol

import structlog

from mh_common.settings import OtelSettings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, Tracer

TRACEPARENT: Final = "traceparent"
"""Name of the header that carries the span context (W3C Trace Context), in HTTP and in Celery messages."""

MAX_TRACEPARENT: Final = 64
"""Longest traceparent that is stored, in characters; the current version of the format has 55."""

REQUEST_ID: Final = "X-Request-ID"

STOP_TIMEOUT_S: Final = 3.0
"""How long a process that exits waits for the collector to accept the last spans."""

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_tracer: "Tracer | None" = None


def start_tracing(settings: OtelSettings, service: str) -> Callable[[], None]:
    """Start tracing; return a function that exports the last spans and stops. Without an endpoint both do nothing.

    Call it after any fork, in the process that creates the spans. If tracing is already on, it does nothing.
    """
    global _tracer
    if settings.exporter_otlp_endpoint is None or _tracer is not None:
        return _nothing
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{settings.exporter_otlp_endpoint.rstrip('/')}/v1/traces")
    processor = BatchSpanProcessor(exporter)
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("mh")

    def stop() -> None:
        global _tracer
        _tracer = None
        # In a thread: the SDK retries for longer than a service has time to shut down.
        ending = threading.Thread(target=provider.shutdown, name="tracing-stop", daemon=True)
        ending.start()
        ending.join(STOP_TIMEOUT_S)

    return stop


def _nothing() -> None:
    pass


def is_tracing() -> bool:
    """Return whether tracing is on."""
    return _tracer is not None


@contextmanager
def span(
    name: str,
    kind: Kind = "internal",
    origins: Collection[str | None] = (),
    *,
    alone: bool = False,
    **attributes: str | int | float,
) -> "Iterator[Span | None]":
    """Run the block in a span; yield the span, or None without tracing.

    Args:
        name: low-cardinality name.
        kind: OpenTelemetry's span kind.
        origins: traceparents of the causes in other processes. A single one becomes the parent; several become links of
            a new trace, since a span has one parent. Without any, the current span is the parent. Invalid ones are
            ignored.
        alone: do not make it the current span, so that spans in the block are not its children. An asynchronous
            generator can then yield within the block.
        attributes: underscores in names become dots.
    """
    if _tracer is None:
        yield None
        return
    with _started(_tracer, name, kind, origins, attributes) as present, _current(present, alone):
        yield present


@contextmanager
def _started(
    tracer: "Tracer",
    name: str,
    kind: Kind,
    origins: Collection[str | None],
    attributes: Mapping[str, str | int | float],
) -> "Iterator[Span]":
    from opentelemetry.trace import SpanKind, StatusCode

    parent, links = _causes(origins)
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    present = tracer.start_span(name, context=parent, kind=SpanKind[kind.upper()], attributes=named, links=links)
    try:
        yield present
    except Exception as error:
        # Not its message, which may contain text of a conversation.
        present.set_attribute("error.type", type(error).__name__)
        present.set_status(StatusCode.ERROR)
        raise
    finally:
        present.end()


def _current(present: "Span", alone: bool) -> AbstractContextManager[object]:
    from opentelemetry.trace import use_span

    return nullcontext() if alone else use_span(present, record_exception=False, set_status_on_exception=False)


def _causes(origins: Collection[str | None]) -> "tuple[Context | None, list[Link]]":
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    read = TraceContextTextMapPropagator().extract
    contexts = [read({TRACEPARENT: origin}, Context()) for origin in dict.fromkeys(origins) if origin]
    valid = [context for context in contexts if get_current_span(context).get_span_context().is_valid]
    if len(valid) == 1:
        return valid[0], []
    return (Context() if valid else None), [Link(get_current_span(context).get_span_context()) for context in valid]


def traceparent() -> str | None:
    """Return the traceparent of the current span, to pass on to another process; None if there is no span."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT)


def add_trace_id(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add the trace and span ids to a log line (a structlog processor)."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        context = get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


class _Request(Protocol):
    @property
    def headers(self) -> MutableMapping[str, str]: ...


async def inject_trace_headers(request: _Request) -> None:
    """Add trace context and request id to a request to another service of the platform: an httpx "request" hook.

    Sends the current span as `traceparent`, and as X-Request-ID the id of the request or job that is being served.
    """
    if (parent := traceparent()) is not None:
        request.headers[TRACEPARENT] = parent
    bound = structlog.contextvars.get_contextvars()
    if served := bound.get("request_id") or bound.get("job_id"):
        request.headers[REQUEST_ID] = str(served)
