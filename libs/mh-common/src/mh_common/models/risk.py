"""Risk in what a counselor asks: what was noticed, and the notice that is shown for it.

A notice of risk never blocks a request and never replaces the judgement of the reader. It is no diagnosis and no
prediction: it says that words were noticed which often mean danger.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, Field


class RiskLevel(StrEnum):
    """How pressing a danger is, from nothing to a danger now."""

    NONE = "none"
    """Nothing was noticed."""

    LOW = "low"
    """Risk is a topic, but past, denied, or general."""

    ELEVATED = "elevated"
    """Thoughts, threats, ongoing self-harm, abuse or violence, without a sign that it is about to get worse."""

    ACUTE = "acute"
    """Intent, a plan, means at hand, or an act now or soon."""

    @property
    def rank(self) -> int:
        """Its place among the levels, from 0 for `none`."""
        return list(RiskLevel).index(self)

    @property
    def needs_notice(self) -> bool:
        """Whether a counselor is shown a notice: for elevated and acute risk."""
        return self.rank >= RiskLevel.ELEVATED.rank


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
        description="False: nothing was screened, since screening is switched off. `none` then says nothing.",
    )


NOT_SCREENED: Final = Risk(screened=False)


class Helpline(BaseModel):
    """Somebody to call. Taken from a table in which every entry has its source."""

    country: str = Field(description="ISO 3166-1 alpha-2, such as `US`; `EU` for numbers of the European Union.")
    name: str
    categories: list[RiskCategory] = Field(description="What it is for.")
    call: str | None = Field(default=None, description="Telephone number.")
    text: str | None = Field(default=None, description="How to reach it by text message.")
    url: str | None = None
    hours: str | None = None
    source: str = Field(description="The page that states the number.")
    checked_on: date = Field(description="The day on which the number was compared with its source.")
    is_checked: bool = Field(description="False: not compared for more than 180 days. Verify it before relying on it.")


class RiskNotice(BaseModel):
    """What a counselor is shown when risk was noticed. For professionals, not for patients."""

    summary: str = Field(description="One line: how pressing, what, and the words in which it was noticed.")
    questions: list[str] = Field(
        description="What a protocol asks: thoughts, plan, intent, means, time frame, protective factors."
    )
    helplines: list[Helpline] = Field(description="For the countries of `SAFETY_COUNTRY` and these categories.")


class AnswerRisk(BaseModel):
    """Risk noticed in the question and its history. First event of a stream, named `risk`."""

    risk: Annotated[Risk, Field(description="What screening noticed in the question and its history.")]
    risk_notice: RiskNotice | None = Field(
        default=None, description="Shown first, before any suggestion; null below elevated risk."
    )
