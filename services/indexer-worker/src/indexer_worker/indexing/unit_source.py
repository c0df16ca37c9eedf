"""The interface of a unit source: it loads units with the texts to embed and builds their rows for the index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mh_common.models import UnitScreening
from mh_common.units import UnitKey

from indexer_worker.vector_store.layout import Row

Vector: TypeAlias = list[float]


@dataclass(frozen=True)
class LoadedUnit:
    """A unit in its current version.

    Attributes:
        key, version: the unit and its version.
        texts: the texts to embed.
        screened_texts: the texts to screen for risk; the highest level that one of them has is the unit's.
        advice: the text to screen for advice that can do harm; empty: the unit gives none.
        make_row: builds the unit's row from the vectors of `texts`, in the same order, and what screening found.
    """

    key: UnitKey
    version: int
    texts: Sequence[str]
    screened_texts: Sequence[str]
    advice: str
    make_row: Callable[[Sequence[Vector], UnitScreening], Row]


class UnitSource(Protocol):
    """Reads the units of one kind."""

    async def load(self, keys: Sequence[UnitKey]) -> list[LoadedUnit]:
        """Return the current version of those of these units (1 to 64) that exist. Raises MHError."""
        ...
