"""Risk in what a counselor asks: what was noticed, and the notice that is shown for it.

A notice of risk never blocks a request and never replaces the judgement of the reader. It is no diagnosis and no
prediction: it says that words were noticed which often mean danger.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, Field

# Declared there as it is a field to filter by, and exported for those who deal with risk alone.
from mh_common.fields import FoundAdvice as FoundAdvice
from mh_common.fields import RiskLevel as RiskLevel
from mh_common.fields import UnsafeAdvice as UnsafeAdvice

UNSCREENED: Final = (
    "This question was not screened for risk. Look for signs of risk yourself, and follow your crisis protocol if "
    "there are any."
)
"""Shown if nothing was screened and no notice says why: screening is switched off, or the server has none."""

INTERNATIONAL: Final = "INTL"
"""Country of a helpline that is a directory of all countries."""

_BEGINNING: Final = "[Notice] "
_END: Final = "[End of notice"
_LAST_LINE: Final = (
    f"{_END}. It is for professionals, not for patients. It says that words were noticed which often mean danger, and "
    "is no diagnosis.]"
)
_NOTICE: Final = re.compile(
    # Some notices are one line. A longer one ends before another begins.
    rf"^{re.escape(_BEGINNING)}[^\n]*(?:\n(?:(?!^{re.escape(_BEGINNING)}).)*?^{re.escape(_END)}[^\n]*)?\n*",
    re.DOTALL | re.MULTILINE,
)


class RiskCategory(StrEnum):
    """What the danger is."""

    SUICIDE = "suicide"
    SELF_HARM = "self_harm"
    HARM_TO_OTHERS = "harm_to_others"
    ABUSE = "abuse"
    """Abuse or neglect of a child or of a dependent adult."""

    DOMESTIC_VIOLENCE = "domestic_violence"
    OVERDOSE = "overdose"
    PSYCHOSIS = "psychosis"
    """Psychosis with danger to the person or to others."""


class RiskSpan(BaseModel):
    """A stretch of the screened text in which risk was noticed."""

    start: int = Field(description="First character, from 0, in Unicode code points.")
    end: int = Field(description="End, exclusive.")
    category: RiskCategory
    level: RiskLevel


class Risk(BaseModel):
    """What screening noticed in a text."""

    level: RiskLevel = Field(default=RiskLevel.NONE, description="The highest level of all spans.")
    categories: list[RiskCategory] = Field(default=[], description="Of spans of that level, the most frequent first.")
    spans: list[RiskSpan] = Field(default=[], description="In order of the text; of the question alone.")
    screened: bool = Field(
        default=True,
        description="False: nothing was screened, since screening is switched off or failed. `none` then says nothing.",
    )


NOT_SCREENED: Final = Risk(screened=False)


class Helpline(BaseModel):
    """Somebody to call. Taken from a table in which every entry has its source."""

    country: str = Field(
        description="ISO 3166-1 alpha-2, such as `US`; `EU` for numbers of the European Union, `INTL` for "
        "directories of all countries."
    )
    name: str
    categories: list[RiskCategory] = Field(description="What it is for.")
    call: str | None = Field(default=None, description="Telephone number.")
    text: str | None = Field(default=None, description="How to reach it by text message.")
    url: str | None = None
    hours: str | None = None
    languages: list[str] = Field(default=[], description="ISO 639-1; empty if unknown.")
    note: str | None = Field(default=None, description="What to know before calling.")
    source: str = Field(description="The page that states the number.")
    checked_on: date | None = Field(
        description="The last day for which the source is known to state the number: when it was compared or, if that "
        "is not known, written. Null: not known at all."
    )
    is_checked: bool = Field(description="False: that day is unknown, or more than 180 days ago. Verify it first.")

    def as_line(self) -> str:
        """Return it on one line, with what to know before calling."""
        ways = (self.call and f"call {self.call}", self.text and f"text {self.text}", self.url, self.hours)
        since = f" since {self.checked_on}" if self.checked_on else ""
        unchecked = "" if self.is_checked else f" (unchecked{since})"
        note = f". {self.note}" if self.note else ""
        country = "international" if self.country == INTERNATIONAL else self.country
        return f"{country}: {self.name}: {', '.join(filter(None, ways))}{unchecked}{note}"


class RiskNotice(BaseModel):
    """What a counselor is shown when risk was noticed. For professionals, not for patients."""

    summary: str = Field(description="One line: how pressing, what, and the words in which it was noticed.")
    questions: list[str] = Field(
        description="What a protocol asks: thoughts, plan, intent, means, time frame, protective factors."
    )
    helplines: list[Helpline] = Field(
        description="For the countries of `SAFETY_COUNTRY` and these categories, those for emergencies first."
    )
    helplines_note: str | None = Field(
        default=None, description="What to know of the helplines: that none is configured, for example. Show it."
    )

    def as_text(self) -> str:
        """Return it as plain text that reads the same as Markdown, for programs that show an answer as text.

        `without_notices` recognises it.
        """
        parts = [
            f"{_BEGINNING}{self.summary}",
            _list("To ask:", self.questions),
            _list("Helplines:", [one.as_line() for one in self.helplines]),
            self.helplines_note,
        ]
        shown = list(filter(None, parts))
        return "\n\n".join([*shown, _LAST_LINE] if len(shown) > 1 else shown)


class AnswerRisk(BaseModel):
    """Risk noticed in the question and its history. First event of a stream, named `risk`."""

    risk: Risk = Field(default=NOT_SCREENED, description="What screening noticed in the question and its history.")
    risk_notice: RiskNotice | None = Field(
        default=None,
        description="Shown first, before any suggestion; null below elevated risk. Also says if screening failed.",
    )

    def as_text(self) -> str:
        """Return what to show first, as plain text: the notice, or that nothing was screened; empty if neither."""
        return self.risk_notice.as_text() if self.risk_notice else self.as_line()

    def as_line(self) -> str:
        """Return what to show first on one line; empty as in `as_text`."""
        if self.risk_notice:
            return f"{_BEGINNING}{self.risk_notice.summary}"
        return "" if self.risk.screened else f"{_BEGINNING}{UNSCREENED}"


def without_notices(text: str) -> str:
    """Return a text without what `as_text` and `as_line` put before it, wherever it stands.

    Programs send earlier answers back with their notices, which speak of risk without being a sign of any.
    """
    return _NOTICE.sub("", text)


def _list(title: str, items: list[str]) -> str:
    return "\n".join([title, *(f"- {item}" for item in items)]) if items else ""


class Withheld(StrEnum):
    """Why the whole text of a language model was replaced by the notice."""

    UNSAFE_ADVICE = "unsafe_advice"
    """It contained advice that can do harm."""

    RISK_NOT_ADDRESSED = "risk_not_addressed"
    """It did not speak to the risk that was noticed in the question."""


class RiskNoticeRating(StrEnum):
    """What a counselor says of a notice."""

    RELEVANT = "relevant"
    NOT_RELEVANT = "not_relevant"
    MISSING = "missing"
    """None was shown, and one should have been."""
