"""An embedder at a server, which gets texts only as PHI_MODE lets them out."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mh_common.embeddings.protocol import Embedder, TextUse, TextWithheldError
from mh_common.identifiers import Recognizer
from mh_common.models import PhiMode
from mh_common.outgoing import OutgoingTexts, TextNotSentError

PSEUDONYMS: Final = "+pseudonyms"
"""Appended to the model's name: a name and its pseudonym have different vectors, so they are another space."""


class GuardedEmbedder:
    """An `Embedder` that passes another one texts with pseudonyms, or none with identifiers.

    Each text is prepared by itself, so that equal texts are always sent alike.

    Args:
        inner: the embedder at the server; closed with this one.
        mode: what happens to identifiers.
        recognizer: finds them.
        max_length: characters of a text that are looked at and sent; the server reads no more.
    """

    def __init__(self, inner: Embedder, mode: PhiMode, recognizer: Recognizer, max_length: int) -> None:
        self._inner = inner
        self._mode = mode
        self._recognizer = recognizer
        self._max_length = max_length

    @property
    def model(self) -> str:
        """The inner embedder's model, or another space if pseudonyms are embedded."""
        return self._inner.model + (PSEUDONYMS if self._mode is PhiMode.PSEUDONYMISE else "")

    @property
    def dimension(self) -> int:
        """The inner embedder's dimension."""
        return self._inner.dimension

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`. Raises `TextWithheldError` if a text must not be sent; then none is sent."""
        try:
            # In a thread, since looking through long texts is slow.
            prepared = await asyncio.to_thread(lambda: [self._prepare(text) for text in texts])
        except TextNotSentError as error:
            raise TextWithheldError(str(error)) from None
        return await self._inner.embed(prepared, use)

    async def close(self) -> None:
        """Close the inner embedder."""
        await self._inner.close()

    def _prepare(self, text: str) -> str:
        # Twice as much, so that an identifier which is cut here is not among the first `max_length` characters. Lone
        # surrogates are replaced, as they are in what is sent.
        looked_at = text[: 2 * self._max_length].encode("utf-8", "replace").decode()
        return OutgoingTexts(self._mode, self._recognizer).prepare(looked_at)[: self._max_length]
