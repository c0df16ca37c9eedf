"""Sanitize the text of a language model while it is streamed."""

from collections.abc import Collection, Set

from rag_api.texts import citations, markup


class StreamSanitizer:
    """Sanitizes markup and checks citations in a text that arrives in chunks.

    Text that could still turn into a citation or a URL is held back. The returned chunks, joined, are the same however
    the text was split on arrival; leading and trailing whitespace is removed.

    Args:
        numbers: the numbers that may be cited.
        allowed_urls: the URLs that may occur in the text.
    """

    def __init__(self, numbers: Collection[int], allowed_urls: Set[str]) -> None:
        self._numbers = numbers
        self._allowed_urls = allowed_urls
        self._raw = ""
        self._sanitized = ""
        self._whitespace = ""
        self._started = False

    def feed(self, chunk: str) -> str:
        """Add the next chunk; return the text that is final now, which may be empty."""
        self._raw += markup.strip_invisible(chunk)
        self._sanitize(markup.stable_end(self._raw))
        return self._release(citations.stable_end(self._sanitized))

    def finish(self) -> str:
        """Return the text that was held back; there are no further chunks."""
        self._sanitize(len(self._raw))
        return self._release(len(self._sanitized))

    def _sanitize(self, end: int) -> None:
        stable, self._raw = self._raw[:end], self._raw[end:]
        self._sanitized += markup.sanitize(stable, self._allowed_urls)

    def _release(self, end: int) -> str:
        stable, self._sanitized = self._sanitized[:end], self._sanitized[end:]
        released = self._whitespace + citations.normalize_citations(stable, self._numbers)
        if not self._started:
            released = released.lstrip()
        # Whitespace is released only when something follows.
        text = released.rstrip()
        self._whitespace = released[len(text) :]
        self._started = self._started or bool(text)
        return text
