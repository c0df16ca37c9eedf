"""Texts on their way to a server: what PHI_MODE lets out of them, and how pseudonyms are undone in what comes back."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from mh_common.errors import DomainError
from mh_common.identifiers import Identifier, Pseudonyms, Recognizer
from mh_common.models import PhiMode

log = logging.getLogger(__name__)

IDENTIFIERS_UNREADABLE: Final = "identifiers_unreadable"
"""Logged when a recognizer fails, which is a bug. The text is not sent."""


class RecognizerOnDemand:
    """A recognizer that is made when it is first asked, since that takes time and memory.

    Args:
        make: makes it, such as `make_recognizer`. Its errors are those of `find`.
    """

    def __init__(self, make: Callable[[], Recognizer]) -> None:
        self._make = make
        self._made: Recognizer | None = None
        self._lock = threading.Lock()

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`."""
        with self._lock:
            recognizer = self._made = self._made or self._make()
        return recognizer.find(text)


class TextNotSentError(DomainError):
    """A text must not be sent. The message says why, in words that complete "It was not sent: it …"."""


class IdentifiersFoundError(TextNotSentError):
    """The text has identifiers, and PHI_MODE is `refuse`."""

    def __init__(self) -> None:
        super().__init__("seems to contain names or other identifiers (PHI_MODE=refuse)")


class UnreadableTextError(TextNotSentError):
    """The recognizer failed, so that nobody knows what is in the text."""

    def __init__(self) -> None:
        super().__init__("could not be checked for names and other identifiers")


class OutgoingTexts:
    """The texts of one request for one server. What stands for what is kept here alone, in memory.

    Args:
        mode: what happens to identifiers.
        recognizer: finds them.
    """

    def __init__(self, mode: PhiMode, recognizer: Recognizer) -> None:
        self._mode = mode
        self._recognizer = recognizer
        self._pseudonyms = Pseudonyms(recognizer)

    @property
    def are_checked(self) -> bool:
        """Whether texts are looked through at all."""
        return self._mode is not PhiMode.OFF

    def prepare(self, text: str) -> str:
        """Return the text as it may be sent.

        Raises:
            TextNotSentError: it must not be sent.
        """
        if not self.are_checked:
            return text
        try:
            if self._mode is PhiMode.PSEUDONYMISE:
                return self._pseudonyms.hide(text)
            failure: TextNotSentError | None = IdentifiersFoundError() if self._recognizer.find(text) else None
        except Exception as error:  # any: what could not be read must not be sent
            log.error(IDENTIFIERS_UNREADABLE, extra={"error": type(error).__name__})
            failure = UnreadableTextError()
        # Raised here so that the recognizer's error, which may quote the text, is not its context.
        if failure is not None:
            raise failure
        return text

    def restore(self, text: str) -> str:
        """Return the text with each pseudonym replaced by what it stands for."""
        return self._pseudonyms.restore(text) if self._mode is PhiMode.PSEUDONYMISE else text

    def restorer(self) -> "Restorer":
        """Return what restores a text that arrives in pieces, by what was prepared until now."""
        return self._pseudonyms.restorer() if self._mode is PhiMode.PSEUDONYMISE else Unchanged()


class Restorer(Protocol):
    """Restores a text that arrives in pieces: a pseudonym may be spread over several of them.

    All that it returns, joined, is the restored text, however it was split on arrival.
    """

    def feed(self, piece: str) -> str:
        """Add the next piece; return the text that is final now, which may be empty."""
        ...

    def finish(self) -> str:
        """Return the text that was held back; there are no further pieces."""
        ...


class Unchanged:
    """A `Restorer` of texts in which nothing was replaced."""

    def feed(self, piece: str) -> str:
        """See `Restorer.feed`."""
        return piece

    def finish(self) -> str:
        """See `Restorer.finish`."""
        return ""
