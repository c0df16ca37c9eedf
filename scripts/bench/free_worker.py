"""The indexer worker with the free embedder, for `celery -A bench.free_worker`."""

from bench import free

# The collection is made by the worker's preflight, a program of its own that knows the local model.
free.install(free.LOCAL_MODEL)

from indexer_worker.celery_app import app  # noqa: E402 - not before the embedder is in its place

__all__ = ["app"]
