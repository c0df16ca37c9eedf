"""The stored results of a run: docs/benchmarks.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mh_devtools.bench.measuring import Figure, Goal


@dataclass(frozen=True)
class Record:
    """A run: its environment, and the figures of each section.

    Attributes:
        about: machine, versions, commit and data set; written unchanged.
        sections: the figures, by section.
        minutes: how long each section took.
    """

    about: Mapping[str, Any]
    sections: dict[str, Sequence[Figure]] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())

    def write(self, file: Path) -> None:
        """Write the run as JSON."""
        sections = {
            name: {"minutes": round(self.minutes.get(name, 0.0), 2), "figures": [_written(one) for one in figures]}
            for name, figures in self.sections.items()
        }
        content = {"date": self.date, **self.about, "sections": sections}
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(file: Path) -> Record:
    """Read a run from a file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    sections, date = content.pop("sections"), content.pop("date")
    return Record(
        about=content,
        sections={name: [_read(one) for one in section["figures"]] for name, section in sections.items()},
        minutes={name: section["minutes"] for name, section in sections.items()},
        date=date,
    )


def _written(figure: Figure) -> dict[str, Any]:
    content = asdict(figure)
    content["values"] = [_rounded(value) for value in figure.values]
    content["sides"] = {name: [_rounded(value) for value in values] for name, values in figure.sides.items()}
    return {**content, "median": _rounded(figure.value), "met": figure.met}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _read(content: dict[str, Any]) -> Figure:
    goal = content["goal"]
    return Figure(
        name=content["name"],
        unit=content["unit"],
        goal=None if goal is None else Goal(**goal),
        values=content["values"],
        sides=content["sides"],
        note=content["note"],
    )
