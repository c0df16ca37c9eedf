"""Words as search compares them: without case and accents, and by their English stem.

The worker writes them into the index for phrases and excluded words, and rag-api looks for the same ones and marks
them in texts. Milvus's own analyzer, behind BM25, does nearly the same, but cannot be asked for its words everywhere.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import snowballstemmer

_WORD: Final = re.compile(r"[^\W_]+")
_STEMMER: Final = snowballstemmer.stemmer("english")
MAX_WORD_LENGTH: Final = 64
"""Characters of a word that count; nothing longer is a word of a language."""


@dataclass(frozen=True)
class Word:
    """A word of a text: its place, as characters from `start` up to but without `end`, and its stem."""

    start: int
    end: int
    stem: str


def words_of(text: str) -> Iterator[Word]:
    """Yield the words of a text in order: its runs of letters and digits.

    A stem holds letters and digits only. Words of other languages than English have one too; it serves, as equal words
    have equal stems.
    """
    for match in _WORD.finditer(text):
        yield Word(match.start(), match.end(), stem_of(match.group()))


def spans_of(stems: Collection[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of a text's words that have one of these stems: start, and end without."""
    for match in _WORD.finditer(text):
        if stem_of(match[0]) in stems:
            yield match.span()


@lru_cache(maxsize=100_000)
def stem_of(word: str) -> str:
    """Return the stem of one word."""
    plain = unicodedata.normalize("NFKD", word[:MAX_WORD_LENGTH].casefold())
    letters = "".join(character for character in plain if character.isalnum())
    return str(_STEMMER.stemWord(letters or word))


def indexed_words(*texts: str) -> str:
    """Return the stems of these texts, a blank before and after each, and a bar between texts.

    So ` panic attack ` is found in it just where these words follow each other, and never across two texts.
    """
    return "|".join(f" {' '.join(map(stem_of, _WORD.findall(text)))} " for text in texts)
