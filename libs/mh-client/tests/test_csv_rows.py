"""Reading CSV files: files from spreadsheets and programs are read correctly, and errors are reported by line."""

import csv
import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mh_client import ImportRefusedError, Sentiment, _csv_rows
from mh_client._csv_rows import Reject, Row, RowReader
from mh_client._rejects import RejectsFile

HEADER = "question,answer,question_sentiment,answer_sentiment\n"
GOOD = "q,a,positive,negative\n"


def read(content: bytes, **options: Any) -> list[Row | Reject]:
    return list(RowReader(io.BytesIO(content), **options))


def rejects(content: str | bytes) -> list[tuple[int, str]]:
    found = read(content.encode() if isinstance(content, str) else content)
    return [(record.line, record.reason) for record in found if isinstance(record, Reject)]


def accepted(content: str | bytes) -> list[int]:
    found = read(content.encode() if isinstance(content, str) else content)
    return [record.line for record in found if isinstance(record, Row)]


# Every character except NUL, which no store accepts; stripped, as on the platform.
texts = (
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=60)
    .map(str.strip)
    .filter(lambda text: text != "")
)
conversations = st.fixed_dictionaries(
    {
        "question": texts,
        "answer": texts | texts.map(lambda text: f'"{text}",\r\n"{text}"'),
        "question_sentiment": st.sampled_from(Sentiment).map(str),
        "answer_sentiment": st.sampled_from(Sentiment).map(str),
    }
)


@settings(max_examples=300)
@given(
    rows=st.lists(conversations, max_size=8),
    columns=st.permutations(["question", "answer", "question_sentiment", "answer_sentiment", "id", "note"]),
    extra=texts,
    bom=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    blank_lines=st.booleans(),
    last_ending=st.booleans(),
    upper=st.booleans(),
)
@example([], ["question", "answer", "question_sentiment", "answer_sentiment"], "", True, "\n", 1, False, False, True)
def test_written_rows_are_read_back(
    rows: list[dict[str, str]],
    columns: list[str],
    extra: str,
    bom: bool,
    ending: str,
    quoting: Any,
    blank_lines: bool,
    last_ending: bool,
    upper: bool,
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=ending, quoting=quoting)
    writer.writerow([f" {name.upper()} " if upper else name for name in columns])
    lines = []
    for row in rows:
        if blank_lines:
            file.write(ending)
        lines.append(file.getvalue().count("\n") + 1)
        cells = [row.get(name, extra) for name in columns]
        # Up to Python 3.12, minimal quoting does not quote carriage returns, which RFC 4180 requires.
        strict = csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL) if "\r" in "".join(cells) else writer
        strict.writerow(cells)
    content = file.getvalue() if last_ending else file.getvalue().removesuffix(ending)
    found = read(content.encode("utf-8-sig" if bom else "utf-8"))
    assert [record.conversation.model_dump(exclude_none=True) for record in found if isinstance(record, Row)] == rows
    assert [record.line for record in found] == lines
    assert [record.number for record in found if isinstance(record, Row)] == list(range(len(rows)))


@given(
    st.lists(
        st.sampled_from(
            [
                (GOOD.encode(), None),
                (b'"two\nlines","a\r\nb",neutral,neutral\r\n', None),
                (b"caf\xe9,a,positive,negative\n", "UTF-8"),
                (b'"fine\nthen \xff","a",positive,negative\n', "UTF-8"),
                (b"q,,positive,negative\n", "answer"),
                (b"q,a,happy,negative\n", "question_sentiment"),
                (b"q\x00,a,positive,negative\n", "NUL"),
                (b"q,a,positive\n", "3 columns"),
                (b"q,a,positive,negative,more\n", "5 columns"),
                (b'"q"x,a,positive,negative\n', "closing quote"),
                (b"q\rq,a,positive,negative\n", "carriage return"),
                (b"\n", ""),
            ]
        ),
        max_size=12,
    )
)
def test_every_record_is_accepted_or_rejected_with_its_line(pieces: list[tuple[bytes, str | None]]) -> None:
    content, line = HEADER.encode(), 2
    expected: list[tuple[int, str | None]] = []
    for piece, reason in pieces:
        if reason != "":
            expected.append((line, reason))
        content += piece
        line += piece.count(b"\n")
    found = read(content)
    assert [record.line for record in found] == [line for line, _ in expected]
    for record, (_, reason) in zip(found, expected, strict=True):
        assert isinstance(record, Reject) == (reason is not None)
        assert not isinstance(record, Reject) or str(reason) in record.reason


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(st.sampled_from('q,"\n\r\x00é'), max_size=60).map(str.encode))
def test_no_bytes_are_lost_and_only_import_errors_are_raised(junk: bytes) -> None:
    found = read(HEADER.encode() + junk)
    assert all(record.line >= 2 for record in found)
    assert [record.line for record in found] == sorted({record.line for record in found})


