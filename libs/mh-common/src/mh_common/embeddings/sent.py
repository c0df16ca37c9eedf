"""Which texts an embedding server was sent, for a caller who wants to know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_recorded: ContextVar[list[list[str]] | None] = ContextVar("mh_texts_sent_to_embedder", default=None)


@contextmanager
def recorded_requests() -> Iterator[list[list[str]]]:
    """Yield a list to which the texts of each request to an embedding server are added while the block runs.

    Texts whose vectors are cached are not sent. The block must not yield to other code, as a generator's does.
    """
    requests: list[list[str]] = []
    token = _recorded.set(requests)
    try:
        yield requests
    finally:
        _recorded.reset(token)


def record(texts: Sequence[str]) -> None:
    """Add the texts of a request that is about to be sent."""
    recorded = _recorded.get()
    if recorded is not None:
        recorded.append(list(texts))
