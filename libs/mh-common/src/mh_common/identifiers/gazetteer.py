"""Words that are names of people and places, and words that are not.

`names_and_places.bin` is made by `mh_devtools.identifiers.build_gazetteer` of public lists; NOTICE.md beside it names
them. The files in `words` are our own.
"""

import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

FILE: Final = "names_and_places.bin"


class Known:
    """Flags of what a word is known to be; several at once for words such as "grace" or "paris".

    They are plain integers: those of `enum` take several times as long, and each word is asked for many.
    """

    GIVEN: Final = 1
    """A given name."""
    FREQUENT: Final = 2
    """A given name so frequent that it is recognised in lower case, with nothing before it that announces a name."""
    FAMILY: Final = 4
    PLACE: Final = 8
    """A town, city or county; those of several words are in `Gazetteer.places`."""
    WORD: Final = 16
    """A word of an English dictionary. Inflected forms are listed only where they are names as well: "brooks"."""
    HARMLESS: Final = 32
    """Identifies nobody, although it is capitalised: a medicine, an eponym, a country, a feast."""
    FUNCTION: Final = 64
    """A function word of a language."""
    LOWER: Final = 128
    """Ordinary words that are names after an introduction, even in lower case."""


SECTIONS: Final = (Known.GIVEN, Known.FREQUENT, Known.FAMILY, Known.PLACE, Known.WORD)
"""Those of the generated file, in its order; the places of several words come last."""

_OWN_LISTS: Final = {
    "not_identifiers.txt": Known.HARMLESS,
    "function_words.txt": Known.FUNCTION,
    "weak_names_in_lower_case.txt": Known.LOWER,
}
ENDINGS: Final = (
    ("s", ""),
    ("es", ""),
    ("ies", "y"),
    ("ed", ""),
    ("ed", "e"),
    ("d", ""),
    ("ing", ""),
    ("ing", "e"),
    ("ly", ""),
    ("ily", "y"),
    ("er", ""),
    ("er", "e"),
    ("ers", ""),
    ("ers", "e"),
    ("ness", ""),
    ("iness", "y"),
    ("less", ""),
    ("able", ""),
    ("ful", ""),
)
"""Endings of English words, and what stands before the ending in the dictionary."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz'"

_PREFIXES: Final = (
    "anti",
    "auto",
    "bio",
    "co",
    "counter",
    "cyber",
    "de",
    "dis",
    "hyper",
    "hypo",
    "inter",
    "intra",
    "mid",
    "mini",
    "mis",
    "multi",
    "neuro",
    "non",
    "out",
    "over",
    "post",
    "pre",
    "psycho",
    "re",
    "self",
    "semi",
    "socio",
    "sub",
    "super",
    "tele",
    "trans",
    "ultra",
    "un",
    "under",
)


def fold(word: str) -> str:
    """Return the word without case and accents, as the lists have it."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character)).replace("\u2019", "'")


@dataclass(frozen=True)
class Gazetteer:
    """The words and, by their first word, the rest of the names of places that consist of several."""

    words: Mapping[str, int]
    places: Mapping[str, tuple[tuple[str, ...], ...]]
    known_people: frozenset[tuple[str, str]]
    """Given and family names of people whose names identify nobody in a note."""

    def known(self, folded: str) -> int:
        """Return what a folded word is known to be, as flags of `Known`; 0 if nothing is known."""
        found = self.words.get(folded, 0)
        if not found and len(folded) > 3 and self._is_derived(folded):
            return Known.WORD
        return found

    def is_slip(self, folded: str) -> bool:
        """Return whether one letter too many, too few or wrong, or two in wrong order, make it an ordinary word."""
        halves = [(folded[:place], folded[place:]) for place in range(len(folded) + 1)]
        ordinary = Known.WORD | Known.FUNCTION | Known.HARMLESS
        return any(
            self.known(other) & ordinary
            for before, after in halves
            for other in (
                before + after[1:],
                before + after[1:2] + after[:1] + after[2:],
                *(before + letter + after[1:] for letter in _LETTERS),
                *(before + letter + after for letter in _LETTERS),
            )
        )

    def _is_derived(self, folded: str) -> bool:
        """Return whether the word is one of the dictionary with an ending, a prefix or both."""
        if self._has_ending(folded):
            return True
        for prefix in _PREFIXES:
            rest = folded[len(prefix) :]
            # "reshard" is a name, although "shard" is a word.
            if len(rest) > (4 if len(prefix) > 2 else 5) and folded.startswith(prefix):
                known = self.words.get(rest, 0) & Known.WORD or self._has_ending(rest)
                if known:
                    return True
        return False

    def _has_ending(self, folded: str) -> bool:
        words = self.words
        for ending, before in ENDINGS:
            if folded.endswith(ending):
                stem = folded[: -len(ending)] + before
                if len(stem) > 2 and words.get(stem, 0) & Known.WORD:
                    return True
                # "stopped", "running"
                if not before and len(stem) > 4 and stem[-1] == stem[-2] and words.get(stem[:-1], 0) & Known.WORD:
                    return True
        return False


