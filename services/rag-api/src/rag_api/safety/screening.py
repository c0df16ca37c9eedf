"""Screening of questions and answers for risk. Nothing of it needs a network, and no failure of it ends a request."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog
from mh_common.errors import DomainError
from mh_common.models import NOT_SCREENED, AnswerRisk, ConversationTurn, Risk, RiskCategory, RiskNotice
from mh_common.models.answers import NOTICE
from mh_common.risk import RiskScreener

from rag_api import metrics
from rag_api.safety.notice import Notices, ScreenedText, disclaimer

Found = TypeVar("Found")

log = structlog.get_logger(__name__)

RISK_NOTICED: Final = "risk_noticed"
SCREENING_FAILED: Final = "risk_screening_failed"

SCREENING_LIMIT: Final = 5.0
"""Seconds, far above what screening takes; a counselor must not wait longer for an answer."""


class ScreeningService:
    """Screens texts for risk.

    Args:
        screener: None if screening is switched off.
        lexicon: for answers and sources: the screener is made for what people ask, these speak in another voice.
        notices: makes the notices.
    """

    def __init__(self, screener: RiskScreener | None, lexicon: RiskScreener, notices: Notices) -> None:
        self._screener = screener
        self._lexicon = lexicon
        self._notices = notices

    async def screen_question(self, question: str, turns: Sequence[ConversationTurn] = ()) -> AnswerRisk:
        """Return what is noticed in a question and in the counselor's earlier ones. Never raises.

        Earlier answers are left out: they repeat what was noticed in the questions.
        """
        earlier = [turn.content for turn in turns if turn.role == "user"]
        found = await self._screen("question", self._screener, [question, *earlier])
        if found is None:
            return AnswerRisk(risk=NOT_SCREENED, risk_notice=self._failure())
        texts = [ScreenedText(question, found[0]), *_earlier(earlier, found[1:])]
        risk = _merged(found)
        for category in risk.categories if risk.level.needs_notice else ():
            metrics.RISK_CATEGORIES.labels(category).inc()
        if risk.level.needs_notice:
            log.info(RISK_NOTICED, level=risk.level.value, categories=[one.value for one in risk.categories])
        return AnswerRisk(risk=risk, risk_notice=self._notices.notice(risk, texts))

    async def screen_answer(self, text: str) -> Risk:
        """Return what is noticed in an answer, without where it stands. Never raises."""
        found = await self._screen("answer", self._screener and self._lexicon, [text])
        return NOT_SCREENED if found is None else found[0].model_copy(update={"spans": []})

    async def speak_of(self, categories: Sequence[RiskCategory], texts: Sequence[str]) -> list[bool]:
        """Return for each text whether it speaks of one of these dangers, even as past or denied. Never raises.

        If screening fails, none does.
        """
        found = await self._screen("source", self._lexicon, texts)
        if found is None:
            return [False] * len(texts)
        return [bool(set(categories) & {*risk.categories, *(span.category for span in risk.spans)}) for risk in found]

    def disclaimer(self, risk: Risk) -> str:
        """Return the disclaimer for an answer to a question with this risk."""
        return disclaimer(NOTICE, risk, is_on=self._screener is not None)

    async def _screen(self, kind: str, screener: RiskScreener | None, texts: Sequence[str]) -> list[Risk] | None:
        """Return what is noticed in each text; None if screening is switched off or fails."""
        if screener is None:
            return None
        try:
            async with asyncio.timeout(SCREENING_LIMIT):
                found = await screener.screen(texts)
            level = _merged([risk for risk, _ in zip(found, texts, strict=True)]).level
        except Exception as error:  # whatever it is, an unscreened answer is better than none
            metrics.RISK_SCREENINGS.labels(kind, "failed").inc()
            log.error(SCREENING_FAILED, screened=kind, error=type(error).__name__)
            return None
        metrics.RISK_SCREENINGS.labels(kind, level).inc()
        return found

    def _failure(self) -> RiskNotice | None:
        return None if self._screener is None else self._notices.failure()


async def screened_beside(
    screening: Coroutine[Any, Any, AnswerRisk], work: Awaitable[Found]
) -> tuple[AnswerRisk, Found]:
    """Do the work while its question is screened; return what was noticed, and what the work returns.

    Both take a model and some ten milliseconds, and the work also waits for others. Its errors get the notice of risk.
    """
    task = asyncio.create_task(screening)
    try:
        found = await work
    except DomainError:
        with notice_in_errors(await task):
            raise
    except BaseException:
        task.cancel()
        raise
    return await task, found


@contextmanager
def notice_in_errors(noticed: AnswerRisk) -> Iterator[None]:
    """Add the notice of risk, if there is one, to errors of the block: a failing search must not hide it."""
    try:
        yield
    except DomainError as error:
        if noticed.risk_notice is not None:
            error.members = {**error.members, **noticed.model_dump(mode="json")}
        raise


def _earlier(texts: Sequence[str], found: Sequence[Risk]) -> list[ScreenedText]:
    return [ScreenedText(text, risk, earlier=True) for text, risk in zip(texts, found, strict=True)]


def _merged(found: Sequence[Risk]) -> Risk:
    """Return the highest level of all texts with its categories, the most frequent first, and the first one's spans."""
    level = max((risk.level for risk in found), key=lambda one: one.rank)
    counts: Counter[RiskCategory] = Counter()
    for risk in found:
        if risk.level == level:
            # Those of a text are already in the order of their frequency, which breaks ties.
            counts.update(dict.fromkeys(risk.categories, 1))
    return Risk(
        level=level,
        categories=[category for category, _ in counts.most_common()],
        spans=found[0].spans,
        screened=all(risk.screened for risk in found),
    )
