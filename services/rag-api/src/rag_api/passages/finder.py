"""Finds the passages of conversations that are worth reading for a question, and what a language model may rest on."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from mh_common.embeddings import Embedder
from mh_common.models import NOT_SCREENED, Risk, Source

from rag_api.passages.choosing import PassageKind, RatedStretch, choose
from rag_api.passages.excerpts import excerpts_of
from rag_api.passages.ranking import NO_LIMITS, weights_of
from rag_api.passages.rating import candidates, rate
from rag_api.passages.shortlist import MAX_EMBEDDED
from rag_api.passages.stretches import MAX_LENGTH, Stretch, can_be_quoted, can_begin, sentences_of
from rag_api.passages.vectors import embed
from rag_api.safety.quotes import may_be_passed_on, may_be_quoted, may_be_quoted_at_risk
from rag_api.safety.screening import ScreeningService
from rag_api.search.views import as_client

MAX_QUOTES_AT_RISK: Final = 5


@dataclass(frozen=True)
class Passage:
    """A passage to quote: the number of its source (from 1), what it is, if that is known, and its text, verbatim."""

    source: int
    kind: PassageKind | None
    text: str


@dataclass(frozen=True)
class Passages:
    """What was found for a question.

    Attributes:
        quotes: the passages to quote, the most useful first; none if nothing is close enough to the question.
        excerpts: if they were asked for: by number of the source, what of its answer a language model may rest on. A
            source of which nothing may be passed on has none.
    """

    quotes: tuple[Passage, ...] = ()
    excerpts: Mapping[int, str] = field(default_factory=dict)

    def renumbered(self, kept: Sequence[int]) -> "Passages":
        """Return the passages of the sources that are kept, which are numbered anew from 1."""
        new = {number: place for place, number in enumerate(kept, 1)}
        return Passages(
            tuple(replace(one, source=new[one.source]) for one in self.quotes if one.source in new),
            {new[number]: text for number, text in self.excerpts.items() if number in new},
        )


class PassageFinder:
    """Finds passages.

    Args:
        embedder: should be the one used for search, whose cache has the question.
        screening: tells which sources speak of a risk.
    """

    def __init__(self, embedder: Embedder, screening: ScreeningService) -> None:
        self._embedder = embedder
        self._screening = screening
        self._weights = weights_of(embedder.model)

    async def find(
        self, question: str, sources: Sequence[Source], risk: Risk = NOT_SCREENED, *, excerpts: bool = True
    ) -> Passages:
        """Find the passages of `sources`, most similar first, for a question with this risk.

        Unsafe advice is in none of them. With elevated or acute risk only sentences about safety are quoted, from
        sources that speak of that risk; there may be none. Without `excerpts`, only quotes are looked for.

        If the embedder's server must not get the texts, passages are chosen by the words of the question.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        at_risk = risk.level.needs_notice
        rated = await self.rate(question, sources, for_quotes=not excerpts) if excerpts or not at_risk else []
        if at_risk:
            quotes = await self._about_safety(question, sources, risk)
        else:
            quotes = await asyncio.to_thread(choose, rated, self._weights.limits, may_be_quoted)
        found = tuple(map(_passage, quotes))
        if not excerpts:
            return Passages(found)
        allowed = partial(may_be_passed_on, at_risk=at_risk)
        return Passages(found, await asyncio.to_thread(excerpts_of, sources, rated, quotes, allowed))

    async def rate(self, question: str, sources: Sequence[Source], *, for_quotes: bool = False) -> list[RatedStretch]:
        """Return the stretches of these sources with how useful they are for a question.

        `for_quotes`: only those that may be among the most useful.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        # In threads, since long answers take a while.
        found = await asyncio.to_thread(candidates, question, sources, self._weights, for_quotes=for_quotes)
        sentences = [sentence for one in found for sentence in one.stretch.sentences]
        embedded = await embed(self._embedder, as_client(question), sentences)
        return await asyncio.to_thread(rate, found, embedded, self._weights)

    async def _about_safety(self, question: str, sources: Sequence[Source], risk: Risk) -> list[RatedStretch]:
        """Return the sentences about safety that are closest to the question, in the order of their sources."""
        texts = [f"{source.question}\n\n{source.answer}" for source in sources]
        speaking = await self._screening.speak_of(risk.categories, texts)
        found = await asyncio.to_thread(_sentences_about_safety, sources, speaking)
        if not found:
            return []
        embedded = await embed(self._embedder, question, [one.text for one in found])
        vectors = [embedded.sentences[one.text] for one in found]
        rated = [
            RatedStretch(one, vector, float(vector @ embedded.asked), None)
            for one, vector in zip(found, vectors, strict=True)
        ]
        chosen = choose(rated, NO_LIMITS, most=MAX_QUOTES_AT_RISK, several_of_answer=True)
        return sorted(chosen, key=lambda one: (one.stretch.source, one.stretch.first))


def _sentences_about_safety(sources: Sequence[Source], speaking: Sequence[bool]) -> list[Stretch]:
    """Return at most MAX_EMBEDDED sentences about safety of the sources that speak of the danger."""
    found = (
        one
        for number, source in enumerate(sources, 1)
        if speaking[number - 1]
        for one in sentences_of(number, source.answer)
        if len(one.text) <= MAX_LENGTH
        and can_begin(one.text)
        and can_be_quoted(one.text)
        and may_be_quoted_at_risk(one.text)
    )
    return list(itertools.islice(found, MAX_EMBEDDED))


def _passage(one: RatedStretch) -> Passage:
    return Passage(one.stretch.source, one.kind, one.stretch.text)
