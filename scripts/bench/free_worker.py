"""The indexer worker with the free embedder, for `celery -A bench.free_worker`."""

from bench import free

free.install()

from indexer_worker.celery_app import app  # noqa: E402 - not before the embedder is in its place

__all__ = ["app"]
