"""What is written is read back as it was, and no spreadsheet runs any of it."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mh_common.fields import Sentiment
from mh_common.formats import (
    FIELDS,
    Format,
    ReadOptions,
    Row,
    guard,
    make_writer,
    open_rows,
    unguard,
    written,
)
from mh_common.formats.parquet_writer import ParquetOfLines
from mh_common.text import is_blank

WRITTEN = [Format.CSV, Format.JSON, Format.PARQUET]
anything = st.text(st.characters(codec="utf-8"), max_size=60)
formulas = st.text(st.sampled_from("'=+-@\t\r\n \u00a0\u200b\uff1d\uff0ba\"1,;|"), max_size=8)
texts = (anything | formulas | st.tuples(formulas, anything).map("".join)).filter(
    lambda text: not is_blank(text) and "\x00" not in text
)
optional = texts | st.none()
conversations = st.fixed_dictionaries(
    {
        "question": texts,
        "answer": texts | texts.map(lambda text: f'"{text}",\r\n"{text}"'),
        "question_sentiment": st.sampled_from(Sentiment),
        "answer_sentiment": st.sampled_from(Sentiment) | st.none(),
        "source_url": optional,
        "source_date": st.dates() | st.none(),
        "category": optional,
        "author": optional,
    }
)


def file_of(form: Format, pages: list[list[dict[str, Any]]], **options: Any) -> bytes:
    return b"".join(written(make_writer(form, FIELDS, **options), pages))


def read(content: bytes, **options: Any) -> list[dict[str, str]]:
    with open_rows(io.BytesIO(content), ReadOptions(**options)) as reader:
        records = list(reader)
    assert all(isinstance(one, Row) for one in records), records
    return [one.values for one in records if isinstance(one, Row)]


def expected(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items() if value is not None}


@pytest.mark.slow
@pytest.mark.parametrize("form", WRITTEN)
@settings(max_examples=250)
@given(pages=st.lists(st.lists(conversations, max_size=4), max_size=3), raw=st.booleans())
@example(pages=[], raw=False)
@example(
    pages=[
        [
            dict.fromkeys(FIELDS, "'=1")
            | {"question_sentiment": Sentiment.NEUTRAL, "answer_sentiment": None, "source_date": None}
        ]
    ],
    raw=False,
)
def test_what_is_written_is_read_back(form: Format, pages: list[list[dict[str, Any]]], raw: bool) -> None:
    content = file_of(form, pages, raw=raw)
    if not content:
        assert form is Format.JSON
        return
    assert read(content, raw=raw) == [expected(row) for page in pages for row in page]


@given(anything | formulas)
def test_a_guard_is_taken_off_exactly(text: str) -> None:
    assert unguard(guard(text)) == text
    assert guard(text) in (text, f"'{text}")


RUN = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\tx",
    "\rx",
    "\nx",
    " =1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "\u3000@x",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\u22121",
    " \uff1d1",
    "\x00=1",
    "- a list",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", RUN)
def test_no_cell_of_a_csv_file_begins_as_a_formula_unless_raw(text: str) -> None:
    page = [{"question": text, "answer": f"'{text}", "author": text}]
    cells = next(csv.DictReader(io.StringIO(file_of(Format.CSV, [page]).decode(), newline="")))
    assert (cells["question"], cells["answer"], cells["author"]) == (f"'{text}", f"''{text}", f"'{text}")
    cells = next(csv.DictReader(io.StringIO(file_of(Format.CSV, [page], raw=True).decode(), newline="")))
    assert (cells["question"], cells["answer"], cells["author"]) == (text, f"'{text}", text)


@pytest.mark.parametrize("text", ["a=1", "'quoted'", "'tis", "1-2", "1", "é", "", "''", "'a=1", " a", "(=1)"])
def test_other_texts_are_written_as_they_are(text: str) -> None:
    assert guard(text) == unguard(text) == text


def test_columns_have_types_in_parquet_and_times_are_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
    names = ("id", "version", "question", "answer", "created_at", "source_date", "category")
    row = {
        "id": 7,
        "version": 1,
        "question": "=q",
        "answer": "a",
        "created_at": moment,
        "source_date": date(2021, 1, 2),
    }
    as_json = {**row, "created_at": "2026-03-01T12:00:00.000005Z", "source_date": "2021-01-02", "category": ""}
    for page in ([row], [as_json]):
        content = b"".join(written(make_writer(Format.PARQUET, names), [page]))
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        assert table.to_pylist() == [{**row, "category": None}]
        for form in (Format.CSV, Format.JSON):
            assert b"2026-03-01T12:00:00.000005Z" in b"".join(written(make_writer(form, names), [page]))


def test_parquet_comes_in_row_groups_while_it_is_written() -> None:
    writer = make_writer(Format.PARQUET, FIELDS)
    page = [{"question": f"q{at}", "answer": "a" * 1000} for at in range(1000)]
    pieces = [writer.rows(page) for _ in range(25)]
    assert sum(map(bool, pieces[1:])) >= 2
    content = b"".join([*pieces, writer.end()])
    assert len(read(content)) == 25_000
    assert pyarrow.parquet.ParquetFile(io.BytesIO(content)).num_row_groups >= 3


@settings(max_examples=150)
@given(rows=st.lists(conversations, max_size=5), size=st.integers(1, 400))
def test_json_lines_that_come_in_any_pieces_make_the_same_parquet(rows: list[dict[str, Any]], size: int) -> None:
    lines = file_of(Format.JSON, [rows])
    converter = ParquetOfLines(FIELDS)
    made = b"".join(converter.take(lines[at : at + size]) for at in range(0, len(lines), size)) + converter.end()
    assert read(made) == [expected(row) for row in rows]
    assert pyarrow.parquet.read_schema(io.BytesIO(made)) == pyarrow.parquet.read_schema(
        io.BytesIO(file_of(Format.PARQUET, [rows]))
    )


def test_parquet_of_json_lines_comes_in_row_groups_in_their_order() -> None:
    converter = ParquetOfLines(("id", "question", "created_at"))
    moment = "2026-03-01T12:00:00.000005Z"
    lines = [json.dumps({"id": at, "question": "q" * 1000, "created_at": moment}).encode() for at in range(25_000)]
    # One line may be longer than a row group is kept.
    lines[7] = json.dumps({"question": "x" * 9_000_000, "id": 7, "strange": {}}).encode()
    pieces = [converter.take(b"\n".join(lines[at : at + 1000]) + b"\n") for at in range(0, 25_000, 1000)]
    assert sum(map(bool, pieces)) >= 3
    table = pyarrow.parquet.read_table(io.BytesIO(b"".join([*pieces, converter.end()])))
    assert table["id"].to_pylist() == list(range(25_000))
    assert (len(table["question"][7].as_py()), table["created_at"][7].as_py()) == (9_000_000, None)
    assert table["created_at"][8].as_py() == datetime.fromisoformat(moment)


def test_lines_of_json_end_only_where_a_record_ends() -> None:
    row = {"question": "a\x85b\u2028c\u2029d\x0be\nf", "answer": "a"}
    content = file_of(Format.JSON, [[row, row]])
    assert len(content.decode().splitlines()) == 2
    assert json.loads(content.decode().splitlines()[0])["question"] == row["question"]


def test_files_without_rows_say_their_columns() -> None:
    assert file_of(Format.CSV, []) == (",".join(FIELDS) + "\r\n").encode()
    assert pyarrow.parquet.read_table(io.BytesIO(file_of(Format.PARQUET, []))).column_names == list(FIELDS)
    with pytest.raises(ValueError, match="read only"):
        make_writer(Format.XLSX, FIELDS)
