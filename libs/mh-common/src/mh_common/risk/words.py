"""The words of a text as the lexicon writes them: without accents, letter case, contractions and the commonest typos.

Each word knows where it is in the original text, whatever had to be changed to recognise it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mh_common.sentences import sentence_spans
from mh_common.text import INVISIBLE

_MARKS: Final = "\u0300-\u036f"
# An apostrophe or asterisk belongs to the word if a letter follows: "don't", "s*icide"; also "w/", "w/o".
_WORD: Final = re.compile(
    rf"[wW]/[oO]?(?![^\W_])|[^\W_](?:[^\W_]|[{_MARKS}{INVISIBLE}]|['\u2019\u02bc`\u00b4*](?=[^\W_]))*"
)
_APOSTROPHES: Final = re.compile("['\u2019\u02bc`\u00b4]")
_UNSEEN: Final = re.compile(f"[{INVISIBLE}{_MARKS}*]")
_LETTERS_APART: Final = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "\u0131": "i"})
_LONG_RUN: Final = re.compile(r"(.)\1{2,}")
_MAX_WORD: Final = 40
"""Characters of a word that are looked at; no word of the lexicon is longer."""

# People in a hurry end a sentence without a capital after it; after an abbreviation it goes on.
_HASTY_END: Final = re.compile(r"(?<=[^\W\d_]{3})[.!?…]+[\s\"'”\u2019)]+(?=[^\W_])")
_ABBREVIATION: Final = re.compile(
    r"\b(?:approx|resp|incl|ca|bzw|etc|esp|prof|max|min|mrs|hist|psych|dept|hrs|yrs)\Z", re.IGNORECASE
)
_CLAUSE: Final = re.compile(r"[,;:()\[\]\u2013\u2014/\n]| - ")

# What stands after an apostrophe in English, and before one in French.
_ENDINGS: Final = {"t": "not", "m": "am", "re": "are", "ve": "have", "ll": "will", "d": "would"}
_IS_BEFORE_S: Final = frozenset(
    [
        "he",
        "she",
        "it",
        "that",
        "there",
        "what",
        "who",
        "how",
        "where",
        "here",
        "everything",
        "nothing",
        "everyone",
        "everybody",
        "someone",
        "nobody",
        "this",
        "let",
    ]
)
_ELISIONS: Final = {
    "j": "je",
    "n": "ne",
    "m": "me",
    "t": "te",
    "s": "se",
    "l": "le",
    "d": "de",
    "c": "ce",
    "qu": "que",
    "jusqu": "jusque",
    "lorsqu": "lorsque",
    "puisqu": "puisque",
    "quelqu": "quelque",
}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: all lists have one entry for each word.

    Attributes:
        text: as the lexicon spells it.
        starts: first character of it in the original text.
        ends: end of it, exclusive. Words of one contraction share both.
        before: what divides it from the word before: "" or "," (any mark inside a sentence).
        sentences: numbers of first and last word (exclusive) of each sentence.
    """

    text: list[str]
    starts: list[int]
    ends: list[int]
    before: list[str]
    sentences: list[tuple[int, int]]


class Speller:
    """Spells words as the lexicon does.

    Args:
        spellings: short forms and typos, each with the words that it stands for.
        known: all words of the lexicon, which are never taken for a typo of another.
        distinctive: words so long and rare that a word with one letter wrong, missing, added or swapped means them.
    """

    def __init__(self, spellings: Mapping[str, str], known: frozenset[str], distinctive: Iterable[str]) -> None:
        self._spellings = {word: tuple(meant.split()) for word, meant in spellings.items()}
        self._known = known
        self._distinctive = frozenset(distinctive)
        self._shortened = {short: word for word in sorted(self._distinctive) for short in _shortened(word)}
        self.spell = lru_cache(maxsize=20_000)(self._spell)

    def _spell(self, raw: str) -> tuple[str, ...]:
        """Return the words that a word of a text stands for; usually itself."""
        parts = _APOSTROPHES.split(fold(raw[:_MAX_WORD]))
        if found := self._spellings.get("'".join(parts)):
            return found
        if len(parts) == 1:
            return self._one(parts[0])
        first, last = parts[0], parts[-1]
        if len(parts) == 2 and first in _ELISIONS:
            return (_ELISIONS[first], *self._one(last))
        if last in _ENDINGS and len(parts) == 2:
            if last == "t":
                whole = first + "t"
                return self._spellings.get(whole) or (first.removesuffix("n"), "not")
            return (*self._one(first), _ENDINGS[last])
        if last == "s" and len(parts) == 2:
            return (first, "is") if first in _IS_BEFORE_S else self._one(first)
        return self._one("".join(parts))

    def _one(self, word: str) -> tuple[str, ...]:
        if found := self._spellings.get(word):
            return found
        if word in self._known or len(word) < 3:
            return (word,)
        if _LONG_RUN.search(word):
            for shorter in (_LONG_RUN.sub(r"\1\1", word), _LONG_RUN.sub(r"\1", word)):
                if shorter in self._known or shorter in self._spellings:
                    return self._spellings.get(shorter, (shorter,))
            word = shorter
        return (self._meant(word),)

    def _meant(self, word: str) -> str:
        """Return the distinctive word that differs by one letter, or else the word."""
        if len(word) < 5:
            return word
        if found := self._shortened.get(word):
            return found
        for short in _shortened(word):
            found = short if short in self._distinctive else self._shortened.get(short)
            if found and found[0] == word[0] and abs(len(found) - len(word)) <= 1:
                return found
        return word


def fold(text: str) -> str:
    """Return a text in lower case, without accents and invisible characters; apostrophes stay."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return _UNSEEN.sub("", folded).translate(_LETTERS_APART)


def folded_words(text: str, start: int = 0, end: int | None = None) -> list[str]:
    """Return the words of a text, or of a part of it, as `fold` leaves them."""
    return [fold(match[0][:_MAX_WORD]) for match in _WORD.finditer(text, start, len(text) if end is None else end)]


def words_of(text: str, speller: Speller) -> Words:
    """Return the words of a text and its sentences, in time proportional to its length."""
    words = Words([], [], [], [], [])
    for start, end in risk_sentences(text):
        first, at = len(words.text), start
        for match in _WORD.finditer(text, start, end):
            divider = "," if _CLAUSE.search(text, at, match.start()) else ""
            at = match.end()
            for word in speller.spell(match[0]):
                if word:
                    words.text.append(word)
                    words.starts.append(match.start())
                    words.ends.append(match.end())
                    words.before.append(divider)
                    divider = ""
        if len(words.text) > first:
            words.sentences.append((first, len(words.text)))
    return words


def risk_sentences(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence, also of those that people in a hurry end without a capital after it."""
    spans = []
    for start, end in sentence_spans(text):
        for mark in _HASTY_END.finditer(text, start, end):
            if not _ABBREVIATION.search(text, max(start, mark.start() - 8), mark.start()):
                spans.append((start, mark.end()))
                start = mark.end()
        if start < end:
            spans.append((start, end))
    return spans


def _shortened(word: str) -> list[str]:
    """Return the word without each of its letters but the first."""
    return [word[:at] + word[at + 1 :] for at in range(1, len(word))]
