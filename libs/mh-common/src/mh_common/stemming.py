"""English stemming (Snowball), ignoring case and accents, as search compares words.

The worker stores the stems in the index for phrases and excluded words; rag-api searches for the same stems and
highlights them in texts. Milvus's own analyzer, used for BM25, does nearly the same, but Milvus Lite and servers do not
all expose its output.
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
"""Characters of a word that are stemmed; no real word is longer."""


@dataclass(frozen=True)
class Word:
    """A word of a text: the characters `text[start:end]`, and its stem."""

    start: int
    end: int
    stem: str


def words_of(text: str) -> Iterator[Word]:
    """Yield the words of a text in order: runs of letters and digits.

    A stem consists of letters and digits only. Words in other languages are stemmed as well, which is good enough:
    equal words have equal stems.
    """
    for match in _WORD.finditer(text):
        yield Word(match.start(), match.end(), stem_of(match.group()))


def spans_of(stems: Collection[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each word in the text that has one of these stems; `end` is exclusive."""
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
    """Return the stems of these texts, each surrounded by spaces, with a bar between texts.

    The substring ` panic attack ` then occurs exactly where the two words are adjacent, and never across two texts.
    """
    return "|".join(f" {' '.join(map(stem_of, _WORD.findall(text)))} " for text in texts)
