"""Reversible pseudonyms for the identifiers in the texts of one request."""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from mh_common.identifiers.protocol import Recognizer

_PSEUDONYM: Final = re.compile(r"\[[A-Z_]+_[0-9]+\]")


class Pseudonyms:
    """The pseudonyms of one request, such as `[PERSON_1]`. The same person has the same one in all of its texts.

    What stands for what is kept in memory, by this object alone.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._pseudonyms: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """Return the text with each identifier replaced by its pseudonym.

        Raises:
            Exception: the text could not be read; it must not be sent.
        """
        parts, end = [], 0
        for found in self._recognizer.find(text):
            original = text[found.start : found.end]
            parts += [text[end : found.start], self._pseudonym(found.kind.name, original)]
            end = found.end
        return "".join([*parts, text[end:]])

    def restore(self, text: str) -> str:
        """Return the text with each pseudonym replaced by what it stands for."""
        return _PSEUDONYM.sub(lambda match: self._originals.get(match[0], match[0]), text)

    async def restore_stream(self, pieces: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the pieces restored; a pseudonym may be spread over several."""
        text = "".join([piece async for piece in pieces])
        yield self.restore(text)

    def _pseudonym(self, kind: str, original: str) -> str:
        key = (kind, original.casefold())
        if key not in self._pseudonyms:
            number = 1 + sum(known == kind for known, _ in self._pseudonyms)
            self._pseudonyms[key] = f"[{kind}_{number}]"
            self._originals[self._pseudonyms[key]] = original
        return self._pseudonyms[key]
