"""Highlights: where the words of a query occur in a text."""

import itertools
from collections.abc import Collection
from typing import Final

from mh_common.models import Highlights
from mh_common.stemming import spans_of, words_of

from rag_api.search.vocabulary import STOP_STEMS

MAX_SPANS: Final = 200
"""Maximum number of highlights in one text."""
MAX_SCANNED: Final = 20_000
"""Characters of each text that are searched: a huge text must not block other requests."""


def query_stems(query: str) -> frozenset[str]:
    """Return the stems to highlight: those of all words but stop words, or of all if there are only stop words."""
    stems = frozenset(word.stem for word in words_of(query))
    return (stems - STOP_STEMS) or stems


def highlights(stems: Collection[str], question: str, answer: str) -> Highlights:
    """Return where words with these stems occur: the first MAX_SPANS within MAX_SCANNED characters of each text."""
    return Highlights(question=_spans(stems, question), answer=_spans(stems, answer))


def _spans(stems: Collection[str], text: str) -> list[tuple[int, int]]:
    return list(itertools.islice(spans_of(stems, text[:MAX_SCANNED]), MAX_SPANS))
