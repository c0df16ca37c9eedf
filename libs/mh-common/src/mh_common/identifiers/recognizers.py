"""The built-in recognizer."""

import re
from typing import Final

from mh_common.identifiers.protocol import Identifier, IdentifierKind, Recognizer

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TITLED: Final = re.compile(r"\b(?:Mr|Mrs|Ms|Dr)\.? (?P<name>[A-Z]\w+)")


class PatternRecognizer:
    """Recognises identifiers by patterns."""

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`."""
        emails = [Identifier(*match.span(), IdentifierKind.EMAIL) for match in _EMAIL.finditer(text)]
        names = [Identifier(*match.span("name"), IdentifierKind.PERSON) for match in _TITLED.finditer(text)]
        return sorted(emails + names)


def make_recognizer() -> Recognizer:
    """Return the recognizer of this installation."""
    return PatternRecognizer()
