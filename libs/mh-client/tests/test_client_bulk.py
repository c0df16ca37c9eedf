"""Many conversations at once: from any iterable or data frame, in pieces; and back as a data frame."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas
import pytest
import respx
from mh_client import (
    APIConnectionError,
    AsyncClient,
    Client,
    Conversation,
    ConversationCreate,
    IndexStatus,
    InvalidInputError,
    Sentiment,
    UnprocessableError,
)
from mh_client.resources import _bulk
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import CallMethod

DETAILS = {"source_url": None, "source_date": date(2021, 1, 1), "category": "sleep", "author": None}


@pytest.fixture
def call(calling: Callable[..., CallMethod], stub: StubPlatform) -> CallMethod:
    return calling(stub.base_url, max_retries=0)


def numbered(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"question": f"q{number}", "answer": "a", "question_sentiment": "pos", "answer_sentiment": 0}


def test_any_iterable_is_sent_in_pieces(call: CallMethod, stub: StubPlatform) -> None:
    assert call("conversations.bulk_create", numbered(2500)) == list(range(1, 2501))
    assert stub.bulks == [1000, 1000, 500]
    assert [row.question for row in stub.rows] == [f"q{number}" for number in range(2500)]
    assert stub.rows[0].question_sentiment is Sentiment.POSITIVE
    mixed = [ConversationCreate.model_validate(row) if n % 2 else row for n, row in enumerate(numbered(3))]
    assert call("conversations.bulk_create", tuple(mixed)) == [2501, 2502, 2503]
    assert call("conversations.bulk_create", []) == []


def test_large_texts_make_small_pieces(call: CallMethod, stub: StubPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bulk, "PIECE_BYTES", 1000)
    rows = [{**row, "answer": "x" * size} for row, size in zip(numbered(5), (400, 400, 5000, 10, 10), strict=True)]
    call("conversations.bulk_create", rows)
    assert stub.bulks == [2, 1, 2]
    assert [len(row.answer) for row in stub.rows] == [400, 400, 5000, 10, 10]


def test_a_list_is_checked_before_anything_is_sent(call: CallMethod, stub: StubPlatform) -> None:
    rows = [*numbered(1500), {"question": "secret"}]
    with pytest.raises(InvalidInputError) as refused:
        call("conversations.bulk_create", rows)
    assert {error.row for error in refused.value.errors} == {1500}
    assert refused.value.errors[0].field == "items.1500.answer"
    assert "secret" not in str(refused.value)
    assert stub.bulks == []


def test_the_same_call_after_an_error_stores_nothing_twice(call: CallMethod, stub: StubPlatform) -> None:
    stub.break_after = 2
    with pytest.raises(APIConnectionError):
        call("conversations.bulk_create", numbered(2500), idempotency_key="mine")
    assert len(stub.rows) == 2000
    stub.break_after = None
    assert call("conversations.bulk_create", numbered(2500), idempotency_key="mine") == list(range(1, 2501))
    assert len(stub.rows) == 2500
    assert next(iter(stub.done)) == "mine"


def test_rows_that_the_server_refuses_are_counted_over_all_pieces(call: CallMethod, stub: StubPlatform) -> None:
    stub.refuse = lambda row: "is not wanted" if row.question == "q1200" else None
    with pytest.raises(UnprocessableError) as refused:
        call("conversations.bulk_create", numbered(1500))
    assert refused.value.problem is not None
    [error] = refused.value.problem.errors or []
    assert (error.row, error.field) == (1200, "items.1200.question")


def test_a_data_frame_is_taken_with_its_gaps(call: CallMethod, stub: StubPlatform) -> None:
    frame = pandas.DataFrame(
        {
            "Context": ["q1", "q2"],
            "Response": ["a1", "a2"],
            "question_sentiment": [1, 0],
            "answer_sentiment": ["Neu", "positive"],
            "source_date": [pandas.Timestamp("2021-01-01"), pandas.NaT],
            "category": [float("nan"), "sleep"],
            "author": pandas.array([None, "Jane"], dtype="string"),
            "note": [1, 2],
        }
    )
    assert call("conversations.bulk_create", frame) == [1, 2]
    first, second = (row.model_dump(exclude_none=True) for row in stub.rows)
    assert first == {
        "question": "q1",
        "answer": "a1",
        "question_sentiment": "positive",
        "answer_sentiment": "neutral",
        "source_date": date(2021, 1, 1),
    }
    assert (second["category"], second["author"], second["question_sentiment"]) == ("sleep", "Jane", "negative")
    with pytest.raises(InvalidInputError, match="The file's columns are: note"):
        call("conversations.bulk_create", frame[["note", "category"]])


def test_conversations_come_as_a_data_frame_and_go_back(call: CallMethod, stub: StubPlatform) -> None:
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    stub.listed = [
        Conversation(
            id=number,
            version=1,
            created_at=at,
            updated_at=at,
            question=f"q{number}",
            answer="a",
            question_sentiment=Sentiment.NEGATIVE,
            answer_sentiment=Sentiment.NEUTRAL,
            index_status=IndexStatus.INDEXED,
            **DETAILS,
        )
        for number in (1, 2)
    ]
    frame = call("conversations.to_dataframe", ids=[1, 2])
    assert list(frame.columns) == list(Conversation.model_fields)
    assert frame["id"].tolist() == [1, 2]
    assert str(frame["created_at"].dt.tz) == "UTC"
    assert frame["question_sentiment"].tolist() == ["negative", "negative"]
    call("conversations.bulk_create", frame)
    assert [row.question for row in stub.rows] == ["q1", "q2"]
    assert json.loads(stub.rows[0].model_dump_json())["source_date"] == "2021-01-01"
    assert list(call("conversations.to_dataframe", ids=[3]).columns) == list(Conversation.model_fields)


def test_a_wrong_argument_is_refused_by_name() -> None:
    client: Any = Client("http://127.0.0.1:9")
    with pytest.raises(TypeError, match=r"list\w*\(\) has no argument 'catgory'; did you mean 'category'"):
        client.conversations.list(catgory="sleep")
    for name in ("iterate", "export", "to_dataframe"):
        with pytest.raises(TypeError, match=f"{name}\\(\\) has no argument 'colour'"):
            getattr(client.conversations, name)(colour="red")
        asynchronous: Any = AsyncClient("http://127.0.0.1:9")
        with pytest.raises(TypeError, match=f"{name}\\(\\) has no argument 'colour'"):
            getattr(asynchronous.conversations, name)(colour="red")


@respx.mock
def test_a_conversation_can_be_given_as_a_whole(calling: Callable[..., CallMethod]) -> None:
    call = calling("http://api.test")
    api = "http://api.test/api/v1/conversations"
    [content] = numbered(1)
    answer = {**content, "answer_sentiment": "negative", "question_sentiment": "positive", "id": 7, "version": 1}
    answer |= {"created_at": "2026-03-01T00:00:00Z", "updated_at": "2026-03-01T00:00:00Z", "index_status": "pending"}
    posted = respx.post(api).respond(201, json=answer)
    put = respx.put(f"{api}/7").respond(json=answer)
    patched = respx.patch(f"{api}/7").respond(json=answer)
    sent = {**content, "question_sentiment": "positive", "answer_sentiment": "negative"}
    for given in (content, ConversationCreate.model_validate(content)):
        assert call("conversations.create", given).id == 7
        assert json.loads(posted.calls.last.request.content) == sent
        call("conversations.replace", 7, given, category="sleep")
        assert json.loads(put.calls.last.request.content) == {**sent, "category": "sleep"}
    call("conversations.create", content, answer="another")
    assert json.loads(posted.calls.last.request.content) == {**sent, "answer": "another"}
    call("conversations.update", 7, {"author": None}, question_sentiment="NEU")
    assert json.loads(patched.calls.last.request.content) == {"author": None, "question_sentiment": "neutral"}


def test_the_import_is_there_as_documented() -> None:
    program = "import mh_client; print(mh_client.importing.import_file.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "import_file\n"
