"""CSV files as spreadsheets, databases and people write them."""

import codecs
import csv
import io
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mh_common.formats import Facts, FileRefusedError, ReadOptions, Reject, Row, open_rows

HEADER = b"question,answer\n"


def read(content: bytes, **options: Any) -> tuple[list[Row | Reject], Facts]:
    with open_rows(io.BytesIO(content), ReadOptions(**options)) as reader:
        return list(reader), reader.facts


def pairs(content: bytes, **options: Any) -> list[tuple[str, str]]:
    """Questions and answers of a file without rejects."""
    records, _ = read(content, **options)
    assert [one for one in records if isinstance(one, Reject)] == []
    return [(one.values["question"], one.values["answer"]) for one in records if isinstance(one, Row)]


def outcome(content: bytes, **options: Any) -> list[tuple[int, str]]:
    """Line and question of each row, line and reason of each reject."""
    records, _ = read(content, **options)
    return [(one.line, one.values["question"] if isinstance(one, Row) else one.reason) for one in records]


TEXTS = {
    "english": ("I can't sleep, why?", 'Say "no"; then rest.'),
    "french": ("Je suis anxiété, déjà", "Ça ira, « bientôt »…"),
    "russian": ("Мне грустно; что делать?", "Говорите, пожалуйста"),
    "hindi": ("मैं उदास हूँ, क्यों?", "बात कीजिए"),
    "chinese": ("我很難過\uff0c怎麼辦\uff1f", "一步一步來\n慢慢說"),
    "arabic": ("أنا حزين, لماذا؟", "تحدث؛ من فضلك"),
    "emoji": ("😢👩\u200d👩\u200d👧 sad", "🙂"),
}
ENCODINGS = [
    ("utf-8", b"", "utf-8"),
    ("utf-8", codecs.BOM_UTF8, "utf-8"),
    ("utf-8", codecs.BOM_UTF8 * 2, "utf-8"),
    ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le"),
    ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16-be"),
    ("utf-16-be", codecs.BOM_UTF16_BE * 2, "utf-16-be"),
    ("utf-16-le", b"", "utf-16-le"),
    ("utf-16-be", b"", "utf-16-be"),
    ("utf-32-le", codecs.BOM_UTF32_LE, "utf-32-le"),
    ("utf-32-be", codecs.BOM_UTF32_BE, "utf-32-be"),
    ("utf-32-le", b"", "utf-32-le"),
    ("utf-32-be", b"", "utf-32-be"),
]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(("encoding", "mark", "told"), ENCODINGS)
@pytest.mark.parametrize("header", [("question", "answer"), ("вопрос", "ответ"), ("問", "答")])
def test_every_unicode_encoding_is_recognised(
    encoding: str, mark: bytes, told: str, language: str, header: tuple[str, str]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows([header, TEXTS[language]])
    content = mark + text.getvalue().encode(encoding)
    columns = dict(zip(("question", "answer"), header, strict=True))
    assert pairs(content, columns=columns) == [TEXTS[language]]
    _, facts = read(content, columns=columns)
    assert (facts.encoding, facts.delimiter) == (told, ";")
    assert len(facts.notes) == (told != "utf-8")


@pytest.mark.parametrize(
    "text",
    ["caf\xe9", "“quotes” \u2013 dashes…", "M\xfcller stra\xdfe", "10 \u20ac for na\xefve", "“CAF\xc9…”", "CAF\xc9…"],
)
def test_windows_1252_is_recognised_and_told_once(text: str) -> None:
    content = HEADER + b"plain,text\n" * 3000 + f"{text},x\n{text},y\n\xe9t\xe9,z\n".encode("windows-1252")
    records, facts = read(content)
    assert [one.values["question"] for one in records[-3:-1] if isinstance(one, Row)] == [text, text]
    assert facts.encoding == "windows-1252"
    assert len([note for note in facts.notes if "Windows-1252" in note]) == 1


def test_a_line_in_utf_8_survives_in_a_file_of_windows_1252() -> None:
    content = HEADER + "caf\xe9,1\n\xe0 la,2\nd\xe9j\xe0,3\n".encode("windows-1252") + "caf\xe9,4\n".encode()
    assert pairs(content) == [("caf\xe9", "1"), ("\xe0 la", "2"), ("d\xe9j\xe0", "3"), ("caf\xe9", "4")]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1251", "Мне очень грустно сегодня"),
        ("koi8-r", "Мне очень грустно сегодня"),
        ("iso-8859-7", "Νιώθω λυπημένος σήμερα"),
        ("shift_jis", "とても悲しいです"),
        ("gb18030", "我今天很难过"),
        ("euc_kr", "오늘은 너무 슬퍼요"),
        ("big5", "我今天很難過"),
    ],
)
def test_other_encodings_are_refused_unless_they_are_named(encoding: str, text: str) -> None:
    content = HEADER + f"{text},{text}\n".encode(encoding)
    with pytest.raises(FileRefusedError, match="say its encoding"):
        read(content)
    assert pairs(content, encoding=encoding) == [(text, text)]


