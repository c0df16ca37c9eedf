"""The indexer worker with the stub embedder, for `celery -A mh_devtools.bench.stub_worker`."""

from mh_devtools.bench import stub_embedder

stub_embedder.install()

from indexer_worker.celery_app import app  # noqa: E402 - only after the embedder is replaced

__all__ = ["app"]
