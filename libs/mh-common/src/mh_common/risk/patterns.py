"""Patterns of words, as the lexicon writes them.

    want|wants to ~ {die}

A pattern is a row of words. `a|b` is either word, `{die}` any word of that list, `suicid*` any word that begins so, `#`
a number, `##` a year; a word with `?` may be missing. Between two words may stand: `~` up to four of the language's
filler words ("really", "just"), `..` up to three words, `...` up to seven. All words of a match are in one sentence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from mh_common.risk.words import fold

_FILLERS_MOST: Final = 4
_GAPS: Final = {"~": _FILLERS_MOST, "..": 3, "...": 7}
_NUMBER: Final = "#"
_YEAR: Final = "##"
_YEAR_DIGITS: Final = ("19", "20")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_LISTED: Final = re.compile(r"\{(\w+)\}")


class PatternError(ValueError):
    """A pattern, or a list of words, is not written as the module says."""


@dataclass(frozen=True, slots=True)
class Step:
    """A word of a pattern, and what may stand before it."""

    words: frozenset[str]
    prefixes: tuple[str, ...]
    number: str
    """The sign for a number or a year that fits as well; or empty."""

    optional: bool
    gap: int
    fillers: frozenset[str] | None
    """The only words that may fill the gap; None: any."""

    def accepts(self, word: str) -> bool:
        """Say whether a word of a text fits."""
        return (
            word in self.words
            or (bool(self.prefixes) and word.startswith(self.prefixes))
            or (bool(self.number) and _is_number(word, self.number))
        )


class WordLists:
    """The lists of words of one language, with their fillers."""

    def __init__(self, lists: Mapping[str, str]) -> None:
        self._lists = lists
        self.names = tuple(lists)
        # The same words stand in many patterns.
        self.words = cache(self._words)
        self.fillers = self.words("{filler}")[0] if "filler" in lists else frozenset()

    def _words(self, alternatives: str) -> tuple[frozenset[str], tuple[str, ...], str]:
        """Return the words, the beginnings of words and the sign for a number among these alternatives."""
        words: set[str] = set()
        prefixes: set[str] = set()
        number = ""
        for alternative in alternatives.split("|"):
            listed = _LISTED.fullmatch(alternative)
            if listed:
                if listed[1] not in self._lists:
                    raise PatternError(f"There is no list of words {alternative}")
                for word in self._lists[listed[1]].split():
                    more, beginnings, numbers = self.words(word)
                    words |= more
                    prefixes.update(beginnings)
                    number = numbers or number
            elif alternative in (_NUMBER, _YEAR):
                number = alternative
            elif not re.fullmatch(r"[\w/]+|\w{3,}\*", alternative):
                raise PatternError(f"{alternative!r} is not a word")
            else:
                into = prefixes if alternative.endswith("*") else words
                into |= spelled(alternative.rstrip("*"))
        return frozenset(words), tuple(sorted(prefixes)), number


def _is_number(word: str, sign: str) -> bool:
    return word[:1].isdigit() and (sign == _NUMBER or (len(word) == 4 and word.startswith(_YEAR_DIGITS)))


def spelled(word: str) -> set[str]:
    """Return the ways in which a word may be typed: without accents, and with ae for ä."""
    return {fold(word), fold(word.translate(_UMLAUTS))}


class Pattern:
    """A compiled pattern.

    Raises:
        PatternError: it is not written as the module says.
    """

    def __init__(self, text: str, lists: WordLists) -> None:
        steps: list[Step] = []
        gap, fillers = 0, None
        for part in text.split():
            if part in _GAPS:
                gap, fillers = _GAPS[part], lists.fillers if part == "~" else None
                continue
            optional = part.endswith("?")
            words, prefixes, number = lists.words(part.removesuffix("?"))
            steps.append(Step(words, prefixes, number, optional, gap, fillers))
            gap, fillers = 0, None
        if not steps or gap or steps[0].gap or steps[0].optional or steps[-1].optional:
            raise PatternError(f"{text!r} must begin and end with a word that is not optional")
        self._steps = tuple(steps)

    @property
    def first(self) -> Step:
        """The word that it begins with."""
        return self._steps[0]

    @property
    def words(self) -> frozenset[str]:
        """All words that it names."""
        return frozenset().union(*(step.words for step in self._steps))

    def match(self, words: list[str], at: int, end: int) -> tuple[int, ...] | None:
        """Return the numbers of the matched words if the pattern begins at word `at`; none is beyond `end`.

        Each pair of step and word is tried once, so that the time does not depend on what the words are.
        """
        return self._walk(words, 0, at, end, set())

    def _walk(self, words: list[str], number: int, at: int, end: int, failed: set[int]) -> tuple[int, ...] | None:
        if number == len(self._steps):
            return ()
        key = number * 1_000_000_000 + at
        if key in failed:
            return None
        step = self._steps[number]
        for place in range(at, min(end, at + step.gap + 1)):
            word = words[place]
            if step.accepts(word):
                rest = self._walk(words, number + 1, place + 1, end, failed)
                if rest is not None:
                    return (place, *rest)
            if step.fillers is not None and word not in step.fillers:
                break
        if step.optional:
            rest = self._walk(words, number + 1, at, end, failed)
            if rest is not None:
                return rest
        failed.add(key)
        return None
