"""What can keep a job from its work. They stand apart from the modules that load pymilvus, which must load late."""


class VectorStoreError(Exception):
    """The index could not be written; the same call can succeed later. The message holds no row's text."""


class IndexMismatchError(Exception):
    """The collection that exists was made for other settings. Waiting does not help; the message says what does."""


class IndexingError(Exception):
    """The conversations could not be indexed now; the same call can succeed later. `retry_after`: seconds, if known."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JobTimeoutError(IndexingError):
    """The job took longer than it may; fewer rows may go through."""
