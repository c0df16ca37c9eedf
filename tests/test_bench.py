"""The benchmarks measure what they claim: baselines do the platform's work, and figures are computed correctly."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mh_devtools.bench import data, documents, files, growth, report, soak
from mh_devtools.bench.growth import Size
from mh_devtools.bench.measuring import QUICK, Bench, Figure, at_least, at_most, in_turn, percentile
from mh_devtools.bench.plots import draw
from mh_devtools.bench.record import Record, read
from mh_devtools.paths import SAMPLE

ABOUT = {
    "machine": {"processor": "abacus", "cpus": 2, "memory_gib": 24, "platform": "wood", "python": "3.11"},
    "versions": {"fastapi": "0.165"},
    "commit": {"id": "0123456789abcdef", "changed": True},
    "data": {"rows": 2009, "question_words": 54, "answer_words": 172},
}


def counting(calls: list[str], name: str) -> Callable[[], float]:
    def side() -> float:
        calls.append(name)
        return float(len(calls))

    return side


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    measured = in_turn({name: counting(calls, name) for name in "AB"}, rounds=3)
    assert "".join(calls) == "AB" * 4
    assert measured == {"A": [3, 5, 7], "B": [4, 6, 8]}


def test_a_figure_is_the_median_and_knows_whether_it_is_good_enough() -> None:
    assert Figure("reads", "times", at_least(0.7), [0.9, 0.7, 0.1]).met
    assert not Figure("reads", "times", at_least(0.7), [0.9, 0.69, 0.1]).met
    assert not Figure("waits", "ms", at_most(6), [1, 6.1, 9]).met
    assert Figure("size", "MB", None, [5]).met
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([4, 2], 0.5) == 4


def record() -> Record:
    short = Figure("reads", "times", at_least(0.7), [0.5, 0.6, 0.4], {"platform": [1, 2, 3]}, "A note.")
    good = Figure("waits", "ms", at_most(6), [-1.5, 2, 3])
    return Record(
        ABOUT, {"api": [short], "search": [good, Figure("size", "MB", None, [1234])]}, {"api": 1.5, "search": 0.25}
    )


def test_missed_goals_are_listed() -> None:
    assert report.shortfalls(record()) == (
        "1 of 2 goals are reached. These are not:\n\n- reads: 0.5, where the goal is ≥ 0.7."
    )
    better = replace(record(), sections={"search": record().sections["search"]})
    assert report.shortfalls(better) == "Every goal is reached."


def test_the_table_shows_goal_median_and_extremes() -> None:
    [*_, reads] = report.table(record().sections["api"]).splitlines()
    assert reads == "| reads | ≥ 0.7 | 0.5 (0.4 to 0.6) | **no** | platform: 2. A note. |"
    [*_, waits, size] = report.table(record().sections["search"]).splitlines()
    assert waits == "| waits | ≤ 6 ms | 2 ms (-1.5 to 3) | yes |  |"
    assert size == "| size |  | 1,234 MB |  |  |"
    assert report.highlights(record(), ["waits"]).endswith("\n| waits | ≤ 6 ms | 2 ms (-1.5 to 3) |")
    with pytest.raises(KeyError, match="nobody"):
        report.highlights(record(), ["nobody"])


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.json"
    record().write(file)
    assert read(file) == record()
    written = json.loads(file.read_text(encoding="utf-8"))["sections"]["api"]["figures"][0]
    assert (written["median"], written["met"]) == (0.5, False)


def test_plots_are_the_same_for_the_same_figures(tmp_path: Path) -> None:
    first, again = draw(record(), tmp_path / "a"), draw(record(), tmp_path / "b")
    assert [file.name for file in first] == ["bench-api.png", "bench-api.svg", "bench-search.png", "bench-search.svg"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]


def test_tables_are_put_between_their_markers_and_nowhere_else() -> None:
    document = "<!-- table: a -->\nold\n<!-- end -->\n<!-- table: b-c -->\nkept\n<!-- end -->"
    assert documents.filled(document, {"a": "new"}) == document.replace("old", "new")
    with pytest.raises(ValueError, match="no markers for: d"):
        documents.filled(document, {"d": "new"})


def test_growth_is_the_slope_of_the_logarithms() -> None:
    linear = [Size(rows, seconds, seconds) for rows, seconds in ((10, 1.0), (100, 9.0), (1000, 90.0))]
    assert growth.exponent("importing", linear).values == pytest.approx([1, 1])
    # Ten times the rows in a hundred times the time.
    square = [Size(10, 1.0, 1.0), Size(100, 99.0, 99.0)]
    assert growth.exponent("indexing", square).values == pytest.approx([2])


def test_observations_are_grouped_by_tenths_of_the_time() -> None:
    tenths = soak.by_tenth([(0, 1), (1.99, 2), (2, 3), (19.9, 4), (20.5, 5)], seconds=20)
    assert tenths == [[1, 2], [3], [], [], [], [], [], [], [], [4, 5]]


def test_the_documents_have_the_tables_of_the_last_run() -> None:
    from mh_devtools.bench.__main__ import DOCS, HIGHLIGHTS

    last = read(DOCS / "benchmarks.json")
    for file, tables in (
        (DOCS / "benchmarks.md", report.tables(last)),
        (DOCS.parent / "README.md", {"figures": report.highlights(last, HIGHLIGHTS)}),
    ):
        document = file.read_text(encoding="utf-8")
        assert documents.filled(document, tables) == document, "run `make bench`"
    for name in last.sections:
        assert (DOCS / "figures" / f"bench-{name}.svg").exists()


TINY = replace(
    QUICK,
    rounds=1,
    seconds=0.05,
    search_seconds=0.05,
    clients=(2,),
    sizes=(200, 400),
    import_rows=20,
    answers=3,
    soak_seconds=2,
)


def bench(folder: Path) -> Bench:
    return Bench(folder, TINY, data.read_rows(SAMPLE / "conversations.csv"))


@pytest.mark.mysql
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("load")
def test_the_soak_checks_what_everybody_gets(tmp_path: Path) -> None:
    figures = {figure.name.split(": ")[1]: figure for figure in soak.measure(bench(tmp_path))}
    failed = figures["requests that failed"]
    assert failed.value == 0, failed.note
    assert any(name.startswith("memory of worker") for name in figures)


@pytest.mark.mysql
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("load")
def test_files_are_measured_in_every_format(tmp_path: Path) -> None:
    figures = list(files.measure(bench(tmp_path)))
    for what, forms in (
        ("export", ("JSON Lines", "Parquet")),
        ("import", ("JSON Lines", "Parquet", "an Excel workbook")),
    ):
        assert [figure.name.split(", ")[1] for figure in figures if figure.name.startswith(f"{what} of")] == [
            f"{form} / CSV" for form in forms
        ]
    assert sum("most memory of mh" in figure.name for figure in figures) == 6
    assert all(value > 0 for figure in figures for values in figure.sides.values() for value in values)


@pytest.mark.mysql
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("load")
def test_growth_looks_at_every_size(tmp_path: Path) -> None:
    figures = list(growth.measure(bench(tmp_path), with_peer=False))
    names = [figure.name for figure in figures]
    assert {"importing: exponent of growth", "indexing: exponent of growth"} < set(names)
    for size in (200, 400):
        assert any(name.startswith(f"search, {size} rows, 16 clients") for name in names)
    assert all(value > 0 for figure in figures for values in figure.sides.values() for value in values)
