"""Parquet as data frames and other programs write it."""

import io
from datetime import UTC, date, datetime
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from mh_common.formats import Facts, FileRefusedError, Format, ReadOptions, Reject, Row, open_rows


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file, **options)
    return file.getvalue()


def read(content: bytes, **options: Any) -> tuple[list[Row | Reject], Facts]:
    file = io.BytesIO(content)
    with open_rows(file, ReadOptions(**options)) as reader:
        found = list(reader), reader.facts
    assert not file.closed
    return found


def test_types_of_every_kind_become_texts() -> None:
    content = parquet(
        {
            "Context": pyarrow.array(["q1", "q2"]).dictionary_encode(),
            "Response": pyarrow.array([b"a1", b"a2"]),
            "question_sentiment": pyarrow.array([1, 0], pyarrow.int8()),
            "answer_sentiment": pyarrow.array([-1.0, None]),
            "source_date": pyarrow.array([date(2021, 1, 2), None]).cast(pyarrow.timestamp("ns")),
            "category": pyarrow.array(["sleep", None], pyarrow.large_string()),
            "created_at": [datetime(2026, 1, 1, tzinfo=UTC)] * 2,
            "vector": [[1.0, 2.0]] * 2,
            "ok": [True, False],
        }
    )
    records, facts = read(content, name="x.csv")
    assert [one.values for one in records if isinstance(one, Row)] == [
        {
            "question": "q1",
            "answer": "a1",
            "question_sentiment": "positive",
            "answer_sentiment": "negative",
            "source_date": "2021-01-02",
            "category": "sleep",
        },
        {"question": "q2", "answer": "a2", "question_sentiment": "negative"},
    ]
    assert [one.line for one in records] == [1, 2]
    assert facts.format is Format.PARQUET
    assert facts.ignored == ["created_at", "ok", "vector"]


def test_a_day_is_read_from_a_date() -> None:
    records, _ = read(parquet({"question": ["q"], "answer": ["a"], "date": [date(2021, 1, 2)]}))
    assert isinstance(records[0], Row)
    assert records[0].values["source_date"] == "2021-01-02"


def test_rows_without_a_text_are_rejected() -> None:
    records, _ = read(parquet({"question": ["q", None, ""], "answer": ["a", "b", "c"]}))
    assert [type(one) for one in records] == [Row, Reject, Reject]


def test_bytes_that_are_no_text_are_rejected_and_kept() -> None:
    records, _ = read(parquet({"question": [b"q", b"caf\xe9"], "answer": ["a", "b"]}))
    assert [type(one) for one in records] == [Row, Reject]
    assert records[1].cells[0].encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_many_row_groups_and_large_ones_are_read() -> None:
    columns = {"question": [f"q{at}" for at in range(10_000)], "answer": ["a" * 2000] * 10_000}
    for size in (7, 10_000):
        records, _ = read(parquet(columns, row_group_size=size))
        assert [one.values["question"] for one in records if isinstance(one, Row)] == columns["question"]


@pytest.mark.parametrize("cut", [slice(None, 100), slice(None, -10), slice(None, 6)])
def test_a_damaged_file_is_refused(cut: slice) -> None:
    content = parquet({"question": ["q"] * 100, "answer": ["a"] * 100})
    with pytest.raises(FileRefusedError, match="damaged or cut off"):
        read(content[cut])


def test_a_file_with_a_damaged_page_is_refused_when_it_is_reached() -> None:
    content = bytearray(parquet({"question": [f"q{at}" * 50 for at in range(1000)], "answer": ["a"] * 1000}))
    content[4:200] = bytes(196)
    with pytest.raises(FileRefusedError, match="damaged or cut off"):
        read(bytes(content))


def test_columns_are_looked_for_as_in_other_formats() -> None:
    content = parquet({"one": ["q"], "two": ["a"]})
    with pytest.raises(FileRefusedError, match=r"The file's columns are: one, two\."):
        read(content)
    records, facts = read(content, columns={"question": "ONE", "answer": "two"})
    assert isinstance(records[0], Row)
    assert facts.columns == {"question": "one", "answer": "two"}
    with pytest.raises(FileRefusedError, match="no column was recognised as the question"):
        read(parquet({"question": [["a", "list"]], "answer": ["a"]}))
