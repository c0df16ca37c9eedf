"""The client of Milvus, as the worker writes with it and rag-api reads. Needs mh-common[milvus].

Loading this loads gRPC, which does not survive a fork.
"""

import logging
from typing import Final

from pymilvus import AsyncMilvusClient
from pymilvus.client import entity_helper

GRPC_OPTIONS: Final = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 1000}
"""A Milvus that is back is found by the next call, instead of after a pause that grew while it was away."""


def make_client(uri: str, token: str, timeout: float) -> AsyncMilvusClient:
    """Return a client that connects at its first call, so that it can be made while Milvus is down.

    Args:
        uri: http://HOST:PORT.
        token: user:password or an API key; empty where the server asks for none.
        timeout: seconds until a call is given up.
    """
    # pymilvus 3.0 looks at the length of each character of a text, which takes half of the time of packing a row.
    # Texts are cut to what their fields hold before.
    entity_helper.CHECK_STR_ARRAY = False
    # It logs each failed call with its whole trace, on a handler of its own; ours says it in one line.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return AsyncMilvusClient(uri, token=token, timeout=timeout, dedicated=True, grpc_options=GRPC_OPTIONS)
