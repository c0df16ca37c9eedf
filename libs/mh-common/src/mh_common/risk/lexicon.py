"""The lexicon: what is noticed, in files that a clinician can read and review.

`lexicon/LANGUAGE.toml` has lists of words, and tables of patterns (see `mh_common.risk.patterns`) with examples.
A table's name says what its patterns mean:

- `suicide.elevated` and the like: this category of risk at this level;
- `signs.means` and the like: no risk alone, but together with others (see `mh_common.risk.screening`);
- `figures`: a figure of speech or something harmless; what else is noticed in its words does not count;
- `history`, `present`: when; `general`: nobody in particular, such as training, prevention, fiction; `denied`: follows
  what is denied.
"""

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from mh_common.models.risk import RiskCategory, RiskLevel
from mh_common.risk.patterns import Pattern, PatternError, WordLists, spelled
from mh_common.risk.words import Speller, Words, fold

FOLDER: Final = Path(__file__).with_name("lexicon")
LANGUAGES: Final = ("en", "es", "de", "fr")
RULES: Final = 1
"""To be raised when the code reads the same words in another way: rows are then screened again."""

_PREFIX: Final = 3


class Kind(StrEnum):
    """What a pattern means."""

    RISK = "risk"
    SIGN = "signs"
    FIGURE = "figures"
    HISTORY = "history"
    PRESENT = "present"
    GENERAL = "general"
    DENIED = "denied"


class Sign(StrEnum):
    """What is no risk alone."""

    SOON = "soon"
    PLAN = "plan"
    MEANS = "means"
    """What somebody could kill themselves with is at hand."""

    WEAPON = "weapon"
    INTENT = "intent"
    """"I will do it", without what."""

    FAREWELL = "farewell"
    HOPELESS = "hopeless"
    DELUSION = "delusion"
    FEAR = "fear"
    """Of another person, or for somebody."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A pattern of the lexicon with its meaning."""

    language: str
    kind: Kind
    pattern: Pattern
    text: str
    example: str
    category: RiskCategory | None = None
    level: RiskLevel = RiskLevel.NONE
    sign: Sign | None = None


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a language denies with, and how its verbs show the present."""

    negations: frozenset[str]
    """Deny what follows at once."""

    lists: frozenset[str]
    """Deny a whole list: "no plan, intent or means"."""

    through: frozenset[str]
    """Words that may stand between these and what they deny."""

    contrast: frozenset[str]
    """Words at which a negation or a time ends."""

    present: frozenset[str]
    """Verbs that say that something is so now, whatever was years ago."""

    persons: frozenset[str]
    """Words that speak of one person, not of people in general."""

    common: frozenset[str]
    """Small words, by which the language is recognised."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that matches words of a text."""

    entry: Entry
    places: tuple[int, ...]
    """Numbers of the matched words."""

    sentence: int

    @property
    def first(self) -> int:
        """The number of its first word."""
        return self.places[0]

    @property
    def last(self) -> int:
        """The number of its last word."""
        return self.places[-1]


class Lexicon:
    """The entries of all languages."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.grammars: dict[str, Grammar] = {}
        self._by_word: defaultdict[str, list[Entry]] = defaultdict(list)
        self._by_prefix: defaultdict[str, list[Entry]] = defaultdict(list)
        self._by_number: list[Entry] = []
        spellings: dict[str, str] = {}
        known: set[str] = set()
        distinctive: set[str] = set()
        for language in LANGUAGES:
            tables = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
            lists = WordLists(tables.pop("words"))
            self.grammars[language] = _grammar(tables.pop("grammar"), lists)
            spellings |= {fold(short): fold(meant) for short, meant in tables.pop("spellings").items()}
            distinctive |= {spelling for word in tables.pop("distinctive").split() for spelling in spelled(word)}
            for entry in _entries(language, tables, lists):
                self._add(entry)
                known |= entry.pattern.words
            known |= lists.words("|".join(f"{{{name}}}" for name in lists.names))[0]
        self.speller = Speller(spellings, frozenset(known | distinctive), distinctive)
        self._candidates = lru_cache(maxsize=20_000)(self._find_candidates)

    def find(self, words: Words) -> list[Hit]:
        """Return what matches, in the order of the first words."""
        text = words.text
        hits = []
        for number, (start, end) in enumerate(words.sentences):
            for at in range(start, end):
                for entry in self._candidates(text[at]):
                    places = entry.pattern.match(text, at, end)
                    if places is not None:
                        hits.append(Hit(entry, places, number))
        return hits

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        first = entry.pattern.first
        for word in first.words:
            self._by_word[word].append(entry)
        for prefix in first.prefixes:
            self._by_prefix[prefix[:_PREFIX]].append(entry)
        if first.number:
            self._by_number.append(entry)

    def _find_candidates(self, word: str) -> tuple[Entry, ...]:
        beginning = [entry for entry in self._by_prefix.get(word[:_PREFIX], ()) if entry.pattern.first.accepts(word)]
        numbers = self._by_number if word[:1].isdigit() else []
        return tuple(dict.fromkeys([*self._by_word.get(word, ()), *beginning, *numbers]))


@cache
def load_lexicon() -> Lexicon:
    """Return the lexicon; it is read once, in about a tenth of a second."""
    return Lexicon()


def rules_name(folder: Path = FOLDER) -> str:
    """Return a name for what the lexicon notices: another one after any change of its files."""
    digest = hashlib.sha256()
    for language in LANGUAGES:
        digest.update((folder / f"{language}.toml").read_bytes())
    return f"lexicon-{RULES}-{digest.hexdigest()[:12]}"


def _grammar(table: dict[str, str], lists: WordLists) -> Grammar:
    words = {name: lists.words("|".join(text.split()))[0] for name, text in table.items()}
    return Grammar(**words, common=lists.fillers | words["through"] | words["negations"])


def _entries(language: str, tables: dict[str, Any], lists: WordLists) -> Iterator[Entry]:
    for name, table in tables.items():
        if name in (Kind.FIGURE, Kind.HISTORY, Kind.PRESENT, Kind.GENERAL, Kind.DENIED):
            for text, example in table.items():
                yield Entry(language, Kind(name), _pattern(text, lists, language), text, example)
        elif name == Kind.SIGN:
            for sign, patterns in table.items():
                for text, example in patterns.items():
                    yield Entry(language, Kind.SIGN, _pattern(text, lists, language), text, example, sign=Sign(sign))
        else:
            for level, patterns in table.items():
                for text, example in patterns.items():
                    pattern = _pattern(text, lists, language)
                    yield Entry(language, Kind.RISK, pattern, text, example, RiskCategory(name), RiskLevel(level))


def _pattern(text: str, lists: WordLists, language: str) -> Pattern:
    try:
        return Pattern(text, lists)
    except PatternError as error:
        raise PatternError(f"{language}.toml, {text!r}: {error}") from None