def test_single_lines_of_another_encoding_are_rejected_by_line_and_written_back_as_they_are() -> None:
    content = HEADER + "\xe9,\xe9\n".encode() * 3 + b'"fine\nthen \xff",a\n'
    records, facts = read(content)
    reject = records[-1]
    assert isinstance(reject, Reject)
    assert (reject.line, reject.cells[0].encode("utf-8", "surrogateescape")) == (5, b"fine\nthen \xff")
    assert reject.reason.startswith("line 6 is not UTF-8: byte 0xFF")
    assert len(facts.notes) == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HEADER + b"q,a\n" + b"q,\xf0\x9f\x98", 3),
        (HEADER + b"\xff\xfe\xfd\xfc\xfb,a\n" + b"q,a\n" * 1000, 2),
        (HEADER + "\u0142, \u017c\n\xf3,a\n".encode() + b"caf\xe9,a\n", 4),
        (HEADER + "\u043f\u0440\u0438,a\n".encode() + b"caf\xe9,a\n", 3),
        (codecs.BOM_UTF8 + HEADER + b"caf\xe9,a\n", 2),
    ],
)
def test_a_few_bytes_that_are_no_text_are_faults_and_no_encoding(content: bytes, line: int) -> None:
    records, facts = read(content)
    assert [one.line for one in records if isinstance(one, Reject)] == [line]
    assert facts.encoding == "utf-8"


def test_a_half_character_of_utf_16_is_one_reject() -> None:
    content = "question,answer\nq,a\n".encode("utf-16-le") + b"\x00\xd8,\x00a\x00\n\x00" + "q,b\n".encode("utf-16-le")
    records, _ = read(content)
    assert [type(one) for one in records] == [Row, Reject, Row]
    "".join(records[1].cells).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("wrong", ["klingon", "rot13", "base64", "", "utf-8\x00"])
def test_an_encoding_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(FileRefusedError, match="there is no encoding"):
        read(HEADER, encoding=wrong)


def test_the_mark_of_a_file_goes_before_what_is_said() -> None:
    content = codecs.BOM_UTF8 + HEADER + "caf\xe9,a\n".encode()
    assert pairs(content, encoding="windows-1252") == [("caf\xe9", "a")]
    assert len(read(content, encoding="windows-1252")[1].notes) == 1
    for name in ("utf-16", "UTF-16LE", "unicode"):
        assert pairs("\ufeffquestion,answer\ncaf\xe9,a\n".encode("utf-16-le"), encoding=name) == [("caf\xe9", "a")]
    assert pairs(HEADER + b"caf\xe9,a\n", encoding="ANSI") == [("caf\xe9", "a")]


DELIMITERS: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "a semicolon beside commas": ("question;answer\nq, with, commas;a, b\n", [("q, with, commas", "a, b")]),
    "a tab beside commas": ("question\tanswer\nq, with;a\ta, b; c\n", [("q, with;a", "a, b; c")]),
    "a pipe beside all others": ("question|answer\nq,q,q|a;a\ta\n", [("q,q,q", "a;a\ta")]),
    "a comma beside semicolons": ("question,answer\nq; q; q,a; a; a\n", [("q; q; q", "a; a; a")]),
    "quoted names with a delimiter in one": ('"id, old";"question";"answer"\n1;q;a\n', [("q", "a")]),
    "sep=": ("sep=;\nquestion;answer\nq;a\n", [("q", "a")]),
    "SEP= with CRLF": ("SEP=,\r\nquestion,answer\r\nq,a\r\n", [("q", "a")]),
    "sep= in quotes": ('"sep=;"\nquestion;answer\nq,1;a\n', [("q,1", "a")]),
    "sep= with a tab": ("sep=\t\nquestion\tanswer\nq\ta\n", [("q", "a")]),
    "sep= with a character of its own": ("sep=^\nquestion^answer\nq,1^a\n", [("q,1", "a")]),
    "sep= after two marks": ("\ufeff\ufeffsep=;\nquestion;answer\nq;a\n", [("q", "a")]),
    "CR only": ("question,answer\rq,a\rr,b\r", [("q", "a"), ("r", "b")]),
    "CR only, LF in a cell": ('question,answer\rq,"a\nb"\rr,b', [("q", "a\nb"), ("r", "b")]),
    "CR CR LF": ("question,answer\r\r\nq,a\r\r\n", [("q", "a")]),
    "no end of the last line": ("question,answer\r\nq,a", [("q", "a")]),
    "blank lines everywhere": ("\n\nquestion,answer\n\n \nq,a\n\n", [("q", "a")]),
    "rows of delimiters only": ("question,answer\nq,a\n,\n,\n", [("q", "a")]),
    "a name missing at the end": ("question,answer,\nq,a\nr,b,\n", [("q", "a"), ("r", "b")]),
    "NUL bytes at the end": ("question,answer\nq,a\n" + "\x00" * 100, [("q", "a")]),
    "CR in a cell": ('question,answer\n"q\rr",a\n', [("q\rr", "a")]),
    "header only": ("question,answer\n", []),
}


