"""The interface of sources of units: resources whose rows are indexed."""

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
        """Return the current versions of those of these units that exist, and block changes to them until the commit.

        The rows of the sources are locked, in the order of their ids. Everyone who changes a source and its states does
        the same, so that a version read here remains current and transactions do not deadlock.
        """
        ...

    async def versions(self, keys: Collection[UnitKey]) -> Mapping[UnitKey, int]:
        """Return the current versions of those of these units that exist, without locking."""
        ...

    async def page(self, after: UnitKey, limit: int, since: datetime | None) -> Sequence[Unit]:
        """Return at most `limit` units with keys greater than `after`, by key.

        `since` restricts them to units whose source changed at or after that time.
        """
        ...

    async def total(self) -> int:
        """Return the number of units."""
        ...


UnitSources: TypeAlias = Mapping[str, type[UnitSource]]
"""The source of each kind, by the kind's name."""


def source_of(sources: UnitSources, kind: str) -> type[UnitSource]:
    """Return the source of this kind. Raises `InvalidRequestError` if the kind does not exist."""
    if kind not in sources:
        raise InvalidRequestError(f"Unknown kind '{kind}'; known kinds are: {', '.join(sorted(sources))}.")
    return sources[kind]
