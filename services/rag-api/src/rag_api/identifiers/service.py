"""Shows what pseudonyms hide."""

import asyncio

from mh_common.identifiers import Pseudonyms, Recognizer
from mh_common.models import IdentifierSpan, IdentifiersPreview, PhiMode


class IdentifierService:
    """Shows what would be hidden of a text.

    Args:
        recognizer: finds the identifiers.
        phi_mode: what happens to identifiers in texts for the language model or, without one, for the embedding model.
    """

    def __init__(self, recognizer: Recognizer, phi_mode: PhiMode) -> None:
        self._recognizer = recognizer
        self._phi_mode = phi_mode

    async def preview(self, text: str) -> IdentifiersPreview:
        """Return the text with pseudonyms, and where each identifier was recognised. Nothing is sent or stored."""
        # In a thread, since looking through a long text is slow.
        return await asyncio.to_thread(self._preview, text)

    def _preview(self, text: str) -> IdentifiersPreview:
        spans = [
            IdentifierSpan(start=found.start, end=found.end, kind=found.kind) for found in self._recognizer.find(text)
        ]
        hidden = Pseudonyms(self._recognizer).hide(text)
        return IdentifiersPreview(text=hidden, identifiers=spans, phi_mode=self._phi_mode)
