"""Reversible pseudonyms for the identifiers in the texts of one request."""

import re
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from typing import Final, NoReturn

from mh_common.identifiers.gazetteer import fold
from mh_common.identifiers.people_of_a_request import PeopleOfARequest
from mh_common.identifiers.protocol import IdentifierKind, Recognizer

_LITERAL: Final = "TEXT"
"""The kind of a text that looks like a pseudonym before anything was hidden."""

_KINDS: Final = (*(kind.name for kind in IdentifierKind), _LITERAL)
_NUMBER: Final = r"[1-9][0-9]{0,5}[a-z]{0,3}"
_ENDS: Final = re.compile(r"^\\?\[ ?\*{0,2}|\*{0,2} ?\\?\]$")
_SEPARATOR: Final = re.compile(r"\\?_|[ -]")


def _any_kind(separator: str) -> str:
    # The longest first: none is cut short by another.
    return "|".join(kind.replace("_", separator) for kind in sorted(_KINDS, key=len, reverse=True))


# As a model may write it: "[Person_1]", "[PERSON 1]", "[ PERSON_1 ]", "\[PERSON\_1\]", "[**PERSON_1**]" and, in
# capitals only, without brackets. In ASCII: among all letters more than one would be an "S".
_LOOSE: Final = r"(?:\\?_|[ -])"
_INSIDE: Final = rf" ?\*{{0,2}}(?:{_any_kind(_LOOSE)}){_LOOSE}{_NUMBER}\*{{0,2}} ?"
# Both brackets are escaped or neither: a backslash that stood before an identifier is none of ours.
_IN_BRACKETS: Final = rf"(?ai:\[{_INSIDE}\]|\\\[{_INSIDE}\\\])"
_BARE: Final = rf"(?:{_any_kind(chr(92) * 2 + '?_')})\\?_{_NUMBER}"
_WRITTEN: Final = re.compile(rf"{_IN_BRACKETS}|(?<![A-Za-z0-9_\[\\]){_BARE}(?![A-Za-z0-9_\]])")
_SIMILAR: Final = re.compile(rf"{_IN_BRACKETS}|{_BARE}")
"""All that `_WRITTEN` might find once other characters stand beside it."""

LONGEST: Final = 2 + 1 + 2 + max(map(len, _KINDS)) + 3 + 10 + 2 + 1 + 2
"""The most characters that stand for one identifier, however a model wrote it."""


