"""The sentences that are worth embedding for a question: an embedding model is too slow for whole answers."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from rag_api.passages.stems import stems_of
from rag_api.passages.stretches import Stretch
from rag_api.search.views import query_views

MAX_EMBEDDED: Final = 40
"""Sentences: answers can be long, and embedding takes most of the time in which passages are found."""
MAX_EMBEDDED_FOR_QUOTES: Final = 28
"""Of these, where only the few best stretches are wanted. See `promising`."""
_NEIGHBOUR: Final = 0.5
"""How much a word in the sentence before or after counts: what surrounds such a sentence is about the same."""
_LENGTH: Final = 400
"""A sentence of so many characters counts as much as one word in common: short ones seldom say much."""


def shortlist(question: str, found: Sequence[Stretch], scores: Mapping[int, float]) -> list[Stretch]:
    """Return the stretches of which all sentences are among the MAX_EMBEDDED that are worth embedding.

    Each source has sentences in proportion to its relevance (by the method of Sainte-Laguë), first those that share
    words with the question, in themselves or beside them.

    Args:
        question: what is asked.
        found: all stretches, by source.
        scores: how relevant each source is, from 0 to 1, by number.
    """
    concepts = query_views(question).concepts
    turns: list[tuple[float, int, str]] = []
    for source, group in itertools.groupby(found, key=lambda one: one.source):
        ranked = _ranked(concepts, list(group))
        turns += [((place + 0.5) / max(scores[source], 0.05), source, text) for place, text in enumerate(ranked)]
    taken = frozenset(itertools.islice(dict.fromkeys(text for _, _, text in sorted(turns)), MAX_EMBEDDED))
    return [one for one in found if taken.issuperset(one.sentences)]


def promising(found: Sequence[Stretch], promise: Sequence[float], most: int = MAX_EMBEDDED_FOR_QUOTES) -> list[int]:
    """Return the positions of the stretches that may be among the most useful, of at most `most` sentences in all.

    `promise` is the usefulness of each by what is known without vectors, which seldom make up for a lack of it: of 161
    questions, none was answered by other quotes for it.
    """
    taken: set[str] = set()
    for place in sorted(range(len(found)), key=lambda place: (-promise[place], place)):
        more = taken.union(found[place].sentences)
        taken = more if len(more) <= most else taken
    return [place for place, one in enumerate(found) if taken.issuperset(one.sentences)]


def _ranked(concepts: Sequence[Sequence[str]], stretches: Sequence[Stretch]) -> list[str]:
    """Return the sentences of an answer, the most promising first."""
    texts = {number: text for one in stretches for number, text in zip(one.numbers, one.sentences, strict=True)}
    stems = {number: stems_of(text) for number, text in texts.items()}
    shared = {number: sum(not own.isdisjoint(one) for one in concepts) for number, own in stems.items()}
    promise = {
        number: shared[number]
        + _NEIGHBOUR * (shared.get(number - 1, 0) + shared.get(number + 1, 0))
        + len(text) / _LENGTH
        for number, text in texts.items()
    }
    return [texts[number] for number in sorted(texts, key=lambda number: (-promise[number], number))]
