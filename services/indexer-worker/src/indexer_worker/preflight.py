"""Look, before the worker starts, whether it can ever do its work: `python -m indexer_worker.preflight`.

A process of its own, because what it loads (gRPC, onnxruntime) must not be in one that forks.
"""

import sys
from contextlib import closing

from mh_common.embeddings import EmbedderError
from mh_common.settings import load_settings

from indexer_worker.errors import IndexMismatchError, VectorStoreError
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings


def main() -> None:
    """End with one line on standard error when an operator must act first.

    Milvus being away is no reason, nor is a collection of another embedding space: only a worker can build it anew.
    """
    settings = load_settings(Settings)
    with closing(Runtime(settings)) as runtime:
        try:
            runtime.prepare()
        except (VectorStoreError, IndexMismatchError) as error:
            print(f"The indexer worker starts, but its jobs will wait: {error}.", file=sys.stderr)
        except (EmbedderError, ValueError) as error:
            sys.exit(f"The indexer worker cannot start. {error}")


if __name__ == "__main__":
    main()
