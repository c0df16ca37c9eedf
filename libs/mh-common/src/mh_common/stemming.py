"""English stemming (Snowball), ignoring case and accents, as search compares words.

The worker stores the stems in the index for phrases and excluded words; rag-api searches for the same stems and
highlights them in texts. Milvus's own analyzer, used for BM25, does nearly the same, but Milvus Lite and servers do not
all expose its output.
"""

import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import regex
import snowballstemmer

from mh_common.text import is_blank

# Python's own `re` ends a word at every mark, for example at the vowel signs of Devanagari and at an accent that is a
# separate character. Soft hyphens and joiners, which are invisible, do not end a word either.
_WORD: Final = regex.compile(r"[\p{L}\p{N}](?:[\u00ad\u200c\u200d\u2060\ufeff]*+[\p{L}\p{N}\p{M}])*+")
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
    """Yield the words of a text in order: runs of letters and digits with their marks.

    A stem consists of letters and digits, and of the marks that spell them. Words in other languages are stemmed as
    well, which is good enough: equal words have equal stems.
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
    # Decomposed before as well: only then do the capitals among mathematical letters fold.
    folded = unicodedata.normalize("NFKD", word[:MAX_WORD_LENGTH]).casefold()
    plain = unicodedata.normalize("NFKD", folded)
    letters = "".join(filter(_spells, plain))
    return str(_STEMMER.stemWord(letters or word))


def _spells(character: str) -> bool:
    """Return whether leaving this character out of a word makes it another word.

    Accents, and the vowel points of Arabic and Hebrew, are optional in writing; vowel signs and viramas are not. Their
    combining classes tell them apart (Unicode Standard Annex #44, table 15).
    """
    if unicodedata.category(character) not in ("Mn", "Mc"):
        return character.isalnum()
    if is_blank(character):
        return False
    place = unicodedata.combining(character)
    return place in (0, 7, 8, 9) or 84 <= place <= 132


def indexed_words(*texts: str) -> str:
    """Return the stems of these texts, each surrounded by spaces, with a bar between texts.

    The substring ` panic attack ` then occurs exactly where the two words are adjacent, and never across two texts.
    """
    return "|".join(f" {' '.join(map(stem_of, _WORD.findall(text)))} " for text in texts)
