"""The indexer worker with the free embedder, for `celery -A mh_devtools.bench.free_worker`."""

from mh_devtools.bench import free

free.install()

from indexer_worker.celery_app import app  # noqa: E402 - not before the embedder is in its place

__all__ = ["app"]
