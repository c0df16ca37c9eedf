"""Units as a source gives them: what is embedded of each, and what the index then holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mh_common.units import UnitKey

from indexer_worker.vector_store.layout import Row

Vector: TypeAlias = list[float]


@dataclass(frozen=True)
class LoadedUnit:
    """A unit as it is now.

    Attributes:
        key, version: which unit, in which version.
        texts: what is embedded of it.
        make_row: makes its row of the index from their vectors, in the same order.
    """

    key: UnitKey
    version: int
    texts: Sequence[str]
    make_row: Callable[[Sequence[Vector]], Row]


class UnitSource(Protocol):
    """Reads the units of one kind."""

    async def load(self, keys: Sequence[UnitKey]) -> list[LoadedUnit]:
        """Return those of these units (1 to 64) that exist, as they are now. Raises MHError."""
        ...
