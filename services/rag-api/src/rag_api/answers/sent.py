"""A wrapper that keeps what a language model was sent, for callers who ask to see it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from mh_common.egress import Recipient
from mh_common.models import SentMessage, SentTexts

from rag_api.answers.llm import SERVER_DEFAULTS, Completion, LanguageModel, Message, SamplingParams


class SentRecord:
    """What was sent for one answer, in order. It is kept in memory until the answer is complete, and nowhere else.

    Args:
        embedding: who gets the texts for the embedding model, and that model's name.
    """

    def __init__(self, embedding: tuple[Recipient, str]) -> None:
        self._embedding = embedding
        self.calls: list[SentTexts] = []

    def add_messages(self, recipient: Recipient, model: str, messages: Sequence[Message]) -> None:
        """Add the messages of a call of the language model."""
        texts = [SentMessage(role=message.role, content=message.content) for message in messages]
        self._add(recipient, model, texts)

    def add_embedded(self, requests: Sequence[Sequence[str]]) -> None:
        """Add the texts of each request that an embedding server got; there may be none."""
        for texts in requests:
            self._add(*self._embedding, [SentMessage(role="input", content=text) for text in texts])

    def _add(self, recipient: Recipient, model: str, messages: list[SentMessage]) -> None:
        self.calls.append(
            SentTexts(recipient=recipient.name, remote=recipient.is_remote, model=model, messages=messages)
        )


class RecordingLanguageModel:
    """A `LanguageModel` that delegates to another one and keeps what it is sent.

    Args:
        inner: the language model to call.
        recipient: its server.
        sent: gets the messages of each call.
    """

    def __init__(self, inner: LanguageModel, recipient: Recipient, sent: SentRecord) -> None:
        self._inner = inner
        self._recipient = recipient
        self._sent = sent

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._inner.name

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> Completion:
        """See `LanguageModel.complete`."""
        self._sent.add_messages(self._recipient, self.name, messages)
        return await self._inner.complete(messages, deadline, sampling)

    async def stream(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncGenerator[str | Completion]:
        """See `LanguageModel.stream`."""
        self._sent.add_messages(self._recipient, self.name, messages)
        async with aclosing(self._inner.stream(messages, deadline, sampling)) as pieces:
            async for piece in pieces:
                yield piece
