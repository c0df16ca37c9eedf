"""Splits a text query into words that MySQL's full-text index contains and words that must be found without it.

Words that the InnoDB index omits (short words, stop words, scripts that it does not split into words) must still be
found, and the operators of its query language must have no effect. The index holds the stored texts. Of those that are
HTML, the words that only their mark-up has are stored as well, to leave them out.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from mh_common.text import as_read

# Letters that are parts of words under utf8mb4_unicode_ci on both MySQL and MariaDB.
_LATIN: Final = r"0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_GREEK_CYRILLIC: Final = r"0-9\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03ce\u0400-\u0481\u048a-\u0513"
_WORD: Final = re.compile(f"[{_LATIN}{_GREEK_CYRILLIC}]+")
# The index contains words of 3 to 84 characters. Under its collation "thé" equals the stop word "the", and stop words
# have up to five letters: a short word with accents may be one.
_INDEXED: Final = re.compile(f"[0-9A-Za-z]{{3,84}}|[{_GREEK_CYRILLIC}]{{3,84}}|[{_LATIN}{_GREEK_CYRILLIC}]{{6,84}}")
# INFORMATION_SCHEMA.INNODB_FT_DEFAULT_STOPWORD, except for words that are too short for the index anyway.
_STOP_WORDS: Final = frozenset(
    {
        *("about", "are", "com", "for", "from", "how", "that", "the", "this"),
        *("und", "was", "what", "when", "where", "who", "will", "with", "www"),
    }
)

MAX_MARKUP_WORDS: Final = 10_000
"""Most characters of `markup_words`. What is beyond, as of an image inside of a text, is found as if it were shown."""
_TOKEN: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class Words:
    """A query's words: `indexed` can be looked up in the full-text index; `others` are matched as substrings."""

    indexed: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every word, for a database without a full-text index."""
        return self.indexed + self.others


def split(query: str) -> Words:
    """Return the query's distinct words. Punctuation around words is dropped, unless there is nothing else."""
    chunks = query.split() or [query]
    cores = [core for chunk in chunks if (core := _without_edges(chunk))] or chunks
    indexed: dict[str, None] = {}
    others: dict[str, None] = {}
    for core in cores:
        parts = _parts(core)
        if parts is not None:
            indexed.update(dict.fromkeys(part for part in parts if _is_indexed(part)))
        if parts is None or parts != [core] or not _is_indexed(core):
            others[core] = None
    return Words(tuple(indexed), tuple(others))


def markup_words(*texts: str) -> str | None:
    """Return the words that the mark-up of these texts has and a reader does not see, with a blank around each.

    None if there are none. Under MySQL's collation they are equal to the words of a query as words of a text are.
    """
    if not any("<" in text or "&" in text for text in texts):
        return None
    shown = _folded(" ".join(map(as_read, texts)))
    seen = set(_TOKEN.findall(shown))
    kept: list[str] = []
    room = MAX_MARKUP_WORDS
    for word in dict.fromkeys(_TOKEN.findall(_folded(" ".join(texts)))):
        # Words that are not in the index are also found inside other words.
        if word in seen if _is_indexed(word) else word in shown:
            continue
        room -= len(word) + 1
        if room < 0:
            break
        kept.append(word)
    return f" {' '.join(kept)} " if kept else None


def _folded(text: str) -> str:
    """Return a text in which letters are the same that the collation takes for the same: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    if decomposed.isascii():
        return decomposed
    return "".join(one for one in decomposed if unicodedata.category(one) != "Mn")


def _is_punctuation(character: str) -> bool:
    # InnoDB treats the underscore as part of a word. The ASCII symbols are operators of full-text queries.
    return character in "+<>~$^`|=" or (unicodedata.category(character)[0] == "P" and character != "_")


def _without_edges(chunk: str) -> str:
    start, end = 0, len(chunk)
    while start < end and _is_punctuation(chunk[start]):
        start += 1
    while end > start and _is_punctuation(chunk[end - 1]):
        end -= 1
    return chunk[start:end]


def _parts(core: str) -> list[str] | None:
    """Return the words that punctuation joins, as in self-harm; None if the index may split the text differently."""
    parts = "".join(" " if _is_punctuation(character) else character for character in core).split()
    return parts if all(_WORD.fullmatch(part) for part in parts) else None


def _is_indexed(word: str) -> bool:
    return _INDEXED.fullmatch(word) is not None and word.lower() not in _STOP_WORDS