class Pseudonyms:
    """The pseudonyms of one request, such as `[PERSON_1]`.

    The same person has the same number in all of its texts, and each way to write the name a letter: `[PERSON_1]` for
    "Maria Lopez", which is first, `[PERSON_1b]` for "maria". So each is restored as it was, wherever a model puts it.
    What stands for what is kept in memory by this object alone, which can be neither copied nor stored.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._people = PeopleOfARequest()
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: Counter[str] = Counter()
        self._forms: Counter[tuple[str, int]] = Counter()
        self._pseudonyms: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._originals)} texts>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: what stands for what stays in this object."""
        raise TypeError(f"{type(self).__name__} cannot be copied or stored")

    @property
    def kinds(self) -> Mapping[IdentifierKind, int]:
        """How many identifiers of each kind were hidden; one that is written in several ways counts once."""
        counts = Counter(kind for kind, _ in self._forms if kind != _LITERAL)
        return {IdentifierKind[kind]: count for kind, count in counts.items()}

    def hide(self, text: str) -> str:
        """Return the text with each identifier replaced by its pseudonym.

        What looks like a pseudonym already is replaced as well, so that it is not taken for one of ours.

        Raises:
            Exception: the text could not be read; it must not be sent.
        """
        parts, end = [], 0
        for found in self._recognizer.find(text):
            parts += [
                self._hide_similar(text[end : found.start]),
                self._pseudonym(found.kind.name, text[found.start : found.end]),
            ]
            end = found.end
        return "".join([*parts, self._hide_similar(text[end:])])

    def restore(self, text: str) -> str:
        """Return the text with each pseudonym replaced by what it stands for; one that was not given out stays."""
        return _WRITTEN.sub(self._original, text)

    def restorer(self) -> "Restorer":
        """Return what restores a text that comes in pieces, by what has been hidden until now."""
        return Restorer(self._original, {kind for kind, _ in self._forms})

    async def restore_stream(self, pieces: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the pieces restored; a pseudonym may be spread over several. No piece is empty."""
        restorer = self.restorer()
        async for piece in pieces:
            if restored := restorer.feed(piece):
                yield restored
        if rest := restorer.finish():
            yield rest

    def _hide_similar(self, text: str) -> str:
        return _SIMILAR.sub(lambda match: self._pseudonym(_LITERAL, match[0]), text)

    def _original(self, match: re.Match[str]) -> str:
        name = _SEPARATOR.sub("_", _ENDS.sub("", match[0]))
        kind, _, number = name.rpartition("_")
        return self._originals.get(f"{kind.upper()}_{number.lower()}", match[0])

    def _pseudonym(self, kind: str, original: str) -> str:
        known = self._pseudonyms.get((kind, original))
        if known is not None:
            return known
        number = self._number(kind, original)
        form = self._forms[kind, number]
        self._forms[kind, number] += 1
        name = f"{kind}_{number}{_letters(form) if form else ''}"
        self._originals[name] = original
        return self._pseudonyms.setdefault((kind, original), f"[{name}]")

    def _number(self, kind: str, original: str) -> int:
        if kind == IdentifierKind.PERSON.name:
            return self._people.number_of(original)
        # A telephone number is the same with other blanks and brackets.
        plain = "".join(filter(str.isalnum, fold(original))) or original
        if (kind, plain) not in self._numbers:
            self._counts[kind] += 1
            self._numbers[kind, plain] = self._counts[kind]
        return self._numbers[kind, plain]


class Restorer:
    """Restores a text that comes in pieces. All that it returns, joined, is `Pseudonyms.restore` of all pieces, joined.

    It holds back only what may still become a pseudonym: never more than `LONGEST` characters, and nothing unless a
    bracket or the name of a kind of identifiers in capitals has begun.
    """

    def __init__(self, original: Callable[[re.Match[str]], str], kinds: set[str]) -> None:
        self._original = original
        self._unfinished = _unfinished(kinds) if kinds else None
        self._held = ""
        self._last = ""
        """The character before what is held."""

    def feed(self, piece: str) -> str:
        """Return what is final now; it may be empty."""
        text = self._held + piece
        if self._unfinished is None:
            return text
        begin = len(self._last)
        text = self._last + text
        match = self._unfinished.search(text, max(begin, len(text) - LONGEST))
        return self._restored(text, begin, match.start() if match else len(text))

    def finish(self) -> str:
        """Return the rest."""
        text, begin = self._last + self._held, len(self._last)
        return self._restored(text, begin, len(text))

    def _restored(self, text: str, begin: int, end: int) -> str:
        parts, at = [], begin
        for match in _WRITTEN.finditer(text, begin):
            if match.start() >= end:
                break
            parts += [text[at : match.start()], self._original(match)]
            at = match.end()
        end = max(end, at)
        parts.append(text[at:end])
        self._held = text[end:]
        # The last character that came, not that of what was restored.
        self._last = text[end - 1 : end] if end > begin else self._last
        return "".join(parts)


def _letters(form: int) -> str:
    """Return the letters of the second form and those after it: b, c, …, z, ba, …"""
    letters = ""
    while form:
        form, place = divmod(form, 26)
        letters = chr(ord("a") + place) + letters
    return letters


def _unfinished(kinds: Iterable[str]) -> re.Pattern[str]:
    """Return what matches, at the end of a text, the beginning of any way to write a pseudonym of these kinds."""
    number = ["[1-9]", "[0-9]{0,5}", "[a-z]{0,3}"]
    alternatives = []
    for kind in sorted(kinds):
        loose = [part for letter in kind for part in ([r"\\?", "[_ -]"] if letter == "_" else [letter])]
        exact = [part for letter in kind for part in ([r"\\?", "_"] if letter == "_" else [letter])]
        in_brackets = [
            "(?:\\\\?\\[|\\\\\\Z)",
            " ?",
            r"\*{0,2}",
            *loose,
            r"\\?",
            "[_ -]",
            *number,
            r"\*{0,2}",
            " ?",
            r"\\?",
        ]
        bare = [*exact, r"\\?", "_", *number]
        alternatives += [f"(?ai:{_beginning(in_brackets)})", rf"(?<![A-Za-z0-9_\[\\]){_beginning(bare)}"]
    return re.compile(rf"(?:{'|'.join(alternatives)})\Z")


def _beginning(parts: list[str]) -> str:
    """Return what matches the parts up to any of them; the first is needed."""
    expression = ""
    for part in reversed(parts[1:]):
        expression = f"(?:{part}{expression})?"
    return parts[0] + expression
