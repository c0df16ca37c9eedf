"""Look, before the worker or its clock starts, whether it can do its work: `python -m indexer_worker.preflight [beat]`.

In a process of its own, because what it loads (gRPC, onnxruntime) must not be in one that forks.
"""

import sys
from contextlib import closing

from mh_common.embeddings import EmbedderError
from mh_common.settings import load_settings
from mh_common.startup import milvus_store, redis_store, run_or_exit, wait_for_stores

from indexer_worker.errors import IndexMismatchError, VectorStoreError
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings


async def wait_until_usable(settings: Settings, *, clock: bool) -> None:
    """Return when the stores of a worker, or of its clock, answer. Raises `StoreError`."""
    stores = [redis_store(settings.redis)]
    if not clock:
        # Late for the reason that `Runtime` gives.
        from mh_common.milvus import make_client

        stores.append(milvus_store(settings.milvus, make_client))
    await wait_for_stores(stores, settings.startup.timeout)


def look(settings: Settings, *, clock: bool) -> None:
    """End the process with one line on standard error when an operator must act first.

    A collection of another embedding space is no reason: only a worker can build it anew.
    """
    run_or_exit(wait_until_usable(settings, clock=clock))
    if clock:
        return
    with closing(Runtime(settings)) as runtime:
        try:
            runtime.prepare()
        except (VectorStoreError, IndexMismatchError) as error:
            print(f"The indexer worker starts, but its jobs will wait: {error}.", file=sys.stderr)
        except (EmbedderError, ValueError) as error:
            print(f"The indexer worker cannot start. {error}", file=sys.stderr)
            sys.exit(1)


def main() -> None:
    """Look as the worker, or its clock, does."""
    look(load_settings(Settings), clock=sys.argv[1:] == ["beat"])


if __name__ == "__main__":
    main()
