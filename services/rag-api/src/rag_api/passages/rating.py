"""Rating of stretches: first by what is known without their vectors, then with these."""

from collections.abc import Sequence
from dataclasses import dataclass

from mh_common.models import Source

from rag_api.passages.choosing import PassageKind, RatedStretch
from rag_api.passages.kinds import Kind, Kinds, kinds_of
from rag_api.passages.ranking import (
    UNKNOWN_MODEL,
    Features,
    Query,
    Weights,
    completed,
    known_features,
    stretch_vector,
)
from rag_api.passages.shortlist import promising, shortlist
from rag_api.passages.stretches import Stretch, stretches
from rag_api.passages.vectors import Embedded


@dataclass(frozen=True)
class Candidate:
    """A stretch that is to be rated, and its features as far as they are known without vectors."""

    stretch: Stretch
    known: Features


def candidates(question: str, sources: Sequence[Source], weights: Weights, *, for_quotes: bool) -> list[Candidate]:
    """Return the stretches of these sources that are worth embedding for a question.

    `for_quotes`: only the most useful ones are wanted, so that fewer need vectors. An embedding model that is not known
    is given all the same: there is nothing but its vectors to tell by.
    """
    scores = {number: weights.source(source.relevance) for number, source in enumerate(sources, 1)}
    found = [one for number, source in enumerate(sources, 1) for one in stretches(number, source.answer)]
    found = shortlist(question, found, scores)
    known = known_features(Query.of(question), found, scores)
    places: Sequence[int] = range(len(found))
    if for_quotes and weights is not UNKNOWN_MODEL:
        places = promising(found, list(map(weights.usefulness, known)))
    return [Candidate(found[place], known[place]) for place in places]


def rate(found: Sequence[Candidate], embedded: Embedded, weights: Weights) -> list[RatedStretch]:
    """Return the stretches with how useful they are."""
    vectors = embedded.sentences
    kinds = dict(zip(vectors, kinds_of(list(vectors.values()), embedded.model), strict=True))
    rated = []
    for one in found:
        vector = stretch_vector(one.stretch, vectors)
        of = [kinds[sentence] for sentence in one.stretch.sentences]
        values = completed(one.known, float(vector @ embedded.asked), of)
        rated.append(RatedStretch(one.stretch, vector, weights.usefulness(values), _kind(of), values))
    return rated


def _kind(of: Sequence[Kinds]) -> PassageKind | None:
    """Return what most of a stretch is, by its sentences; None if the embedding model has no weights to tell."""
    advice, explanation = (sum(one[kind] for one in of) for kind in (Kind.ADVICE, Kind.EXPLANATION))
    if advice == explanation:
        return None
    return PassageKind.ADVICE if advice > explanation else PassageKind.EXPLANATION
