"""JSON however it is laid out: a line each, an array, indented, one after the other."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mh_common.formats import Facts, FileRefusedError, Format, ReadOptions, Reject, Row, open_rows


def read(content: bytes | str, **options: Any) -> tuple[list[Row | Reject], Facts]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    with open_rows(file, ReadOptions(**options)) as reader:
        return list(reader), reader.facts


ROWS: list[dict[str, Any]] = [
    {"question": "q 1", "answer": 'a "1"\n{2}', "extra": {"deep": [1, {"question": "no"}]}},
    {"question": "[q] 2", "answer": "é 😢 }, {", "extra": None},
    {"question": "q\u2028 3", "answer": "\\", "question_sentiment": 1, "answer_sentiment": "NEG"},
]
LAYOUTS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "lines with CRLF and blank ones": "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\r\n",
    "lines with CR": "\r".join(map(json.dumps, ROWS)),
    "an array": json.dumps(ROWS),
    "an array of lines": "[" + ",\n".join(map(json.dumps, ROWS)) + "]\n",
    "an indented array": json.dumps(ROWS, indent=4, ensure_ascii=False),
    "indented objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "objects without anything between": "".join(map(json.dumps, ROWS)),
    "two arrays": json.dumps(ROWS[:1], indent=1) + json.dumps(ROWS[1:]),
    "record separators": "".join(f"\x1e{json.dumps(row)}\n" for row in ROWS),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout: str, encoding: str) -> None:
    records, facts = read(LAYOUTS[layout].encode(encoding), name="misleading.csv")
    assert [(one.values["question"], one.values["answer"]) for one in records if isinstance(one, Row)] == [
        (row["question"], row["answer"]) for row in ROWS
    ]
    last = records[-1]
    assert isinstance(last, Row)
    assert (last.values["question_sentiment"], last.values["answer_sentiment"]) == ("positive", "negative")
    assert facts.format is Format.JSON
    assert facts.ignored == ["extra"]


@pytest.mark.parametrize("indent", [None, 1])
def test_windows_1252_is_recognised(indent: int | None) -> None:
    rows = [{"question": "caf\xe9", "answer": "“d\xe9j\xe0”"}, {"question": "plain", "answer": "text"}]
    content = json.dumps(rows, indent=indent, ensure_ascii=False)
    records, facts = read(content.encode("windows-1252"))
    assert [one.values for one in records if isinstance(one, Row)] == rows
    assert len(facts.notes) == 1


GOOD = '{"question": "q", "answer": "a"}'
FAULTS = {
    "no JSON": ("nope", "this is not JSON"),
    "cut off": ('{"question": "q", "answer": "a', "this is not JSON"),
    "a comma too many": ('{"question": "q", "answer": "a",}', "this is not JSON"),
    "no object": ("[1, 2]", "this is no JSON object"),
    "no answer": ('{"question": "q"}', "the object has no answer; add"),
    "null": ('{"question": "q", "answer": null}', "the answer is empty"),
    "a list": ('{"question": ["q"], "answer": "a"}', "the question must be a text"),
    "half a character": (r'{"question": "q\ud83d", "answer": "a"}', "the question holds half of a character"),
    "an unknown sentiment": (
        '{"question": "q", "answer": "a", "answer_sentiment": 7}',
        "answer_sentiment must be positive,",
    ),
    "nested too deeply": ("[" * 100_000, "this is not JSON that can be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_line_is_rejected_and_the_others_are_read(fault: str) -> None:
    line, reason = FAULTS[fault]
    records, _ = read(f"{GOOD}\n\n{line}\n{GOOD}\n")
    assert [(type(one), one.line) for one in records] == [(Row, 1), (Reject, 3), (Row, 4)]
    reject = records[1]
    assert isinstance(reject, Reject)
    assert reject.reason.startswith(reason)
    assert reject.cells[-1] == line
    "".join(reject.cells).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "broken", ['{"question": "q", "answer": "a",}', '{"question": q, "answer": "a"}', '{"question": "q" "a"}']
)
def test_a_broken_element_of_an_array_is_rejected_and_the_others_are_read(broken: str) -> None:
    records, _ = read(f"[\n {GOOD},\n {broken},\n {GOOD}\n]")
    assert [(type(one), one.line) for one in records] == [(Row, 2), (Reject, 3), (Row, 4)]
    assert records[1].cells[-1] == broken


def test_a_large_object_that_is_read_in_parts_is_whole() -> None:
    long = "x" * 900_000
    rows = [{"question": f"q{at}", "answer": long + str(at)} for at in range(5)]
    records, _ = read(json.dumps(rows, indent=1))
    assert [(one.values["question"], one.values["answer"]) for one in records if isinstance(one, Row)] == [
        (row["question"], row["answer"]) for row in rows
    ]
    assert [one.line for one in records] == [2, 6, 10, 14, 18]


def test_keys_may_differ_and_numbers_are_texts() -> None:
    content = '{"prompt": "p", "completion": 5}\n{"Question": 1.0, "Answer": true, "topic": "sleep"}\n'
    records, facts = read(content)
    assert [one.values for one in records if isinstance(one, Row)] == [
        {"question": "p", "answer": "5"},
        {"question": "1", "answer": "true", "category": "sleep"},
    ]
    assert facts.columns["category"] == "topic"


def test_a_chosen_key_may_be_missing_where_it_is_optional() -> None:
    content = '{"q1": "q", "answer": "a", "topic": "x", "who": "me"}\n{"q1": "r", "answer": "b"}\n'
    records, facts = read(content, columns={"question": "q1", "author": "who", "category": ""})
    assert [one.values for one in records if isinstance(one, Row)] == [
        {"question": "q", "answer": "a", "author": "me"},
        {"question": "r", "answer": "b"},
    ]
    assert "topic" in facts.ignored


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1}\n', "no column was recognised as the question"),
        ('{"rows": [{"question": "q", "answer": "a"}]}', "no column was recognised as the question"),
        ("nothing\n", "no JSON object was found"),
        ('["q", "a"]', "no JSON object was found"),
        (" \n", "empty"),
    ],
)
def test_a_file_without_conversations_is_refused(content: str, message: str) -> None:
    with pytest.raises(FileRefusedError, match=message):
        read(content, name="x.jsonl")


def test_an_empty_array_is_a_file_without_rows() -> None:
    records, facts = read("[]\n")
    assert (records, facts.notes) == ([], ["The file has no rows."])


@settings(max_examples=300)
@given(
    st.text(st.sampled_from('[]{}:,"\\ qa1\n\u00e9'), max_size=80),
    st.sampled_from(["", "[", GOOD + "\n", f"[{GOOD},\n"]),
)
def test_no_text_raises_anything_but_a_refusal(junk: str, start: str) -> None:
    try:
        records, _ = read(start + junk, name="x.json")
    except FileRefusedError:
        return
    assert [one.number for one in records] == list(range(len(records)))
    assert [one.line for one in records] == sorted(one.line for one in records)


@pytest.mark.parametrize("is_array", [True, False])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, is_array: bool) -> None:
    path = tmp_path / "large.json"
    row = json.dumps({"question": "q" * 300, "answer": "a" * 700}, indent=1 if is_array else None)
    path.write_text("[" + ",\n".join([row] * 20_000) + "]" if is_array else f"{row}\n" * 20_000)
    tracemalloc.start()
    try:
        with open_rows(path) as reader:
            count = sum(1 for _ in reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 6_000_000
