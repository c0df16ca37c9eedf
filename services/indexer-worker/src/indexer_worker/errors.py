"""What can keep a job from its work. They stand apart from the modules that load pymilvus, which must load late."""

from collections.abc import Sequence

from mh_common.units import UnitKey


class VectorStoreError(Exception):
    """The index could not be written; the same call can succeed later. The message holds no row's text."""


class RowsRefusedError(VectorStoreError):
    """Milvus answered that it does not take what it was sent; in a call with several rows, one can be the cause.

    Attributes:
        permanent: it is the row's fault, and repeating is useless; else that is not sure.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class IndexMismatchError(Exception):
    """The collection that exists was made for other settings. Waiting does not help; the message says what does."""


class IndexingError(Exception):
    """The work could not be done now; the same call can succeed later.

    Attributes:
        retry_after: seconds to wait before that, if known.
        left: the units that are still to be done; None stands for all of them.
    """

    def __init__(self, message: str, retry_after: float | None = None, left: Sequence[UnitKey] | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.left = left


class JobTimeoutError(IndexingError):
    """The job took longer than it may; fewer rows may go through."""
