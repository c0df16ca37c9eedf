"""Excel workbooks, made here part by part as Excel and others write them."""

import io
import zipfile
from typing import Any
from xml.sax.saxutils import escape

import pytest
from mh_common.formats import Facts, FileRefusedError, Format, ReadOptions, Reject, Row, open_rows, xlsx_reader

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# Style 1 shows a number as a day.
STYLES = f'<styleSheet xmlns="{MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'


def cell(place: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    if isinstance(value, tuple):
        return f'<c r="{place}" {value[0]}>{value[1]}</c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def workbook(sheets: dict[str, list[list[object]]], *, first_row: int = 1, hidden: str = "") -> bytes:
    file = io.BytesIO()
    relation, names = "", ""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, (name, rows) in enumerate(sheets.items(), 1):
            lines = "".join(
                f'<row r="{line}">{"".join(cell(f"{chr(65 + x)}{line}", value) for x, value in enumerate(row))}</row>'
                for line, row in enumerate(rows, first_row)
            )
            archive.writestr(
                f"xl/worksheets/sheet{at}.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
            )
            relation += f'<Relationship Id="r{at}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{at}.xml"/>'
            state = ' state="hidden"' if name == hidden else ""
            names += f'<sheet name="{name}" sheetId="{at}"{state} r:id="r{at}"/>'
        relation += f'<Relationship Id="s" Type="{RELATIONS}/styles" Target="styles.xml"/>'
        archive.writestr("xl/styles.xml", STYLES)
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{names}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{relation}</Relationships>'
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="r1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET}.sheet.main+xml"/></Types>',
        )
    return file.getvalue()


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
