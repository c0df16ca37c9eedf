"""Plot experiments side by side: each measure with its interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure as Canvas
from mh_common.models import ExperimentCreate

from mh_client._errors import EvaluationRefusedError

FORMATS: Final = (".png", ".svg")
_SPREAD: Final = 0.6
"""Fraction of the space between two measures that the experiments occupy."""


def plot(path: Path, experiments: Sequence[tuple[str, ExperimentCreate]]) -> list[Path]:
    """Plot the experiments, each with its label, to PATH.png and PATH.svg; return these. PATH may end in either.

    Raises:
        EvaluationRefusedError: the files cannot be written.
    """
    measures = list(dict.fromkeys(name for _, one in experiments for name in one.metrics.figures))
    canvas = Canvas(figsize=(max(6.0, 1.1 * len(measures)), 4.5), layout="constrained")
    axes = canvas.add_subplot()
    for place, (label, one) in enumerate(experiments):
        shift = _SPREAD * (place - (len(experiments) - 1) / 2) / max(len(experiments), 2)
        known = [(at, one.metrics.figures[name]) for at, name in enumerate(measures) if name in one.metrics.figures]
        axes.errorbar(
            [at + shift for at, _ in known],
            [figure.value for _, figure in known],
            yerr=[
                [max(0.0, figure.value - figure.low) for _, figure in known],
                [max(0.0, figure.high - figure.value) for _, figure in known],
            ],
            fmt="o",
            capsize=3,
            label=label,
        )
    axes.set_xticks(range(len(measures)), measures)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("mean and 95 % interval")
    axes.set_title(", ".join(dict.fromkeys(one.data_set.name for _, one in experiments)))
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    stem = path.stem if path.suffix in FORMATS else path.name
    files = [path.with_name(stem + suffix) for suffix in FORMATS]
    try:
        for file in files:
            canvas.savefig(file)
    except OSError as error:
        raise EvaluationRefusedError(f"{path} cannot be written: {error.strerror}") from error
    return files
