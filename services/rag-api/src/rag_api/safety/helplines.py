"""The table of helplines: `helplines.json` beside this file.

A number that is wrong can cost a life, so no entry is without the page that states it, its words, and the last day for
which it is known to do so. A number that was checked long ago is shown as such, not left out: it may be the only one.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Self

from mh_common.models import Helpline, RiskCategory
from mh_common.models.risk import INTERNATIONAL
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

CHECKED_FOR: Final = timedelta(days=180)
"""How long a number counts as checked."""

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Page = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class HelplineEntry(BaseModel):
    """An entry of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    country: Annotated[str, StringConstraints(pattern=rf"^([A-Z]{{2}}|{INTERNATIONAL})$")]
    name: _Text
    categories: Annotated[tuple[RiskCategory, ...], Field(min_length=1)]
    call: _Text | None = None
    text: _Text | None = None
    url: _Page | None = None
    hours: _Text | None = None
    languages: tuple[_Text, ...] = ()
    note: _Text | None = None
    source: _Page
    evidence: _Text
    """The words of the source that give the number, so that the next check knows what to look for."""

    checked_on: date | None
    """The last day for which the source is known to state the number; None: not known."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not (self.call or self.text or self.url):
            raise ValueError("an entry needs call, text or url")
        return self

    @property
    def is_emergency(self) -> bool:
        """Whether it is for every danger, like an emergency number."""
        return set(self.categories) == set(RiskCategory)

    def is_checked(self, today: date) -> bool:
        """Whether its source was known to state it within CHECKED_FOR."""
        return self.checked_on is not None and today - self.checked_on <= CHECKED_FOR

    def helpline(self, today: date) -> Helpline:
        """Return the entry as it is shown."""
        shown = self.model_dump(include=set(Helpline.model_fields))
        return Helpline(**shown, is_checked=self.is_checked(today))


class HelplineTable:
    """Helplines by country.

    Args:
        entries: in the order in which those of a country are shown.
    """

    def __init__(self, entries: Sequence[HelplineEntry]) -> None:
        self._entries = entries

    @classmethod
    def parse(cls, content: str) -> Self:
        """Read a table from JSON. Raises ValueError, for example if an entry has no source."""
        return cls(TypeAdapter(list[HelplineEntry]).validate_python(json.loads(content)))

    @property
    def countries(self) -> list[str]:
        """The countries in the table, in alphabetical order."""
        return sorted({entry.country for entry in self._entries} - {INTERNATIONAL})

    def of(self, countries: Sequence[str]) -> list[HelplineEntry]:
        """Return the entries of these countries, in the order of `countries`."""
        return [entry for country in countries for entry in self._entries if entry.country == country]

    def find(self, countries: Sequence[str], categories: Iterable[RiskCategory], today: date) -> list[Helpline]:
        """Return the helplines of these countries for these categories, for each country those for emergencies first.

        Without `categories`, those for emergencies alone.
        """
        wanted = set(categories)
        found = [entry for entry in self.of(countries) if entry.is_emergency or wanted & set(entry.categories)]
        found.sort(key=lambda entry: (countries.index(entry.country), not entry.is_emergency))
        return [entry.helpline(today) for entry in found]


@cache
def helpline_table() -> HelplineTable:
    """Return the table of this installation."""
    return HelplineTable.parse((files("rag_api.safety") / "helplines.json").read_text("utf-8"))
