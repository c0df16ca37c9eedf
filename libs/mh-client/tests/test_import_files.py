"""The files of an import: its journal and its rejects file."""

import json
from pathlib import Path
from typing import Any

import pytest
from mh_client import ImportRefusedError
from mh_client._import_journal import Journal, Plan, default_state_dir
from mh_client._rejects import RejectsFile
from mh_client.importing import ImportOptions
from mh_common.formats import Reject


@pytest.mark.parametrize("wrong", [{"batch_rows": 0}, {"batch_rows": 1001}, {"concurrency": 0}])
def test_invalid_options_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ImportRefusedError, match="must be"):
        ImportOptions(**wrong)


def test_a_truncated_journal_is_read_up_to_the_break(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.jsonl"
    plan = Plan(batch_rows=10, label_missing=False)
    journal = Journal(path)
    journal.begin(plan)
    with path.open("a") as file:
        file.write('{"batch": "k", "line": 2, "cou')
    torn = Journal(path)
    assert torn.id == journal.id
    assert torn.unfinished == plan
    torn.begin(plan)
    torn.complete()
    assert Journal(path).unfinished is None
    assert json.loads(path.read_text().splitlines()[-1]) == {"complete": True}


def test_a_journal_truncated_in_its_first_line_is_recreated(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"jour')
    journal = Journal(path)
    journal.begin(Plan(batch_rows=10, label_missing=False))
    assert Journal(path).id == journal.id


def test_journals_are_stored_in_the_xdg_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_dir() == tmp_path / "mh" / "imports"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_state_dir() == Path.home() / ".local" / "state" / "mh" / "imports"


def test_a_corrected_rejects_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.rejects.csv"

    def write(reason: str, header: list[str]) -> None:
        with RejectsFile(path, header) as file:
            file.add(Reject(0, 2, reason, ["2", "old", "q", "a"] if header[0] == "line" else ["q", "a"]))

    write("first", ["question", "answer"])
    write("first", ["question", "answer"])
    assert [found.name for found in tmp_path.iterdir()] == ["x.rejects.csv"]
    path.write_text("repaired by hand")
    write("first", ["line", "reason", "question", "answer"])
    assert path.read_text() == "line,reason,question,answer\n2,first,q,a\n"
    assert (tmp_path / "x.rejects.csv.bak").read_text() == "repaired by hand"


def test_a_failed_import_leaves_the_rejects_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "x.rejects.csv"
    path.write_text("half repaired")

    def fail() -> None:
        with RejectsFile(path, ["question"]) as file:
            file.add(Reject(0, 2, "why", ["q"]))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    assert [found.name for found in tmp_path.iterdir()] == ["x.rejects.csv"]
    assert path.read_text() == "half repaired"
