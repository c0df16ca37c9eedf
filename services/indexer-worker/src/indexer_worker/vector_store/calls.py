"""Calls of Milvus: bounded in time, and with one error for whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pymilvus import MilvusException

from indexer_worker.errors import IndexMismatchError, RowsRefusedError, VectorStoreError

INVALID_PARAMETER: Final = 1100
"""Milvus's code for data that does not fit the collection."""
UNCLEAR: Final = frozenset({2000, 65535})
"""Codes that Milvus gives for bad data and for troubles of its own alike. Milvus Lite has hardly any other."""


@asynccontextmanager
async def milvus_calls(seconds: float) -> AsyncIterator[None]:
    """Bound the calls of a block in time, and turn whatever goes wrong in them into `VectorStoreError`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except IndexMismatchError:
        raise
    except Exception as error:  # pymilvus lets errors of gRPC and of its own through as they come
        raise vector_store_error(error) from error


def vector_store_error(error: Exception) -> VectorStoreError:
    """Return what an error of pymilvus means, without its message, which could repeat what a row holds."""
    code = error.code if isinstance(error, MilvusException) else None
    if code == INVALID_PARAMETER or code in UNCLEAR:
        return RowsRefusedError(f"Milvus refused the row (code {code})", permanent=code == INVALID_PARAMETER)
    reason = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be used now"
    return VectorStoreError(f"Milvus {reason} ({type(error).__name__}{'' if code is None else f', code {code}'})")
