"""Preflight checks: before the API starts, validate the embedder's settings and wait for Milvus."""

from mh_common.embeddings import EmbedderError, make_embedder
from mh_common.milvus import make_client
from mh_common.startup import StoreRefusedError, milvus_store, wait_for_stores

from rag_api.settings import Settings


async def wait_until_usable(settings: Settings) -> None:
    """Return when the embedder's settings are valid and Milvus responds. Raises `StoreError`.

    Embedding server and language model are not called: they cost money, and parts of the service work without them.
    """
    try:
        embedder = make_embedder(settings.embedding, settings.openai, settings.egress, settings.phi)
    except (EmbedderError, ValueError) as error:
        raise StoreRefusedError(str(error)) from error
    await embedder.close()
    await wait_for_stores([milvus_store(settings.milvus, make_client)], settings.startup.timeout)
