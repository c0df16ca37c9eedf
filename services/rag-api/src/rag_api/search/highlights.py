"""Highlights: where the words of a query occur in a text."""

import itertools
from collections.abc import Collection
from typing import Final

from mh_common.models import Highlights
from mh_common.stemming import spans_of, stem_of, words_of

MAX_SPANS: Final = 200
"""Maximum number of highlights in one text."""
MAX_SCANNED: Final = 20_000
"""Characters of each text that are searched: a huge text must not block other requests."""

_STOP_WORDS: Final = """
    a about after again all also am an and any are as at be because been before being but by can could did do does doing
    don for from get got had has have having he her here hers him his how i if in into is it its just let ll m me more
    most my myself no not now of on only or other our out over own re s she should so some such t than that the their
    them then there these they this those to too up us ve very was we were what when where which while who why will with
    would you your
"""
"""Stop words: they occur in nearly every text, and highlighting them would hide the others."""
_STOP_STEMS: Final = frozenset(stem_of(word) for word in _STOP_WORDS.split())


def query_stems(query: str) -> frozenset[str]:
    """Return the stems to highlight: those of all words but stop words, or of all if there are only stop words."""
    stems = frozenset(word.stem for word in words_of(query))
    return (stems - _STOP_STEMS) or stems


def highlights(stems: Collection[str], question: str, answer: str) -> Highlights:
    """Return where words with these stems occur: the first MAX_SPANS within MAX_SCANNED characters of each text."""
    return Highlights(question=_spans(stems, question), answer=_spans(stems, answer))


def _spans(stems: Collection[str], text: str) -> list[tuple[int, int]]:
    return list(itertools.islice(spans_of(stems, text[:MAX_SCANNED]), MAX_SPANS))
