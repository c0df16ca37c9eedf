"""Embeddings from a server of Hugging Face's text-embeddings-inference, or one that speaks its `POST /embed`."""

import asyncio
from collections.abc import Sequence
from typing import Unpack

import httpx

from mh_common.embeddings.remote import Failure, RemoteEmbedder, RemoteOptions, away, incomplete, of_status

BATCH_SIZE = 32
"""Most texts that such a server takes in one request, unless it is started otherwise."""

_RETRIED = frozenset({408, 424, 429})


class TextEmbeddingsInferenceEmbedder(RemoteEmbedder):
    """A `RemoteEmbedder` of `POST /embed`. A batch is sent again on 408, 424 (the model failed), 429 (too busy), 5xx,
    a timeout or a lost connection.

    The server cuts texts to the model's window. Its answer is an array of vectors; of a single text it may be that
    vector alone. A vector is an array of numbers, or their float32 bytes in base64.

    Args:
        base_url: address without `/embed`.
        api_key: sent as bearer token; None where the server asks for none.
        model, dimension, options: as in `RemoteEmbedder`.
    """

    def __init__(
        self, *, base_url: str, api_key: str | None, model: str, dimension: int, **options: Unpack[RemoteOptions]
    ) -> None:
        super().__init__(model=model, dimension=dimension, **options)
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(timeout=self._timeout, headers=headers)
        self._url = f"{base_url.rstrip('/')}/embed"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _attempt(self, batch: list[str]) -> Sequence[object] | Failure:
        try:
            # httpx bounds each single read; this bounds the attempt.
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(self._url, json={"inputs": batch, "truncate": True})
            if not response.is_success:
                return of_status(response.status_code, response.headers, _RETRIED)
            return _vectors(response.json(), len(batch))
        except (httpx.TimeoutException, TimeoutError):
            return away("The embedding server did not answer in time", "timeout")
        except httpx.TransportError:
            return away("The embedding server cannot be reached", "unreachable")
        except ValueError:
            return away("The embedding server's answer is not JSON", "unreadable")


def _vectors(answer: object, expected: int) -> Sequence[object] | Failure:
    alone = isinstance(answer, str) or (
        isinstance(answer, list) and bool(answer) and isinstance(answer[0], int | float)
    )
    vectors = [answer] if alone else answer
    if isinstance(vectors, list) and len(vectors) == expected:
        return vectors
    return incomplete(expected)
