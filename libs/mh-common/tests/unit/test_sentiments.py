"""Sentiments as people and programs write them."""

import io
from typing import Any

import pytest
from mh_common.fields import Sentiment
from mh_common.formats import ReadOptions, Reject, Row, open_rows, parse_sentiment
from mh_common.models import ConversationCreate, ConversationUpdate
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("sentiment", "words"),
    [
        (Sentiment.POSITIVE, ["positive", "POS", " Pos ", "1", "+1", "1.0", 1, 1.0, "\uff11", Sentiment.POSITIVE]),
        (Sentiment.NEGATIVE, ["Negative", "neg", "NEG\n", "-1", "0", "-1.0", "0.0", 0, -1, 0.0, -0.0, "\u22121"]),
        (Sentiment.NEUTRAL, ["neutral", "NEU", "Neutral"]),
    ],
)
def test_the_common_words_are_taken(sentiment: Sentiment, words: list[object]) -> None:
    assert {parse_sentiment(word) for word in words} == {sentiment}


@pytest.mark.parametrize(
    "word", ["", " ", "happy", "2", "0.5", "-2", "10", "positiv", "true", "nan", None, True, 0.3, [], "++1"]
)
def test_other_words_are_refused_with_the_list_of_those_taken(word: object) -> None:
    with pytest.raises(
        ValueError, match=r"must be positive, negative or neutral; pos, neg, neu, 1 \(positive\), 0 and -1"
    ):
        parse_sentiment(word)


def test_zero_means_what_is_said() -> None:
    assert parse_sentiment("0", Sentiment.NEUTRAL) is Sentiment.NEUTRAL
    assert parse_sentiment("-1", Sentiment.NEUTRAL) is Sentiment.NEGATIVE


def read(sentiments: list[str], **options: Any) -> tuple[list[Row | Reject], list[str]]:
    content = "question,answer,question_sentiment\n" + "".join(f"q,a,{one}\n" for one in sentiments)
    with open_rows(io.BytesIO(content.encode()), ReadOptions(**options)) as reader:
        return list(reader), reader.facts.notes


def test_a_file_is_read_with_the_words_of_the_platform() -> None:
    records, notes = read(["POS", " neg ", "Neu", "1", "0", ""])
    words = [one.values.get("question_sentiment") for one in records if isinstance(one, Row)]
    assert words == ["positive", "negative", "neutral", "positive", "negative", None]
    assert notes == []


def test_an_unknown_word_is_a_reject() -> None:
    records, _ = read(["pos", "glad"])
    assert isinstance(records[1], Reject)
    assert records[1].reason.startswith("question_sentiment must be positive, negative or neutral")


@pytest.mark.parametrize("zero", ["0", "0.0"])
def test_a_file_with_both_zero_and_minus_one_is_noted_until_it_is_said_what_zero_means(zero: str) -> None:
    records, notes = read([zero, "-1", "1"])
    assert len(notes) == 1
    assert "both 0 and -1" in notes[0]
    records, notes = read([zero, "-1", "1"], zero=Sentiment.NEUTRAL)
    assert notes == []
    assert [one.values["question_sentiment"] for one in records if isinstance(one, Row)] == [
        "neutral",
        "negative",
        "positive",
    ]


def test_requests_take_what_files_may_hold() -> None:
    sent = {"question": "q", "answer": "a", "question_sentiment": "POS", "answer_sentiment": 0}
    created = ConversationCreate.model_validate(sent)
    assert (created.question_sentiment, created.answer_sentiment) == (Sentiment.POSITIVE, Sentiment.NEGATIVE)
    assert ConversationUpdate.model_validate({"answer_sentiment": "Neu"}).changes() == {
        "answer_sentiment": Sentiment.NEUTRAL
    }


@pytest.mark.parametrize("wrong", ["happy", 2, True, "", []])
def test_requests_with_another_sentiment_say_what_is_taken(wrong: object) -> None:
    with pytest.raises(ValidationError, match="must be positive, negative or neutral; pos, neg"):
        ConversationUpdate.model_validate({"question_sentiment": wrong})
