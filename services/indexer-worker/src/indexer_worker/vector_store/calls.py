"""Calls to Milvus: with a timeout, and with one type of error for all failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pymilvus import MilvusException

from indexer_worker.errors import IndexMismatchError, RowsRefusedError, VectorStoreError

INVALID_PARAMETER: Final = 1100
"""Milvus's error code for data that does not fit the collection."""
AMBIGUOUS_CODES: Final = frozenset({2000, 65535})
"""Error codes that Milvus uses both for invalid data and for its own failures. Milvus Lite hardly uses any others."""


@asynccontextmanager
async def milvus_calls(seconds: float) -> AsyncIterator[None]:
    """Apply a timeout to the block, and turn every error but `IndexMismatchError` into `VectorStoreError`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except IndexMismatchError:
        raise
    except Exception as error:  # pymilvus raises gRPC's errors as well as its own
        raise vector_store_error(error) from error


def vector_store_error(error: Exception) -> VectorStoreError:
    """Translate an error of pymilvus, without its message, which could contain a row's text."""
    code = error.code if isinstance(error, MilvusException) else None
    if code == INVALID_PARAMETER or code in AMBIGUOUS_CODES:
        return RowsRefusedError(f"Milvus refused the row (code {code})", permanent=code == INVALID_PARAMETER)
    reason = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be used now"
    return VectorStoreError(f"Milvus {reason} ({type(error).__name__}{'' if code is None else f', code {code}'})")
