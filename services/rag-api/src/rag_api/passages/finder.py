"""Finds the passages of conversations that are worth reading for a question, and what a language model may rest on."""

import asyncio
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
from mh_common.embeddings import Embedder, TextUse, TextWithheldError
from mh_common.models import NOT_SCREENED, Risk, Source

from rag_api.passages.choosing import ALIKE, PassageKind, RatedStretch, choose, choose_of_source
from rag_api.passages.kinds import Kind, Kinds, Vectors, kinds_of
from rag_api.passages.ranking import Query, features, stretch_vector, weights_of
from rag_api.passages.shortlist import MAX_EMBEDDED, shortlist
from rag_api.passages.stretches import MAX_LENGTH, Stretch, can_be_quoted, can_begin, sentences_of, stretches
from rag_api.safety.quotes import may_be_passed_on, may_be_quoted_at_risk
from rag_api.safety.screening import ScreeningService
from rag_api.search.views import as_client

MAX_QUOTES_AT_RISK: Final = 5
OMISSION: Final = " […] "

_WORD: Final = re.compile(r"\w+")


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
        excerpts: by number of the source, what of its answer a language model may rest on. A source of which nothing
            may be passed on has none.
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

    async def find(self, question: str, sources: Sequence[Source], risk: Risk = NOT_SCREENED) -> Passages:
        """Find the passages of `sources`, most similar first, for a question with this risk.

        Unsafe advice is in none of them. With elevated or acute risk only sentences about safety are quoted, from
        sources that speak of that risk; there may be none.

        If the embedder's server must not get the texts, passages are chosen by the words of the question.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        at_risk = risk.level.needs_notice
        allowed = partial(may_be_passed_on, at_risk=at_risk)
        rated = await self.rate(question, sources)
        if at_risk:
            quotes = await self._about_safety(question, sources, risk)
        else:
            quotes = choose(rated, self._weights.limits, allowed)
        return Passages(tuple(map(_passage, quotes)), _excerpts(sources, rated, quotes, allowed))

    async def rate(self, question: str, sources: Sequence[Source]) -> list[RatedStretch]:
        """Return the stretches of these sources with how useful they are for a question.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        scores = {number: self._weights.source(source.relevance) for number, source in enumerate(sources, 1)}
        # In a thread, since long answers take a while.
        found = await asyncio.to_thread(_candidates, question, sources, scores)
        query, vectors = await self._embed(question, found)
        kinds = dict(zip(vectors, kinds_of(list(vectors.values()), self._embedder.model), strict=True))
        known = features(query, found, scores, vectors, kinds)
        return [
            RatedStretch(one, stretch_vector(one, vectors), self._weights.usefulness(values), _kind(one, kinds), values)
            for one, values in zip(found, known, strict=True)
        ]

    async def _about_safety(self, question: str, sources: Sequence[Source], risk: Risk) -> list[RatedStretch]:
        """Return the sentences about safety that are closest to the question, in the order of their sources."""
        texts = [f"{source.question}\n\n{source.answer}" for source in sources]
        speaking = await self._screening.speak_of(risk.categories, texts)
        found = [
            one
            for number, source in enumerate(sources, 1)
            if speaking[number - 1]
            for one in sentences_of(number, source.answer)
            if len(one.text) <= MAX_LENGTH
            and can_begin(one.text)
            and can_be_quoted(one.text)
            and may_be_quoted_at_risk(one.text)
        ][:MAX_EMBEDDED]
        query, vectors = await self._embed(question, found)
        rated = [RatedStretch(one, vectors[one.text], float(vectors[one.text] @ query.typed), None) for one in found]
        chosen: list[RatedStretch] = []
        for one in sorted(rated, key=lambda one: -one.usefulness):
            if not any(float(one.vector @ other.vector) >= ALIKE for other in chosen):
                chosen.append(one)
        return sorted(chosen[:MAX_QUOTES_AT_RISK], key=lambda one: (one.stretch.source, one.stretch.first))

    async def _embed(self, question: str, found: Sequence[Stretch]) -> tuple[Query, Mapping[str, Vectors]]:
        """Return the vectors of the question and of each sentence."""
        asked = [question, as_client(question)]
        sentences = list(dict.fromkeys(sentence for one in found for sentence in one.sentences))
        try:
            typed, client = await self._embedder.embed(asked, TextUse.QUERY)
            vectors = await self._embedder.embed(sentences)
        except TextWithheldError:
            typed, client, *vectors = [vector.tolist() for vector in _word_vectors([*asked, *sentences])]
        by_text = {text: np.array(vector, np.float32) for text, vector in zip(sentences, vectors, strict=True)}
        return Query.of(question, np.array(typed, np.float32), np.array(client, np.float32)), by_text


def _word_vectors(texts: Sequence[str]) -> list[Vectors]:
    """Return a vector for each text, of unit length, in which texts that share long words are similar."""
    words = [_long_words(text) for text in texts]
    places = {word: place for place, word in enumerate(sorted(frozenset[str]().union(*words)))}
    vectors = np.zeros((len(texts), len(places) + 1), np.float32)
    for vector, own in zip(vectors, words, strict=True):
        vector[[places[word] for word in own]] = len(own) ** -0.5 if own else 0
    return list(vectors)


def _kind(stretch: Stretch, kinds: Mapping[str, Kinds]) -> PassageKind | None:
    """Return what most of a stretch is; None if the embedding model has no weights to tell."""
    of = [kinds[sentence] for sentence in stretch.sentences]
    advice, explanation = (sum(one[kind] for one in of) for kind in (Kind.ADVICE, Kind.EXPLANATION))
    if advice == explanation:
        return None
    return PassageKind.ADVICE if advice > explanation else PassageKind.EXPLANATION


def _candidates(question: str, sources: Sequence[Source], scores: Mapping[int, float]) -> list[Stretch]:
    found = [one for number, source in enumerate(sources, 1) for one in stretches(number, source.answer)]
    return shortlist(question, found, scores)


def _long_words(text: str) -> set[str]:
    """Return words of at least four letters; shorter ones hardly distinguish sentences."""
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= 4}


def _passage(one: RatedStretch) -> Passage:
    return Passage(one.stretch.source, one.kind, one.stretch.text)


def _excerpts(
    sources: Sequence[Source],
    rated: Sequence[RatedStretch],
    quotes: Sequence[RatedStretch],
    is_allowed: Callable[[str], bool],
) -> dict[int, str]:
    """Return what of each source may be passed on: quotes and the most useful stretches, or all sentences if none."""
    excerpts = {}
    for number, source in enumerate(sources, 1):
        own = [one for one in quotes if one.stretch.source == number]
        others = [one for one in rated if one.stretch.source == number]
        chosen = choose_of_source(own, others, is_allowed)
        parts = [one.stretch for one in chosen] or [
            one for one in sentences_of(number, source.answer) if is_allowed(one.text)
        ]
        if parts:
            excerpts[number] = _joined(parts)
    return excerpts


def _joined(parts: Sequence[Stretch]) -> str:
    """Return the texts, with a mark wherever sentences between them are left out."""
    text = parts[0].text
    for one, next_one in itertools.pairwise(parts):
        text += (" " if next_one.first == one.numbers.stop else OMISSION) + next_one.text
    return text
