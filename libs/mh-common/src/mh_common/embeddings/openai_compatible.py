"""Embeddings from OpenAI or any server that speaks its `POST /embeddings`."""

import asyncio
from collections.abc import Sequence
from typing import Unpack

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, omit
from openai.types import CreateEmbeddingResponse

from mh_common.embeddings.protocol import EmbedderError
from mh_common.embeddings.remote import REFUSED, Failure, RemoteEmbedder, RemoteOptions, away, incomplete, of_status

NATIVE_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Vector lengths of OpenAI's models when no other is asked for."""

_RETRIED = frozenset({408, 409, 429})


class OpenAICompatibleEmbedder(RemoteEmbedder):
    """A `RemoteEmbedder` through OpenAI's SDK. A batch is sent again on 408, 409, 429, 5xx, a timeout or a lost
    connection.

    Args:
        api_key: sent as bearer token; a server without keys takes any non-empty text.
        base_url: address up to and with `/v1`; None for OpenAI itself.
        model, dimension: as in `RemoteEmbedder`. The dimension is sent to the server only where it differs from the
            native length of one of OpenAI's models, since other servers refuse the parameter.
        options: as in `RemoteEmbedder`; OpenAI takes 2,048 texts in one request.
    """

    def __init__(
        self, *, api_key: str, base_url: str | None, model: str, dimension: int, **options: Unpack[RemoteOptions]
    ) -> None:
        super().__init__(model=model, dimension=dimension, **options)
        # The SDK's own retries are off: one place decides on retries, with a bound on the total wait.
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=self._timeout, max_retries=0)
        shortened = NATIVE_DIMENSIONS.get(model, dimension) != dimension
        self._dimensions = dimension if shortened else omit

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, batch: list[str]) -> Sequence[object] | Failure:
        try:
            # The SDK bounds each single read; this bounds the attempt, also against a server that trickles.
            async with asyncio.timeout(self._timeout):
                # "float" is asked for because not every compatible server knows the SDK's default, base64.
                answer = await self._client.embeddings.create(
                    input=batch, model=self.model, dimensions=self._dimensions, encoding_format="float"
                )
        except APIStatusError as error:
            return _from_status(error)
        except (APITimeoutError, TimeoutError):
            return away("The embedding server did not answer in time", "timeout")
        except APIConnectionError:
            return away("The embedding server cannot be reached", "unreachable")
        except Exception as error:  # the SDK lets errors of JSON parsing and of its own checks through as they are
            message = f"The embedding server's answer is unreadable ({type(error).__name__})"
            return away(message, "unreadable")
        if isinstance(answer, CreateEmbeddingResponse):
            self._count_tokens(getattr(answer.usage, "prompt_tokens", None))
            return _vectors(answer, len(batch))
        # An answer that is not JSON, such as a proxy's page, comes through the SDK as text, against its types.
        return away("The embedding server's answer is not JSON", "unreadable")


def _vectors(answer: CreateEmbeddingResponse, expected: int) -> Sequence[object] | Failure:
    """Check the answer and bring it in order; the SDK checks nothing."""
    try:
        items = sorted(answer.data, key=lambda item: item.index)
        complete = [item.index for item in items] == list(range(expected))
    except (AttributeError, TypeError):
        complete = False
    if complete:
        return [item.embedding for item in items]
    return incomplete(expected)


def _from_status(error: APIStatusError) -> Failure:
    status = error.status_code
    if error.code == "insufficient_quota" and status not in REFUSED:
        message = "The account at the embedding server has no quota left"
        return Failure(EmbedderError(message, transient=True), str(status), again=False)
    return of_status(status, error.response.headers, _RETRIED)
