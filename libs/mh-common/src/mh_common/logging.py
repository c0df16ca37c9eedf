"""Structured logs on standard output: one JSON object per line, with the request, job and trace ids.

Event names are snake-case constants; data goes into keyword arguments. The text of conversations and questions is never
logged, and therefore neither is the message of an unexpected error, which may contain it.
"""

import logging
import sys
import traceback
from collections.abc import Iterator

import structlog

from mh_common.settings import LogSettings
from mh_common.tracing import add_trace_id

_PROCESSORS: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    add_trace_id,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(settings: LogSettings, service: str) -> None:
    """Send the standard library's and structlog's records through one formatter. Every line has `service`."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )

    def add_service(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["service"] = service
        return event

    structlog.configure(
        processors=[*_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Calls below the level return at once; the standard library's filter runs only after the event is built.
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=True,
    )
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_PROCESSORS,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_service,
                add_stack_trace,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(settings.level)
    # Its lines would duplicate ours, with query strings, which contain what users search for.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for noisy in ("httpx", "httpx2", "httpcore", "mcp", "openai", "pymilvus"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def add_stack_trace(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add the stack and the type of an error and of its causes, without their messages (a structlog processor)."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = "".join(_lines(error, set()))
    return event


def _lines(error: BaseException, shown: set[int]) -> Iterator[str]:
    # An error can be its own cause.
    shown.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None and id(earlier) not in shown:
        yield from _lines(earlier, shown)
        yield "which led to\n"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _lines(part, shown)
        yield "is part of\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"