def test_an_unclosed_quote_is_reported_where_its_record_starts() -> None:
    content = HEADER + GOOD + '"opened,a\nand,on,and,on\n\nto the end\n'
    assert rejects(content) == [(3, "a quote that opens in this row is never closed")]
    assert accepted(content) == [2]


def test_utf8_errors_report_line_and_position() -> None:
    content = HEADER.encode() + b'"fine\nsecond \xe9 line",a,neutral,neutral\n' + GOOD.encode()
    assert rejects(content) == [(2, "line 3 is not UTF-8: byte 0xE9 at 8")]
    assert accepted(content) == [4]


def test_reasons_never_contain_text() -> None:
    content = HEADER + '"secret"secret,a,positive,negative\nsecret,secret\n,secret,secret,secret\n\rsecret,a,b,c\n'
    found = rejects(content)
    assert len(found) == 4
    assert not any("secret" in reason for _, reason in found)


def test_very_long_fields_are_read_and_too_long_ones_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 1_000_000
    assert accepted(f"{HEADER}{long},{long},neutral,neutral\n") == [2]
    assert rejects(f"{HEADER}{long}x,a,neutral,neutral\n{GOOD}")[0][0] == 2
    limit = csv.field_size_limit(2_000_000)
    monkeypatch.setattr(_csv_rows, "MAX_FIELD_LENGTH", 2_000_000)
    try:
        content = f"{HEADER}{long}{long}x,a,neutral,neutral\n{GOOD}"
        assert rejects(content)[0][1].startswith("a field is longer than")
        assert accepted(content) == [3]
    finally:
        csv.field_size_limit(limit)


def test_an_endless_line_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_csv_rows, "MAX_LINE_BYTES", 1000)
    with pytest.raises(ImportRefusedError, match="line 2 is longer"):
        read(HEADER.encode() + b"x" * 2000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\n\n", "empty"),
        (
            b"question,answer\n",
            "missing in the header: question_sentiment, answer_sentiment; add them, or use --label-missing",
        ),
        (b"Question;Answer;x\n", "separated by commas"),
        (b"question\tanswer\n", "separated by commas"),
        (b"question,id\n", "missing in the header: answer, question_sentiment, answer_sentiment$"),
        (b"question,answer,ANSWER ,question_sentiment,answer_sentiment\n", "answer more than once"),
        (b"question,answer,\xe9\n", "header cannot be read: line 1 is not UTF-8"),
        (b'question,"answer\n', "header cannot be read: a quote"),
        (HEADER.encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_without_a_usable_header_is_rejected_with_a_reason(content: bytes, message: str) -> None:
    with pytest.raises(ImportRefusedError, match=message):
        read(content)


def test_sentiments_may_be_written_in_either_case_and_with_spaces() -> None:
    (row,) = read(HEADER.encode() + b"q,a, Positive ,NEGATIVE\n")
    assert isinstance(row, Row)
    assert row.conversation.question_sentiment is Sentiment.POSITIVE


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"question,answer\nq,a\n", ("neutral", "neutral")),
        (b"answer,question,answer_sentiment\na,q,positive\n", ("neutral", "positive")),
        (HEADER.encode() + b"q,a,,negative\n", ("neutral", "negative")),
    ],
)
def test_a_labeller_fills_what_is_missing_only(content: bytes, expected: tuple[str, str]) -> None:
    (row,) = read(content, labeller=lambda text: Sentiment.NEUTRAL)
    assert isinstance(row, Row)
    assert (row.conversation.question_sentiment, row.conversation.answer_sentiment) == expected


def test_a_wrong_sentiment_is_rejected_also_with_a_labeller() -> None:
    (reject,) = read(HEADER.encode() + b"q,a,happy,negative\n", labeller=lambda text: Sentiment.NEUTRAL)
    assert isinstance(reject, Reject)


@given(st.lists(st.binary(min_size=1, max_size=20).map(lambda junk: junk.translate(None, b'"\r\n,')), max_size=5))
def test_rejected_rows_are_written_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, cells: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("rejects") / "file.rejects.csv"
    content = HEADER.encode() + b"".join(cell + b"\xff,kept\n" for cell in cells)
    with RejectsFile(path, ["question", "answer", "question_sentiment", "answer_sentiment"]) as file:
        for record in read(content):
            assert isinstance(record, Reject)
            file.add(record)
    assert path.exists() == bool(cells)
    if cells:
        lines = path.read_bytes().removesuffix(b"\r\n").split(b"\r\n")
        assert lines[0].decode() == f"line,reason,{HEADER.strip()}"
        assert [line.split(b",")[-2] for line in lines[1:]] == [cell + b"\xff" for cell in cells]
