"""The `mh` command: output, exit codes, and one clear line for each error."""

import csv
import functools
import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow.parquet
import pytest
from mh_client import _import_run
from mh_client.cli import main
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand
from mh_devtools.testing.waiting import wait_until

ROOT = Path(__file__).parents[3]
HEADER = ["question", "answer", "question_sentiment", "answer_sentiment"]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def stub(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubPlatform:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return stub


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "file.csv", numbered(25))


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows([HEADER, *rows])
    return path


def numbered(count: int) -> list[list[str]]:
    return [[f"question {number}", "a", "positive", "negative"] for number in range(count)]


def test_import_prints_its_progress_and_waits_for_the_index(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    stub.pending = [9, 0]
    stub.failed = 2
    code, output, errors = mh("import", file, "--wait", "--batch-size", 10, "--tag", "spring term")
    assert (code, len(stub.rows)) == (0, 25)
    assert output.splitlines() == [
        "25 rows added, 0 updated, 0 skipped, 0 rejected.",
        "Import tag: spring term. To take this import back: mh import --undo 'spring term'",
    ]
    assert "25 rows added, 0 rejected" in errors
    assert "search index: 25 of 25 rows, 2 failed" in errors
    code, output, errors = mh("import", file)
    assert (code, len(stub.rows)) == (0, 25)
    assert output == "0 rows added, 0 updated, 25 skipped (25 imported earlier), 0 rejected.\n"
    assert "25 imported earlier" in errors
    assert "--again" not in errors


def test_import_on_a_terminal_shows_a_bar(
    stub: StubPlatform, file: Path, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, errors = mh("import", file.rename(file.with_name("{odd} [bold].csv")))
    assert code == 0
    assert "{odd} [bold].csv" in errors
    assert "100%" in errors
    assert "25 rows added" in errors


def test_import_with_rejects_names_their_file_and_exits_with_1(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    write_csv(file, [*numbered(2), ["", "a", "positive", "negative"]])
    code, _, errors = mh("import", file)
    assert code == 1
    assert f"1 row rejected; {file}.rejects.csv has line and reason of each" in errors
    assert len(stub.rows) == 2


def test_import_labels_what_is_missing_only_when_asked(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    file.write_text("question,answer\nI hate this horrible pain.,You are wonderful!\n")
    code, _, errors = mh("import", file)
    assert code == 2
    assert "no column was recognised as question_sentiment or answer_sentiment; add it" in errors
    assert "or use --label-missing" in errors
    code, _, errors = mh("import", file, "--label-missing")
    assert code == 0
    assert [(row.question_sentiment, row.answer_sentiment) for row in stub.rows] == [("negative", "positive")]


def test_import_suggests_again_after_the_data_was_deleted(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    mh("import", file)
    stub.rows.clear()
    code, _, errors = mh("import", file)
    assert code == 0
    assert "but the platform has only 0 conversations" in errors
    assert mh("import", file, "--again")[0] == 0
    assert len(stub.rows) == 25


def test_import_resumes_after_a_server_crash(
    stub: StubPlatform, file: Path, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_import_run, "MAX_RETRIES", 0)
    stub.break_after = 2
    code, _, errors = mh("import", file, "--batch-size", 5)
    assert code == 3
    assert "run the same command again to resume" in errors
    assert "Is the platform running there?" in errors.splitlines()[-1]
    stub.break_after = None
    assert mh("import", file, "--batch-size", 5)[0] == 0
    assert sorted(row.question for row in stub.rows) == sorted(row[0] for row in numbered(25))


def test_an_import_resumes_after_ctrl_c(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    stub.hold = True
    command = [sys.executable, "scripts/import_conversations.py", str(file), "--batch-size", "5"]
    # A background job of a shell ignores Ctrl-C, and so would its children.
    hear_ctrl_c = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    wait_until(lambda: stub.at_once == 4)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    stub.hold = False
    assert process.returncode == 130
    assert "run the same command again to resume" in errors
    assert "Traceback" not in errors
    assert mh("import", file)[0] == 0
    assert sorted(row.question for row in stub.rows) == sorted(row[0] for row in numbered(25))


def test_a_stalled_index_is_reported(
    stub: StubPlatform, file: Path, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_import_run, "STALL_WARNING_SECONDS", 0.0)
    stub.pending = [5, 5, 0]
    code, _, errors = mh("import", file, "--wait")
    assert code == 0
    assert "is the indexer worker running?" in errors


@pytest.mark.parametrize(
    "args", [("import", "FILE"), ("export",), ("search", "x"), ("ask", "x"), ("stats",), ("export", "-o", "out.csv")]
)
def test_no_server_is_one_clear_line_and_exit_code_3(
    file: Path, mh: RunCommand, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, errors = mh("--url", NOBODY, *(file if arg == "FILE" else arg for arg in args))
    assert (code, output) == (3, "")
    assert errors.count("\n") == 1
    assert NOBODY in errors
    assert "--url" in errors
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("import", "absent.csv"), "absent.csv: there is no such file"),
        (("import", "FILE", "--batch-size", "0"), "the batch size must be 1 to 1000"),
        (("search", ""), "query: String should have at least 1 character"),
        (("ask", "x", "--top-k", "99"), "top_k: Input should be less than or equal to 20"),
        (("--url", "nonsense", "stats"), "base_url: must look like http://host:8080"),
        (("export", "-o", "absent/out.csv"), "absent/out.csv cannot be written: No such file or directory"),
        (("export", "--created-after", "soon"), "'soon' is not a time such as 2026-03-01"),
        (("import",), "name the file to import, or the tag of the import to take back: --undo TAG"),
        (("import", "FILE", "--undo", "t"), "name the file to import, or the tag"),
        (("import", "FILE", "--on-duplicate", "replace"), "'replace'"),
        (("import", "FILE", "--tag", " "), "the tag must have 1 to 128 characters"),
        (("import", "FILE", "--batch-size", "1_0"), "'1_0' must be a whole number of the digits 0 to 9"),
    ],
)
def test_invalid_arguments_are_one_clear_line_and_exit_code_2(
    stub: StubPlatform, file: Path, mh: RunCommand, args: tuple[str, ...], message: str
) -> None:
    code, output, errors = mh(*(file if arg == "FILE" else arg for arg in args))
    assert (code, output) == (2, "")
    assert message in errors.splitlines()[-1]


def test_a_server_error_is_one_line(stub: StubPlatform, mh: RunCommand) -> None:
    code, _, errors = mh("ask", "too much")
    assert code == 3
    assert (
        errors
        == "mh: the platform is unavailable; try again later. It returned: 503 Service Unavailable: The stub refuses.\n"
    )
    stub.app.routes.clear()
    assert mh("stats") == (1, "", "mh: 404 Not Found\n")


def test_search_prints_hits_without_control_characters(stub: StubPlatform, mh: RunCommand) -> None:
    code, output, _ = mh(
        "search",
        "bus",
        "--limit",
        5,
        "--similarity-threshold",
        0.2,
        "--question-sentiment",
        "negative",
        "--url",
        stub.base_url,
    )
    assert code == 0
    assert "0.750  conversation 7  (negative / neutral)" in output
    assert "Q: How do I [bold]sleep[/bold]? Really." in output
    assert "\x1b" not in output
    usual = {"mode": "hybrid", "group_by": "question", "plain_query": False, "explain": False}
    assert stub.queries == [
        {"query": "bus", "limit": 5, "similarity_threshold": 0.2, "question_sentiment": ["negative"], **usual}
    ]
    assert json.loads(mh("search", "bus", "--json")[1])["hits"][0]["id"] == 7
    assert mh("search", "nothing")[1] == "Nothing found.\n"


def test_stats_are_a_table_or_json(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    mh("import", file)
    _, output, _ = mh("stats")
    assert [line.split() for line in output.splitlines()[:2]] == [["Conversations"], ["total", "25"]]
    assert json.loads(mh("stats", "--json")[1])["total"] == 25


def test_export_writes_a_file_or_standard_output(
    stub: StubPlatform, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    target = tmp_path / "out.csv"
    filters = [
        "--id",
        1,
        "--q",
        "sleep",
        "--created-after",
        "2026-03-01",
        "--updated-before",
        "2026-03-01T12:00:00+01:00",
    ]
    with pytest.raises(SystemExit):
        main(["export", "-o", str(target), "--format", "jsonl", *map(str, filters)])
    assert target.read_bytes() == b"id,question\r\n1,q\r\n"
    assert stub.queries == [
        {
            "format": "jsonl",
            "created_after": "2026-03-01T00:00:00+00:00",
            "updated_before": "2026-03-01T12:00:00+01:00",
            "ids": "1",
            "q": "sleep",
        }
    ]
    told = capfdbinary.readouterr().err.decode()
    assert told == f"mh: {target}: 2 conversations, 18 bytes, written as JSON Lines\n"
    with pytest.raises(SystemExit):
        main(["export"])
    assert capfdbinary.readouterr().out == b"id,question\r\n1,q\r\n"


def test_an_export_is_written_as_the_name_of_the_file_says(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    stub.export_pieces = [b'question\r\n"a\r\n', b'""b""","x"\r\n', b'"c"\r\n']
    target = tmp_path / "out.csv"
    assert mh("export", "-o", target, "--raw") == (0, "", f"mh: {target}: 2 conversations, 31 bytes, written as CSV\n")
    assert stub.queries[-1] == {"format": "csv", "raw": "true"}
    row = {"id": 7, "version": 2, "question": "q\u2028", "answer": "=1+1", "question_sentiment": "neutral"}
    row |= {"answer_sentiment": "positive", "source_date": "2021-01-01", "created_at": "2026-03-01T09:30:00.123456Z"}
    line = json.dumps(row).encode() + b"\n"
    stub.export_pieces = [line[:9], line[9:], line]
    target = tmp_path / "out.parquet"
    code, _, errors = mh("export", "-o", target)
    assert (code, stub.queries[-1]["format"]) == (0, "jsonl")
    assert errors.startswith(f"mh: {target}: ")
    [first, second] = pyarrow.parquet.read_table(target).to_pylist()
    assert first == second
    assert (first["id"], first["question"], first["source_date"]) == (7, "q\u2028", date(2021, 1, 1))
    code, _, errors = mh("import", target, "--on-duplicate", "add")
    assert code == 0, errors
    assert [row.answer for row in stub.rows] == ["=1+1"] * 2


def test_an_interrupted_export_leaves_the_old_file(stub: StubPlatform, mh: RunCommand, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    stub.export_pieces = [b"new", None]
    code, _, errors = mh("export", "-o", target)
    assert code == 3
    assert errors.startswith("mh: GET ")
    assert target.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["out.csv"]


def test_without_the_extra_the_command_prints_how_to_install_it() -> None:
    program = "import sys; sys.modules['typer'] = None; from mh_client.cli import main; main(['stats'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    said = "mh: the command line is not installed; install it with: pip install 'mh-client[cli]'"
    assert done.stderr.splitlines() == [said]


def test_the_module_can_be_run(stub: StubPlatform) -> None:
    command = [sys.executable, "-m", "mh_client.cli", "stats", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["total"] == 0
