"""Measures how many messages with risk get a notice, and how many without risk get none.

    python -m mh_devtools.risk.evaluate [FILE.jsonl] [--misses] [--false] [--json]

Without a file, the evaluation messages of this project are used. Sensitivity is the share of messages of elevated or
acute risk that get a notice, specificity that of the others that get none. Intervals are Wilson's, of 95 %.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mh_common.models import Risk
from mh_common.risk import RiskScreener
from mh_common.risk_classifier import make_screener

from mh_devtools.risk.texts import EVALUATION, LabelledText, read_texts
from mh_devtools.shares import Share


@dataclass
class Counts:
    """Messages of one group by what they are and what was noticed."""

    noticed: int = 0
    missed: int = 0
    false: int = 0
    quiet: int = 0

    def add(self, *, is_risk: bool, is_noticed: bool) -> None:
        """Count one message."""
        name = ("noticed" if is_noticed else "missed") if is_risk else ("false" if is_noticed else "quiet")
        setattr(self, name, getattr(self, name) + 1)

    @property
    def sensitivity(self) -> Share:
        """Messages with risk that get a notice."""
        return Share(self.noticed, self.noticed + self.missed)

    @property
    def specificity(self) -> Share:
        """Messages without risk that get none."""
        return Share(self.quiet, self.quiet + self.false)


@dataclass
class Figures:
    """What was measured. Groups: all, each language, and each category of the messages with risk."""

    groups: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    misses: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)


async def measure(texts: Sequence[LabelledText], screener: RiskScreener) -> Figures:
    """Screen each text by itself and compare with its label."""
    figures = Figures()
    for text, risk in zip(texts, await screener.screen([text.text for text in texts]), strict=True):
        _count(figures, text, risk)
    return figures


def _count(figures: Figures, text: LabelledText, risk: Risk) -> None:
    is_risk, is_noticed = text.level.needs_notice, risk.level.needs_notice
    for group in _groups_of(text):
        figures.groups[group].add(is_risk=is_risk, is_noticed=is_noticed)
    if is_risk and not is_noticed:
        figures.misses.append(text.text)
    if is_noticed and not is_risk:
        figures.false.append(text.text)


def _groups_of(text: LabelledText) -> Iterator[str]:
    yield "all"
    yield text.language
    if text.level.needs_notice:
        yield from text.categories


def table(groups: Mapping[str, Counts]) -> str:
    """Return the figures as a table in Markdown."""
    lines = ["| messages | sensitivity | specificity |", "|---|---|---|"]
    lines += [f"| {name} | {counts.sensitivity} | {counts.specificity} |" for name, counts in sorted(groups.items())]
    return "\n".join(lines)


async def _run(paths: Sequence[Path]) -> Figures:
    screener = make_screener()
    try:
        return await measure(list(read_texts(*paths)), screener)
    finally:
        await screener.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="*", type=Path, default=EVALUATION, help="labelled messages, as JSON Lines")
    parser.add_argument("--misses", action="store_true", help="print messages with risk that get no notice")
    parser.add_argument("--false", action="store_true", help="print messages without risk that get one")
    parser.add_argument("--json", action="store_true", help="print counts as JSON")
    options = parser.parse_args()
    figures = asyncio.run(_run(options.file))
    if options.json:
        print(json.dumps({name: asdict(counts) for name, counts in figures.groups.items()}))
    else:
        print(table(figures.groups))
    for title, wanted, texts in (("Missed", options.misses, figures.misses), ("False", options.false, figures.false)):
        if wanted:
            print(f"\n{title}:", *texts, sep="\n- ")


if __name__ == "__main__":
    main()
