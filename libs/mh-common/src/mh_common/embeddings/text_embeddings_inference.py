"""Embeddings from Hugging Face's text-embeddings-inference, or a server with a compatible `POST /embed`."""

import asyncio
from collections.abc import Sequence
from typing import Unpack

import httpx

from mh_common.egress import LOCAL, ClientOptions
from mh_common.embeddings.remote import (
    Failure,
    RemoteEmbedder,
    RemoteOptions,
    failure_from_status,
    incomplete_response,
    server_unavailable,
)

BATCH_SIZE = 32
"""Default limit of such a server for texts in one request."""

_RETRIED = frozenset({408, 424, 429})


class TextEmbeddingsInferenceEmbedder(RemoteEmbedder):
    """A `RemoteEmbedder` for `POST /embed`. A batch is retried on 408, 424 (the model failed), 429 (too busy), 5xx,
    timeouts and lost connections.

    The server truncates texts to the model's window. It returns an array of vectors or, for a single text, possibly the
    bare vector. A vector is an array of numbers, or its float32 bytes in base64.

    Args:
        base_url: URL without `/embed`.
        api_key: sent as bearer token; None if the server needs none.
        client_options: `Recipient.client_options` of the server.
        model, dimension, options: as in `RemoteEmbedder`.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        model: str,
        dimension: int,
        client_options: ClientOptions = LOCAL.client_options,
        **options: Unpack[RemoteOptions],
    ) -> None:
        super().__init__(model=model, dimension=dimension, **options)
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(timeout=self._timeout, headers=headers, **client_options)
        self._url = f"{base_url.rstrip('/')}/embed"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _attempt(self, batch: list[str]) -> Sequence[object] | Failure:
        try:
            # The timeout of httpx is per read; this one bounds the whole attempt.
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(self._url, json={"inputs": batch, "truncate": True})
            if not response.is_success:
                return failure_from_status(response.status_code, response.headers, _RETRIED)
            return _vectors(response.json(), len(batch))
        except (httpx.TimeoutException, TimeoutError):
            return server_unavailable("The embedding server did not answer in time", "timeout")
        except httpx.TransportError:
            return server_unavailable("The embedding server cannot be reached", "unreachable")
        except ValueError:
            return server_unavailable("The embedding server's response is not JSON", "unreadable")


def _vectors(answer: object, expected: int) -> Sequence[object] | Failure:
    alone = isinstance(answer, str) or (
        isinstance(answer, list) and bool(answer) and isinstance(answer[0], int | float)
    )
    vectors = [answer] if alone else answer
    if isinstance(vectors, list) and len(vectors) == expected:
        return vectors
    return incomplete_response(expected)
