"""Fixtures of the shared library's tests."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from mh_common.web import request_ids


@pytest.fixture
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what a test configures, in this module's loggers too: they keep what they were first used with."""
    monkeypatch.setattr(request_ids, "log", structlog.get_logger())
    loggers = [logging.getLogger(name) for name in (None, "gunicorn.error")]
    former = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    structured = structlog.get_config()
    yield
    structlog.configure(**structured)
    for logger, handlers, level, propagate in former:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
