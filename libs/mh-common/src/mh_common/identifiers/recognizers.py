"""The recognizers of this installation."""

from collections.abc import Sequence
from importlib.util import find_spec

from mh_common.identifiers.candidates import without_overlaps
from mh_common.identifiers.protocol import Identifier, Recognizer


class JoinedRecognizer:
    """Finds what any of several recognizers finds."""

    def __init__(self, recognizers: Sequence[Recognizer]) -> None:
        self._recognizers = tuple(recognizers)

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`. If one of the recognizers cannot read the text, neither can this."""
        return without_overlaps(one for recognizer in self._recognizers for one in recognizer.find(text))


def make_recognizer() -> Recognizer:
    """Return the recognizer of this installation: the built-in one, joined by Presidio where that is installed.

    It may be used by several threads at once. To make it takes some tenths of a second; nothing is loaded before.

    Raises:
        RuntimeError: Presidio is installed, but not its model.
    """
    from mh_common.identifiers.built_in import BuiltInRecognizer

    built_in = BuiltInRecognizer()
    if find_spec("presidio_analyzer") is None:
        return built_in
    from mh_common.identifiers.presidio import PresidioRecognizer

    return JoinedRecognizer([built_in, PresidioRecognizer()])
