"""Excel workbooks, made here part by part as Excel and others write them."""

import io
import zipfile
from typing import Any

import pytest
from mh_common.formats import Facts, FileRefusedError, Format, ReadOptions, Reject, Row, open_rows, xlsx_reader
from mh_devtools.testing.workbooks import workbook


def read(content: bytes, **options: Any) -> tuple[list[Row | Reject], Facts]:
    with open_rows(io.BytesIO(content), ReadOptions(**options)) as reader:
        return list(reader), reader.facts


HEADER: list[object] = ["Question", "Answer", "Question sentiment", "source_date", None]


def test_cells_of_every_kind_become_texts() -> None:
    rows: list[list[object]] = [
        HEADER,
        ["q, 1\nmore 😢", "  a  ", 1, ('s="1"', "<v>44198</v>"), "a remark"],
        [2, True, -1.0, None, None],
        [('t="str"', '<f>UPPER("x")</f><v>X</v>'), 2.5, "NEU", ('s="1"', "<v>44198</v>"), None],
    ]
    records, facts = read(workbook({"Data": rows}), name="x.csv")
    assert [one.values for one in records if isinstance(one, Row)] == [
        {"question": "q, 1\nmore 😢", "answer": "  a  ", "question_sentiment": "positive", "source_date": "2021-01-02"},
        {"question": "2", "answer": "true", "question_sentiment": "negative"},
        {"question": "X", "answer": "2.5", "question_sentiment": "neutral", "source_date": "2021-01-02"},
    ]
    assert (facts.format, facts.sheet) == (Format.XLSX, "Data")


def test_rows_are_named_as_excel_numbers_them() -> None:
    rows: list[list[object]] = [
        [None, "question", "answer"],
        [None, "q", "a"],
        [],
        [None, None, "only an answer"],
        [None, "q", "a"],
    ]
    records, _ = read(workbook({"Data": rows}, first_row=4))
    assert [(type(one), one.line, one.number) for one in records] == [(Row, 5, 0), (Reject, 7, 1), (Row, 8, 2)]


def test_the_first_sheet_that_shows_is_read_or_the_one_that_is_named() -> None:
    sheets: dict[str, list[list[object]]] = {
        "Lists": [["question", "answer"], ["hidden", "a"]],
        "Notes": [["question", "answer"], ["first", "a"]],
        "Data": [["question", "answer"], ["named", "a"]],
    }
    content = workbook(sheets, hidden="Lists")
    for sheet, expected in ((None, "first"), ("data", "named"), ("Lists", "hidden")):
        records, _ = read(content, sheet=sheet)
        assert isinstance(records[0], Row)
        assert records[0].values["question"] == expected
    with pytest.raises(FileRefusedError, match="no sheet Dato; it has: Lists, Notes, Data"):
        read(content, sheet="Dato")


def test_a_workbook_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = workbook({"Data": [["question", "answer"], ["q", "a"]]})
    with pytest.raises(FileRefusedError, match="damaged or cut off"):
        read(content[: len(content) // 2])
    with pytest.raises(FileRefusedError, match="sheet Data is empty"):
        read(workbook({"Data": []}))
    with pytest.raises(FileRefusedError, match=r"The file's columns are: id, text\. Say"):
        read(workbook({"Data": [["id", "text"], [1, "x"]]}))
    broken = io.BytesIO(content)
    with zipfile.ZipFile(broken, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet><sheetData><row")
    with pytest.raises(FileRefusedError, match="the workbook is damaged"):
        read(broken.getvalue())
    monkeypatch.setattr(xlsx_reader, "LARGEST", 100)
    with pytest.raises(FileRefusedError, match="when unpacked; save the sheet as CSV"):
        read(content)
