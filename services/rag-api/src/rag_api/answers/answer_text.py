"""The text of an answer as it comes from a language model, piece by piece, made fit to be shown."""

from collections.abc import Collection, Set

from rag_api.answers import citations, markup


class AnswerText:
    """Defuses markup and checks citations in a text that comes in pieces.

    What may yet become a citation or an address is held back. The pieces given out are, put together, the same however
    the text was cut into the pieces that came in; without blanks at the beginning and the end.

    Args:
        numbers: the numbers that citations may name.
        known: the web addresses that may stand in the text.
    """

    def __init__(self, numbers: Collection[int], known: Set[str]) -> None:
        self._numbers = numbers
        self._known = known
        self._raw = ""
        self._defused = ""
        self._blanks = ""
        self._begun = False

    def feed(self, piece: str) -> str:
        """Take the next piece; return what is settled now, which may be nothing."""
        self._raw += markup.without_unseen(piece)
        self._defuse(markup.settled(self._raw))
        return self._give(citations.settled(self._defused))

    def finish(self) -> str:
        """Return what was held back; the text is whole."""
        self._defuse(len(self._raw))
        return self._give(len(self._defused))

    def _defuse(self, end: int) -> None:
        settled, self._raw = self._raw[:end], self._raw[end:]
        self._defused += markup.defuse(settled, self._known)

    def _give(self, end: int) -> str:
        settled, self._defused = self._defused[:end], self._defused[end:]
        given = self._blanks + citations.cite_only(settled, self._numbers)
        if not self._begun:
            given = given.lstrip()
        # Blanks are given only before something else.
        text = given.rstrip()
        self._blanks = given[len(text) :]
        self._begun = self._begun or bool(text)
        return text
