"""The parts of the evaluation: reading labelled queries, measures and intervals, significance tests, limits."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_client import EvaluationRefusedError, ExperimentCreate
from mh_client.evaluation.cases import Case, LabelledQueries, read_queries
from mh_client.evaluation.configurations import combinations, parse_assignments
from mh_client.evaluation.gate import Gate
from mh_client.evaluation.measures import difference, figure, per_case, summarise
from mh_client.evaluation.plot import plot
from mh_client.evaluation.report import Column, compare, format_report
from mh_devtools.testing.hits import search_hit

KS = (1, 3, 10)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def queries_of(path: Path, themes: list[str | None]) -> LabelledQueries:
    lines = [
        {"query": f"q{number}", "relevant_question": f"r{number}", **({"theme": theme} if theme else {})}
        for number, theme in enumerate(themes)
    ]
    return read_queries(write(path, *lines))


def experiment(queries: LabelledQueries, found: list[list[str]], name: str = "default") -> ExperimentCreate:
    values = per_case(queries.cases, found, KS)
    return ExperimentCreate(
        name=name,
        configuration={},
        data_set=queries.data_set,
        metrics=summarise(values, queries.by_theme()),
        per_case={name: list(each) for name, each in values.items()},
        duration_seconds=1.5,
    )


def test_queries_are_read_with_what_is_relevant_and_their_themes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "queries.jsonl",
        {"query": " bus panic ", "relevant_question": "I panic\u2028on the bus. ", "theme": "anxiety", "source": "x"},
        "",
        {"query": "sleep", "relevant_ids": [7, 8]},
    )
    queries = read_queries(path)
    assert [case.query for case in queries.cases] == ["bus panic", "sleep"]
    assert [case.relevant() for case in queries.cases] == [{"I panic\u2028on the bus."}, {"7", "8"}]
    assert queries.by_theme() == {"anxiety": [0]}
    assert (queries.data_set.name, queries.data_set.cases) == ("queries.jsonl", 2)
    # As printed by sha256sum.
    assert read_queries(write(tmp_path / "q", '{"query": "q", "relevant_ids": [1]}')).data_set.sha256 == (
        "29eddb75f28389995963583378079c68163745b1711f979c5479607e23b7f4fd"
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "has 0 queries"),
        (["{"], "line 1: Invalid JSON"),
        ([{"query": "private", "relevant_ids": [1]}, {"query": "private"}], "line 2: give one of relevant_question"),
        ([{"query": "private", "relevant_ids": [1], "relevant_question": "r"}], "give one of relevant_question"),
        (
            [{"query": "private", "relevant_question": "r", "relevant_questions": ["r"]}],
            "give one of relevant_question",
        ),
        ([{"query": "private", "relevant_questions": []}], "line 1: relevant_questions: "),
        ([{"query": "private", "relevant_questions": [" "]}], "line 1: relevant_questions"),
        ([{"query": "private", "relevant_ids": []}], "line 1: relevant_ids: "),
        ([{"query": " ", "relevant_ids": [1]}], "line 1: query: "),
        ([{"query": "q", "relevant_ids": [1], "theme": f"t{n}"} for n in range(201)], "more than 200 themes"),
    ],
)
def test_an_invalid_file_is_rejected_with_line_number_and_without_its_text(
    tmp_path: Path, lines: list[Any], words: str
) -> None:
    with pytest.raises(EvaluationRefusedError) as refused:
        read_queries(write(tmp_path / "queries.jsonl", *lines))
    assert words in str(refused.value)
    assert "private" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefusedError, match="cannot be read"):
        read_queries(tmp_path)
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(EvaluationRefusedError, match="not UTF-8"):
        read_queries(tmp_path / "latin")


def test_a_question_counts_once_and_ids_count_each() -> None:
    hits = [search_hit(1, "a"), search_hit(2, "a "), search_hit(3, "b"), search_hit(1, "a")]
    assert Case(query="q", relevant_question="b").ranked(hits) == ["a", "b"]
    assert Case(query="q", relevant_ids=[3]).ranked(hits) == ["1", "2", "3"]


def test_parameters_are_read_as_json_or_text_and_combined() -> None:
    values = parse_assignments(["mode=hybrid", "mode=keyword", "limit=20", 'question_sentiment=["negative"]', "x=a=b"])
    found = combinations(values, "run")
    assert [one.parameters for one in found] == [
        {"limit": 20, "mode": mode, "question_sentiment": ["negative"], "x": "a=b"} for mode in ("hybrid", "keyword")
    ]
    assert found[1].name == 'run mode=keyword limit=20 question_sentiment=["negative"] x=a=b'
    (default,) = combinations({})
    assert (default.name, default.parameters) == ("default", {"limit": 100})


@pytest.mark.parametrize("assignments", [["mode"], ["=hybrid"], ["query=text"]])
def test_invalid_parameters_are_rejected(assignments: list[str]) -> None:
    with pytest.raises(EvaluationRefusedError):
        combinations(parse_assignments(assignments))


def test_several_questions_can_be_relevant() -> None:
    case = Case(query="q", relevant_questions=["b ", "c", "b"])
    assert case.relevant() == {"b", "c"}
    hits = [search_hit(1, "a"), search_hit(2, "b"), search_hit(3, " b"), search_hit(4, "c")]
    values = per_case([case], [case.ranked(hits)], KS)
    assert (values["hit@1"], values["recall@3"], values["mrr@10"]) == ([0], [1], [0.5])
    # Ranks 2 and 3, where 1 and 2 are ideal.
    assert values["ndcg@10"] == [pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)), abs=1e-6)]


def test_measures_of_known_rankings(tmp_path: Path) -> None:
    queries = queries_of(tmp_path / "q", [None] * 4)
    found = [["r0", "x"], ["x", "r1"], [*"abcdefghijk", "r2"], []]
    values = per_case(queries.cases, found, KS)
    assert list(values) == ["hit@1", "hit@3", "hit@10", "recall@1", "recall@3", "recall@10", "mrr@10", "ndcg@10"]
    assert values["hit@1"] == [1, 0, 0, 0]
    assert values["hit@3"] == values["recall@3"] == [1, 1, 0, 0]
    assert values["mrr@10"] == [1, 0.5, 0, 0]
    assert values["ndcg@10"] == [1, round(1 / math.log2(3), 6), 0, 0]


RANKINGS = st.lists(st.lists(st.integers(1, 30), unique=True, max_size=25), min_size=1, max_size=5)


@given(rankings=RANKINGS, relevant=st.lists(st.integers(1, 30), unique=True, min_size=1, max_size=12))
def test_measures_agree_with_their_definitions(rankings: list[list[int]], relevant: list[int]) -> None:
    cases = [Case(query="q", relevant_ids=relevant)] * len(rankings)
    values = per_case(cases, [list(map(str, ranking)) for ranking in rankings], KS)
    for index, ranking in enumerate(rankings):
        gains = [key in relevant for key in ranking]
        for k in KS:
            assert values[f"hit@{k}"][index] == any(gains[:k])
            assert values[f"recall@{k}"][index] == pytest.approx(sum(gains[:k]) / len(relevant), abs=1e-6)
        first = next((1 / rank for rank, gain in enumerate(gains[:10], start=1) if gain), 0)
        assert values["mrr@10"][index] == pytest.approx(first, abs=1e-6)
        gained = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:10], start=1))
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), 10) + 1))
        assert values["ndcg@10"][index] == pytest.approx(gained / ideal, abs=1e-6)


def test_the_interval_is_binomial_and_reproducible() -> None:
    values = [1.0] * 60 + [0.0] * 40
    found = figure(values)
    # The normal approximation: 0.6 ± 1.96 * sqrt(0.6 * 0.4 / 100).
    assert found.value == 0.6
    assert [found.low, found.high] == pytest.approx([0.504, 0.696], abs=0.011)
    assert figure(values) == found
    assert figure([1.0, 1.0]).model_dump() == {"value": 1, "low": 1, "high": 1}
    assert figure([1.0]).model_dump() == {"value": 1, "low": 0, "high": 1}


def test_a_paired_difference_is_distinguished_from_chance() -> None:
    # Eight pairs with the same difference: 2 of the 256 sign assignments are as extreme.
    found = difference([0.0] * 8, [0.5] * 8)
    assert [found.mean, found.low, found.high, found.p] == pytest.approx([0.5, 0.5, 0.5, 2 / 256])
    same = difference([0.0, 1.0], [0.0, 1.0])
    assert (same.mean, same.p) == (0, 1)
    one = difference([0.0], [1.0])
    assert (one.mean, one.low, one.high, one.p) == (1, -1, 1, 1)
    many = difference([0.0, 1.0] * 200, [0.0, 1.0, 1.0, 1.0] * 100)
    assert many.mean == 0.25
    assert many.p < 0.001
    assert 0.15 < many.low < 0.25 < many.high < 0.35


def test_themes_have_figures_of_their_own(tmp_path: Path) -> None:
    queries = queries_of(tmp_path / "q", ["sleep", "anger", "sleep", None])
    found = experiment(queries, [["r0"], ["x"], ["r2"], ["r3"]])
    assert {theme: (one.cases, one.figures["hit@1"].value) for theme, one in found.metrics.themes.items()} == {
        "anger": (1, 0),
        "sleep": (2, 1),
    }


def test_the_report_compares_what_is_comparable(tmp_path: Path) -> None:
    queries, others = queries_of(tmp_path / "q", ["sleep"] * 8), queries_of(tmp_path / "other", [None] * 2)
    worse = experiment(queries, [["x"]] * 8, "mode=keyword")
    better = experiment(queries, [[f"r{number}"] for number in range(8)], "mode=hybrid")
    elsewhere = experiment(others, [["r0"], []])
    lines = format_report(compare([Column(3, worse), Column(None, better), Column(5, elsewhere)])).splitlines()
    assert lines[0].startswith("A  mode=keyword (experiment 3; q, 8 cases, ")
    assert "not saved" in lines[1]
    assert "ANOTHER DATA SET" in lines[2]
    rows = [line for line in lines if line.startswith("hit@1")]
    assert rows[0] == "hit@1      A   0.000  0.000 to 0.000"
    assert rows[1].split() == [
        "hit@1",
        "B",
        "1.000",
        "1.000",
        "to",
        "1.000",
        "+1.000",
        "+1.000",
        "to",
        "+1.000",
        "p",
        "=",
        "0.008",
    ]
    assert rows[2].startswith("hit@1      C   0.500")
    assert len(rows[2].split()) == 6
    assert lines[-1].split() == ["sleep", "8", "0.000", "1.000"]


def test_without_themes_there_is_no_table_of_them(tmp_path: Path) -> None:
    alone = experiment(queries_of(tmp_path / "q", [None]), [["r0"]])
    assert "theme" not in format_report(compare([Column(None, alone)]))


@pytest.fixture
def half(tmp_path: Path) -> ExperimentCreate:
    """An experiment whose hit@3 is 0.5."""
    return experiment(queries_of(tmp_path / "q", [None] * 2), [["r0"], ["x"]])


def test_a_figure_below_its_limit_is_reported(half: ExperimentCreate) -> None:
    assert Gate(["hit@3=0.5", "mrr@10=0.1"]).failures([half]) == []
    assert Gate(["hit@3=0.51"]).failures([half]) == ["default: hit@3 is 0.5000, below 0.5100"]
    with pytest.raises(EvaluationRefusedError, match="no measure 'hit@5'; the measures are hit@1, "):
        Gate(["hit@5=0.5"]).failures([half])
    with pytest.raises(EvaluationRefusedError, match="MEASURE=VALUE"):
        Gate(["hit@3"])


def test_a_baseline_accepts_its_own_figures_within_the_tolerance(half: ExperimentCreate, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert Gate(baseline=path, write=True).failures([half]) == []
    assert Gate(baseline=path).failures([half]) == []
    baseline = json.loads(path.read_text())
    assert baseline["figures"]["default"]["hit@3"] == 0.5

    baseline["figures"]["default"]["hit@3"] = 0.51
    path.write_text(json.dumps(baseline))
    assert Gate(baseline=path).failures([half]) == []
    assert Gate(baseline=path, tolerance=0.009).failures([half]) == [
        "default: hit@3 is 0.5000, 0.0100 below the baseline"
    ]


def test_a_baseline_for_something_else_is_rejected(half: ExperimentCreate, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(EvaluationRefusedError, match="create it with --write-baseline"):
        Gate(baseline=path)
    path.write_text("{}")
    with pytest.raises(EvaluationRefusedError, match="is not a baseline"):
        Gate(baseline=path)
    with pytest.raises(EvaluationRefusedError, match="needs --baseline"):
        Gate(write=True)
    with pytest.raises(EvaluationRefusedError, match="cannot be written"):
        Gate(baseline=tmp_path, write=True).failures([half])
    Gate(baseline=path, write=True).failures([half])
    with pytest.raises(EvaluationRefusedError, match="has no 'mode=x'; it has default"):
        Gate(baseline=path).failures([half.model_copy(update={"name": "mode=x"})])
    other = half.model_copy(update={"data_set": half.data_set.model_copy(update={"sha256": "0a" * 32})})
    with pytest.raises(EvaluationRefusedError, match="another data set"):
        Gate(baseline=path).failures([other])


def test_a_plot_shows_every_experiment_and_measure(half: ExperimentCreate, tmp_path: Path) -> None:
    fewer = half.model_copy(deep=True, update={"name": "old"})
    del fewer.metrics.figures["ndcg@10"]
    png, svg = plot(tmp_path / "v1.2", [("A  new", half), ("B  old", fewer)])
    assert (png.name, svg.name) == ("v1.2.png", "v1.2.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    drawn = svg.read_text()
    for words in ("A  new", "B  old", "hit@3", "ndcg@10"):
        assert f"<!-- {words} -->" in drawn
    assert plot(tmp_path / "named.svg", [("A", half)])[0].name == "named.png"
    with pytest.raises(EvaluationRefusedError, match="cannot be written"):
        plot(tmp_path / "nowhere" / "x", [("A", half)])
