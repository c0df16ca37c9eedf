"""Plots of the figures, as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

from mh_devtools.bench.measuring import Figure
from mh_devtools.bench.record import Record

REACHED: Final = "#2a7f4f"
SHORT: Final = "#b3413a"


def draw(record: Record, folder: Path) -> list[Path]:
    """Draw each section into FOLDER/bench-NAME.png and .svg; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        file
        for name, figures in record.sections.items()
        if (judged := [figure for figure in figures if figure.goal is not None])
        for file in _save(_against_goals(name, judged), folder / f"bench-{name}")
    ]


def _against_goals(name: str, figures: Sequence[Figure]) -> Canvas:
    """Plot each figure relative to its goal, so that all units share one axis; right of the line is better."""
    canvas = Canvas(figsize=(11, 1.2 + 0.32 * len(figures)), layout="constrained")
    axes = canvas.add_subplot()
    for place, figure in enumerate(reversed(figures)):
        median, low, high = (_share(figure, value) for value in (figure.value, min(figure.values), max(figure.values)))
        low, high = min(low, high), max(low, high)
        color = REACHED if figure.met else SHORT
        axes.errorbar(median, place, xerr=[[median - low], [high - median]], fmt="o", capsize=3, color=color)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(figures)), [figure.name for figure in reversed(figures)], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("times as good as the goal, median and extremes")
    axes.set_title(name)
    axes.grid(axis="x", which="both", alpha=0.3)
    return canvas


def _share(figure: Figure, value: float) -> float:
    """Return how many times as good as its goal a value is, limited to 0.001 to 1000."""
    assert figure.goal is not None
    better, worse = (value, figure.goal.bound) if figure.goal.at_least else (figure.goal.bound, value)
    return min(max(better / worse if worse > 0 else 1000.0, 0.001), 1000.0)


def _save(canvas: Canvas, stem: Path) -> list[Path]:
    files = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
    # Text stays text, and the same figures produce the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench"}):
        canvas.savefig(files[0], dpi=110, metadata={"Software": None})
        canvas.savefig(files[1], metadata={"Date": None})
    return files
