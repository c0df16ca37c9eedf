"""The words of a text with what is known of each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mh_common.identifiers import vocabulary
from mh_common.identifiers.gazetteer import Gazetteer, Known, fold

_LETTER: Final = r"[^\W\d_][\u0300-\u036f]*"
_WORD: Final = re.compile(rf"(?:{_LETTER})+(?:['\u2019`\u2010\u2011-](?:{_LETTER})+)*")
_CONTRACTED: Final = re.compile(r"['\u2019`](?:s|m|re|ve|ll|d)\Z", re.IGNORECASE)
_ELIDED: Final = re.compile(r"(?:[dlmnstcj]|qu)['\u2019](?=[^\W\d_])", re.IGNORECASE)
_SENTENCE_END: Final = '.!?:;…\n"\u201c\u201d«»(•*|>)]\u2022'
_NO_BREAK_BEFORE: Final = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "mx",
        "dr",
        "drs",
        "prof",
        "st",
        "sr",
        "sra",
        "srta",
        "dra",
        "rev",
        "fr",
        "hr",
        "jr",
        "mme",
        "mlle",
        "vs",
        "sgt",
        "capt",
        "lt",
    }
)

_PREFIXES: Final = vocabulary.words("al el ul as ad an ar at abd abu ben bin ibn")

LOWER, CAPITALISED, CAPITALS, OTHER = range(4)
"""How a word is written: "word", "Word" or "McWord", "WORD", and anything else such as "iPhone"."""


@dataclass(slots=True)
class Token:
    """A word: `text[start:end]`, without a possessive or contracted ending."""

    start: int
    end: int
    text: str
    folded: str
    written: int
    first: bool
    """Whether a sentence, line or quotation begins with it."""
    known: int
    """Flags of `Known`."""
    possessive: bool
    """Whether it is followed by 's."""

    @property
    def is_name(self) -> bool:
        """Whether it is a given or family name."""
        return bool(self.known & (Known.GIVEN | Known.FAMILY))


def tokens_of(text: str, gazetteer: Gazetteer) -> list[Token]:
    """Return the words of the text in order."""
    return list(_tokens(text, gazetteer))


def _tokens(text: str, gazetteer: Gazetteer) -> Iterator[Token]:
    before: Token | None = None
    for match in _WORD.finditer(text):
        start, end = match.span()
        contracted = _CONTRACTED.search(match[0])
        possessive = False
        if contracted and len(contracted[0]) < len(match[0]):
            end -= len(contracted[0])
            possessive = contracted[0][1:].lower() == "s"
        elided = _ELIDED.match(text, start, end)
        # "l'école", but neither "D'Angelo" nor "don't"
        if (
            elided
            and elided.end() < end
            and (text[start].islower() or (len(elided[0]) == 2 and text[elided.end()].isupper() and text[start] == "L"))
        ):
            start = elided.end()
        word = text[start:end]
        folded = fold(word)
        token = Token(
            start,
            end,
            word,
            folded,
            _written(word),
            _is_first(text, start, before),
            _known(folded, gazetteer),
            possessive,
        )
        yield token
        before = token


def _known(folded: str, gazetteer: Gazetteer) -> int:
    found = gazetteer.known(folded)
    if found or "-" not in folded:
        return found
    # "Garcia-Lopez" is a name, since a part is; "mother-in-law" is a word, since all parts are.
    parts = [gazetteer.known(part) for part in folded.split("-") if part]
    every = parts[0] if parts else 0
    some = 0
    for part in parts:
        every &= part
        some |= part
    if all(part & (Known.WORD | Known.FUNCTION) for part in parts):
        return Known.WORD
    return (every & ~Known.PLACE) | (some & (Known.GIVEN | Known.FAMILY | Known.HARMLESS)) & ~Known.WORD


def _written(word: str) -> int:
    letters = [character for character in word if character.isalpha()]
    if not letters or letters[0].islower():
        if word.islower():
            return LOWER
        # "al-Sayed", but not "ex-Marine" or "iPhone"
        prefix, dash, rest = word.partition("-")
        return CAPITALISED if dash and prefix in _PREFIXES and rest[:1].isupper() else OTHER
    if len(letters) > 1 and word.isupper():
        return CAPITALS
    return CAPITALISED


def _is_first(text: str, start: int, before: Token | None) -> bool:
    if before is None:
        return True
    between = text[before.end : start]
    stripped = between.strip(" \t")
    if not stripped:
        return False
    if "\n" in between:
        return True
    last = stripped[-1]
    if stripped == "." and (len(before.text) == 1 or before.folded in _NO_BREAK_BEFORE):
        return False
    return last in _SENTENCE_END or (last in "-\u2013\u2014" and between[-1:] == " ")
