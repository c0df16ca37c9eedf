"""Which column is taken for which field."""

import io
from typing import Any

import pytest
from mh_common.formats import FIELDS, Facts, FileRefusedError, ReadOptions, Row, open_rows, parse_columns


def facts_of(header: str, **options: Any) -> Facts:
    with open_rows(io.BytesIO(f"{header}\n".encode()), ReadOptions(**options)) as reader:
        return reader.facts


@pytest.mark.parametrize(
    ("header", "question", "answer"),
    [
        ("Context,Response", "Context", "Response"),
        ("questionID,questionTitle,questionText,answerText,upvotes", "questionText", "answerText"),
        ("prompt,completion", "prompt", "completion"),
        ("QUESTION,Answer", "QUESTION", "Answer"),
        ("input,output", "input", "output"),
        ("Question Text,answer-text", "Question Text", "answer-text"),
        ("\ufeff\u200bquestion\u200b , \u00a0ANSWER", "question", "ANSWER"),
        ("context,question,answer,response", "question", "answer"),
        ("instruction,response", "instruction", "response"),
        ("query,reply", "query", "reply"),
        ('"question""","\'answer\'"', "question", "answer"),
    ],
)
def test_common_names_are_recognised_and_told(header: str, question: str, answer: str) -> None:
    columns = facts_of(header).columns
    assert (columns["question"], columns["answer"]) == (question, answer)


def test_optional_columns_are_recognised_and_the_others_are_told() -> None:
    facts = facts_of("id,Question,Answer,Question Sentiment,answerSentiment,URL,Date,Topic,Author,created_at,,url2")
    assert facts.columns == {
        "question": "Question",
        "answer": "Answer",
        "question_sentiment": "Question Sentiment",
        "answer_sentiment": "answerSentiment",
        "source_url": "URL",
        "source_date": "Date",
        "category": "Topic",
        "author": "Author",
    }
    assert facts.ignored == ["id", "created_at", "url2"]


def test_optional_fields_that_two_columns_could_be_are_not_read() -> None:
    assert facts_of("question,answer,url,link").ignored == ["url", "link"]


@pytest.mark.parametrize(
    ("pairs", "read"),
    [
        (["question=Frage", "answer=Antwort"], {"question": "Frage", "answer": "Antwort"}),
        (["Question = frage", "answer=ANTWORT "], {"question": "Frage", "answer": "Antwort"}),
        (["question=question", "answer=Antwort"], {"question": "question", "answer": "Antwort"}),
        (
            ["question=Frage", "answer=Antwort", "category=a=b"],
            {"question": "Frage", "answer": "Antwort", "category": "a=b"},
        ),
    ],
)
def test_a_map_goes_before_what_is_recognised(pairs: list[str], read: dict[str, str]) -> None:
    assert facts_of("question,Frage,Antwort,a=b", columns=parse_columns(pairs)).columns == read


def test_a_field_can_be_left_out() -> None:
    facts = facts_of("question,answer,date", columns=parse_columns(["source_date="]))
    assert facts.ignored == ["date"]


@pytest.mark.parametrize("pairs", [["question"], ["=x"], ["frage=x"], ["question=x", "question=y"]])
def test_a_map_that_is_none_is_refused(pairs: list[str]) -> None:
    with pytest.raises(FileRefusedError, match=r"write FIELD=COLUMN|give it once"):
        parse_columns(pairs)


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        ("id,answer", {}, r"no column was recognised as the question\. The file's columns are: id, answer\. Say which"),
        ("question,answer", {"answer": "text"}, "the column chosen as answer is not in the file"),
        ("question,answer", {"author": "who"}, "the column chosen as author is not in the file"),
        ("question,answer", {"answer": ""}, "the answer cannot be left out"),
        ("question,answer", {"reply": "answer"}, f"there is no field reply; the fields are {', '.join(FIELDS)}"),
        ("prompt,query,answer", {}, "2 columns could be the question"),
        ("instruction,input,output", {}, "2 columns could be the question"),
        ("question,answer,author,Author", {}, "2 columns could be the author"),
        ("x,x,answer", {"question": "x"}, "2 columns could be the question"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_says_how_to_go_on(
    header: str, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(FileRefusedError, match=message):
        facts_of(header, columns=columns)


def test_the_values_are_those_of_the_columns_in_any_order() -> None:
    content = b"Topic,Response,id,Context\nsleep, a ,7,q\n,b,8,r\n"
    with open_rows(io.BytesIO(content)) as reader:
        rows = [one.values for one in reader if isinstance(one, Row)]
    assert rows == [{"question": "q", "answer": " a ", "category": "sleep"}, {"question": "r", "answer": "b"}]
