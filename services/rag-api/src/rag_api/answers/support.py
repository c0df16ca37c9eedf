"""Whether the texts that an answer cites support its sentences. No failure of the check ends an answer."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from mh_common.models import CheckedSentence, Doubt, SentenceSupport

from rag_api import metrics
from rag_api.answers.grounding import CITATION, cited_sentences

log = structlog.get_logger(__name__)

CHECK_FAILED: Final = "answer_check_failed"

CHECK_LIMIT: Final = 3.0
"""Seconds, far above what the check takes with the local model; the text is shown already, only its end waits."""

_NUMBER: Final = re.compile(r"\d+")
_AROUND_CITATIONS: Final = re.compile(r"[^\S\n]*(?:\[\d+\])+")


@dataclass(frozen=True)
class Claim:
    """A sentence of an answer and the texts that it cites.

    Attributes:
        sentence: without its citations.
        texts: at least one.
        known: what may be in the sentence although no text has it, such as the counselor's question.
    """

    sentence: str
    texts: tuple[str, ...]
    known: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a claim is supported.

    Attributes:
        doubt: why the texts together do not support it; None if they do.
        alone: for each text, whether it supports the claim by itself.
    """

    doubt: Doubt | None
    alone: tuple[bool, ...]


class SupportJudge(Protocol):
    """Judges whether texts support sentences: by similarity and words, or by a language model."""

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
        """Return a verdict for each claim, in their order; None for one that cannot be judged.

        It may raise any exception: then no claim counts as judged.
        """
        ...


class SupportCheck:
    """Checks the sentences of answers.

    Args:
        judge: judges those with citations.
        limit: seconds for one answer.
    """

    def __init__(self, judge: SupportJudge, limit: float = CHECK_LIMIT) -> None:
        self._judge = judge
        self._limit = limit

    async def check(self, text: str, cited: Mapping[int, str], known: str = "") -> list[CheckedSentence]:
        """Return the sentences of a text that state something or cite a source, in order. Never raises.

        `cited` has the texts by the number of their citation, `known` is that of `Claim`. A sentence that could not be
        checked says so: it never counts as supported.
        """
        sentences = cited_sentences(text)
        if not sentences:
            return []
        numbers = [_numbers(one, cited) for one in sentences]
        claims = [
            Claim(_AROUND_CITATIONS.sub("", sentence).strip(), tuple(cited[number] for number in of), known)
            for sentence, of in zip(sentences, numbers, strict=True)
            if of
        ]
        with metrics.answer_check():
            verdicts = iter(await self._verdicts(claims))
            checked = [
                _checked(sentence, of, next(verdicts) if of else None)
                for sentence, of in zip(sentences, numbers, strict=True)
            ]
        metrics.count_sentences(checked)
        return checked

    async def _verdicts(self, claims: Sequence[Claim]) -> Sequence[Verdict | None]:
        nothing: list[Verdict | None] = [None] * len(claims)
        if not claims:
            return nothing
        try:
            async with asyncio.timeout(self._limit):
                verdicts = await self._judge.judge(claims)
        except Exception as error:  # whatever it is, an answer whose sentences were not checked is better than none
            metrics.CHECK_FAILURES.inc()
            log.warning(CHECK_FAILED, error=type(error).__name__)
            return nothing
        return verdicts if len(verdicts) == len(claims) else nothing


def _numbers(sentence: str, cited: Mapping[int, str]) -> list[int]:
    """Return the numbers that a sentence cites, each once, in order."""
    found = (int(number) for match in CITATION.finditer(sentence) for number in _NUMBER.findall(match[0]))
    return [number for number in dict.fromkeys(found) if number in cited]


def _checked(sentence: str, numbers: Sequence[int], verdict: Verdict | None) -> CheckedSentence:
    if not numbers:
        return CheckedSentence(text=sentence, support=SentenceSupport.UNCITED)
    if verdict is None:
        return CheckedSentence(text=sentence, support=SentenceSupport.NOT_CHECKED, cites=list(numbers))
    alone = [number for number, supports in zip(numbers, verdict.alone, strict=True) if supports]
    return CheckedSentence(
        text=sentence,
        support=SentenceSupport.SUPPORTED if verdict.doubt is None else SentenceSupport.UNSUPPORTED,
        cites=list(numbers),
        supported_by=alone,
        doubt=verdict.doubt,
    )
