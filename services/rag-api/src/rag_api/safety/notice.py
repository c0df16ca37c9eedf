"""The notice that a counselor is shown when risk was noticed: what was seen, what to ask, and whom to call.

The questions paraphrase what these ask for, so that none of them is missing; they replace none of them:

- suicide: Columbia Suicide Severity Rating Scale, screener (C-SSRS; Posner and others, 2011): wish to be dead,
  thoughts, method, intent, plan, behaviour within three months; SAFE-T (SAMHSA): risk factors, protective factors,
  inquiry, level, documentation; Safety Planning Intervention (SPI; Stanley and Brown, 2012): warning signs, coping,
  people, professionals, safe surroundings;
- harm to others: what structured guides such as the HCR-20 ask first, and the duty to protect that many laws have;
- domestic violence: Danger Assessment (Campbell and others, 2009): escalation, strangulation, weapons, separation,
  children;
- abuse: what the WHO's and national guides to child protection ask first, without an interrogation of the child;
- overdose: what a poison centre asks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mh_common.models import Risk, RiskCategory, RiskLevel, RiskNotice
from mh_common.models.risk import INTERNATIONAL

from rag_api.safety.helplines import HelplineTable
from rag_api.texts.markup import sanitize, strip_invisible

MAX_QUOTES: Final = 3
"""Most stretches of the question that the summary quotes."""

MAX_QUOTE_LENGTH: Final = 80
"""Characters of each."""

_NAMES: Final[dict[RiskCategory, str]] = {
    RiskCategory.SUICIDE: "suicide",
    RiskCategory.SELF_HARM: "self-harm",
    RiskCategory.HARM_TO_OTHERS: "harm to others",
    RiskCategory.ABUSE: "abuse or neglect of a child or dependent adult",
    RiskCategory.DOMESTIC_VIOLENCE: "domestic violence",
    RiskCategory.OVERDOSE: "overdose",
    RiskCategory.PSYCHOSIS: "psychosis with danger",
}

_LEVELS: Final[dict[RiskLevel, tuple[str, str]]] = {
    RiskLevel.ACUTE: (
        "Acute risk noticed",
        "Act first: see that the person is not alone, follow your crisis protocol, and call the emergency services if "
        "in doubt.",
    ),
    RiskLevel.ELEVATED: ("Risk noticed", "Assess it before anything else, by your crisis protocol."),
}

_EARLIER: Final = "earlier in this conversation"

FAILED: Final = (
    "This question was not screened for risk, because screening failed. Look for signs of risk yourself, and follow "
    "your crisis protocol if there are any."
)
SWITCHED_OFF: Final = (
    "Screening for risk is switched off here: no question is screened, and no notice of risk is ever shown."
)

NO_COUNTRY: Final = (
    "No country is configured (SAFETY_COUNTRY), so no helpline's number is shown. Call the emergency number where the "
    "person is."
)
NONE_FOR_THIS: Final = "The table has no helpline for {categories} in {countries}. Use those of your crisis protocol."
_REMARK: Final = (
    "\n\nThis suggestion speaks of a danger that was not noticed in the question ({categories}). Find out whether it "
    "is there, and follow your crisis protocol if it is."
)
UNCHECKED: Final = (
    "Numbers marked as unchecked are not known to have been right within the last 180 days: verify them first."
)


@dataclass(frozen=True)
class _Protocol:
    """Questions on thoughts, plan, intent, means, time frame and protective factors; and those of this danger alone."""

    core: Sequence[str]
    own: Sequence[str]


_PROTOCOLS: Final[dict[RiskCategory, _Protocol]] = {
    RiskCategory.SUICIDE: _Protocol(
        (
            "Thoughts: does the person wish to be dead, or think of killing themselves? Ask in plain words; asking "
            "does not put the thought there.",
            "Plan: have they thought about how, and worked out any details?",
            "Intent: do they intend to act on it? What has kept them from it so far?",
            "Means: what is within reach (medication, weapons, rope, heights), and who can remove or lock it away now?",
            "Time frame: is there a day or an occasion? Have they prepared anything, or tried before, above all within "
            "three months?",
            "Protective factors: which people, duties, beliefs and reasons speak for living, and who can be with them "
            "now?",
        ),
        (
            "Safety plan: warning signs, what helps alone, people and places, whom to ask for help, professionals, "
            "safe surroundings; written together, never a promise in its place.",
        ),
    ),
    RiskCategory.SELF_HARM: _Protocol(
        (
            "Thoughts: what does the person do, how often, and what is it for? Is there a wish to die besides, now or "
            "at other times?",
            "Plan: is a next time planned, or feared?",
            "Intent: is it becoming more frequent, deeper or more dangerous?",
            "Means: with what, and is it within reach?",
            "Time frame: when was the last time, and what came before it?",
            "Protective factors: what has helped to let an urge pass, and who knows of it?",
        ),
        ("Wounds: does anything need medical care today?",),
    ),
    RiskCategory.HARM_TO_OTHERS: _Protocol(
        (
            "Thoughts: whom does the person think of harming, and how often?",
            "Plan: have they thought about how, where and when?",
            "Intent: do they intend to act on it? What has kept them from it so far?",
            "Means: is there access to weapons or to the person threatened?",
            "Time frame: when may the two meet next? Were there violence or threats before?",
            "Protective factors: what and who calms the person, and who can be with them now?",
        ),
        (
            "Person threatened: is somebody identifiable in danger? Duties to warn or protect differ by law: ask "
            "supervision or legal advice now.",
        ),
    ),
    RiskCategory.ABUSE: _Protocol(
        (
            "What was said or seen, in which words, and since when? Do not question a child in detail.",
            "Is it going on, and is it becoming worse?",
            "Who is said to do it, and what do they intend or threaten?",
            "Who has access to the child or adult, today and tonight?",
            "Time frame: when is the next contact? Are there injuries that need care now?",
            "Protective factors: which adult is safe, believes it, and can protect?",
        ),
        (
            "Other children or dependent adults: are there any in that home?",
            "Report: what does the law require of you, to whom, and by when? Promise no secrecy, and do not confront "
            "the person suspected.",
        ),
    ),
    RiskCategory.DOMESTIC_VIOLENCE: _Protocol(
        (
            "Can the person speak safely now? Is the other person near, or reading their messages?",
            "What was threatened: has the other person said that they will kill them, or how?",
            "Is it becoming more frequent or worse? Was the person ever choked or strangled?",
            "Means: is there access to weapons?",
            "Time frame: did they separate, or do they mean to leave soon? That is the most dangerous time.",
            "Protective factors: a safe place, people, money, papers, a protection order, a shelter?",
        ),
        (
            "Children: are any present, hurt or threatened?",
            "Thoughts of suicide: of the person, or threats of it by the other?",
        ),
    ),
    RiskCategory.OVERDOSE: _Protocol(
        (
            "What was taken, how much, when, and with what (alcohol, other drugs)? If anything was: call the emergency "
            "services or a poison centre now, even if the person feels well.",
            "Is the person awake, breathing and answering clearly, and is somebody with them?",
            "Intent: was it, or would it be, to die?",
            "Means: what is still within reach, and who can take it away now?",
            "Time frame: if nothing was taken yet, when is it feared? Were there overdoses before?",
            "Protective factors: who can be with the person until help is there?",
        ),
        ("Age, weight, illnesses, pregnancy, regular medication: a poison centre will ask.",),
    ),
    RiskCategory.PSYCHOSIS: _Protocol(
        (
            "Thoughts: are there voices that command, or somebody the person feels threatened by? What do they say?",
            "Plan: has the person thought about what to do about it?",
            "Intent: can they resist? Have they acted on it before?",
            "Means: is there access to weapons, or to the person feared?",
            "Time frame: since when? Sleep, drugs, alcohol, medication stopped?",
            "Protective factors: who is with them, whom do they trust, who treats them?",
        ),
        ("Care: do they eat, drink and keep out of danger, and is there a child in their care?",),
    ),
}


@dataclass(frozen=True)
class ScreenedText:
    """A text and what was noticed in it. `earlier`: it is a question from earlier in the conversation."""

    text: str
    risk: Risk
    earlier: bool = False


class Notices:
    """Makes notices.

    Args:
        table: helplines.
        countries: those whose helplines are shown; may be empty.
        today: the clock.
    """

    def __init__(self, table: HelplineTable, countries: Sequence[str], today: Callable[[], date]) -> None:
        self._table = table
        self._countries = countries
        self._today = today

    def notice(self, risk: Risk, texts: Sequence[ScreenedText]) -> RiskNotice | None:
        """Return the notice for a risk that was noticed in `texts`; None if it needs none."""
        if not risk.level.needs_notice:
            return None
        today = self._today()
        helplines = self._table.find(self._countries or [INTERNATIONAL], risk.categories, today)
        return RiskNotice(
            summary=_summary(risk, texts),
            questions=_questions(risk.categories),
            helplines=helplines,
            helplines_note=self._note(risk.categories, all(one.is_checked for one in helplines)),
        )

    def failure(self) -> RiskNotice:
        """Return the notice that screening failed."""
        return RiskNotice(summary=FAILED, questions=[], helplines=[])

    def unchecked(self) -> dict[str, int]:
        """Return how many numbers must be checked, for each country shown that has any."""
        today = self._today()
        return dict(Counter(one.country for one in self._table.of(self._countries) if not one.is_checked(today)))

    def _note(self, categories: Sequence[RiskCategory], all_checked: bool) -> str | None:
        notes = [] if self._countries else [NO_COUNTRY]
        if self._countries and (missing := self._without_helpline(categories)):
            names = _join([_NAMES[one] for one in missing])
            notes.append(NONE_FOR_THIS.format(categories=names, countries=_join(self._countries)))
        if not all_checked:
            notes.append(UNCHECKED)
        return " ".join(notes) or None

    def _without_helpline(self, categories: Sequence[RiskCategory]) -> list[RiskCategory]:
        special = [one for one in self._table.of(self._countries) if not one.is_emergency]
        return [wanted for wanted in categories if not any(wanted in one.categories for one in special)]


def risk_remark(of_question: Risk, of_answer: Risk) -> str:
    """Return what to add to an answer that speaks of danger where none was noticed in the question; else empty."""
    if of_question.level.needs_notice or not of_answer.level.needs_notice:
        return ""
    return _REMARK.format(categories=_join([_NAMES[category] for category in of_answer.categories]))


def disclaimer(notice: str, risk: Risk, *, is_on: bool) -> str:
    """Return the disclaimer of an answer, which says so if the question was not screened."""
    if risk.screened:
        return notice
    return f"{notice} {FAILED if is_on else SWITCHED_OFF}"


def _summary(risk: Risk, texts: Sequence[ScreenedText]) -> str:
    noticed, what_to_do = _LEVELS[risk.level]
    words = _join([_NAMES[category] for category in risk.categories])
    quotes = list(_quotes(risk.level, texts))
    return f"{noticed}: {words}{f' ({_join(quotes)})' if quotes else ''}. {what_to_do}"


def _quotes(level: RiskLevel, texts: Sequence[ScreenedText]) -> list[str]:
    """Return the words in which that level was noticed, each stretch once, in quotation marks."""
    found: dict[str, None] = {}
    for one in texts:
        for span in one.risk.spans:
            if span.level == level and (words := _quotable(one.text[span.start : span.end])):
                found.setdefault(f"“{words}”{f' {_EARLIER}' if one.earlier else ''}")
    return list(found)[:MAX_QUOTES]


def _quotable(words: str) -> str:
    """Return words of a question on one line; programs that render Markdown or HTML show the notice too."""
    words = " ".join(sanitize(strip_invisible(words)).split())
    if len(words) <= MAX_QUOTE_LENGTH:
        return words
    return words[:MAX_QUOTE_LENGTH].rsplit(" ", 1)[0] + " …"


def _questions(categories: Sequence[RiskCategory]) -> list[str]:
    """Return all questions of the first category, and those of the others that it does not ask."""
    own = [question for category in categories for question in _PROTOCOLS[category].own]
    return [*(_PROTOCOLS[categories[0]].core if categories else ()), *own]


def _join(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
