"""What `mh import` says of names in a file, and its report, which repeats none of them."""

import asyncio
import csv
from pathlib import Path

import pytest
from mh_client import APIConnectionError, AsyncClient, ImportRefusedError
from mh_client.importing import ImportOptions, check_file, import_file
from mh_common.identifiers import IdentifierKind
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from mh_devtools.testing.fixtures import RunCommand

ROWS = [
    ["Mrs. Okafor cannot sleep. Okafor is tired.", "Ask her at okafor@example.org", "negative", "neutral"],
    ["How do I sleep?", "Rise at the same hour.", "negative", "neutral"],
    ["", "no question", "negative", "neutral"],
    ["How?", "Go to Arkham.", "negative", "neutral"],
]
HEADER = ["question", "answer", "question_sentiment", "answer_sentiment"]
NAMES = {"Okafor": IdentifierKind.PERSON, "Arkham": IdentifierKind.PLACE}
REPORT = [
    ["row", "line", "column", "kind", "count"],
    ["1", "2", "question", "person", "2"],
    ["1", "2", "answer", "person", "1"],
    ["4", "5", "answer", "place", "1"],
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "notes.csv"
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows([HEADER, *ROWS])
    return path


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as report:
        return list(csv.reader(report))


def test_an_import_says_how_many_rows_seem_to_name_people(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    code, _, errors = mh("import", file)
    assert (code, len(stub.rows)) == (1, 3)
    (warning,) = [line for line in errors.splitlines() if "name people" in line]
    assert warning.startswith("notes.csv: 1 of 3 rows seem to name people; --identifiers FILE writes a report of which")
    assert warning.endswith("Not every name is recognised.")
    assert "Okafor" not in errors


def test_without_a_report_only_the_first_rows_of_a_large_file_are_looked_through(
    stub: StubPlatform, file: Path, mh: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mh_client._import_identifiers.SAMPLE_LENGTH", 50)
    assert "notes.csv: 1 of the first 1 rows seem to name people" in mh("import", file)[2]
    report = tmp_path / "report.csv"
    assert "1 of 3 rows seem to name people" in mh("import", file, "--again", "--identifiers", report)[2]


def test_a_file_without_names_gets_no_warning(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    file.write_text("question,answer,question_sentiment,answer_sentiment\nHow?,So.,negative,neutral\n")
    assert "name people" not in mh("import", file)[2]


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_the_report_has_places_and_kinds_and_no_text(
    stub: StubPlatform, file: Path, mh: RunCommand, tmp_path: Path, dry_run: list[str]
) -> None:
    report = tmp_path / "report.csv"
    code, output, errors = mh("import", file, "--identifiers", report, *dry_run)
    assert code == 1
    assert f"1 of 3 rows seem to name people; {report} says which." in output + errors
    lines = read(report)
    assert lines[0] == REPORT[0]
    assert {(row, column) for row, _, column, kind, _ in lines[1:] if kind == "person"} >= {("1", "question")}
    assert {(row, column) for row, _, column, kind, _ in lines[1:] if kind == "email"} == {("1", "answer")}
    assert "okafor" not in report.read_text().casefold()
    assert list(tmp_path.glob("*.part")) == []


async def test_every_kind_in_every_text_is_counted(stub: StubPlatform, file: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    options = ImportOptions(state_dir=tmp_path, recognizer=StubRecognizer(NAMES), identifiers=report, batch_rows=1)
    async with AsyncClient(stub.base_url) as client:
        done = await import_file(client, file, options)
        assert read(report) == REPORT
        check = await check_file(client, file, options)
    assert done.identifiers is not None
    assert (done.identifiers.rows, done.identifiers.naming_people, done.identifiers.unreadable) == (3, 1, 0)
    assert check.identifiers == done.identifiers
    assert read(report) == REPORT


async def test_a_recognizer_that_fails_fails_no_import(stub: StubPlatform, file: Path, tmp_path: Path) -> None:
    recognizer, report = StubRecognizer(NAMES), tmp_path / "report.csv"
    recognizer.broken = True
    options = ImportOptions(state_dir=tmp_path, recognizer=recognizer, identifiers=report)
    async with AsyncClient(stub.base_url) as client:
        done = await import_file(client, file, options)
    assert (done.added, done.rejected) == (3, 1)
    assert done.identifiers is not None
    assert done.identifiers.unreadable == 3
    assert {row[3] for row in read(report)[1:]} == {"unreadable"}


def test_an_import_that_fails_leaves_the_former_report(stub: StubPlatform, file: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("former")
    stub.break_after = 0
    options = ImportOptions(state_dir=tmp_path, recognizer=StubRecognizer(NAMES), identifiers=report)

    async def run() -> None:
        async with AsyncClient(stub.base_url, max_retries=0) as client:
            await import_file(client, file, options)

    with pytest.raises(APIConnectionError):
        asyncio.run(run())
    assert report.read_text() == "former"
    assert list(tmp_path.glob("*.part")) == []


def test_a_report_that_cannot_be_written_is_said_before_anything_is_sent(
    stub: StubPlatform, file: Path, mh: RunCommand, tmp_path: Path
) -> None:
    code, _, errors = mh("import", file, "--identifiers", tmp_path / "missing" / "report.csv")
    assert code == 2
    assert "No such file or directory" in errors.splitlines()[-1]
    assert stub.rows == []
    with pytest.raises(ImportRefusedError, match="needs a recognizer"):
        ImportOptions(identifiers=tmp_path / "report.csv")
