"""Validation of the request and response models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import (
    MAX_TEXT_LENGTH,
    ConversationCreate,
    ConversationUpdate,
    IndexOutcome,
    IndexRunProgress,
    IndexStatus,
    IndexSyncRequest,
    SearchRequest,
    Sentiment,
)
from mh_common.text import is_blank, normalized, plain_text
from mh_common.units import conversation_unit
from pydantic import ValidationError

SENTIMENTS = {"question_sentiment": "negative", "answer_sentiment": "positive"}


def create(question: str, answer: str = "a") -> ConversationCreate:
    return ConversationCreate.model_validate({"question": question, "answer": answer, **SENTIMENTS})


@given(st.text(min_size=1).filter(lambda text: not is_blank(plain_text(text)) and "\x00" not in text))
def test_any_unicode_text_is_accepted_trimmed_and_in_normal_form(text: str) -> None:
    conversation = create(text)

    assert conversation.question in normalized(text)
    assert ConversationCreate.model_validate_json(conversation.model_dump_json()) == conversation


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least 1 character"),
        (" \n\t\u2003", "at least 1 character"),
        ("before\x00after", "NUL"),
        ("half \ud83d", "valid string"),
        ("x" * (MAX_TEXT_LENGTH + 1), "at most 1000000 characters"),
    ],
)
def test_text_that_no_store_accepts_is_rejected_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        create(text)


def test_length_counts_after_trimming() -> None:
    assert len(create(" " * 50 + "x" * MAX_TEXT_LENGTH + "\n").question) == MAX_TEXT_LENGTH


def test_an_unknown_field_is_rejected() -> None:
    with pytest.raises(ValidationError, match="themes"):
        ConversationCreate.model_validate({"question": "q", "answer": "a", **SENTIMENTS, "themes": "sleep"})


def test_many_unknown_fields_are_one_error() -> None:
    body = {"question": "q", "answer": "a", **SENTIMENTS, **dict.fromkeys(map(str, range(100_000)), 1)}
    with pytest.raises(ValidationError, match="has 100,000 unknown fields") as refused:
        ConversationCreate.model_validate(body)
    assert refused.value.error_count() == 1


def test_an_update_names_only_what_it_changes() -> None:
    update = ConversationUpdate.model_validate({"answer": " new ", "answer_sentiment": "neutral"})

    assert update.changes() == {"answer": "new", "answer_sentiment": Sentiment.NEUTRAL}


def test_null_clears_what_can_be_cleared_and_is_otherwise_not_given() -> None:
    update = ConversationUpdate.model_validate({"category": None, "author": None, "question": None, "answer": "a"})

    assert update.changes() == {"category": None, "author": None, "answer": "a"}


@pytest.mark.parametrize("body", [{}, {"question": None}, {"question_sentiment": None}, {"question": "  "}])
def test_an_empty_update_or_null_is_rejected(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConversationUpdate.model_validate(body)


@pytest.mark.parametrize(("status", "reason"), [("pending", None), ("failed", None), ("indexed", "why")])
def test_a_report_says_what_became_of_a_row_and_why_it_failed(status: str, reason: str | None) -> None:
    with pytest.raises(ValidationError):
        IndexOutcome(**conversation_unit(1)._asdict(), version=1, status=IndexStatus(status), reason=reason)


def test_times_in_a_search_need_a_zone() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        SearchRequest.model_validate({"query": "q", "created_after": "2026-01-01T00:00:00"})


@pytest.mark.parametrize("values", [{"status": "queued"}, {"status": "failed"}, {"status": "done", "reason": "Why?"}])
def test_contradictory_progress_is_rejected(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        IndexRunProgress.model_validate({"owner": "w1", **values})


def test_a_failed_run_has_a_reason() -> None:
    failed = IndexRunProgress.model_validate({"owner": "w1", "status": "failed", "reason": "Out of memory."})

    assert (failed.reason, failed.repaired) == ("Out of memory.", 0)


@pytest.mark.parametrize("since", ["5", "2026-03-01", "2026-03-01T00:00:00", "0001-01-01T00:00:00+10:00"])
def test_an_invalid_time_is_rejected(since: str) -> None:
    with pytest.raises(ValidationError):
        IndexSyncRequest.model_validate({"since": since})
