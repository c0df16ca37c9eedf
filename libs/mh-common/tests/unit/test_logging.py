"""Log lines on standard output."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from mh_common.logging import configure_logging
from mh_common.settings import LogSettings

SENTINEL = "words-of-a-patient"


@contextmanager
def configured(kind: str) -> Iterator[None]:
    root, former, level = logging.getLogger(), structlog.get_config(), logging.getLogger().level
    handlers = root.handlers[:]
    configure_logging(LogSettings(format=kind), "tests")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**former)


def fail() -> None:
    try:
        raise KeyError(SENTINEL)
    except KeyError as error:
        raise ExceptionGroup(SENTINEL, [ValueError(SENTINEL)]) from error


def log_failure(logger: Any) -> None:
    try:
        fail()
    except ExceptionGroup as error:
        logger.error("given", exc_info=error)
        logger.exception("under way")


@pytest.mark.parametrize("kind", ["json", "console"])
def test_errors_are_logged_with_stack_and_type_but_without_message(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(kind):
        log_failure(structlog.get_logger("ours"))
        log_failure(logging.getLogger("a library's"))

    said = capsys.readouterr().out
    assert SENTINEL not in said
    for expected in ("in fail", "builtins.KeyError", "builtins.ValueError", "builtins.ExceptionGroup"):
        assert said.count(expected) >= 4


def test_an_error_that_is_its_own_cause_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    with configured("json"):
        try:
            error = RuntimeError(SENTINEL)
            raise error from error
        except RuntimeError:
            structlog.get_logger("ours").exception("round and round")
    assert json.loads(capsys.readouterr().out)["exception"].count("builtins.RuntimeError") == 1


def test_lines_are_json_with_the_bound_context(capsys: pytest.CaptureFixture[str]) -> None:
    with configured("json"), structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("ours").info("one", rows=3)
        logging.getLogger("a library's").info("two", extra={"rows": 4}, exc_info=(None, None, None))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["rows"]) for line in lines] == [("one", 3), ("two", 4)]
    assert all((line["request_id"], line["service"], line["level"]) == ("r-1", "tests", "info") for line in lines)
    assert all("exception" not in line for line in lines)
