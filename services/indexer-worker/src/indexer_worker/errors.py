"""Errors of jobs. In a module of their own because the modules that import pymilvus must be imported late."""

from collections.abc import Sequence

from mh_common.units import UnitKey


class VectorStoreError(Exception):
    """The index could not be read or written; the same call may succeed later. The message contains no row's text."""


class RowsRefusedError(VectorStoreError):
    """Milvus rejected the data it was sent. In a call with several rows, a single one may be the cause.

    Attributes:
        permanent: the row itself is invalid and retrying is useless; if false, the cause is uncertain.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class IndexMismatchError(Exception):
    """The existing collection was created with other settings. Retrying does not help; the message says what does."""


class IndexingError(Exception):
    """The work could not be done now; the same call may succeed later.

    Attributes:
        retry_after: seconds to wait before retrying, if known.
        remaining: the units that still have to be indexed; None means all of them.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, remaining: Sequence[UnitKey] | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.remaining = remaining


class JobTimeoutError(IndexingError):
    """The job exceeded its time limit; fewer rows at a time may succeed."""
