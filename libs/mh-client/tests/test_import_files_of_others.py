"""Files as people have them: `mh import` recognises them, says so, and stores what they hold."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from mh_client import AsyncClient, ImportRefusedError
from mh_client.importing import ImportOptions, import_file
from mh_common.formats import ReadOptions
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand
from mh_devtools.testing.workbooks import workbook


@pytest.fixture
def stub(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubPlatform:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return stub


def stored(stub: StubPlatform) -> list[tuple[str, str, str, str]]:
    return [(row.question, row.answer, str(row.question_sentiment), str(row.answer_sentiment)) for row in stub.rows]


def test_delimiter_encoding_and_common_names_are_recognised_and_said(
    stub: StubPlatform, mh: RunCommand, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    header = "Context;Response;question_sentiment;answer_sentiment;remark\r\n"
    path.write_bytes(f"{header}Café?;Oui, bien;POS;0\r\nq;a;Neutral;1;x\r\n".replace("0\r", "0;\r").encode("cp1252"))
    code, _, errors = mh("import", path)
    assert code == 0, errors
    assert stored(stub) == [("Café?", "Oui, bien", "positive", "negative"), ("q", "a", "neutral", "positive")]
    others = ("rows added", "name people")
    lines = [line for line in errors.splitlines() if line.startswith("file.csv: ")]
    told = [line for line in lines if not any(other in line for other in others)]
    assert told[0] == (
        "file.csv: CSV, with semicolons between the cells, in Windows-1252. Columns: question from Context, "
        "answer from Response, question_sentiment, answer_sentiment. Not read: remark."
    )
    assert len(told) == 2
    assert "Windows-1252" in told[1]


def test_columns_can_be_named(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("one,two,a,b\nq,a,neu,neu\n")
    code, _, errors = mh("import", path)
    assert code == 2
    assert "file.csv: " in errors
    assert "The file's columns are: one, two, a, b. Say which one is meant, such as --column question=NAME" in errors
    fields = ("question=one", "answer=two", "question_sentiment=a", "answer_sentiment=b")
    code, _, errors = mh("import", path, *(part for one in fields for part in ("--column", one)))
    assert code == 0
    assert "question from one, answer from two" in errors
    assert stored(stub) == [("q", "a", "neutral", "neutral")]
    code, _, errors = mh("import", path, "--column", "colour=one")
    assert (code, errors.count("\n")) == (2, 1)
    assert "write FIELD=COLUMN, such as question=Context" in errors


def test_zero_can_mean_neutral(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("question,answer,question_sentiment,answer_sentiment\nq,a,0,-1\n")
    code, _, errors = mh("import", path)
    assert code == 0
    assert "both 0 and -1 as sentiments" in errors
    assert mh("import", path, "--zero", "neutral", "--on-duplicate", "update")[0] == 0
    assert [row[2:] for row in stored(stub)] == [("neutral", "negative")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "image"),
    ],
)
def test_a_file_of_another_kind_is_named(
    stub: StubPlatform, mh: RunCommand, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    code, output, errors = mh("import", path)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("mh: rows.csv: ")
    assert told in errors


async def test_rejects_are_guarded_and_imported_as_they_were(stub: StubPlatform, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    header = ["question", "answer", "question_sentiment", "answer_sentiment"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, ["'=1+1", "-refused", "pos", "neg"]])
    options = ImportOptions(state_dir=tmp_path / "journals")
    stub.refuse = lambda row: "is not wanted"
    async with AsyncClient(stub.base_url) as client:
        done = await import_file(client, path, options)
        assert done.rejects is not None
        with done.rejects.open(newline="") as file:
            assert list(csv.reader(file))[1][2:4] == ["'=1+1", "'-refused"]
        stub.refuse = lambda row: None
        await import_file(client, done.rejects, options)
    assert [(row.question, row.answer) for row in stub.rows] == [("=1+1", "-refused")]


@pytest.mark.parametrize(
    ("read", "told"),
    [({"raw": True}, "with --raw"), ({"columns": {"category": "topic"}}, "--column category=topic")],
)
async def test_an_interrupted_import_is_not_resumed_with_other_readings(
    stub: StubPlatform, tmp_path: Path, read: dict[str, Any], told: str
) -> None:
    path = tmp_path / "file.csv"
    rows = "".join(f"q{number},a,pos,neg,t\n" for number in range(25))
    path.write_text(f"question,answer,question_sentiment,answer_sentiment,topic\n{rows}")
    options = ImportOptions(batch_rows=5, state_dir=tmp_path / "journals", read=ReadOptions(**read))
    stub.break_after = 1
    async with AsyncClient(stub.base_url, max_retries=0) as client:
        with pytest.raises(Exception, match="failed"):
            await import_file(client, path, options)
        with pytest.raises(ImportRefusedError, match=told):
            await import_file(client, path, ImportOptions(state_dir=options.state_dir))


def test_a_dry_run_says_what_would_become_of_the_rows_and_stores_nothing(
    stub: StubPlatform, mh: RunCommand, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    rows = "".join(f"q{number % 25},a,{'pos' if number else 'happy'},neg,secret\n" for number in range(30))
    path.write_text(f"Question,Answer,question_sentiment,answer_sentiment,note\n{rows}")
    code, output, _ = mh("import", path, "--dry-run", "--batch-size", 7)
    assert code == 1
    lines = output.splitlines()
    assert lines[0] == (
        "CSV, in UTF-8. Columns: question, answer, question_sentiment, answer_sentiment. Not read: note."
    )
    assert lines[1].startswith("line 2: question_sentiment must be positive, negative or neutral")
    assert lines[2] == "25 rows would be added, 0 updated, 4 skipped, 1 rejected. Nothing was stored."
    assert (stub.bulks, stub.rows, sorted(one.name for one in tmp_path.iterdir())) == ([], [], ["file.csv"])
    # The platform is asked what it has, and what it would reject.
    (tmp_path / "part.csv").write_text(path.read_text().partition("\n")[0] + "\nq7,a,pos,pos,x\n")
    assert mh("import", tmp_path / "part.csv")[0] == 0
    stub.refuse = lambda row: "is not wanted" if row.question == "q8" else None
    for options, told in (
        ((), "23 rows would be added, 0 updated, 5 skipped, 2 rejected."),
        (("--on-duplicate", "update"), "23 rows would be added, 1 updated, 4 skipped, 2 rejected."),
        (("--on-duplicate", "add"), "28 rows would be added, 0 updated, 0 skipped, 2 rejected."),
    ):
        output = mh("import", path, "--dry-run", *options)[1]
        assert told in output
        assert "line 10: question: is not wanted" in output
    assert len(stub.rows) == 1


def test_a_dry_run_leaves_out_what_was_imported_earlier(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("question,answer,question_sentiment,answer_sentiment\nq,a,pos,neg\n")
    assert mh("import", path)[0] == 0
    told = "0 rows would be added, 0 updated, 1 skipped (1 imported earlier), 0 rejected. Nothing was stored."
    assert told in mh("import", path, "--dry-run")[1]
    stub.rows.clear()
    assert "1 row would be added, 0 updated, 0 skipped, 0 rejected." in mh("import", path, "--dry-run", "--again")[1]
    found = json.loads(mh("import", path, "--dry-run", "--again", "--json")[1])
    assert found == {
        **dict.fromkeys(("updated", "skipped", "rejected"), 0),
        "dry_run": True,
        "added": 1,
        "rejects": [],
        "unasked": None,
    }


def test_a_dry_run_without_a_platform_looks_at_the_file_alone(
    stub: StubPlatform, mh: RunCommand, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text("question,answer,question_sentiment,answer_sentiment\nq,a,pos,neg\nq,a,pos,neg\n")
    code, output, _ = mh("import", path, "--dry-run", "--url", "http://127.0.0.1:9")
    assert code == 0
    assert "The platform could not be asked what it has already: POST http://127.0.0.1:9/" in output
    assert "1 row would be added, 0 updated, 1 skipped, 0 rejected. Nothing was stored." in output
    code, _, errors = mh("import", tmp_path / "absent.csv", "--dry-run")
    assert (code, errors) == (2, f"mh: {tmp_path}/absent.csv: there is no such file\n")


def test_each_sheet_of_a_workbook_is_imported_once(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    header: list[object] = ["Question", "Answer", "question_sentiment", "answer_sentiment"]
    path.write_bytes(workbook({name: [header, [f"{name} q", "a", 1, "neg"]] for name in ("one", "two")}))
    for options in ((), ("--sheet", "two"), ("--sheet", "one"), ("--sheet", "two")):
        assert mh("import", path, *options)[0] == 0
    assert [row[0] for row in stored(stub)] == ["one q", "two q"]


def test_rows_stored_with_other_options_are_said_to_stay(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("question,answer,question_sentiment,answer_sentiment\nq,a,0,1\n")
    assert mh("import", path)[0] == 0
    code, _, errors = mh("import", path, "--zero", "neutral")
    assert (code, len(stub.rows)) == (0, 1)
    assert "What was stored then is skipped and stays as it is" in errors
    assert "read with other options" not in mh("import", path, "--zero", "neutral")[2]
