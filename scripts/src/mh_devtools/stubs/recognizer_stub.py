"""A recognizer of given words, which can fail, for tests of what happens to identifiers."""

import re
from collections.abc import Mapping

from mh_common.identifiers import Identifier, IdentifierKind


class StubRecognizer:
    """Recognises these words, whole and in any letter case.

    Args:
        words: kinds by word.

    Attributes:
        broken: fail, with the text in the message, as a bug might.
    """

    def __init__(self, words: Mapping[str, IdentifierKind]) -> None:
        self._kinds = {word.casefold(): kind for word, kind in words.items()}
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
        self.broken = False

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`."""
        if self.broken:
            raise RuntimeError(f"cannot read {text}")
        return [Identifier(*match.span(), self._kinds[match[0].casefold()]) for match in self._pattern.finditer(text)]
