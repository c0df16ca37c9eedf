"""The `RiskScreener` protocol."""

from collections.abc import Sequence
from typing import Protocol

from mh_common.models.risk import Risk


class RiskScreener(Protocol):
    """Notices risk in texts, without a network. It never fails: what cannot be read is what the rest of it says."""

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        """Return what is noticed in each text, in the order of the texts."""
        ...

    async def close(self) -> None:
        """Release what the screener holds. It must not be used afterwards."""
        ...
