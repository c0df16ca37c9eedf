import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from indexer_worker.vector_store.rows import vector_row
from mh_common import vector_index as fields
from mh_common.models import Conversation, IndexStatus, Sentiment

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def conversation(**values: Any) -> Conversation:
    now = datetime(2026, 5, 4, 3, 2, 1, 987_654, tzinfo=UTC)
    defaults = {
        "id": 7,
        "version": 3,
        "created_at": now,
        "updated_at": now,
        "question": "How?",
        "answer": "So.",
        "question_sentiment": Sentiment.NEGATIVE,
        "answer_sentiment": Sentiment.POSITIVE,
        "index_status": IndexStatus.PENDING,
    }
    return Conversation.model_validate(defaults | values)


def test_a_row_holds_what_search_needs_and_every_field_of_the_contract() -> None:
    row = vector_row(conversation(), [0.6, 0.8], [0.8, 0.6])

    assert row == {
        fields.ID: 7,
        fields.EMBEDDING: [0.6, 0.8],
        fields.TEXT_EMBEDDING: [0.8, 0.6],
        fields.QUESTION: "How?",
        fields.TEXT: "How?\n\nSo.",
        fields.WORDS: " how | so ",
        fields.QUESTION_SENTIMENT: "negative",
        fields.ANSWER_SENTIMENT: "positive",
        fields.QUESTION_HASH: fields.question_hash("How?"),
        fields.VERSION: 3,
        fields.CREATED_AT: 1_777_863_721_987_654,
        fields.UPDATED_AT: 1_777_863_721_987_654,
        # None of them: Milvus Lite takes no null.
        "source_url": "",
        "source_date": 0,
        "category": "",
        "author": "",
        "import_tag": "",
        "risk_level": "",
        "unsafe_advice": "",
        "origin": "",
        "review_state": "unreviewed",
    }


def test_a_conversation_in_html_is_indexed_as_plain_text() -> None:
    stored = conversation(question="<p>Why&nbsp;me?</p>", answer="<p>Rest.</p><p>Cafe\u0301 &amp; tea</p>")
    row = vector_row(stored.as_read(), [1.0], [1.0])

    assert row[fields.TEXT] == "Why me?\n\nRest.\n\nCaf\xe9 & tea"
    assert row[fields.WORDS] == " whi me | rest cafe tea "
    assert row[fields.QUESTION_HASH] == fields.question_hash("Why me?")


def test_the_same_question_in_another_normal_form_has_the_same_hash() -> None:
    assert fields.question_hash("caf\xe9") == fields.question_hash("cafe\u0301")


def test_details_are_kept_to_filter_by() -> None:
    details = {"source_url": "https://example.org", "source_date": "2021-01-01", "category": "sleep", "author": "é"}
    details["import_tag"] = "clinic-2026"
    details["risk_level"] = "acute"
    details["unsafe_advice"] = "leaving_alone"
    details |= {"origin": "import", "review_state": "approved"}
    row = vector_row(conversation(**details), [1.0], [1.0])
    assert {name: row[name] for name in details} == {**details, "source_date": 737_791}


@given(question=TEXTS, answer=TEXTS, repeats=st.integers(1, 70_000))
def test_texts_of_any_length_fit_their_fields(question: str, answer: str, repeats: int) -> None:
    longer = question * min(repeats, 500_000 // len(question))
    row = vector_row(conversation(question=longer, answer=answer), [1.0], [1.0])

    assert len(row[fields.QUESTION].encode()) <= fields.MAX_VARCHAR_BYTES
    assert len(row[fields.TEXT].encode()) <= fields.MAX_VARCHAR_BYTES
    assert len(row[fields.WORDS].encode()) <= fields.MAX_VARCHAR_BYTES
    assert row[fields.QUESTION].startswith(question[:1])


@given(TEXTS)
def test_equal_questions_have_equal_hashes_that_fit_a_signed_field(question: str) -> None:
    expected = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big") // 2

    assert fields.question_hash(question) == expected
    assert 0 <= fields.question_hash(question) < 2**63


@given(TIMES)
def test_times_keep_their_microseconds(moment: datetime) -> None:
    row = vector_row(conversation(created_at=moment), [1.0], [1.0])

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row[fields.CREATED_AT]) == moment
