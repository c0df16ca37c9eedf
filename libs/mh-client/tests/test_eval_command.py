"""`mh eval` and `mh experiments`, against a stub of the platform's API."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mh_client import SearchHit
from mh_devtools.paths import SAMPLE
from mh_devtools.stubs.records_stub import StubRecords
from mh_devtools.testing.fixtures import RunCommand
from mh_devtools.testing.hits import search_hit


def found(body: dict[str, Any]) -> list[SearchHit]:
    """Return the relevant hit: first in mode hybrid, second in other modes, and never for the query `lost`."""
    other, right = search_hit(1, "something else"), search_hit(2, f"the question of {body['query']}")
    if body["query"] == "lost":
        return [other, other]
    return [right, right, other] if body.get("mode") == "hybrid" else [other, other, right]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubRecords]:
    with StubRecords.running() as running:
        monkeypatch.setenv("MH_URL", running.base_url)
        running.find = found
        yield running


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.jsonl"
    words = ["bus", "sleep", "anger", "grief", "lost"]
    lines = [{"query": word, "relevant_question": f"the question of {word}", "theme": word[0]} for word in words]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_a_run_is_measured_printed_and_saved(stub: StubRecords, queries: Path, mh: RunCommand) -> None:
    code, output, errors = mh("eval", queries, "--label", "model=minilm", "--note", "first")
    assert (code, "5 of 5 queries" in errors) == (0, True)
    assert "A  default (experiment 1; queries.jsonl, 5 cases, " in output
    assert "hit@1      A   0.000" in output
    assert "hit@3      A   0.800" in output
    assert "mrr@10     A   0.400" in output
    # Parameters that a server might not know are sent only on request.
    assert all(body == {"limit": 100, "query": body["query"]} for body in stub.queries)
    (kept,) = stub.experiments
    assert kept.configuration == {"model": "minilm", "limit": 100, "k": [1, 3, 10]}
    assert (kept.note, kept.data_set.cases, kept.per_case["hit@3"]) == ("first", 5, [1, 1, 1, 1, 0])
    assert "the question of" not in kept.model_dump_json()


def test_each_combination_is_run_and_compared_with_the_first(stub: StubRecords, queries: Path, mh: RunCommand) -> None:
    code, output, _ = mh("eval", queries, "--mode", "keyword", "--mode", "hybrid", "--param", "limit=20", "--k", 1)
    assert code == 0
    assert [one.name for one in stub.experiments] == ["mode=keyword limit=20", "mode=hybrid limit=20"]
    (row,) = [line for line in output.splitlines() if line.startswith("hit@1 ") and " B " in line]
    assert row.split()[2:7] == ["0.800", "0.400", "to", "1.000", "+0.800"]
    assert "hit@3" not in output
    assert {body["limit"] for body in stub.queries} == {20}


def test_saved_experiments_are_compared_with_each_other_and_with_a_run(
    stub: StubRecords, queries: Path, mh: RunCommand
) -> None:
    mh("eval", queries, "--mode", "keyword", "--mode", "hybrid")
    searches = len(stub.queries)
    code, output, _ = mh("eval", "--compare", 2, "--compare", 1, "--json")
    comparison = json.loads(output)["experiments"]
    assert (code, len(stub.queries)) == (0, searches)
    assert [one["id"] for one in comparison] == [2, 1]
    assert comparison[0]["differences"] == {}
    assert comparison[1]["differences"]["hit@1"]["mean"] == -0.8
    assert 0 < comparison[1]["differences"]["hit@1"]["p"] < 0.2

    code, output, _ = mh("eval", queries, "--compare", 1, "--mode", "hybrid", "--no-save", "--json")
    comparison = json.loads(output)["experiments"]
    assert [one["id"] for one in comparison] == [1, None]
    assert (comparison[1]["differences"]["hit@1"]["mean"], len(stub.experiments)) == (0.8, 2)


def test_a_figure_that_is_too_low_is_reported_and_exits_with_1(
    stub: StubRecords, queries: Path, mh: RunCommand, tmp_path: Path
) -> None:
    assert mh("eval", queries, "--fail-below", "hit@3=0.8")[0] == 0
    code, output, errors = mh("eval", queries, "--fail-below", "hit@3=0.81")
    assert (code, "hit@3      A   0.800" in output) == (1, True)
    assert "mh: default: hit@3 is 0.8000, below 0.8100" in errors

    baseline = tmp_path / "baseline.json"
    assert mh("eval", queries, "--baseline", baseline, "--write-baseline")[0] == 0
    assert mh("eval", queries, "--baseline", baseline)[0] == 0
    stub.find = lambda body: []
    code, _, errors = mh("eval", queries, "--baseline", baseline)
    assert code == 1
    assert "mh: default: hit@3 is 0.0000, 0.8000 below the baseline" in errors


def test_a_plot_is_written_in_addition_to_the_report(
    stub: StubRecords, queries: Path, mh: RunCommand, tmp_path: Path
) -> None:
    code, output, errors = mh("eval", queries, "--plot", tmp_path / "figures")
    assert (code, "ndcg@10" in output) == (0, True)
    assert f"mh: plotted to {tmp_path / 'figures.png'} and {tmp_path / 'figures.svg'}" in errors
    assert (tmp_path / "figures.svg").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "give a file of labelled queries"),
        (["--compare", "1", "--fail-below", "hit@3=0.5"], "give a file of labelled queries"),
        (["nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["nowhere.jsonl", "--param", "mode"], "NAME=VALUE"),
        (["nowhere.jsonl", "--param", "query=x"], "query= cannot be set"),
        (["nowhere.jsonl", "--baseline", "nothing.json"], "create it with --write-baseline"),
        (["nowhere.jsonl", "--k", "0"], "Invalid value for '--k'"),
    ],
)
def test_invalid_evaluations_are_reported_before_anything_is_sent(
    stub: StubRecords, mh: RunCommand, args: list[str], words: str
) -> None:
    code, _, errors = mh("eval", *args)
    assert code == 2
    assert words in errors
    assert stub.queries == []


def test_a_query_that_the_server_rejects_stops_the_evaluation_and_nothing_is_saved(
    stub: StubRecords, queries: Path, mh: RunCommand
) -> None:
    stub.status = 422
    code, _, errors = mh("eval", queries, "--param", "mode=unheard_of")
    assert (code, "422" in errors.splitlines()[-1]) == (1, True)
    assert stub.experiments == []
    code, _, errors = mh("--url", "http://127.0.0.1:9", "eval", queries)
    assert (code, "Is the platform running there?" in errors) == (3, True)


def test_ctrl_c_stops_the_evaluation(
    stub: StubRecords, queries: Path, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(work: Any) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("mh_client._eval_command.asyncio.run", interrupted)
    assert mh("eval", queries)[0] == 130


def test_without_its_extra_the_command_prints_how_to_install_it(
    stub: StubRecords, queries: Path, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "mh_client.evaluation.run":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    code, _, errors = mh("eval", queries)
    assert code == 2
    assert "scipy is not installed; install it with: pip install 'mh-client[cli,eval]'" in errors


def test_other_commands_do_not_load_what_the_evaluation_needs(stub: StubRecords) -> None:
    loaded = (
        "import sys, mh_client._commands; print({'scipy', 'numpy', 'ir_measures', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_experiments_are_listed_shown_and_deleted(stub: StubRecords, queries: Path, mh: RunCommand) -> None:
    for _ in range(3):
        mh("eval", queries)
    code, output, _ = mh("experiments", "list")
    sha256 = stub.experiments[0].data_set.sha256
    assert code == 0
    assert output.splitlines()[0].split()[3:] == [sha256[:8], "search", "hit@3", "0.800", "ndcg@10", "0.505", "default"]
    assert output.splitlines()[2] == "There are more: --cursor 2"
    assert len(mh("experiments", "list", "--cursor", 2)[1].splitlines()) == 1
    assert mh("experiments", "list", "--data-set", "0a" * 32)[1] == ""
    assert json.loads(mh("experiments", "list", "--json")[1])["next_cursor"] == "2"
    assert json.loads(mh("experiments", "show", 2)[1])["per_case"]["hit@3"] == [1, 1, 1, 1, 0]
    assert mh("experiments", "delete", 2) == (0, "Deleted.\n", "")
    assert mh("experiments", "show", 2)[0] == 1


def test_the_script_evaluates_the_given_platform(stub: StubRecords, queries: Path) -> None:
    env = {**os.environ, "MH_URL": stub.base_url, "EVAL_QUERIES": str(queries)}
    command = [sys.executable, "-m", "mh_devtools.search.evaluate", "--fail-below", "hit@3=0.9"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "hit@3      A   0.800" in done.stdout
    assert "hit@3 is 0.8000, below 0.9000" in done.stderr
    assert len(stub.experiments) == 1


@pytest.mark.slow
def test_without_a_named_file_the_script_holds_both_of_the_sample_to_their_baselines(stub: StubRecords) -> None:
    env = {**os.environ, "MH_URL": stub.base_url, "EVAL_QUERIES": ""}
    command = [sys.executable, "-m", "mh_devtools.search.evaluate"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert [one.data_set.name for one in stub.experiments] == ["queries.jsonl", "counselor-dev.jsonl"]
    assert done.stderr.count("mh: default: ndcg@10 is 0.0000") == 2


@pytest.mark.slow
def test_the_script_holds_each_model_to_its_own_baselines(stub: StubRecords) -> None:
    other = stub.about.embedding.model_copy(update={"name": "all-mpnet-base-v2"})
    stub.about = stub.about.model_copy(update={"embedding": other})
    env = {**os.environ, "MH_URL": stub.base_url, "EVAL_QUERIES": ""}
    command = [sys.executable, "-m", "mh_devtools.search.evaluate"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    baselines = [SAMPLE / f"{name}-baseline-mpnet.json" for name in ("eval", "counselor-dev")]
    values = [json.loads(file.read_text(encoding="utf-8"))["figures"]["default"]["ndcg@10"] for file in baselines]
    for value in values:
        assert f"{value:.4f}" in done.stderr
