"""Start-up checks of the worker or of Celery beat: `python -m indexer_worker.preflight [beat]`.

They run in a process of their own, because the libraries they load (gRPC, onnxruntime) must not be in one that forks.
"""

import asyncio
import sys
from contextlib import closing

from mh_common.embeddings import EmbedderError, plan_embedder
from mh_common.settings import load_settings
from mh_common.startup import milvus_store, redis_store, run_or_exit, wait_for_stores

from indexer_worker.errors import IndexMismatchError, VectorStoreError
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings


async def wait_until_usable(settings: Settings, *, beat: bool) -> None:
    """Wait until the stores that the worker, or beat, needs answer. Raises `StoreError`."""
    stores = [redis_store(settings.redis)]
    if not beat:
        # Imported late for the reason given in `Runtime`.
        from mh_common.milvus import make_client

        stores.append(milvus_store(settings.milvus, make_client))
    await wait_for_stores(stores, settings.startup.timeout)


def run_checks(settings: Settings, *, beat: bool) -> None:
    """End the process with one line on standard error if an operator has to act first.

    A collection with another embedding model does not prevent the start: only a running worker can rebuild it. A key
    that the conversations API refuses does not either: jobs wait until both have the same one.
    """
    run_or_exit(wait_until_usable(settings, beat=beat))
    if beat:
        return
    with closing(Runtime(settings)) as runtime:
        try:
            plan = plan_embedder(settings.embedding, settings.openai, settings.egress, settings.phi)
            if plan.note:
                print(f"The indexer worker starts. {plan.note}.", file=sys.stderr)
            runtime.prepare()
        except (VectorStoreError, IndexMismatchError) as error:
            _say_postponed(error)
        except (EmbedderError, ValueError) as error:
            print(f"The indexer worker cannot start. {error}", file=sys.stderr)
            sys.exit(1)
    if settings.startup.timeout:
        _check_key(settings)


def _check_key(settings: Settings) -> None:
    # Imported late: the process that forks needs no client.
    from indexer_worker.api_calls import ServiceKeyRefusedError, check_key

    try:
        asyncio.run(check_key(settings.conversations, settings.mh))
    except ServiceKeyRefusedError as error:
        _say_postponed(error)


def _say_postponed(error: Exception) -> None:
    print(f"The indexer worker starts, but its jobs will be postponed: {error}.", file=sys.stderr)


def main() -> None:
    """Run the checks that the worker, or beat, runs when it starts."""
    run_checks(load_settings(Settings), beat=sys.argv[1:] == ["beat"])


if __name__ == "__main__":
    main()
