"""Labelled messages about risk, in four languages, written for this project.

All people are invented. Several authors wrote them without seeing each other's. Each level is one author's judgement;
no clinician has labelled them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mh_common.models import RiskCategory, RiskLevel

FOLDER: Final = Path(__file__).with_name("texts")
TRAINING: Final = tuple(FOLDER / f"training-{number}.jsonl" for number in range(1, 6))
"""To learn from while writing rules or training the classifier: 1 and 2 are mostly single sentences, 3 is what
counselors and clients ask without danger, 4 is danger as it is hinted at, also within longer messages, and 5 mostly
pairs: a case, and the same case with one sign of danger."""

TUNING: Final = (FOLDER / "held-out.jsonl", FOLDER / "tuning.jsonl")
"""To choose between alternatives, and a threshold, with: not learned from."""

EVALUATION: Final = (FOLDER / "evaluation-1.jsonl", FOLDER / "evaluation-2.jsonl")
"""For figures alone, by three authors who wrote nothing else here. Whoever changes lexicon or classifier must not read
them."""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A message with what its author says of it."""

    text: str
    language: str
    level: RiskLevel
    categories: Sequence[RiskCategory]


def read_texts(*paths: Path) -> Iterator[LabelledText]:
    """Yield the texts of JSON Lines files with `text`, `language`, `level` and `category` or `categories`.

    Raises:
        ValueError: a line is not such an object; the message names file and line.
    """
    for path in paths:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            try:
                entry = json.loads(line)
                named = entry.get("categories") or [entry.get("category")]
                categories = [RiskCategory(name) for name in named if name not in (None, "none")]
                yield LabelledText(entry["text"], entry["language"], RiskLevel(entry["level"]), categories)
            except (AttributeError, KeyError, ValueError) as error:
                raise ValueError(f"{path}:{number}: {type(error).__name__}: {error}") from error
