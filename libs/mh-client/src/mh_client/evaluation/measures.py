"""Measures, confidence intervals and significance tests, reproducible by a fixed seed.

The measures are computed by ir-measures (with trec_eval), intervals and tests by SciPy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ir_measures
import numpy as np
from mh_common.models import ExperimentMetrics, Figure, ThemeMetrics

from mh_client.evaluation.cases import Case

DEPTH: Final = 10
"""Cutoff rank of reciprocal rank and nDCG."""

SEED: Final = 20_260_301
RESAMPLES: Final = 4999
CONFIDENCE: Final = 0.95
_BATCH: Final = 200
"""Resamples in memory at a time: 16 MB for 10,000 cases."""
_DIGITS: Final = 6


@dataclass(frozen=True)
class Difference:
    """Difference between the means of two experiments on the same cases.

    `low` and `high` bound the 95 % bootstrap interval; `p` is the p-value of a two-sided paired randomisation test.
    """

    mean: float
    low: float
    high: float
    p: float


def per_case(cases: Sequence[Case], found: Sequence[Sequence[str]], ks: Sequence[int]) -> dict[str, list[float]]:
    """Return each measure's value for every case: hit and recall at each of `ks`, MRR and nDCG at `DEPTH`."""
    measures = _measures(ks)
    relevant = {str(index): dict.fromkeys(case.relevant(), 1) for index, case in enumerate(cases)}
    ranked = {str(index): {key: float(-rank) for rank, key in enumerate(keys)} for index, keys in enumerate(found)}
    values = {name: [0.0] * len(cases) for name in measures.values()}
    for one in ir_measures.iter_calc(list(measures), relevant, ranked):
        values[measures[one.measure]][int(one.query_id)] = round(float(one.value), _DIGITS)
    return values


def summarise(values: Mapping[str, Sequence[float | None]], themes: Mapping[str, Sequence[int]]) -> ExperimentMetrics:
    """Return the means with their intervals, over all cases that have a value and by theme.

    `themes` has the indexes of the cases of each theme. A theme without any value is left out.
    """
    by_theme = {
        theme: {name: [each[index] for index in indexes] for name, each in values.items()}
        for theme, indexes in themes.items()
    }
    return ExperimentMetrics(
        figures=_figures(values),
        themes={
            theme: ThemeMetrics(cases=len(themes[theme]), figures=figures)
            for theme, each in by_theme.items()
            if (figures := _figures(each))
        },
    )


def _figures(values: Mapping[str, Sequence[float | None]]) -> dict[str, Figure]:
    """Return the figure of each measure that has a value at all."""
    known = {name: [value for value in each if value is not None] for name, each in values.items()}
    return {name: figure(each) for name, each in known.items() if each}


def figure(values: Sequence[float]) -> Figure:
    """Return the mean and its 95 % percentile bootstrap interval; for a single value the interval is 0 to 1."""
    if len(values) == 1:
        return Figure(value=values[0], low=0, high=1)
    low, high = _interval(np.asarray(values))
    return Figure(value=_rounded(np.mean(values)), low=low, high=high)


def difference(reference: Sequence[float], other: Sequence[float]) -> Difference:
    """Compare two experiments on the same cases, in the same order. For a single case p is 1."""
    if len(reference) == 1:
        return Difference(_rounded(other[0] - reference[0]), -1, 1, 1)
    # Imported late, here and below: it takes a second, and most programs that import this compute no intervals.
    from scipy import stats

    pairs = np.asarray(other), np.asarray(reference)
    test = stats.permutation_test(
        pairs,
        lambda one, two, axis: np.mean(one - two, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(SEED),
    )
    between = pairs[0] - pairs[1]
    low, high = _interval(between)
    return Difference(_rounded(np.mean(between)), low, high, float(test.pvalue))


def _interval(values: Any) -> tuple[float, float]:
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return _rounded(found.low), _rounded(found.high)


def _rounded(value: Any) -> float:
    return round(float(value), _DIGITS)


def _measures(ks: Sequence[int]) -> dict[Any, str]:
    hits = {ir_measures.Success @ k: f"hit@{k}" for k in ks}
    recalls = {ir_measures.R @ k: f"recall@{k}" for k in ks}
    return {**hits, **recalls, ir_measures.RR @ DEPTH: f"mrr@{DEPTH}", ir_measures.nDCG @ DEPTH: f"ndcg@{DEPTH}"}