@pytest.mark.parametrize("case", DELIMITERS)
def test_layouts_are_recognised(case: str) -> None:
    content, expected = DELIMITERS[case]
    assert pairs(content.encode()) == expected
    assert pairs(content.encode("utf-16")) == expected


@pytest.mark.parametrize("name", [";", "semicolon", " Semicolon "])
def test_a_delimiter_that_is_said_goes_before_what_is_recognised(name: str) -> None:
    assert pairs(b"question;answer,question\nq;a,x\n", delimiter=name, columns={"answer": "answer,question"}) == [
        ("q", "a,x")
    ]
    for wrong in ("::", "", '"', "a"):
        with pytest.raises(FileRefusedError, match="delimiter must be"):
            read(HEADER, delimiter=wrong)


QUOTES = {
    "blank before": ('question, answer\n"q, 1", "a, 2"\n', [("q, 1", "a, 2")]),
    "blanks of every kind before": ('question,answer\n \t"q, 1",\u00a0\u200b "a, 2"\n', [("q, 1", "a, 2")]),
    "blank after": ('question,answer\n"q, 1" ,"a, 2" \n', [("q, 1", "a, 2")]),
    "blank before a cell of several lines": ('question,answer\nq, "a, ""b"",\n, "" c"\n', [("q", 'a, "b",\n, " c')]),
    "the same pattern inside quotes": (
        'question,answer\n"say , ""x"" , y","and, ""z"""\n',
        [('say , "x" , y', 'and, "z"')],
    ),
    "blanks of cells without quotes are kept": ("question,answer\n q , a\n", [(" q ", " a")]),
    "blank before a quote in a file of tabs": ('question\tanswer\nq, 1\t "a\tb"\n', [("q, 1", "a\tb")]),
    "a quote inside a cell": ('question,answer\nso 5" long,"a"\n', [('so 5" long', "a")]),
}


@pytest.mark.parametrize("case", QUOTES)
def test_blanks_around_quotes_are_not_part_of_the_text(case: str) -> None:
    content, expected = QUOTES[case]
    assert pairs(content.encode()) == expected


