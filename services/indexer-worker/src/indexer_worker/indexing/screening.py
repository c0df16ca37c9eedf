"""Screens units for risk while they are indexed, so that curators can review what the data set contains."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from mh_common.fields import RiskLevel
from mh_common.models import UnitScreening
from mh_common.risk import LexiconScreener, RiskScreener
from mh_common.risk.lexicon import rules_name
from mh_common.settings import SafetySettings
from mh_common.vector_index import MAX_VARCHAR_BYTES

from indexer_worker.indexing.unit_source import LoadedUnit

MAX_SCREENED: Final = MAX_VARCHAR_BYTES
"""Characters of a text that are screened: as many as the index holds for the search by words."""


class Screening:
    """Screens units by the lexicon.

    Args:
        screener: reads the texts; None: nothing is screened.
        rules: name of the screener's rules. With another name, reconciliation has every unit screened again.
    """

    def __init__(self, screener: RiskScreener | None, rules: str) -> None:
        self._screener = screener
        self._rules = rules

    @property
    def screened_by(self) -> str | None:
        """The rules by which units are screened; None if they are not."""
        return None if self._screener is None else self._rules

    async def screen(self, units: Sequence[LoadedUnit]) -> list[UnitScreening]:
        """Return what is found in these units, or that they are not screened, in their order."""
        if self._screener is None:
            return [_screening(unit) for unit in units]
        levels: dict[str, RiskLevel] = {}
        for text in dict.fromkeys(chain.from_iterable(unit.screened_texts for unit in units)):
            [risk] = await self._screener.screen([text[:MAX_SCREENED]])
            levels[text] = risk.level
            # Embedding goes on meanwhile, and so does the lease of a run.
            await asyncio.sleep(0)
        return [
            _screening(unit, _highest([levels[text] for text in unit.screened_texts]), self._rules) for unit in units
        ]

    async def close(self) -> None:
        """Close the screener."""
        if self._screener is not None:
            await self._screener.close()


def make_screening(settings: SafetySettings) -> Screening:
    """Return the screening of this installation: by the lexicon alone, or none."""
    return Screening(LexiconScreener() if settings.screening == "on" else None, rules_name())


def _screening(unit: LoadedUnit, risk_level: RiskLevel | None = None, screened_by: str | None = None) -> UnitScreening:
    key = unit.key._asdict()
    return UnitScreening(**key, version=unit.version, risk_level=risk_level, screened_by=screened_by)


def _highest(levels: Sequence[RiskLevel]) -> RiskLevel:
    return max(levels, key=attrgetter("rank"), default=RiskLevel.NONE)