_NEVER_NAMES: Final = [
    "you",
    "the",
    "in",
    "it",
    "he",
    "she",
    "we",
    "they",
    "i",
    "a",
    "to",
    "of",
    "on",
    "at",
    "this",
    "that",
    "what",
    "when",
    "how",
    "if",
    "or",
    "but",
    "for",
    "with",
    "as",
    "not",
    "no",
    "yes",
    "me",
    "her",
    "his",
    "him",
    "our",
    "your",
    "there",
    "here",
    "then",
    "so",
    "was",
    "is",
    "are",
    "be",
    "been",
    "have",
    "has",
    "had",
    "did",
    "does",
    "can",
    "could",
    "would",
    "should",
    "and",
    "from",
    "by",
    "about",
    "because",
    "after",
    "before",
    "while",
    "since",
]
"""Function words that some list of names has."""


@cache
def gazetteer() -> Gazetteer:
    """Return the gazetteer of this installation. It is read once."""
    folder = resources.files("mh_common.identifiers")
    packed = zlib.decompress(folder.joinpath(FILE).read_bytes()).decode()
    *sections, places = packed.split("\n\n")
    words: dict[str, int] = {}
    for flag, section in zip(SECTIONS, sections, strict=True):
        for word in unpack(section):
            words[word] = words.get(word, 0) | flag
    for name, flag in _OWN_LISTS.items():
        for word in own_list(folder.joinpath("words", name)):
            words[word] = words.get(word, 0) | flag
    for word in _NEVER_NAMES:
        words[word] &= ~(Known.GIVEN | Known.FREQUENT | Known.FAMILY)
    for word in own_list(folder.joinpath("words", "names_despite_the_dictionary.txt")):
        words[word] = (words.get(word, 0) | Known.GIVEN) & ~Known.WORD
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for place in unpack(places):
        first, *rest = place.split(" ")
        by_first.setdefault(first, []).append(tuple(rest))
    longest_first = {first: tuple(sorted(rests, key=len, reverse=True)) for first, rests in by_first.items()}
    known_people = (name.partition("_") for name in own_list(folder.joinpath("words", "known_people.txt")))
    return Gazetteer(words, longest_first, frozenset((given, family) for given, _, family in known_people))


def own_list(file: Traversable) -> list[str]:
    """Return the words of one of our own lists: separated by blanks, with comments after `#`."""
    lines = (line.partition("#")[0] for line in file.read_text(encoding="utf-8").splitlines())
    return [word for line in lines for word in line.split()]


def pack(words: Iterable[str]) -> str:
    """Return sorted words as one text: of each, as a letter, how much it shares with the one before, and the rest."""
    lines, before = [], ""
    for word in sorted(set(words)):
        shared = 0
        while shared < min(len(word), len(before), 25) and word[shared] == before[shared]:
            shared += 1
        lines.append(chr(ord("a") + shared) + word[shared:])
        before = word
    return "\n".join(lines)


def unpack(packed: str) -> list[str]:
    """Return the words of `pack`."""
    words, before = [], ""
    for line in packed.split("\n") if packed else ():
        before = before[: ord(line[0]) - ord("a")] + line[1:]
        words.append(before)
    return words
