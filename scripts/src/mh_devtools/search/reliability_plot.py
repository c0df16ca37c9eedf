"""Plot reliability diagrams: the share of relevant hits against their score."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from mh_devtools.search.calibration import BINS, Reliability

COLOUR: Final = "#2a5f9f"


def draw(path: Path, title: str, panels: Mapping[str, Reliability]) -> list[Path]:
    """Draw a panel for each reliability, by name, to PATH.png and PATH.svg; return these.

    Three a line. The figure says what scores are worth: points on the line are scores that mean what they say.
    """
    columns = 3
    lines = -(-len(panels) // columns)
    canvas = Canvas(figsize=(3.4 * columns, 4.2 * lines), layout="constrained")
    canvas.suptitle(title)
    rows = canvas.subplots(2 * lines, columns, squeeze=False, sharex=True, height_ratios=[3, 1] * lines)
    for place, (name, reliability) in enumerate(panels.items()):
        line, column = 2 * (place // columns), place % columns
        _shares(rows[line, column], f"{name}\nerror {reliability.error():.3f}", reliability)
        _counts(rows[line + 1, column], reliability)
        if column == 0:
            rows[line, column].set_ylabel("share that is relevant")
            rows[line + 1, column].set_ylabel("hits")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    # Text stays text, and the same figures produce the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "scores"}):
        canvas.savefig(files[0], dpi=80, metadata={"Software": None})
        canvas.savefig(files[1], metadata={"Date": None})
    return files


def _shares(axes: Axes, title: str, reliability: Reliability) -> None:
    """Plot the relevant share of each bin, with its interval, against its mean score."""
    bins, intervals = reliability.bins(), reliability.share_intervals()
    filled = [(one, interval) for one, interval in zip(bins, intervals, strict=True) if one and interval]
    axes.plot([0, 1], [0, 1], color="black", linewidth=1)
    axes.errorbar(
        [one.score for one, _ in filled],
        [one.share for one, _ in filled],
        yerr=[
            [max(0.0, one.share - low) for one, (low, _) in filled],
            [max(0.0, high - one.share) for one, (_, high) in filled],
        ],
        fmt="o",
        capsize=3,
        color=COLOUR,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_title(title)
    axes.grid(alpha=0.3)


def _counts(axes: Axes, reliability: Reliability) -> None:
    """Plot the number of hits of each bin, on a logarithmic scale."""
    counts = [one.hits if one else 0 for one in reliability.bins()]
    axes.bar([(place + 0.5) / BINS for place in range(BINS)], counts, width=0.9 / BINS, color=COLOUR)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_xlabel("score")
    axes.grid(axis="y", alpha=0.3)
