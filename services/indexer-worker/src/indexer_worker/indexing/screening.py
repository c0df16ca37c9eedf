"""Screens units while they are indexed, for risk and for advice that can do harm: curators review what is found."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from mh_common import advice
from mh_common.fields import FoundAdvice, RiskLevel
from mh_common.models import UnitScreening
from mh_common.risk import LexiconScreener, RiskScreener, lexicon
from mh_common.settings import SafetySettings
from mh_common.vector_index import MAX_VARCHAR_BYTES

from indexer_worker.indexing.unit_source import LoadedUnit

MAX_SCREENED: Final = MAX_VARCHAR_BYTES
"""Characters of a text that are screened: as many as the index holds for the search by words."""


class Screening:
    """Screens units by the lexicon, and by the rules of unsafe advice.

    Args:
        screener: reads the texts for risk; None: nothing is screened.
        rules: name of all these rules. With another name, reconciliation has every unit screened again.
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
            return [UnitScreening(**unit.key._asdict(), version=unit.version) for unit in units]
        levels: dict[str, RiskLevel] = {}
        for text in dict.fromkeys(chain.from_iterable(unit.screened_texts for unit in units)):
            [risk] = await self._screener.screen([text[:MAX_SCREENED]])
            levels[text] = risk.level
            # Embedding goes on meanwhile, and so does the lease of a run.
            await asyncio.sleep(0)
        found: dict[str, FoundAdvice] = {}
        for text in dict.fromkeys(unit.advice for unit in units):
            found[text] = _first_unsafe(text[:MAX_SCREENED])
            await asyncio.sleep(0)
        return [
            UnitScreening(
                **unit.key._asdict(),
                version=unit.version,
                risk_level=_highest([levels[text] for text in unit.screened_texts]),
                unsafe_advice=found[unit.advice],
                screened_by=self._rules,
            )
            for unit in units
        ]

    async def close(self) -> None:
        """Close the screener."""
        if self._screener is not None:
            await self._screener.close()


def make_screening(settings: SafetySettings) -> Screening:
    """Return the screening of this installation: by the lexicon and the rules of unsafe advice, or none."""
    return Screening(LexiconScreener() if settings.screening == "on" else None, rules_name())


def rules_name() -> str:
    """Return a name for all that screening notices: another one after any change of the rules."""
    return f"{lexicon.rules_name()}+{advice.rules_name()}"


def _highest(levels: Sequence[RiskLevel]) -> RiskLevel:
    return max(levels, key=attrgetter("rank"), default=RiskLevel.NONE)


def _first_unsafe(text: str) -> FoundAdvice:
    kind = next(advice.unsafe_sentences(text), None)
    return FoundAdvice.NONE if kind is None else FoundAdvice(kind)
