"""What a noun whose rows are indexed tells of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from mh_common.errors import InvalidRequestError
from mh_common.units import Unit, UnitKey

from conversations_api.database import AsyncSession


class UnitSource(Protocol):
    """The units of one kind, read in a session."""

    def __init__(self, session: AsyncSession) -> None: ...

    async def lock(self, keys: Collection[UnitKey]) -> Mapping[UnitKey, int]:
        """Return the present versions of those of these units that exist; hold off changes of them until the commit.

        It is the sources that are locked, in the order of their ids, as by everyone who changes one together with its
        states: one lock each, taken in one order, so that a version read here stays the present one and no two
        transactions wait for each other.
        """
        ...

    async def versions(self, keys: Collection[UnitKey]) -> Mapping[UnitKey, int]:
        """Return the present versions of those of these units that exist, without locking anything."""
        ...

    async def page(self, after: UnitKey, limit: int, since: datetime | None) -> Sequence[Unit]:
        """Return at most `limit` units with keys above `after`, by key.

        `since` leaves out those of sources that were changed last before that time.
        """
        ...

    async def total(self) -> int:
        """Return how many units there are."""
        ...


UnitSources: TypeAlias = Mapping[str, type[UnitSource]]
"""The kinds that there are, by name."""


def source_of(sources: UnitSources, kind: str) -> type[UnitSource]:
    """Return the source of this kind. Raises `InvalidRequestError` when there is no such kind."""
    if kind not in sources:
        raise InvalidRequestError(f"There is no kind '{kind}' of units; there are: {', '.join(sorted(sources))}.")
    return sources[kind]
