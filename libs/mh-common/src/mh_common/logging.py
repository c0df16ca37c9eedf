"""Structured logs on standard output: one JSON object a line, with the ids of request, job and trace on each.

Event names are constants in snake case; data goes into keywords. No text of a conversation or of a question is logged,
and so no message of an error that nobody expected: it can repeat one.
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
    """Send the standard library's and structlog's records through one formatter. `service` stands on each line."""
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
        # Below the level it does nothing at all, where the standard library's would build the whole event first.
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
                show_stack,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(settings.level)
    # Its lines would repeat ours, and carry query strings, which hold what users search for.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for noisy in ("httpx", "httpx2", "httpcore", "mcp", "openai", "pymilvus"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def show_stack(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Put places and types of an error, and of those that led to it, on a log line, as structlog's processors do."""
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
