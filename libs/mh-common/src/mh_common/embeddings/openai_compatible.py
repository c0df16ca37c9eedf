"""Embeddings from OpenAI or any server with an OpenAI-compatible `POST /embeddings`."""

import asyncio
from collections.abc import Sequence
from typing import Unpack

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient, omit
from openai.types import CreateEmbeddingResponse

from mh_common.egress import LOCAL, OPENAI_URL, ClientOptions
from mh_common.embeddings.protocol import EmbedderError
from mh_common.embeddings.remote import (
    REFUSED,
    Failure,
    RemoteEmbedder,
    RemoteOptions,
    failure_from_status,
    incomplete_response,
    server_unavailable,
)

NATIVE_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Default vector lengths of OpenAI's models."""

_RETRIED = frozenset({408, 409, 429})


class OpenAICompatibleEmbedder(RemoteEmbedder):
    """A `RemoteEmbedder` that uses OpenAI's SDK. A batch is retried on 408, 409, 429, 5xx, timeouts and lost
    connections.

    Args:
        api_key: sent as bearer token; a server without authentication accepts any non-empty text.
        base_url: URL including `/v1`; None for OpenAI itself.
        model, dimension: as in `RemoteEmbedder`. The dimension is sent to the server only if it differs from the
            native length of one of OpenAI's models, because other servers reject the parameter.
        client_options: `Recipient.client_options` of the server.
        options: as in `RemoteEmbedder`; OpenAI accepts 2,048 texts in one request.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        dimension: int,
        client_options: ClientOptions = LOCAL.client_options,
        **options: Unpack[RemoteOptions],
    ) -> None:
        super().__init__(model=model, dimension=dimension, **options)
        self._client = AsyncOpenAI(
            api_key=api_key,
            base_url=base_url or OPENAI_URL,
            timeout=self._timeout,
            # RemoteEmbedder does the retries, with a bound on the total wait.
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(**client_options),
        )
        shortened = NATIVE_DIMENSIONS.get(model, dimension) != dimension
        self._dimensions = dimension if shortened else omit

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, batch: list[str]) -> Sequence[object] | Failure:
        try:
            # The SDK's timeout is per read; this one bounds the whole attempt, even if the server sends slowly.
            async with asyncio.timeout(self._timeout):
                # "float", because not every compatible server supports base64, the SDK's default.
                answer = await self._client.embeddings.create(
                    input=batch, model=self.model, dimensions=self._dimensions, encoding_format="float"
                )
        except APIStatusError as error:
            return _from_status(error)
        except (APITimeoutError, TimeoutError):
            return server_unavailable("The embedding server did not answer in time", "timeout")
        except APIConnectionError:
            return server_unavailable("The embedding server cannot be reached", "unreachable")
        except Exception as error:  # the SDK does not wrap JSON and validation errors
            message = f"The embedding server's response is unreadable ({type(error).__name__})"
            return server_unavailable(message, "unreadable")
        if isinstance(answer, CreateEmbeddingResponse):
            self._count_tokens(getattr(answer.usage, "prompt_tokens", None))
            return _vectors(answer, len(batch))
        # The SDK returns a response that is not JSON, such as a proxy's HTML page, as text, contrary to its types.
        return server_unavailable("The embedding server's response is not JSON", "unreadable")


def _vectors(answer: CreateEmbeddingResponse, expected: int) -> Sequence[object] | Failure:
    """Validate the response and sort the vectors; the SDK does neither."""
    try:
        items = sorted(answer.data, key=lambda item: item.index)
        complete = [item.index for item in items] == list(range(expected))
    except (AttributeError, TypeError):
        complete = False
    if complete:
        return [item.embedding for item in items]
    return incomplete_response(expected)


def _from_status(error: APIStatusError) -> Failure:
    status = error.status_code
    if error.code == "insufficient_quota" and status not in REFUSED:
        message = "The account at the embedding server has no quota left"
        return Failure(EmbedderError(message, transient=True), str(status), retryable=False)
    return failure_from_status(status, error.response.headers, _RETRIED)
