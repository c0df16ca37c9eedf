"""The report of an evaluation: figures side by side, differences from the first experiment, and figures by theme."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.models import ExperimentCreate, ExperimentDetail
from mh_common.wording import counted
from pydantic import BaseModel

from mh_client.evaluation.measures import Difference, difference

THEME_MEASURES: Final = ("ndcg@10", "citation_recall")
"""The measure by theme: the first of these that was measured."""


@dataclass(frozen=True)
class Column:
    """An experiment in a comparison; `id` is None if it is not saved."""

    id: int | None
    experiment: ExperimentCreate


def saved_column(experiment: ExperimentDetail) -> Column:
    """Return the column of a saved experiment."""
    return Column(experiment.id, ExperimentCreate(**experiment.model_dump(exclude={"id", "created_at"})))


class ComparedExperiment(BaseModel):
    """An experiment and its differences from the first one, by measure; empty if they are not comparable."""

    id: int | None
    experiment: ExperimentCreate
    differences: dict[str, Difference]


class Comparison(BaseModel):
    """Experiments side by side; the others are compared with the first."""

    experiments: list[ComparedExperiment]


def compare(columns: Sequence[Column]) -> Comparison:
    """Compare each experiment with the first, if both have values for the same cases."""
    first = columns[0].experiment
    return Comparison(
        experiments=[
            ComparedExperiment(
                id=column.id,
                experiment=column.experiment,
                differences=_differences(first, column.experiment) if place else {},
            )
            for place, column in enumerate(columns)
        ]
    )


def _differences(first: ExperimentCreate, other: ExperimentCreate) -> dict[str, Difference]:
    if first.data_set.sha256 != other.data_set.sha256:
        return {}
    pairs = {
        name: [
            (one, two)
            for one, two in zip(first.per_case[name], other.per_case[name], strict=True)
            if one is not None and two is not None
        ]
        for name in first.per_case
        if name in other.per_case
    }
    return {name: difference(*zip(*values, strict=True)) for name, values in pairs.items() if values}


def column_label(place: int) -> str:
    """Return the label of an experiment's column: A, B … Z, 27, 28 …"""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def format_report(comparison: Comparison) -> str:
    """Return the report as text."""
    blocks = [_legend(comparison), _figures(comparison), _themes(comparison)]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block)))


def _legend(comparison: Comparison) -> Iterator[str]:
    first = comparison.experiments[0].experiment.data_set
    for place, one in enumerate(comparison.experiments):
        kept = f"experiment {one.id}" if one.id is not None else "not saved"
        data_set = one.experiment.data_set
        other = "" if data_set.sha256 == first.sha256 else ", ANOTHER DATA SET: no differences"
        yield (
            f"{column_label(place)}  {one.experiment.name} ({kept}; {data_set.name}, "
            f"{counted(data_set.cases, 'case')}, {data_set.sha256[:8]}; "
            f"{one.experiment.duration_seconds:,.1f} s{other})"
        )


def _figures(comparison: Comparison) -> Iterator[str]:
    differ = len(comparison.experiments) > 1
    width = max(10, *map(len, _measures(comparison)))
    yield f"{'measure':<{width + 2}}   value  95 % interval" + (
        "       versus A  95 % interval          p" if differ else ""
    )
    for name in _measures(comparison):
        for place, one in enumerate(comparison.experiments):
            if (figure := one.experiment.metrics.figures.get(name)) is None:
                continue
            line = f"{name:<{width}} {column_label(place)}   {figure.value:.3f}  {figure.low:.3f} to {figure.high:.3f}"
            if (found := one.differences.get(name)) is not None:
                line += f"     {found.mean:+.3f}     {found.low:+.3f} to {found.high:+.3f}  {_p(found.p)}"
            yield line


def _themes(comparison: Comparison) -> Iterator[str]:
    tables = [one.experiment.metrics.themes for one in comparison.experiments]
    counts = {theme: found.cases for table in reversed(tables) for theme, found in table.items()}
    if not counts:
        return
    measured = _measures(comparison)
    measure = next((name for name in THEME_MEASURES if name in measured), measured[0])
    title = f"{measure} by theme"
    width = max(len(theme) for theme in (*counts, title)) + 2
    yield f"{title:<{width}}cases" + "".join(f"{column_label(place):>8}" for place in range(len(tables)))
    for theme, cases in sorted(counts.items()):
        found = [table[theme].figures.get(measure) if theme in table else None for table in tables]
        figures = "".join(f"{figure.value:8.3f}" if figure else " " * 8 for figure in found)
        yield f"{theme:<{width}}{cases:5,}{figures}"


def _measures(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(name for one in comparison.experiments for name in one.experiment.metrics.figures))


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
