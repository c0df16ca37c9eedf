"""`mh eval-answers`, against a stub of the platform's API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mh_common.models import CheckedSentence, ExperimentKind, SentenceSupport
from mh_devtools.stubs.records_stub import StubRecords
from mh_devtools.testing.fixtures import RunCommand


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubRecords]:
    with StubRecords.running() as running:
        monkeypatch.setenv("MH_URL", running.base_url)
        running.model = "gpt"
        running.checked = [
            CheckedSentence(text="At 8 [1].", support=SentenceSupport.SUPPORTED, cites=[1], supported_by=[1]),
            CheckedSentence(text="Buy pills [1].", support=SentenceSupport.UNSUPPORTED, cites=[1]),
        ]
        yield running


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    lines = [
        {"question": "the bus", "theme": "panic"},
        {"question": "the night", "theme": "sleep"},
        {"question": "gears", "kind": "off_topic"},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_a_run_is_measured_printed_and_saved(stub: StubRecords, questions: Path, mh: RunCommand) -> None:
    code, output, errors = mh("eval-answers", questions, "--top-k", 2, "--label", "server=here", "--note", "first")
    assert (code, "3 of 3 questions" in errors) == (0, True)
    assert "A  model=gpt top_k=2 (experiment 1; questions.jsonl, 3 cases, " in output
    lines = {line.split()[0]: line.split()[1:3] for line in output.splitlines() if " A " in line}
    assert lines["citation_recall"] == ["A", "0.500"]
    assert lines["answered"] == ["A", "1.000"]
    assert lines["refusal"] == ["A", "0.000"]
    assert "citation_recall by theme" in output
    (kept,) = stub.experiments
    assert kept.kind is ExperimentKind.ANSWERS
    assert kept.configuration == {"server": "here", "model": "gpt", "prompt_version": None, "top_k": 2, "failed": 0}
    assert kept.per_case["citation_recall"] == [0.5, 0.5, None]
    assert kept.per_case["refusal"] == [None, None, 0]
    assert "the bus" not in kept.model_dump_json()


def test_experiments_are_compared_on_the_cases_that_both_have(
    stub: StubRecords, questions: Path, mh: RunCommand
) -> None:
    mh("eval-answers", questions)
    stub.checked = stub.checked[:1]
    code, output, _ = mh("eval-answers", questions, "--compare", 1, "--json")
    first, second = json.loads(output)["experiments"]
    assert (code, first["id"], second["id"]) == (0, 1, 2)
    assert second["differences"]["citation_recall"]["mean"] == 0.5
    assert second["differences"]["refusal"]["mean"] == 0


def test_kinds_of_experiments_are_told_apart(stub: StubRecords, questions: Path, mh: RunCommand) -> None:
    mh("eval-answers", questions)
    output = mh("experiments", "list")[1]
    assert "answers" in output
    assert "citation_recall 0.500" in output
    assert mh("experiments", "list", "--kind", "answers")[1] == output
    assert mh("experiments", "list", "--kind", "search")[1] == ""


def test_a_figure_that_is_too_low_exits_with_1(stub: StubRecords, questions: Path, mh: RunCommand) -> None:
    code, _, errors = mh("eval-answers", questions, "--no-save", "--fail-below", "groundedness=0.9")
    assert (code, stub.experiments) == (1, [])
    assert "groundedness is 0.5000, below 0.9000" in errors


@pytest.mark.parametrize(
    ("line", "message"),
    [('{"query": "bus"}', "line 1: question: "), ('{"question": "bus", "kind": "x"}', "line 1: kind: ")],
)
def test_an_invalid_file_is_refused(stub: StubRecords, tmp_path: Path, mh: RunCommand, line: str, message: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(line)
    code, _, errors = mh("eval-answers", path)
    assert (code, message in errors) == (2, True)


def test_nothing_to_do_is_said(stub: StubRecords, mh: RunCommand) -> None:
    code, _, errors = mh("eval-answers")
    assert (code, "give a file of questions" in errors) == (2, True)


def test_answers_that_fail_are_told(stub: StubRecords, tmp_path: Path, mh: RunCommand) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "bus"}\n{"question": "too much"}\n')
    code, output, errors = mh("eval-answers", path)
    assert (code, "mh: 1 of 2 answers failed; they count as none" in errors) == (0, True)
    assert ["answered", "A", "0.500"] in [line.split()[:3] for line in output.splitlines()]
