"""The Milvus client of the worker and rag-api. Needs mh-common[milvus].

Importing this module loads gRPC, which does not survive a fork.
"""

import logging
from typing import Final

from pymilvus import AsyncMilvusClient
from pymilvus.client import entity_helper

GRPC_OPTIONS: Final = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 1000}
"""The next call after Milvus comes back reconnects, instead of waiting out a backoff that grew during the outage."""


def make_client(uri: str, token: str, timeout: float) -> AsyncMilvusClient:
    """Return a client that connects on its first call, so that it can be created while Milvus is down.

    Args:
        uri: http://HOST:PORT.
        token: user:password or an API key; empty if the server needs none.
        timeout: timeout of a call, in seconds.
    """
    # pymilvus 3.0 checks the length of every text character by character, half of the time it takes to pack a row.
    # Our texts are already truncated to the field's limit.
    entity_helper.CHECK_STR_ARRAY = False
    # pymilvus logs every failed call with a traceback, through its own handler; our log has one line for it.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return AsyncMilvusClient(uri, token=token, timeout=timeout, dedicated=True, grpc_options=GRPC_OPTIONS)