NEVER_CLOSED = "a quote that opens in this row is never closed"
FAULTS: dict[str, tuple[bytes, Sequence[tuple[int, str]]]] = {
    "too few cells": (b"q\nq,a\n", [(2, "the row has 1 cell where the header has 2; add"), (3, "q")]),
    "too many cells": (b"q,a,b\nq,a\n", [(2, "the row has 3 cells where the header has 2; put"), (3, "q")]),
    "text after a closing quote": (b'"q"x,a\nq,a\n', [(2, "text follows a closing quote"), (3, "q")]),
    "text after a quote that closed on a later line": (b'"l\nm"x,a\nq,a\n', [(2, "text follows"), (4, "q")]),
    "a quote not closed, up to the end": (b'q,a\n"r,b\ns,c\nt,d\n', [(2, "q"), (3, NEVER_CLOSED), (4, "s"), (5, "t")]),
    "a quote not closed, up to another": (
        b'"r,b\ns,c\n"t","d"\nu,e\n',
        [(2, NEVER_CLOSED), (3, "s"), (4, "t"), (5, "u")],
    ),
    "a carriage return outside quotes": (b"q\rq,a\nq,a\n", [(2, "a carriage return stands outside quotes"), (3, "q")]),
    "NUL in a text": (b"q\x00,a\nq,a\n", [(2, "the question holds a NUL"), (3, "q")]),
    "nothing in a text": (b"q,\nq,a\n", [(2, "the answer is empty"), (3, "q")]),
    "only what nobody sees": (
        "\u200b\u2060,a\n\u00a0\u3000,a\n\ufeff,a\nq,\u3164\n".encode(),
        [(at, " is empty, or nothing in it is visible") for at in (2, 3, 4, 5)],
    ),
    "a text that is too long": (
        b"q," + b"x" * 1_000_001 + b"\nq,a\n",
        [(2, "the answer is longer than 1,000,000"), (3, "q")],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_read_is_rejected_by_line_and_the_rest_is_read(case: str) -> None:
    content, expected = FAULTS[case]
    found = outcome(HEADER + content)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, said), (_, part) in zip(found, expected, strict=True):
        assert part in said


def test_a_cell_too_many_under_no_name_is_rejected() -> None:
    assert [line for line, _ in outcome(b"question,answer,\nq,a, and more\n")] == [2]
    assert isinstance(read(b"question,answer,\nq,a, and more\n")[0][0], Reject)


def test_reasons_never_repeat_text() -> None:
    content = HEADER + b'"secret"secret,a\nsecret,secret,secret\n,secret\nsecret\n'
    records, _ = read(content)
    reasons = [one.reason for one in records if isinstance(one, Reject)]
    assert len(reasons) == 4
    assert not any("secret" in reason for reason in reasons)


REFUSED = {
    b"": "empty",
    b"\n\r\n \t\n": "empty",
    codecs.BOM_UTF8: "empty",
    b"\x00" * 20: "empty",
    codecs.BOM_UTF16_LE + "\n\n".encode("utf-16-le"): "empty",
    b"\n" * 200_000: "empty",
    b"id,text\n": r"no column was recognised as the question; .* The file's columns are: id, text\. Say which",
    b"question answer\nq a\n": "one column only",
    b"I feel sad. What should I do now?,Go out and see people\n": "^no column.* The first line must name the columns",
    b"question,answer,Answer\n": "2 columns could be the answer",
    b'question,"answer\n': "header cannot be read: a quote",
    b"\x01\x02\x03\x04\x05\x06" * 10: "no text and no kind of file that is known",
}


@pytest.mark.parametrize(("content", "message"), REFUSED.items(), ids=list(map(str, range(len(REFUSED)))))
def test_a_file_without_a_usable_header_is_refused_and_told_why(content: bytes, message: str) -> None:
    with pytest.raises(FileRefusedError, match=message) as error:
        read(content)
    assert "sad" not in str(error.value)


def test_a_file_with_a_header_only_is_said_to_be_so() -> None:
    assert read(HEADER)[1].notes == ["The file has no rows below its header."]


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(st.sampled_from("q,\"\n\r\x00é '="), max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(junk: bytes) -> None:
    for content in (HEADER + junk, junk):
        try:
            records, _ = read(content)
        except FileRefusedError:
            continue
        assert [one.number for one in records] == list(range(len(records)))
        assert [one.line for one in records] == sorted({one.line for one in records})


@settings(max_examples=500)
@given(
    st.lists(st.sampled_from(["q", "a", ",", '"', '""', "\n", "\r\n", " ", "'", "=", "é", ', "', '" ,']), max_size=40)
)
def test_no_letter_of_a_file_is_lost_however_its_quotes_stand(pieces: list[str]) -> None:
    body = "".join(pieces)
    records, _ = read(HEADER + body.encode(), raw=True)
    found = sorted(letter for one in records for cell in one.cells for letter in cell if letter in "qaé=")
    assert found == sorted(letter for letter in body if letter in "qaé=")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    row = b"q" * 300 + b"," + b"a" * 700 + b"\n"
    path.write_bytes(HEADER + row * 20_000)
    tracemalloc.start()
    try:
        with open_rows(path) as reader:
            count = sum(1 for _ in reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    # A megabyte is read at a time to look at the encoding, and is held as bytes and as text.
    assert peak < 4_000_000


def test_progress_ends_at_the_size_of_the_file() -> None:
    content = HEADER + b"q,a\n" * 100_000
    with open_rows(io.BytesIO(content)) as reader:
        positions = [reader.position for _ in reader]
    assert positions == sorted(positions)
    assert 0 < positions[0] < len(content) / 2
    assert positions[-1] == len(content)


def test_a_file_that_was_given_open_stays_open_and_is_read_from_its_beginning() -> None:
    file = io.BytesIO(HEADER + b"q,a\n")
    file.read()
    with open_rows(file) as reader:
        assert len(list(reader)) == 1
    del reader
    assert not file.closed


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match="no such file"), open_rows(tmp_path / "none.csv"):
        pass
    with pytest.raises(FileRefusedError, match="is not a file"), open_rows(tmp_path):
        pass
