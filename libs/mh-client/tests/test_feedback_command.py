"""`mh feedback`: on an answer, and on its notice of risk."""

import json
from typing import Any
from uuid import UUID

import pytest
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand

ANSWER = UUID(int=7)


@pytest.mark.parametrize(
    ("options", "sent", "printed"),
    [
        (["--notice", "not-relevant"], {"risk_notice": "not_relevant"}, "Stored: notice of risk not relevant.\n"),
        (
            ["--rating", "up", "--notice", "missing"],
            {"rating": "up", "risk_notice": "missing"},
            "Stored: up, notice of risk missing.\n",
        ),
        (
            ["--rating", "down", "--comment", "Too short."],
            {"rating": "down", "comment": "Too short."},
            "Stored: down.\n",
        ),
    ],
)
def test_feedback_says_what_was_stored(
    stub: StubPlatform, mh: RunCommand, options: list[str], sent: dict[str, Any], printed: str
) -> None:
    assert mh("feedback", ANSWER, *options, "--user", "carol") == (0, printed, "")
    assert stub.feedback == [sent]
    assert stub.users == ["carol"]
    stored = json.loads(mh("feedback", ANSWER, *options, "--json")[1])
    assert stored.items() >= sent.items()


@pytest.mark.parametrize("options", [[], ["--comment", "Too short."], ["--notice", "wrong"], ["--rating", "meh"]])
def test_feedback_that_says_nothing_is_refused(stub: StubPlatform, mh: RunCommand, options: list[str]) -> None:
    code, output, errors = mh("feedback", ANSWER, *options)
    assert (code, output) == (2, "")
    assert errors
    assert stub.feedback == []


def test_an_answer_that_is_not_in_the_history_is_an_error(stub: StubPlatform, mh: RunCommand) -> None:
    stub.stored_after = 1
    code, _, errors = mh("feedback", ANSWER, "--rating", "up")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("mh: 404 ")
